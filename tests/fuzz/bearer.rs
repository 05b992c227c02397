//! A bearer secret is read from exactly the text that reveals it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::attestation::Bearer;

fuzz_target!(|text: &str| {
    if let Ok(bearer) = Bearer::parse(text) {
        assert_eq!(bearer.reveal().as_str(), text);
    }
});
