//! Requests between protem and openssl, both ways.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use protem::x509::{CsrRules, KeyKind, PrivateKey, VerifiedCsr, write_request};

#[test]
fn requests_made_by_openssl_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, key) in [
        (KeyKind::P256, ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        (KeyKind::P384, ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        (KeyKind::Rsa, ["rsa", "-pkeyopt", "rsa_keygen_bits:3072"]),
        (KeyKind::Ed25519, ["ed25519", "-batch", "-batch"]),
    ] {
        let plain = [
            "req", "-new", "-noenc", "-keyout", "key.pem", "-out", "csr.pem", "-newkey",
        ];
        let asks = [
            "-subj",
            "/CN=payments",
            "-addext",
            "subjectAltName=URI:spiffe://a/b",
        ];
        openssl(dir.path(), &[&plain[..], &key, &asks].concat());
        let csr = std::fs::read(dir.path().join("csr.pem")).unwrap();
        let csr = VerifiedCsr::parse(&csr, &rules()).unwrap();
        let key = std::fs::read_to_string(dir.path().join("key.pem")).unwrap();
        let key = PrivateKey::from_pkcs8_pem(&key).unwrap();
        assert_eq!(csr.public_key(), key.public_key());
        assert_eq!(csr.public_key().kind(), kind);
        let ignored: Vec<_> = csr
            .ignored()
            .iter()
            .map(protem::x509::IgnoredRequest::as_str)
            .collect();
        assert_eq!(ignored, ["subject", "subject_alt_name"]);
    }
}

#[test]
fn requests_made_by_protem_are_verified_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    for kind in rules().keys {
        let key = PrivateKey::generate(kind).unwrap();
        std::fs::write(dir.path().join("csr.pem"), write_request(&key).unwrap()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.to_pkcs8_pem().unwrap()).unwrap();
        openssl(dir.path(), &["req", "-in", "csr.pem", "-verify", "-noout"]);
        let asked = openssl(dir.path(), &["req", "-in", "csr.pem", "-pubkey", "-noout"]);
        let held = openssl(dir.path(), &["pkey", "-in", "key.pem", "-pubout"]);
        assert_eq!(asked.stdout, held.stdout);
    }
}

fn openssl(dir: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {told}");
    output
}

fn rules() -> CsrRules {
    let keys = [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into();
    CsrRules {
        strict: false,
        keys,
        blocked: BTreeSet::new(),
    }
}
