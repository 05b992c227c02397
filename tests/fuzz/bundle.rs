//! The stored form of a policy bundle is read back to the same bytes, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::policy::BundleSource;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(source) = BundleSource::from_bytes(bytes) {
        assert_eq!(source.to_bytes(), bytes);
    }
});
