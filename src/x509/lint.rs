//! The profile lint: two independent statements of one certificate, compared before it is signed.
//!
//! `pki` says what it means to issue ([`Expected`]) and builds the bytes; the bytes are read back
//! here by other code, and every difference is a finding. On top stand rules that hold whatever is
//! expected: they name the accident that they prevent. A plan with a finding is never signed
//! (Boulder lints in the same place).
//!
//! Costs one parse of the to-be-signed bytes; does no IO and reads no clock.

use std::fmt;
use std::net::IpAddr;

use crate::time::Timestamp;
use crate::x509::certificate::CertificateError;
use crate::x509::evidence::Evidence;
use crate::x509::keys::PublicKey;
use crate::x509::signature::SignatureAlgorithm;
use crate::x509::tbs::{
    AltNames, BasicConstraints, ExtendedKeyUse, ExtensionId, KeyUse, NameConstraints, Tbs,
};

/// What a certificate is meant to say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// What it is for.
    pub role: Role,
    /// Magnitude of the serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// The algorithm of the issuer's key.
    pub algorithm: SignatureAlgorithm,
    /// DER of the issuer's name.
    pub issuer: Vec<u8>,
    /// DER of the subject's name.
    pub subject: Vec<u8>,
    /// The first second of validity.
    pub not_before: Timestamp,
    /// The last second of validity.
    pub not_after: Timestamp,
    /// The last second of the issuer's own validity; of a root, its own.
    pub issuer_not_after: Timestamp,
    /// The certified key.
    pub public_key: PublicKey,
    /// URI names, in their order.
    pub uris: Vec<String>,
    /// DNS names, in their order.
    pub dns: Vec<String>,
    /// IP addresses, in their order.
    pub ips: Vec<IpAddr>,
    /// Key usages, in the order of the standard.
    pub key_usage: Vec<KeyUse>,
    /// Extended key usages, in their order; empty means that the extension is absent.
    pub extended_key_usage: Vec<ExtendedKeyUse>,
    /// The issuer's subject key identifier; a root may do without.
    pub authority_key_id: Option<Vec<u8>>,
    /// Name constraints.
    pub name_constraints: Option<NameConstraints>,
    /// Evidence, on elevated SVIDs.
    pub evidence: Option<Evidence>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An authority, with the number of authorities that may follow below.
    Authority {
        /// `pathLenConstraint`
        path_len: Option<u8>,
    },
    /// A server of protem itself, the only one with DNS names beside it and IP addresses.
    Server,
    /// A workload: exactly one URI name (SPIFFE X.509-SVID section 2).
    Workload,
}

/// One difference between what is meant and what is written, or one rule broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The bytes cannot be read back.
    #[error("the certificate cannot be read back")]
    Unreadable(#[from] CertificateError),
    /// A field says something else than was meant.
    #[error("{field}: meant {expected}, written {found}")]
    Differs {
        /// Which field.
        field: &'static str,
        /// What was meant.
        expected: String,
        /// What is written.
        found: String,
    },
    /// A rule that holds for every certificate is broken.
    #[error("{0}")]
    Rule(&'static str),
}

/// Compares a `TBSCertificate` in DER with what it is meant to say, and gives it as it was read.
///
/// # Errors
/// Every finding, at least one.
pub fn lint(tbs_der: &[u8], expected: &Expected) -> Result<Tbs, Vec<Finding>> {
    let tbs = Tbs::parse_for(tbs_der, Some(&expected.public_key))
        .map_err(|error| vec![Finding::Unreadable(error)])?;
    let mut findings = Vec::new();
    compare_fields(&tbs, expected, &mut findings);
    compare_extensions(&tbs, expected, &mut findings);
    findings.extend(broken_rules(&tbs, expected).map(Finding::Rule));
    if findings.is_empty() {
        Ok(tbs)
    } else {
        Err(findings)
    }
}

fn compare_fields(tbs: &Tbs, expected: &Expected, findings: &mut Vec<Finding>) {
    differs(findings, "serial", &expected.serial, &tbs.serial);
    differs(findings, "algorithm", &expected.algorithm, &tbs.algorithm);
    differs(findings, "issuer", &expected.issuer, &tbs.issuer.der);
    differs(findings, "subject", &expected.subject, &tbs.subject.der);
    differs(
        findings,
        "not before",
        &expected.not_before,
        &tbs.not_before,
    );
    differs(findings, "not after", &expected.not_after, &tbs.not_after);
    differs(
        findings,
        "public key",
        &expected.public_key,
        &tbs.public_key,
    );
}

fn compare_extensions(tbs: &Tbs, expected: &Expected, findings: &mut Vec<Finding>) {
    let names = AltNames {
        uris: expected.uris.clone(),
        dns: expected.dns.clone(),
        ips: expected.ips.clone(),
        others: Vec::new(),
    };
    let names = Some(names).filter(|names| *names != AltNames::default());
    differs(findings, "alternative names", &names, &tbs.alt_names);

    let constraints = match expected.role {
        Role::Authority { path_len } => BasicConstraints { ca: true, path_len },
        Role::Server | Role::Workload => BasicConstraints {
            ca: false,
            path_len: None,
        },
    };
    differs(
        findings,
        "basic constraints",
        &Some(constraints),
        &tbs.basic_constraints,
    );

    differs(
        findings,
        "key usage",
        &Some(expected.key_usage.clone()),
        &tbs.key_usage,
    );
    let extended = Some(expected.extended_key_usage.clone()).filter(|uses| !uses.is_empty());
    differs(
        findings,
        "extended key usage",
        &extended,
        &tbs.extended_key_usage,
    );

    let key_id = Some(expected.public_key.key_id().to_vec());
    differs(findings, "subject key id", &key_id, &tbs.subject_key_id);
    differs(
        findings,
        "authority key id",
        &expected.authority_key_id,
        &tbs.authority_key_id,
    );
    differs(
        findings,
        "name constraints",
        &expected.name_constraints,
        &tbs.name_constraints,
    );
    differs(findings, "evidence", &expected.evidence, &tbs.evidence);
}

/// The rules that hold whatever is expected, each a condition that is true when broken.
fn broken_rules(tbs: &Tbs, expected: &Expected) -> impl Iterator<Item = &'static str> {
    let rules = shape_rules(tbs, expected).into_iter();
    rules
        .chain(name_rules(tbs, expected))
        .chain(criticality_rules(tbs))
        .filter_map(|(broken, rule)| broken.then_some(rule))
}

fn shape_rules(tbs: &Tbs, expected: &Expected) -> [(bool, &'static str); 6] {
    let serial_fits = (SERIAL_BYTES_MIN..=SERIAL_BYTES_MAX).contains(&tbs.serial.len());
    let is_leaf = !matches!(expected.role, Role::Authority { .. });
    let signs = tbs
        .key_usage
        .as_ref()
        .is_some_and(|uses| uses.contains(&KeyUse::KeyCertSign));
    let known = |(id, _): &(ExtensionId, bool)| !matches!(id, ExtensionId::Other(_));
    let names = tbs
        .alt_names
        .iter()
        .flat_map(|names| names.uris.iter().chain(&names.dns));
    let names_bytes: usize = names.map(String::len).sum();
    let beside_bytes = names_bytes.saturating_add(tbs.public_key.spki_der().len());
    [
        (
            !serial_fits,
            "the serial number has less than 64 or more than 136 bits",
        ),
        (
            tbs.not_after <= tbs.not_before,
            "the validity ends before it starts",
        ),
        (
            expected.issuer_not_after < tbs.not_after,
            "it outlives its issuer",
        ),
        (is_leaf && signs, "a leaf may sign certificates"),
        (
            !tbs.extensions.iter().all(known),
            "it has an unknown extension",
        ),
        (
            tbs.der().len().saturating_sub(beside_bytes) > FRAME_BYTES_MAX,
            "it is too large beside its key and names",
        ),
    ]
}

fn name_rules(tbs: &Tbs, expected: &Expected) -> [(bool, &'static str); 6] {
    let none = AltNames::default();
    let names = tbs.alt_names.as_ref().unwrap_or(&none);
    let is_workload = expected.role == Role::Workload;
    let plain = names
        .uris
        .iter()
        .chain(&names.dns)
        .flat_map(|name| name.bytes())
        .all(is_plain);
    let subject_empty = tbs.subject.der == EMPTY_NAME;
    let names_critical = tbs.is_critical(&ExtensionId::AltNames) == Some(true);
    [
        (names.uris.len() > 1, "it has more than one URI name"),
        (
            is_workload && names.uris.len() != 1,
            "a workload has exactly one URI name",
        ),
        (
            is_workload && !names.ips.is_empty(),
            "a workload has an IP address",
        ),
        (
            !names.others.is_empty(),
            "it has a name of a kind that is never issued",
        ),
        (
            !plain,
            "a name has an upper-case letter, comma, wildcard or unprintable byte",
        ),
        (
            subject_empty != names_critical,
            "the alternative names are critical exactly when the subject is empty",
        ),
    ]
}

/// RFC 5280 sections 4.2.1.1 to 4.2.1.10; what is absent was compared before.
fn criticality_rules(tbs: &Tbs) -> [(bool, &'static str); 7] {
    let wrong = |id: ExtensionId, wanted: bool| {
        tbs.is_critical(&id)
            .is_some_and(|critical| critical != wanted)
    };
    [
        (
            wrong(ExtensionId::KeyUsage, true),
            "the key usage is not critical",
        ),
        (
            tbs.is_ca() && wrong(ExtensionId::BasicConstraints, true),
            "the basic constraints of an authority are not critical",
        ),
        (
            wrong(ExtensionId::NameConstraints, true),
            "the name constraints are not critical",
        ),
        (
            wrong(ExtensionId::ExtendedKeyUsage, false),
            "the extended key usage is critical",
        ),
        (
            wrong(ExtensionId::SubjectKeyId, false),
            "the subject key id is critical",
        ),
        (
            wrong(ExtensionId::AuthorityKeyId, false),
            "the authority key id is critical",
        ),
        (
            wrong(ExtensionId::Evidence, false),
            "the evidence is critical",
        ),
    ]
}

/// What a name may consist of. Commas and wildcards mean something to matchers, upper case is a
/// second spelling, and IDNs come as their ASCII form.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b',' && byte != b'*'
}

fn differs<T: PartialEq + fmt::Debug>(
    findings: &mut Vec<Finding>,
    field: &'static str,
    expected: &T,
    found: &T,
) {
    if expected != found {
        let [expected, found] = [expected, found].map(|value| format!("{value:?}"));
        findings.push(Finding::Differs {
            field,
            expected,
            found,
        });
    }
}

/// The most octets of to-be-signed bytes beside the key and the URI and DNS names: a P-256 leaf
/// with evidence and names of up to 100 octets then stays within 1 KiB, signature included.
pub const FRAME_BYTES_MAX: usize = 700;

/// CA/Browser Forum baseline requirements section 7.1: at least 64 random bits.
const SERIAL_BYTES_MIN: usize = 8;
/// One octet for the instance and 128 random bits.
const SERIAL_BYTES_MAX: usize = 17;

/// A `Name` without parts.
const EMPTY_NAME: [u8; 2] = [0x30, 0];
