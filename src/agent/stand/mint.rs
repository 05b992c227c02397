//! Certificates for tests, written byte by byte: the agent knows no room that makes them.
//!
//! Promises: real keys and signatures; leaves and roots are such as foreign readers accept.
//! Refuses: to be used by anything but tests.

use bytes::Bytes;

use crate::agent::holdings::{Generation, Svid};
use crate::scope::SvidName;
use crate::time::{Seconds, Timestamp};
use crate::x509::{Certificate, KeyKind, PrivateKey, common_name_der, write_pem};

/// A root with its key.
pub(crate) struct Root {
    key: PrivateKey,
    name: String,
    pub(crate) der: Bytes,
}

impl Root {
    pub(crate) fn new(name: &str, now: Timestamp) -> Self {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let extensions = [
            extension(&[0x55, 0x1d, 0x13], &tlv(0x30, &[1, 1, 0xff])),
            extension(&[0x55, 0x1d, 0x0f], &[3, 2, 1, 0x06]),
        ];
        let end = now.plus(Seconds::new(86_400));
        let tbs = tbs(name, Some(name), &key, (now, end), 1, &extensions);
        let der = Certificate::assemble(&tbs, &key.sign(&tbs).unwrap()).unwrap();
        Self {
            key,
            name: name.to_owned(),
            der: der.into(),
        }
    }

    /// An SVID with its own key, good from half a minute ago for `life`.
    pub(crate) fn svid(
        &self,
        name: SvidName,
        generation: u64,
        now: Timestamp,
        life: Seconds,
    ) -> Svid {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let sans = name.sans().unwrap();
        let mut names = tlv(0x86, sans.uri.to_string().as_bytes());
        if let Some(dns) = &sans.dns {
            names.extend(tlv(0x82, dns.as_bytes()));
        }
        let extensions = [
            extension(&[0x55, 0x1d, 0x13], &tlv(0x30, &[])),
            extension(&[0x55, 0x1d, 0x0f], &[3, 2, 7, 0x80]),
            extension(&[0x55, 0x1d, 0x11], &tlv(0x30, &names)),
        ];
        let not_before = now.minus(Seconds::new(30)).whole_second();
        let not_after = now.plus(life).whole_second();
        let span = (not_before, not_after);
        let tbs = tbs(&self.name, None, &key, span, generation, &extensions);
        let der = Certificate::assemble(&tbs, &self.key.sign(&tbs).unwrap()).unwrap();
        let leaf = Certificate::parse(&der).unwrap();
        Svid {
            generation: Generation(generation),
            spiffe_id: sans.uri,
            name,
            chain_pem: write_pem("CERTIFICATE", &der).into(),
            chain_der: der.into(),
            key_der: key.to_pkcs8_der().unwrap(),
            key_pem: key.to_pkcs8_pem().unwrap(),
            serial: format!("{generation:02x}"),
            sha256: *leaf.fingerprint().as_bytes(),
            not_before,
            not_after,
            renew_at: not_after,
        }
    }
}

fn tbs(
    issuer: &str,
    subject: Option<&str>,
    key: &PrivateKey,
    span: (Timestamp, Timestamp),
    serial: u64,
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let serial = [&[1], serial.to_be_bytes().as_slice()].concat();
    let algorithm = key.sign(&[]).unwrap().algorithm.der().to_vec();
    let parts = [
        tlv(0xa0, &[2, 1, 2]),
        tlv(2, &serial),
        algorithm,
        common_name_der(Some(issuer)),
        tlv(0x30, &[utc(span.0), utc(span.1)].concat()),
        common_name_der(subject),
        key.public_key().spki_der().to_vec(),
        tlv(0xa3, &tlv(0x30, &extensions.concat())),
    ];
    tlv(0x30, &parts.concat())
}

/// A critical extension.
fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    let parts = [tlv(6, oid), vec![1, 1, 0xff], tlv(4, value)];
    tlv(0x30, &parts.concat())
}

fn utc(at: Timestamp) -> Vec<u8> {
    let digits: String = at
        .rfc3339()
        .chars()
        .filter(char::is_ascii_digit)
        .skip(2)
        .take(12)
        .collect();
    tlv(0x17, format!("{digits}Z").as_bytes())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut out = match length {
        [0, short @ 0..=0x7f] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    out.extend_from_slice(content);
    out
}
