//! Writes certificates for tests, right or wrong, with the small DER writer.

use protem::time::Timestamp;
use protem::x509::{
    Certificate, Evidence, Expected, ExtendedKeyUse, KeyKind, KeyUse, PrivateKey, Role,
};

use crate::der::{alt_names, bits, extension, int, name, octets, oid, seq, tlv};

/// A certificate under construction.
pub(super) struct Draft {
    pub(super) version: u8,
    pub(super) serial: Vec<u8>,
    pub(super) issuer: &'static str,
    pub(super) subject: &'static str,
    pub(super) not_before: &'static str,
    pub(super) not_after: &'static str,
    pub(super) key: PrivateKey,
    pub(super) extensions: Vec<Vec<u8>>,
    pub(super) issuer_key_id: Option<[u8; 20]>,
}

impl Draft {
    /// Extensions: 0 names, 1 key usage, 2 extended, 3 basic constraints, 4 and 5 key ids (5 is
    /// written when the signer is known), 6 evidence.
    pub(super) fn leaf() -> Self {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let extensions = vec![
            alt_names(true, &[(6, URI.as_bytes())]),
            extension("2.5.29.15", true, DIGITAL),
            extension("2.5.29.37", false, &both_uses()),
            extension("2.5.29.19", true, &seq(&[])),
            extension("2.5.29.14", false, &octets(&key.public_key().key_id())),
            Vec::from(AUTHORITY_KEY_ID),
            extension(EVIDENCE, false, &evidence_der()),
        ];
        Self {
            version: 2,
            serial: SERIAL.to_vec(),
            issuer: "issuer",
            subject: "",
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            key,
            extensions,
            issuer_key_id: None,
        }
    }

    pub(super) fn authority(subject: &'static str, path_len: Option<u8>) -> Self {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        Self::authority_of(subject, path_len, &key)
    }

    pub(super) fn authority_of(
        subject: &'static str,
        path_len: Option<u8>,
        key: &PrivateKey,
    ) -> Self {
        let key = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
        let path_len = path_len
            .map(|path_len| int(&[path_len]))
            .unwrap_or_default();
        let extensions = vec![
            extension("2.5.29.15", true, &tlv(3, &[1, 6])),
            extension("2.5.29.19", true, &seq(&[tlv(1, &[0xff]), path_len])),
            extension("2.5.29.14", false, &octets(&key.public_key().key_id())),
            Vec::from(AUTHORITY_KEY_ID),
        ];
        Self {
            subject,
            key,
            extensions,
            ..Self::leaf()
        }
    }

    pub(super) fn issued_by(self, issuer: &'static str, key: &PrivateKey) -> Self {
        Self {
            issuer,
            issuer_key_id: Some(key.public_key().key_id()),
            ..self
        }
    }

    pub(super) fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub(super) fn without(mut self, place: usize) -> Self {
        self.extensions.remove(place);
        self
    }

    pub(super) fn replace(mut self, place: usize, extension: Vec<u8>) -> Self {
        self.extensions[place] = extension;
        self
    }

    pub(super) fn tbs(&self, ca: &PrivateKey) -> Vec<u8> {
        let key_id = self
            .issuer_key_id
            .unwrap_or_else(|| ca.public_key().key_id());
        let authority = extension("2.5.29.35", false, &seq(&[tlv(0x80, &key_id)]));
        let extensions: Vec<_> = self
            .extensions
            .iter()
            .map(|written| {
                if written == AUTHORITY_KEY_ID {
                    &authority
                } else {
                    written
                }
                .clone()
            })
            .collect();
        let validity = [self.not_before, self.not_after].map(|time| tlv(0x17, time.as_bytes()));
        seq(&[
            tlv(0xa0, &int(&[self.version])),
            int(&self.serial),
            ca.signature_algorithm().der().to_vec(),
            name(self.issuer),
            seq(&validity),
            name(self.subject),
            self.key.public_key().spki_der().to_vec(),
            tlv(0xa3, &seq(&extensions)),
        ])
    }

    pub(super) fn der(&self, ca: &PrivateKey) -> Vec<u8> {
        let tbs = self.tbs(ca);
        let signature = ca.sign(&tbs).unwrap();
        seq(&[
            tbs,
            signature.algorithm.der().to_vec(),
            bits(&signature.bytes),
        ])
    }

    pub(super) fn signed_by(&self, ca: &PrivateKey) -> Certificate {
        Certificate::parse(&self.der(ca)).unwrap()
    }
}

/// What [`Draft::leaf`] is meant to say.
pub(super) fn expected(draft: &Draft, ca: &PrivateKey) -> Expected {
    Expected {
        role: Role::Workload,
        serial: SERIAL.to_vec(),
        algorithm: ca.signature_algorithm(),
        issuer: name("issuer"),
        subject: name(""),
        not_before: at(NOT_BEFORE),
        not_after: at(NOT_AFTER),
        issuer_not_after: at(NOT_AFTER),
        public_key: draft.key.public_key().clone(),
        uris: vec![URI.to_owned()],
        dns: Vec::new(),
        ips: Vec::new(),
        key_usage: vec![KeyUse::DigitalSignature],
        extended_key_usage: vec![ExtendedKeyUse::ServerAuth, ExtendedKeyUse::ClientAuth],
        authority_key_id: Some(ca.public_key().key_id().to_vec()),
        name_constraints: None,
        evidence: Some(evidence()),
    }
}

pub(super) fn evidence() -> Evidence {
    Evidence {
        elevation: [1; 16],
        policy_digest: [2; 32],
        activation_index: 3,
    }
}

pub(super) fn evidence_der() -> Vec<u8> {
    seq(&[
        int(&[1]),
        octets(&[1; 16]),
        octets(&[2; 32]),
        octets(&3u64.to_be_bytes()),
    ])
}

pub(super) fn both_uses() -> Vec<u8> {
    seq(&[oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")])
}

/// A `UTCTime` of this century as a moment.
pub(super) fn at(utc_time: &str) -> Timestamp {
    let part = |from: usize| utc_time[from..from + 2].to_owned();
    let [year, month, day, hour, minute, second] = [0, 2, 4, 6, 8, 10].map(part);
    format!("20{year}-{month}-{day}T{hour}:{minute}:{second}Z")
        .parse()
        .unwrap()
}

pub(super) const AUTHORITY_KEY_ID: &[u8] = b"the authority key identifier";
pub(super) const DIGITAL: &[u8] = &[3, 2, 7, 0x80];
pub(super) const EVIDENCE: &str =
    "1.2.840.113556.1.8000.2554.2745.36877.1228.18830.36780.5869829.3713235";
pub(super) const NOT_AFTER: &str = "350101000000Z";
pub(super) const NOT_BEFORE: &str = "250101000000Z";
pub(super) const SERIAL: &[u8] = &[9; 17];
pub(super) const URI: &str = "spiffe://prod.example/ns/shop/sa/payments/scope/refunds.write";
