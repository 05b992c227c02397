//! Requests: no panic, and whatever is accepted leniently keeps to its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::x509::{CSR_BYTES_MAX, CsrRules, KeyKind, VerifiedCsr};

fuzz_target!(|input: &[u8]| {
    let keys = [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into();
    let rules = CsrRules {
        strict: false,
        keys,
        blocked: [].into(),
    };
    let accepted = VerifiedCsr::parse(input, &rules).is_ok();
    assert!(!accepted || input.len() <= CSR_BYTES_MAX);
});
