//! What a certificate says, read with x509-cert: other code than the builder that wrote it.
//!
//! Promises: a [`Tbs`] comes only from strict DER, has version 3, a positive serial number, an
//! accepted key and algorithm, no extension twice and names of printable ASCII. Extensions that are
//! not known here are listed with their criticality, not judged; judging is `lint` and `chain`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode, ErrorKind, Tag};
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::ext::pkix;
use x509_cert::ext::pkix::constraints::name::GeneralSubtrees;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::{Extension, pkix::KeyUsages};
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::time::Timestamp;
use crate::x509::canonical::canonical;
use crate::x509::certificate::CertificateError;
use crate::x509::evidence::{Evidence, ID_EVIDENCE};
use crate::x509::keys::PublicKey;
use crate::x509::signature::SignatureAlgorithm;

/// The to-be-signed part of a certificate, taken apart (RFC 5280 section 4.1.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tbs {
    der: Vec<u8>,
    /// The magnitude of the serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// The algorithm that it will be or was signed with.
    pub algorithm: SignatureAlgorithm,
    /// Who signs.
    pub issuer: DistinguishedName,
    /// For whom.
    pub subject: DistinguishedName,
    /// The first second of validity.
    pub not_before: Timestamp,
    /// The last second of validity, inclusive.
    pub not_after: Timestamp,
    /// The certified key.
    pub public_key: PublicKey,
    /// `subjectAltName`
    pub alt_names: Option<AltNames>,
    /// `basicConstraints`
    pub basic_constraints: Option<BasicConstraints>,
    /// `keyUsage`, in the order of the standard.
    pub key_usage: Option<Vec<KeyUse>>,
    /// `extKeyUsage`, in the order found.
    pub extended_key_usage: Option<Vec<ExtendedKeyUse>>,
    /// `subjectKeyIdentifier`
    pub subject_key_id: Option<Vec<u8>>,
    /// The key identifier of `authorityKeyIdentifier`.
    pub authority_key_id: Option<Vec<u8>>,
    /// `nameConstraints`
    pub name_constraints: Option<NameConstraints>,
    /// The evidence extension.
    pub evidence: Option<Evidence>,
    /// Every extension in its order, with its criticality.
    pub extensions: Vec<(ExtensionId, bool)>,
}

/// A distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    /// Its DER, to compare.
    pub der: Vec<u8>,
}

impl DistinguishedName {
    /// RFC 4514 text, to show; empty for what is no name.
    #[must_use]
    pub fn text(&self) -> String {
        let name = Name::from_der(&self.der);
        name.map(|name| name.to_string()).unwrap_or_default()
    }
}

/// The subject alternative names, each kind in the order found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AltNames {
    /// URI names.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// The kinds of all other names.
    pub others: Vec<NameForm>,
}

/// Kinds of names that protem reads but never issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// `directoryName`
    Directory,
    /// `ediPartyName`
    EdiParty,
    /// `rfc822Name`
    Mail,
    /// `otherName`
    Other,
    /// `registeredID`
    RegisteredId,
}

/// `basicConstraints` (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the key may sign certificates.
    pub ca: bool,
    /// How many further authorities may follow below.
    pub path_len: Option<u8>,
}

/// One bit of `keyUsage`, in the order of RFC 5280 section 4.2.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyUse {
    /// `digitalSignature`
    DigitalSignature,
    /// `nonRepudiation`
    NonRepudiation,
    /// `keyEncipherment`
    KeyEncipherment,
    /// `dataEncipherment`
    DataEncipherment,
    /// `keyAgreement`
    KeyAgreement,
    /// `keyCertSign`
    KeyCertSign,
    /// `cRLSign`
    CrlSign,
    /// `encipherOnly`
    EncipherOnly,
    /// `decipherOnly`
    DecipherOnly,
}

/// One purpose of `extKeyUsage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtendedKeyUse {
    /// `anyExtendedKeyUsage`
    Any,
    /// `id-kp-clientAuth`
    ClientAuth,
    /// Another, by its object identifier.
    Other(String),
    /// `id-kp-serverAuth`
    ServerAuth,
}

/// `nameConstraints` (RFC 5280 section 4.2.1.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// A name of a kind listed here must lie in one of these.
    pub permitted: Vec<Subtree>,
    /// No name may lie in one of these.
    pub excluded: Vec<Subtree>,
}

/// One tree of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// A DNS name and all below; empty means every name.
    Dns(String),
    /// An address and a mask of the same length, octets one after the other.
    Ip(Vec<u8>),
    /// A tree of another kind of name.
    Other(NameForm),
    /// The host of a URI.
    Uri(String),
}

/// Which extension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExtensionId {
    /// `subjectAltName`
    AltNames,
    /// `authorityKeyIdentifier`
    AuthorityKeyId,
    /// `basicConstraints`
    BasicConstraints,
    /// The evidence extension of protem.
    Evidence,
    /// `extKeyUsage`
    ExtendedKeyUsage,
    /// `keyUsage`
    KeyUsage,
    /// `nameConstraints`
    NameConstraints,
    /// Another, by its object identifier.
    Other(String),
    /// `subjectKeyIdentifier`
    SubjectKeyId,
}

impl Tbs {
    /// Reads a `TBSCertificate`.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        Self::parse_for(der, None)
    }

    /// Reads a `TBSCertificate` that may certify a key which is known: a key of the same bytes was
    /// checked before, and is not checked again.
    pub(crate) fn parse_for(
        der: &[u8],
        known: Option<&PublicKey>,
    ) -> Result<Self, CertificateError> {
        let read = canonical::<TbsCertificate>(der)?;
        if read.version() != Version::V3 {
            return Err(CertificateError::Version);
        }
        let algorithm = SignatureAlgorithm::from_der(&read.signature().to_der()?)
            .ok_or(CertificateError::AlgorithmUnknown)?;
        let key = read.subject_public_key_info().to_der()?;
        let public_key = match known.filter(|known| known.spki_der() == key) {
            Some(known) => known.clone(),
            None => PublicKey::from_spki_der(&key)?,
        };
        let mut tbs = Self {
            der: der.to_vec(),
            serial: magnitude(read.serial_number().as_bytes())?,
            algorithm,
            issuer: distinguished(read.issuer())?,
            subject: distinguished(read.subject())?,
            not_before: timestamp(read.validity().not_before)?,
            not_after: timestamp(read.validity().not_after)?,
            public_key,
            alt_names: None,
            basic_constraints: None,
            key_usage: None,
            extended_key_usage: None,
            subject_key_id: None,
            authority_key_id: None,
            name_constraints: None,
            evidence: None,
            extensions: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for extension in read.extensions().into_iter().flatten() {
            let id = extension.extn_id;
            if !seen.insert(id) {
                return Err(CertificateError::ExtensionTwice(id.to_string()));
            }
            tbs.read_extension(extension).map_err(|error| match error {
                CertificateError::Der(source) => CertificateError::Extension {
                    id: id.to_string(),
                    source,
                },
                other => other,
            })?;
        }
        Ok(tbs)
    }

    /// The exact bytes that are signed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether an extension is critical; none where it is absent.
    #[must_use]
    pub fn is_critical(&self, id: &ExtensionId) -> Option<bool> {
        self.extensions
            .iter()
            .find(|(seen, _)| seen == id)
            .map(|(_, critical)| *critical)
    }

    /// Whether this is the certificate of an authority.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    fn read_extension(&mut self, extension: &Extension) -> Result<(), CertificateError> {
        let value = extension.extn_value.as_bytes();
        let id = match extension.extn_id {
            ID_ALT_NAMES => {
                self.alt_names = Some(AltNames::read(value)?);
                ExtensionId::AltNames
            }
            ID_AUTHORITY_KEY_ID => {
                let read = canonical::<pkix::AuthorityKeyIdentifier>(value)?;
                self.authority_key_id = read
                    .key_identifier
                    .map(OctetString::into_bytes)
                    .map(Vec::from);
                ExtensionId::AuthorityKeyId
            }
            ID_BASIC_CONSTRAINTS => {
                let read = canonical::<pkix::BasicConstraints>(value)?;
                let path_len = read.path_len_constraint;
                self.basic_constraints = Some(BasicConstraints {
                    ca: read.ca,
                    path_len,
                });
                ExtensionId::BasicConstraints
            }
            ID_EVIDENCE => {
                self.evidence = Some(Evidence::from_der(value)?);
                ExtensionId::Evidence
            }
            ID_EXTENDED_KEY_USAGE => {
                let read = canonical::<pkix::ExtendedKeyUsage>(value)?;
                self.extended_key_usage = Some(read.0.into_iter().map(Into::into).collect());
                ExtensionId::ExtendedKeyUsage
            }
            ID_KEY_USAGE => {
                let read = canonical::<pkix::KeyUsage>(value)?;
                self.key_usage = Some(read.0.into_iter().map(Into::into).collect());
                ExtensionId::KeyUsage
            }
            ID_NAME_CONSTRAINTS => {
                self.name_constraints = Some(NameConstraints::read(value)?);
                ExtensionId::NameConstraints
            }
            ID_SUBJECT_KEY_ID => {
                let read = canonical::<OctetString>(value)?;
                self.subject_key_id = Some(read.into_bytes().into());
                ExtensionId::SubjectKeyId
            }
            other => ExtensionId::Other(other.to_string()),
        };
        self.extensions.push((id, extension.critical));
        Ok(())
    }
}

impl AltNames {
    fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let mut names = Self::default();
        for name in canonical::<Vec<GeneralName>>(der)? {
            match Subtree::try_from(name)? {
                Subtree::Dns(name) => names.dns.push(name),
                Subtree::Ip(octets) => names.ips.push(address(&octets)?),
                Subtree::Other(form) => names.others.push(form),
                Subtree::Uri(name) => names.uris.push(name),
            }
        }
        Ok(names)
    }
}

impl NameConstraints {
    fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let read = canonical::<pkix::NameConstraints>(der)?;
        Ok(Self {
            permitted: subtrees(read.permitted_subtrees)?,
            excluded: subtrees(read.excluded_subtrees)?,
        })
    }
}

impl TryFrom<GeneralName> for Subtree {
    type Error = CertificateError;

    fn try_from(name: GeneralName) -> Result<Self, CertificateError> {
        Ok(match name {
            GeneralName::DirectoryName(_) => Self::Other(NameForm::Directory),
            GeneralName::DnsName(text) => Self::Dns(printable(text.as_str())?),
            GeneralName::EdiPartyName(_) => Self::Other(NameForm::EdiParty),
            GeneralName::IpAddress(octets) => Self::Ip(octets.into_bytes().into()),
            GeneralName::OtherName(_) => Self::Other(NameForm::Other),
            GeneralName::RegisteredId(_) => Self::Other(NameForm::RegisteredId),
            GeneralName::Rfc822Name(_) => Self::Other(NameForm::Mail),
            GeneralName::UniformResourceIdentifier(text) => Self::Uri(printable(text.as_str())?),
        })
    }
}

impl From<KeyUsages> for KeyUse {
    fn from(bit: KeyUsages) -> Self {
        match bit {
            KeyUsages::DigitalSignature => Self::DigitalSignature,
            KeyUsages::NonRepudiation => Self::NonRepudiation,
            KeyUsages::KeyEncipherment => Self::KeyEncipherment,
            KeyUsages::DataEncipherment => Self::DataEncipherment,
            KeyUsages::KeyAgreement => Self::KeyAgreement,
            KeyUsages::KeyCertSign => Self::KeyCertSign,
            KeyUsages::CRLSign => Self::CrlSign,
            KeyUsages::EncipherOnly => Self::EncipherOnly,
            KeyUsages::DecipherOnly => Self::DecipherOnly,
        }
    }
}

impl From<ObjectIdentifier> for ExtendedKeyUse {
    fn from(id: ObjectIdentifier) -> Self {
        match id {
            ID_ANY_USE => Self::Any,
            ID_CLIENT_AUTH => Self::ClientAuth,
            ID_SERVER_AUTH => Self::ServerAuth,
            other => Self::Other(other.to_string()),
        }
    }
}

/// `minimum` is zero and `maximum` absent in every profile of RFC 5280.
fn subtrees(list: Option<GeneralSubtrees>) -> Result<Vec<Subtree>, CertificateError> {
    let subtree = |tree: pkix::constraints::name::GeneralSubtree| {
        if tree.minimum == 0 && tree.maximum.is_none() {
            tree.base.try_into()
        } else {
            Err(CertificateError::Der(
                ErrorKind::Value { tag: Tag::Integer }.into(),
            ))
        }
    };
    list.unwrap_or_default().into_iter().map(subtree).collect()
}

fn address(octets: &[u8]) -> Result<IpAddr, CertificateError> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| {
            CertificateError::Der(
                ErrorKind::Length {
                    tag: Tag::OctetString,
                }
                .into(),
            )
        })
}

fn printable(name: &str) -> Result<String, CertificateError> {
    if name.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        Ok(name.to_owned())
    } else {
        Err(CertificateError::NameCharacter)
    }
}

/// The octets of a positive INTEGER without its sign octet.
fn magnitude(octets: &[u8]) -> Result<Vec<u8>, CertificateError> {
    match octets {
        [] | [0] | [0x80..=0xff, ..] => Err(CertificateError::Serial),
        [0, rest @ ..] | rest => Ok(rest.to_vec()),
    }
}

fn distinguished(name: &Name) -> Result<DistinguishedName, CertificateError> {
    Ok(DistinguishedName {
        der: name.to_der()?,
    })
}

fn timestamp(time: Time) -> Result<Timestamp, CertificateError> {
    let unix_s = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix_s(unix_s).map_err(|_| CertificateError::Time)
}

const ID_ALT_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const ID_ANY_USE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const ID_AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const ID_BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const ID_CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const ID_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ID_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ID_NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const ID_SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ID_SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
