//! Hostile requests: what a request asks for, and proofs of possession.

use protem::x509::{KeyKind, PrivateKey};

use crate::der::{alt_names, extension, int, name, null, oid, seq, set, tlv};
use crate::hostile_csr::{
    Ask, CHALLENGE_PASSWORD, Case, EXTENSION_REQUEST, attribute, challenge_password,
    extension_request, ignored, refused, sorted,
};

pub(super) fn names() -> Vec<Case> {
    let uri = b"spiffe://prod.example/payments/scope/admin";
    let with = |names: &[(u8, &[u8])]| Ask::new().extensions(&[alt_names(false, names)]);
    let bad = |row, attack, names: &[(u8, &[u8])]| {
        refused(row, attack, with(names).der(), "csr_name_character")
    };
    let lenient = "accepted subject_alt_name";
    vec![
        ignored("C1", "another URI name", with(&[(6, uri)]), lenient),
        ignored(
            "C1",
            "a critical URI name",
            Ask::new().extensions(&[alt_names(true, &[(6, uri)])]),
            lenient,
        ),
        ignored(
            "C2",
            "the same URI name twice",
            with(&[(6, uri), (6, uri)]),
            lenient,
        ),
        bad(
            "C4",
            "NUL in a URI",
            &[(6, b"spiffe://prod.example/a\0.evil")],
        ),
        bad(
            "C4",
            "NUL in a DNS name",
            &[(2, b"good.example\0.evil.example")],
        ),
        bad("C4", "NUL in a mail name", &[(1, b"a@b\0c")]),
        bad(
            "C4",
            "newline in a URI",
            &[(6, b"spiffe://prod.example/a\nb")],
        ),
        bad("C4", "DEL in a URI", &[(6, b"spiffe://prod.example/a\x7f")]),
        bad("C5", "0xFF in a URI", &[(6, b"spiffe://prod.example/\xff")]),
        bad(
            "C5",
            "UTF-8 in a DNS name",
            &[(2, "b\u{fc}cher.example".as_bytes())],
        ),
        bad(
            "C6",
            "a homograph trust domain",
            &[(6, "spiffe://pr\u{43e}d.example/a".as_bytes())],
        ),
        ignored(
            "C6",
            "punycode",
            with(&[(2, b"xn--bcher-kva.example")]),
            lenient,
        ),
        ignored("C1", "an IP address", with(&[(7, &[10, 0, 0, 1])]), lenient),
        refused("C3", "an empty list of names", with(&[]).der(), "csr_names"),
        refused(
            "C3",
            "a name of an unknown form",
            with(&[(3, b"x")]).der(),
            "csr_names",
        ),
        refused(
            "C3",
            "names that are no list",
            {
                Ask::new()
                    .extensions(&[extension("2.5.29.17", false, b"\x04\x01x")])
                    .der()
            },
            "csr_names",
        ),
        refused(
            "C16",
            "bytes after the names",
            {
                let value = [seq(&[tlv(0x86, b"a:b")]), null()].concat();
                Ask::new()
                    .extensions(&[extension("2.5.29.17", false, &value)])
                    .der()
            },
            "csr_names",
        ),
        ignored(
            "C18",
            "a SPIFFE ID as common name",
            Ask::new().subject(name("spiffe://prod.example/payments/scope/admin")),
            "accepted subject",
        ),
        ignored(
            "C18",
            "a common name that is no UTF-8",
            {
                let part = seq(&[oid("2.5.4.3"), tlv(0x0c, b"\xff\xfe\0")]);
                Ask::new().subject(seq(&[set(&[part])]))
            },
            "accepted subject",
        ),
    ]
}

pub(super) fn requests() -> Vec<Case> {
    let one =
        |id, critical, value: Vec<u8>| Ask::new().extensions(&[extension(id, critical, &value)]);
    let san = || alt_names(false, &[(6, b"spiffe://a/b")]);
    let ca = || seq(&[tlv(1, &[0xff])]);
    vec![
        refused(
            "C3",
            "two lists of names",
            {
                Ask::new()
                    .extensions(&[san(), alt_names(false, &[(6, b"spiffe://a/c")])])
                    .der()
            },
            "csr_extension_twice",
        ),
        refused(
            "C3",
            "two extension requests",
            {
                let other = extension("2.5.29.19", true, &ca());
                Ask::new()
                    .attributes(&sorted([
                        extension_request(&[san()]),
                        extension_request(&[other]),
                    ]))
                    .der()
            },
            "csr_attribute_twice",
        ),
        refused(
            "C3",
            "two values in one attribute",
            {
                let other = seq(&[extension("2.5.29.19", true, &ca())]);
                let values = sorted([seq(&[san()]), other]);
                Ask::new()
                    .attributes(&[attribute(EXTENSION_REQUEST, &values)])
                    .der()
            },
            "csr_attribute_values",
        ),
        refused(
            "C3",
            "an attribute without a value",
            {
                Ask::new()
                    .attributes(&[attribute(EXTENSION_REQUEST, &[])])
                    .der()
            },
            "csr_attribute_values",
        ),
        refused(
            "C3",
            "an empty list of extensions",
            Ask::new().attributes(&[extension_request(&[])]).der(),
            "csr_extensions",
        ),
        refused(
            "C3",
            "extensions that are no list",
            {
                Ask::new()
                    .attributes(&[attribute(EXTENSION_REQUEST, &[int(&[1])])])
                    .der()
            },
            "csr_extensions",
        ),
        ignored(
            "C7",
            "CA:TRUE",
            one("2.5.29.19", true, ca()),
            "accepted basic_constraints",
        ),
        ignored(
            "C8",
            "keyCertSign",
            one("2.5.29.15", true, tlv(3, &[2, 4])),
            "accepted key_usage",
        ),
        ignored(
            "C8",
            "codeSigning",
            one("2.5.29.37", false, seq(&[oid("1.3.6.1.5.5.7.3.3")])),
            "accepted extended_key_usage",
        ),
        ignored(
            "C8",
            "name constraints",
            {
                one(
                    "2.5.29.30",
                    true,
                    seq(&[tlv(0xa0, &seq(&[tlv(0x82, b"")]))]),
                )
            },
            "accepted name_constraints",
        ),
        ignored(
            "C8",
            "policy mappings",
            one("2.5.29.33", true, seq(&[])),
            "accepted 2.5.29.33",
        ),
        ignored(
            "C9",
            "an unknown critical extension",
            one("1.3.6.1.4.1.99999.1", true, null()),
            "accepted 1.3.6.1.4.1.99999.1",
        ),
        ignored(
            "C20",
            "a challenge password",
            Ask::new().attributes(&[challenge_password()]),
            "accepted challenge_password",
        ),
        ignored(
            "C20",
            "an unstructured name",
            {
                let value = tlv(0x0c, b"secret");
                Ask::new().attributes(&[attribute("1.2.840.113549.1.9.2", &[value])])
            },
            "accepted 1.2.840.113549.1.9.2",
        ),
        refused(
            "C20",
            "two challenge passwords",
            {
                let values = sorted([tlv(0x0c, b"one"), tlv(0x0c, b"two")]);
                Ask::new()
                    .attributes(&[attribute(CHALLENGE_PASSWORD, &values)])
                    .der()
            },
            "csr_attribute_values",
        ),
    ]
}

pub(super) fn proofs() -> Vec<Case> {
    let rsa = || Ask::with(PrivateKey::generate(KeyKind::Rsa).unwrap());
    let named = |id, parameters: &[Vec<u8>]| seq(&[vec![oid(id)], parameters.to_vec()].concat());
    let possession = |attack, ask: Ask| refused("C10", attack, ask.der(), "csr_possession");
    let algorithm = |attack, ask: Ask| refused("C19", attack, ask.der(), "csr_signature_algorithm");
    let other = PrivateKey::generate(KeyKind::P256).unwrap();
    vec![
        possession("the signature of another key", {
            Ask::new().spki(other.public_key().spki_der().to_vec())
        }),
        possession("zeros for a signature", Ask::new().signature(&[0; 72])),
        possession("no signature", Ask::new().signature(b"")),
        possession(
            "r and s are zero",
            Ask::new().signature(&seq(&[int(&[0]), int(&[0])])),
        ),
        possession(
            "r and s are one",
            Ask::new().signature(&seq(&[int(&[1]), int(&[1])])),
        ),
        possession("a raw r and s", Ask::new().signature(&[7; 64])),
        possession("an RSA signature of zeros", rsa().signature(&[0; 256])),
        possession("a short RSA signature", rsa().signature(&[1; 255])),
        possession("another SHA than was signed", {
            Ask::new().algorithm(named("1.2.840.10045.4.3.3", &[]))
        }),
        algorithm(
            "MD5 with RSA",
            rsa().algorithm(named("1.2.840.113549.1.1.4", &[null()])),
        ),
        algorithm(
            "SHA-1 with RSA",
            rsa().algorithm(named("1.2.840.113549.1.1.5", &[null()])),
        ),
        algorithm(
            "SHA-1 with ECDSA",
            Ask::new().algorithm(named("1.2.840.10045.4.1", &[])),
        ),
        algorithm(
            "SHA-224 with ECDSA",
            Ask::new().algorithm(named("1.2.840.10045.4.3.1", &[])),
        ),
        algorithm(
            "RSA-PSS",
            rsa().algorithm(named("1.2.840.113549.1.1.10", &[seq(&[])])),
        ),
        algorithm("an RSA signature by an EC key", {
            Ask::new().algorithm(named("1.2.840.113549.1.1.11", &[null()]))
        }),
        algorithm("an Ed25519 signature by an EC key", {
            Ask::new().algorithm(named("1.3.101.112", &[]))
        }),
        algorithm("NULL after ECDSA", {
            Ask::new().algorithm(named("1.2.840.10045.4.3.2", &[null()]))
        }),
        algorithm(
            "no NULL after RSA",
            rsa().algorithm(named("1.2.840.113549.1.1.11", &[])),
        ),
    ]
}
