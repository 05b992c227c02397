//! Certificates: no panic, and what is read is put together again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::x509::{Certificate, activation_index_offset, read_chain, read_chain_der};

fuzz_target!(|input: &[u8]| {
    let _ = (read_chain(input), activation_index_offset(input));
    if let Ok(chain) = read_chain_der(input) {
        let again: Vec<u8> = chain.iter().flat_map(Certificate::der).copied().collect();
        assert_eq!(again, input);
    }
    if let Ok(certificate) = Certificate::parse(input) {
        let again = Certificate::assemble(certificate.tbs_der(), certificate.signature());
        assert_eq!(again.as_deref(), Ok(input));
    }
});
