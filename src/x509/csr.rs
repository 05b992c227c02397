//! Certificate requests: what is taken is the public key and the proof that the sender holds its
//! private half, nothing else (RFC 2986).
//!
//! Everything else that a request asks for (names, CA:TRUE, key usages, attributes) is never used.
//! It is still read strictly, since a request that two parsers read differently is an attack: NUL
//! in a name, two lists of extensions, a second spelling in DER are refused although nothing would
//! come of them. What was asked for in vain is listed by kind, never by value; strict rules refuse
//! the request instead.
//!
//! Order of work: the size bound first, then armour, DER, key and requests, which cost
//! microseconds, and last the signature, whose cost the key's size bounds.

use std::collections::BTreeSet;

use der::asn1::{AnyRef, ContextSpecific, IntRef, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::attr::Attributes;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use zeroize::Zeroizing;

use crate::x509::canonical::{canonical, is_second_spelling, same};
use crate::x509::fingerprint::Fingerprint;
use crate::x509::keys::{KeyError, KeyKind, PublicKey};
use crate::x509::pem::{PemError, read_pem};
use crate::x509::signature::SignatureAlgorithm;
use crate::x509::signed::Signed;

/// A public key whose possession was proved, and what else was asked for in vain.
#[derive(Debug)]
pub struct VerifiedCsr {
    key: PublicKey,
    ignored: Vec<IgnoredRequest>,
}

/// What a request must keep to.
#[derive(Clone, Debug)]
pub struct CsrRules {
    /// Refuse a request that asks for anything besides the key.
    pub strict: bool,
    /// The kinds of key that are accepted.
    pub keys: BTreeSet<KeyKind>,
    /// Keys that never become a subject: protem's own, revoked ones, publicly known ones.
    pub blocked: BTreeSet<Fingerprint>,
}

/// Something that a request asked for and does not get. Named by kind; its value is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IgnoredRequest {
    /// `basicConstraints`
    BasicConstraints,
    /// `challengePassword`
    ChallengePassword,
    /// `extKeyUsage`
    ExtendedKeyUsage,
    /// `keyUsage`
    KeyUsage,
    /// `nameConstraints`
    NameConstraints,
    /// Another attribute or extension, by its object identifier.
    Other(String),
    /// A subject that is not empty.
    Subject,
    /// `subjectAltName`
    SubjectAltName,
}

impl VerifiedCsr {
    /// Reads a request in PEM (one block) or DER and verifies it under these rules.
    ///
    /// # Errors
    /// One variant of [`CsrError`] for each way to be wrong. The bytes are never repeated.
    pub fn parse(input: &[u8], rules: &CsrRules) -> Result<Self, CsrError> {
        let der = remove_armour(input)?;
        let signed = Signed::split(&der)?;
        let content = Content::read(signed.content)?;
        let key = PublicKey::from_spki_der(content.key).map_err(CsrError::Key)?;
        if !rules.keys.contains(&key.kind()) {
            return Err(CsrError::KeyKind(key.kind()));
        }
        let ignored = content.requests()?;
        if rules.blocked.contains(&key.fingerprint()) {
            return Err(CsrError::KeyBlocked);
        }
        let algorithm =
            SignatureAlgorithm::from_der(signed.algorithm).ok_or(CsrError::AlgorithmUnknown)?;
        key.verify(algorithm, signed.content, signed.signature)
            .map_err(CsrError::Possession)?;
        if let Some(asked) = ignored.first().filter(|_| rules.strict) {
            return Err(CsrError::Asks(asked.clone()));
        }
        Ok(Self { key, ignored })
    }

    /// The key whose possession was proved.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 over the key's `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// What else was asked for, sorted and each kind once.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredRequest] {
        &self.ignored
    }

    /// Takes the key out.
    #[must_use]
    pub fn into_public_key(self) -> PublicKey {
        self.key
    }
}

impl IgnoredRequest {
    /// The word for this request in answers and events.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::BasicConstraints => "basic_constraints",
            Self::ChallengePassword => "challenge_password",
            Self::ExtendedKeyUsage => "extended_key_usage",
            Self::KeyUsage => "key_usage",
            Self::NameConstraints => "name_constraints",
            Self::Other(id) => id,
            Self::Subject => "subject",
            Self::SubjectAltName => "subject_alt_name",
        }
    }

    fn from_id(id: ObjectIdentifier) -> Self {
        match id {
            ID_BASIC_CONSTRAINTS => Self::BasicConstraints,
            ID_CHALLENGE_PASSWORD => Self::ChallengePassword,
            ID_EXTENDED_KEY_USAGE => Self::ExtendedKeyUsage,
            ID_KEY_USAGE => Self::KeyUsage,
            ID_NAME_CONSTRAINTS => Self::NameConstraints,
            ID_SUBJECT_ALT_NAME => Self::SubjectAltName,
            other => Self::Other(other.to_string()),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// A signature algorithm outside the allow-list, such as one with SHA-1 or MD5.
    #[error("the request is signed with an algorithm that is not accepted; use SHA-256 or better")]
    AlgorithmUnknown,
    /// Strict rules, and more than the key is asked for.
    #[error("the request asks for `{}`; send the public key alone", .0.as_str())]
    Asks(IgnoredRequest),
    /// One attribute twice.
    #[error("the attribute `{0}` is there twice")]
    AttributeTwice(String),
    /// An attribute without or with several values.
    #[error("the attribute `{0}` does not have exactly one value")]
    AttributeValues(String),
    /// Not the DER of a request.
    #[error("the request is not valid DER")]
    Der(#[source] der::Error),
    /// No bytes at all.
    #[error("the request is empty")]
    Empty,
    /// One extension twice.
    #[error("the extension `{0}` is asked for twice")]
    ExtensionTwice(String),
    /// The list of extensions is malformed or empty.
    #[error("the list of extensions is malformed")]
    Extensions,
    /// The key itself.
    #[error("the public key of the request is refused")]
    Key(#[source] KeyError),
    /// A key that may not be used.
    #[error("this key may not be used; make a new one")]
    KeyBlocked,
    /// A kind that the profile does not take.
    #[error("a key of kind `{0}` is not accepted here")]
    KeyKind(KeyKind),
    /// Another block than a request.
    #[error("the PEM block is no `CERTIFICATE REQUEST`")]
    Label,
    /// A byte other than printable ASCII in a name.
    #[error("a name in the request has a NUL, a control character or a byte outside ASCII")]
    NameCharacter,
    /// The subject alternative names are malformed.
    #[error("the subject alternative names are malformed")]
    Names,
    /// Readable, but with a second spelling somewhere.
    #[error("the request is not in canonical DER")]
    NotCanonical,
    /// The armour.
    #[error("the request is no well-formed PEM")]
    Pem(#[from] PemError),
    /// The signature does not prove possession of the key.
    #[error("the request is not signed by its own key")]
    Possession(#[source] KeyError),
    /// A private key was sent.
    #[error("a private key was sent; it must never leave its host: make a new one")]
    PrivateKey,
    /// Over the bound.
    #[error("the request has {bytes} bytes; at most {CSR_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A version other than 0 (RFC 2986 section 4.1).
    #[error("the request has a version other than 0")]
    Version,
}

impl CsrError {
    /// The stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlgorithmUnknown | Self::Possession(KeyError::AlgorithmMismatch) => {
                "csr_signature_algorithm"
            }
            Self::Asks(_) => "csr_asks_more",
            Self::AttributeTwice(_) => "csr_attribute_twice",
            Self::AttributeValues(_) => "csr_attribute_values",
            Self::Der(_) => "csr_malformed",
            Self::Empty => "csr_empty",
            Self::ExtensionTwice(_) => "csr_extension_twice",
            Self::Extensions => "csr_extensions",
            Self::Key(error) => error.code(),
            Self::KeyBlocked => "key_blocked",
            Self::KeyKind(_) => "key_kind",
            Self::Label => "pem_label",
            Self::NameCharacter => "csr_name_character",
            Self::Names => "csr_names",
            Self::NotCanonical => "csr_not_canonical",
            Self::Pem(error) => error.code(),
            Self::Possession(_) => "csr_possession",
            Self::PrivateKey => "private_key_sent",
            Self::TooLarge { .. } => "csr_too_large",
            Self::Version => "csr_version",
        }
    }
}

impl From<der::Error> for CsrError {
    fn from(error: der::Error) -> Self {
        if is_second_spelling(&error) {
            Self::NotCanonical
        } else {
            Self::Der(error)
        }
    }
}

/// `CertificationRequestInfo`, its parts as they stand in the input.
struct Content<'a> {
    subject: &'a [u8],
    key: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Content<'a> {
    fn read(der: &'a [u8]) -> Result<Self, CsrError> {
        let mut reader = SliceReader::new(der)?;
        let (version, content) = reader.sequence(|r| {
            let version = IntRef::decode(r)?;
            let [subject, key, attributes] = [r.tlv_bytes()?, r.tlv_bytes()?, r.tlv_bytes()?];
            Ok::<_, der::Error>((
                version,
                Self {
                    subject,
                    key,
                    attributes,
                },
            ))
        })?;
        reader.finish()?;
        if version.as_bytes() != [0] {
            return Err(CsrError::Version);
        }
        Ok(content)
    }

    /// Everything besides the key, read strictly.
    fn requests(&self) -> Result<Vec<IgnoredRequest>, CsrError> {
        let mut ignored = BTreeSet::new();
        if canonical::<Name>(self.subject)?.iter_rdn().next().is_some() {
            ignored.insert(IgnoredRequest::Subject);
        }
        let mut seen = BTreeSet::new();
        for attribute in read_attributes(self.attributes)?.iter() {
            let id = attribute.oid;
            if !seen.insert(id) {
                return Err(CsrError::AttributeTwice(id.to_string()));
            }
            let [value] = attribute.values.as_ref() else {
                return Err(CsrError::AttributeValues(id.to_string()));
            };
            if id == ID_EXTENSION_REQUEST {
                read_extensions(&value.to_der()?, &mut ignored)?;
            } else {
                ignored.insert(IgnoredRequest::from_id(id));
            }
        }
        Ok(ignored.into_iter().collect())
    }
}

fn remove_armour(input: &[u8]) -> Result<Zeroizing<Vec<u8>>, CsrError> {
    if input.len() > CSR_BYTES_MAX {
        return Err(CsrError::TooLarge { bytes: input.len() });
    }
    match input.first() {
        None => return Err(CsrError::Empty),
        Some(&SEQUENCE) => return Ok(Zeroizing::new(input.to_vec())),
        Some(_) => {}
    }
    let mut blocks = read_pem(input, CSR_BYTES_MAX, 1)?;
    let block = blocks.pop().ok_or(PemError::Empty)?;
    match block.label.as_str() {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Ok(block.der),
        label if label.ends_with("PRIVATE KEY") => Err(CsrError::PrivateKey),
        _ => Err(CsrError::Label),
    }
}

/// `attributes [0] IMPLICIT SET OF Attribute`. Decoding sorts the set, so that a set out of order
/// shows as another encoding.
fn read_attributes(der: &[u8]) -> Result<Attributes, CsrError> {
    let mut reader = SliceReader::new(der)?;
    let read = ContextSpecific::<Attributes>::decode_implicit(&mut reader, TagNumber(0))?;
    let attributes = read.ok_or_else(|| der::Error::from(Tag::Set.value_error()))?;
    same(&attributes, der)?;
    Ok(attributes.value)
}

fn read_extensions(der: &[u8], ignored: &mut BTreeSet<IgnoredRequest>) -> Result<(), CsrError> {
    let extensions = canonical::<Vec<Extension>>(der).map_err(|error| {
        if is_second_spelling(&error) {
            CsrError::NotCanonical
        } else {
            CsrError::Extensions
        }
    })?;
    if extensions.is_empty() {
        return Err(CsrError::Extensions);
    }
    let mut seen = BTreeSet::new();
    for extension in &extensions {
        if !seen.insert(extension.extn_id) {
            return Err(CsrError::ExtensionTwice(extension.extn_id.to_string()));
        }
        if extension.extn_id == ID_SUBJECT_ALT_NAME {
            check_names(extension.extn_value.as_bytes())?;
        }
        ignored.insert(IgnoredRequest::from_id(extension.extn_id));
    }
    Ok(())
}

/// RFC 5280 section 4.2.1.6: a list of at least one name; mail, DNS and URI names are `IA5String`s.
/// A NUL in one is how a name was made to look like another (CVE-2009-2408).
fn check_names(der: &[u8]) -> Result<(), CsrError> {
    let names = Vec::<AnyRef<'_>>::from_der(der).map_err(|_| CsrError::Names)?;
    let is_text = |tag| {
        matches!(tag, Tag::ContextSpecific { constructed: false, number }
        if [TagNumber(1), TagNumber(2), TagNumber(6)].contains(&number))
    };
    let texts = names.iter().filter(|name| is_text(name.tag()));
    if !texts
        .flat_map(|name| name.value())
        .all(|byte| matches!(byte, 0x20..=0x7e))
    {
        return Err(CsrError::NameCharacter);
    }
    match canonical::<Vec<GeneralName>>(der) {
        Ok(names) if !names.is_empty() => Ok(()),
        Err(error) if is_second_spelling(&error) => Err(CsrError::NotCanonical),
        Ok(_) | Err(_) => Err(CsrError::Names),
    }
}

/// The most that is read of a request, PEM or DER; an RSA key of 4096 bits with a full set of names
/// takes under 3 KB.
pub const CSR_BYTES_MAX: usize = 8 * 1024;

/// The first byte of any DER request; no PEM starts with it, since only white space may precede.
const SEQUENCE: u8 = 0x30;

const ID_BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const ID_CHALLENGE_PASSWORD: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
const ID_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ID_EXTENSION_REQUEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const ID_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ID_NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const ID_SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::private_key::PrivateKey;
    use crate::x509::request::write_request;

    fn rules() -> CsrRules {
        CsrRules {
            strict: true,
            keys: [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa].into(),
            blocked: BTreeSet::new(),
        }
    }

    #[test]
    fn our_own_requests_are_accepted_under_strict_rules() {
        for kind in rules().keys {
            let key = PrivateKey::generate(kind).unwrap();
            let csr =
                VerifiedCsr::parse(write_request(&key).unwrap().as_bytes(), &rules()).unwrap();
            assert_eq!(csr.public_key(), key.public_key());
            assert_eq!(csr.ignored(), []);
        }
    }

    #[test]
    fn blocked_keys_and_unwanted_kinds_are_refused() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let text = write_request(&key).unwrap();
        let code = |rules: &CsrRules| {
            VerifiedCsr::parse(text.as_bytes(), rules)
                .unwrap_err()
                .code()
        };
        let blocked = [key.public_key().fingerprint()].into();
        assert_eq!(code(&CsrRules { blocked, ..rules() }), "key_blocked");
        assert_eq!(
            code(&CsrRules {
                keys: [KeyKind::Rsa].into(),
                ..rules()
            }),
            "key_kind"
        );
    }

    proptest! {
        #[test]
        fn every_changed_bit_is_refused(at in 0usize..1000, bit in 0u8..8) {
            let key = PrivateKey::generate(KeyKind::P256).unwrap();
            let text = write_request(&key).unwrap();
            let mut der = read_pem(text.as_bytes(), 9999, 1).unwrap().pop().unwrap().der;
            let at = at % der.len();
            der[at] ^= 1 << bit;
            prop_assert!(VerifiedCsr::parse(&der, &rules()).is_err());
        }

        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = VerifiedCsr::parse(&bytes, &rules());
            bytes.insert(0, SEQUENCE);
            let _ = VerifiedCsr::parse(&bytes, &rules());
        }
    }
}
