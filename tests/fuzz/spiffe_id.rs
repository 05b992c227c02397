//! A text is a SPIFFE ID only as the standard writes it, and prints back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::identity::{SPIFFE_ID_BYTES_MAX, SpiffeId, Subject};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.to_string(), text);
        assert!(text.len() <= SPIFFE_ID_BYTES_MAX);
    }
    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(subject.to_string(), text);
    }
});
