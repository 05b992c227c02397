//! Evidence: no panic, and one encoding for one value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::x509::Evidence;

fuzz_target!(|input: &[u8]| {
    if let Ok(evidence) = Evidence::from_der(input) {
        assert_eq!(evidence.to_der().as_deref(), Ok(input));
    }
});
