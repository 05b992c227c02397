//! A key set is read in one way, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::attestation::KeySet;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::parse(bytes) {
        assert_eq!(KeySet::parse(bytes), Ok(set));
        assert!(KeySet::parse(&[bytes, b"}"].concat()).is_err());
    }
});
