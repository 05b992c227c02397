//! Hostile certificate requests, each with its one expected answer.
//!
//! The rows carry the numbers of the threat list (C1 to C22); rows of it that concern identity,
//! policy or the ledger are tested where those live. Every request is answered twice, under lenient
//! and under strict rules.

mod encodings;
mod keys;
mod requests;

use std::collections::BTreeSet;

use proptest::prelude::*;
use protem::x509::{CsrRules, KeyKind, PrivateKey, VerifiedCsr};

use crate::der::{alt_names, bits, int, name, oid, seq, set, tlv};

/// One hostile request: its row, what it tries, its bytes, the lenient and the strict answer.
pub(crate) type Case = (
    &'static str,
    &'static str,
    Vec<u8>,
    &'static str,
    &'static str,
);

#[test]
fn every_hostile_request_gets_its_answer() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (row, attack, bytes, lenient, strict) in corpus() {
        count += 1;
        for (rules, expected) in [(rules(false), lenient), (rules(true), strict)] {
            let answer = answer(&bytes, &rules);
            if answer != expected {
                wrong.push(format!(
                    "{row} {attack}: expected `{expected}`, got `{answer}`"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} are wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(100 <= count, "the corpus shrank to {count}");
}

#[test]
fn a_hundred_megabytes_are_refused_unread() {
    assert_eq!(
        answer(&vec![b'A'; 100_000_000], &rules(false)),
        "csr_too_large"
    );
}

#[test]
fn a_blocked_key_is_refused() {
    let ask = Ask::new();
    let mut rules = rules(false);
    rules.blocked.insert(ask.key.public_key().fingerprint());
    assert_eq!(answer(&ask.der(), &rules), "key_blocked");
}

#[test]
fn a_replayed_request_gives_the_same_key_and_nothing_else() {
    let der = Ask::new().der();
    let [first, second] = [(); 2].map(|()| VerifiedCsr::parse(&der, &rules(true)).unwrap());
    assert_eq!(first.fingerprint(), second.fingerprint());
}

#[test]
fn secrets_in_attributes_are_never_shown() {
    let ask = Ask::new().attributes(&[challenge_password()]);
    let csr = VerifiedCsr::parse(&ask.der(), &rules(false)).unwrap();
    let error = VerifiedCsr::parse(&ask.der(), &rules(true)).unwrap_err();
    assert!(!format!("{csr:?} {error:?} {error}").contains("hunter2"));
}

proptest! {
    #[test]
    fn mutated_requests_never_panic_and_never_change_the_key(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let asks = [
            Ask::with(key).extensions(&[alt_names(false, &[(6, b"spiffe://a/b")])]),
            Ask::new().attributes(&[challenge_password()]),
        ];
        let ask = which.get(&asks);
        let mut der = ask.der();
        let at = at.index(der.len());
        der[at] = value;
        if let Ok(csr) = VerifiedCsr::parse(&der, &rules(false)) {
            prop_assert_eq!(csr.public_key(), ask.key.public_key());
        }
    }
}

/// A request under construction: every part can be replaced before it is signed.
pub(crate) struct Ask {
    key: PrivateKey,
    version: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    attributes: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new() -> Self {
        Self::with(PrivateKey::generate(KeyKind::P256).unwrap())
    }

    fn with(key: PrivateKey) -> Self {
        Self {
            version: int(&[0]),
            subject: name(""),
            spki: key.public_key().spki_der().to_vec(),
            attributes: tlv(0xa0, b""),
            algorithm: key.signature_algorithm().der().to_vec(),
            signature: None,
            key,
        }
    }

    fn version(self, version: Vec<u8>) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn subject(self, subject: Vec<u8>) -> Self {
        Self { subject, ..self }
    }

    fn spki(self, spki: Vec<u8>) -> Self {
        Self { spki, ..self }
    }

    fn attributes(self, attributes: &[Vec<u8>]) -> Self {
        Self {
            attributes: tlv(0xa0, &attributes.concat()),
            ..self
        }
    }

    pub(crate) fn extensions(self, extensions: &[Vec<u8>]) -> Self {
        self.attributes(&[extension_request(extensions)])
    }

    fn algorithm(self, algorithm: Vec<u8>) -> Self {
        Self { algorithm, ..self }
    }

    fn signature(self, signature: &[u8]) -> Self {
        Self {
            signature: Some(signature.to_vec()),
            ..self
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let content = [&self.version, &self.subject, &self.spki, &self.attributes];
        let content = seq(&content.map(Clone::clone));
        let made = || self.key.sign(&content).unwrap().bytes;
        let signature = self.signature.clone().unwrap_or_else(made);
        seq(&[content, self.algorithm.clone(), bits(&signature)])
    }

    fn pem(&self) -> String {
        pem("CERTIFICATE REQUEST", &self.der())
    }
}

fn rules(strict: bool) -> CsrRules {
    let keys = [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into();
    CsrRules {
        strict,
        keys,
        blocked: BTreeSet::new(),
    }
}

/// The code of a refusal, or `accepted` and the kinds of what was ignored.
fn answer(bytes: &[u8], rules: &CsrRules) -> String {
    match VerifiedCsr::parse(bytes, rules) {
        Ok(csr) => {
            let ignored = csr
                .ignored()
                .iter()
                .map(|ignored| format!(" {}", ignored.as_str()));
            format!("accepted{}", ignored.collect::<String>())
        }
        Err(error) => error.code().to_owned(),
    }
}

pub(crate) fn corpus() -> Vec<Case> {
    [
        requests::names(),
        requests::requests(),
        requests::proofs(),
        keys::rsa_and_foreign_keys(),
        keys::points(),
        encodings::sizes(),
        encodings::encodings(),
        encodings::armour(),
    ]
    .concat()
}

/// A request refused in the same way under both rules.
fn refused(row: &'static str, attack: &'static str, bytes: Vec<u8>, code: &'static str) -> Case {
    (row, attack, bytes, code, code)
}

/// A request whose wish is ignored, or refused under strict rules.
fn ignored(row: &'static str, attack: &'static str, ask: Ask, lenient: &'static str) -> Case {
    (row, attack, ask.der(), lenient, "csr_asks_more")
}

fn spki(algorithm: &[Vec<u8>], key: &[u8]) -> Vec<u8> {
    seq(&[seq(algorithm), bits(key)])
}

fn attribute(id: &str, values: &[Vec<u8>]) -> Vec<u8> {
    seq(&[oid(id), set(values)])
}

fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    attribute(EXTENSION_REQUEST, &[seq(extensions)])
}

fn challenge_password() -> Vec<u8> {
    attribute(CHALLENGE_PASSWORD, &[tlv(0x0c, b"hunter2")])
}

/// In the order that DER wants for a SET OF.
fn sorted(mut parts: [Vec<u8>; 2]) -> Vec<Vec<u8>> {
    parts.sort();
    parts.to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        Base64::encode_string(der)
    )
}

const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
