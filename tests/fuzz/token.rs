//! A signed token is taken apart or refused; what is taken apart has one spelling, and no key
//! verifies what it did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::attestation::{Jws, JwsAlgorithm, KeySet};

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a",
    "x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",
    "y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"}]}"#;

fuzz_target!(|text: &str| {
    let Ok(jws) = Jws::parse(text) else {
        return;
    };
    assert_eq!(text.split('.').count(), 3);
    assert!(Jws::parse(&format!("{text}=")).is_err());
    let _ = jws.claimed_issuer();
    let keys = KeySet::parse(KEYS.as_bytes()).expect("the set is good");
    assert!(jws.verified(&keys, &JwsAlgorithm::ALL).is_err());
});
