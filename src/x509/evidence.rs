//! The evidence extension of elevated SVIDs: which elevation, which policy, which event.
//!
//! ```text
//! Evidence ::= SEQUENCE {
//!     version          INTEGER (1),
//!     elevation        OCTET STRING (SIZE (16)),
//!     policyDigest     OCTET STRING (SIZE (32)),
//!     activationIndex  OCTET STRING (SIZE (8))   -- unsigned, big-endian
//! }
//! ```
//!
//! Every field has a fixed width, so the store can write the index of the activation event into
//! finished to-be-signed bytes at the moment it assigns it, without moving anything.
//!
//! The identifier is a random UUID cut into arcs below 2^24 under the arc that its owner gives away
//! for this use. A `2.25.<uuid>` arc would say the same shorter, but has 128 bits in one number:
//! `crypto/x509` of Go 1.27 then refuses the whole certificate ("malformed extension OID field"),
//! and neither x509-cert nor rcgen can hold it.

use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Header, Reader, Sequence, SliceReader, Tag, TagNumber};

/// What an elevated SVID says about its own making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The id of the elevation, its 16 raw bytes.
    pub elevation: [u8; 16],
    /// SHA-256 of the policy bundle that permitted it.
    pub policy_digest: [u8; 32],
    /// Number of the event that activated the elevation.
    pub activation_index: u64,
}

impl Evidence {
    /// The DER of the extension's value.
    ///
    /// # Errors
    /// [`EvidenceError::Der`] where it cannot be written.
    pub fn to_der(&self) -> Result<Vec<u8>, EvidenceError> {
        let index = self.activation_index.to_be_bytes();
        let fields = Fields {
            version: VERSION,
            elevation: OctetStringRef::new(&self.elevation)?,
            policy_digest: OctetStringRef::new(&self.policy_digest)?,
            activation_index: OctetStringRef::new(&index)?,
        };
        Ok(fields.to_der()?)
    }

    /// Reads the extension's value.
    ///
    /// # Errors
    /// [`EvidenceError`] where it is another shape, another version or has trailing bytes.
    pub fn from_der(der: &[u8]) -> Result<Self, EvidenceError> {
        let fields = Fields::from_der(der)?;
        if fields.version != VERSION {
            return Err(EvidenceError::Version(fields.version));
        }
        let index = fixed(fields.activation_index)?;
        Ok(Self {
            elevation: fixed(fields.elevation)?,
            policy_digest: fixed(fields.policy_digest)?,
            activation_index: u64::from_be_bytes(index),
        })
    }
}

/// Where the eight octets of the activation index stand in to-be-signed bytes; none where there is
/// no evidence extension. What stands there is an unsigned number, big-endian.
#[must_use]
pub fn activation_index_offset(tbs: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(tbs).ok()?;
    reader.sequence(|r| offset_in_fields(r)).ok().flatten()
}

/// Why an evidence extension cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not the DER of the SEQUENCE.
    #[error("the evidence extension is malformed")]
    Der(#[from] der::Error),
    /// A version that this program does not know.
    #[error("the evidence extension has version {0}; this program knows version {VERSION}")]
    Version(u8),
    /// A field of another width.
    #[error("a field of the evidence extension has another width")]
    Width,
}

/// Its identifier as numbers, as builders of certificates want it.
pub const EVIDENCE_ARCS: [u64; 14] = [
    1, 2, 840, 113_556, 1, 8000, 2554, 2745, 36877, 1228, 18830, 36780, 5_869_829, 3_713_235,
];

/// Width of the activation index, octets.
pub const ACTIVATION_INDEX_BYTES: usize = 8;

/// Its identifier as x509-cert holds it.
pub(crate) const ID_EVIDENCE: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.2745.36877.1228.18830.36780.5869829.3713235",
);

#[derive(Sequence)]
struct Fields<'a> {
    version: u8,
    elevation: &'a OctetStringRef,
    policy_digest: &'a OctetStringRef,
    activation_index: &'a OctetStringRef,
}

fn fixed<const N: usize>(field: &OctetStringRef) -> Result<[u8; N], EvidenceError> {
    field
        .as_bytes()
        .try_into()
        .map_err(|_| EvidenceError::Width)
}

/// Walks over the fields of a `TBSCertificate` to its extensions.
fn offset_in_fields(tbs: &mut SliceReader<'_>) -> Result<Option<usize>, der::Error> {
    while !tbs.is_finished() {
        if Tag::peek(tbs)? != EXTENSIONS_TAG {
            tbs.tlv_bytes()?;
            continue;
        }
        Header::decode(tbs)?;
        return tbs.sequence(|list| {
            let mut found = None;
            while !list.is_finished() {
                found = found.or(list.sequence(|extension| offset_in_extension(extension))?);
            }
            Ok(found)
        });
    }
    Ok(None)
}

fn offset_in_extension(extension: &mut SliceReader<'_>) -> Result<Option<usize>, der::Error> {
    let id = ObjectIdentifier::decode(extension)?;
    if Tag::peek(extension)? == Tag::Boolean {
        bool::decode(extension)?;
    }
    let header = Header::decode(extension)?;
    let value = extension.read_slice(header.length())?;
    let end = usize::try_from(extension.position())?;
    let ours = id == ID_EVIDENCE && Evidence::from_der(value).is_ok();
    // The index is the last field, and the widths of all were just checked.
    Ok(ours.then_some(end.saturating_sub(ACTIVATION_INDEX_BYTES)))
}

const VERSION: u8 = 1;

/// `extensions [3] EXPLICIT` (RFC 5280 section 4.1).
const EXTENSIONS_TAG: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(3),
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_cert::ext::Extension;

    use super::*;

    fn evidence() -> impl Strategy<Value = Evidence> {
        any::<([u8; 16], [u8; 32], u64)>().prop_map(|(elevation, policy_digest, index)| Evidence {
            elevation,
            policy_digest,
            activation_index: index,
        })
    }

    /// A `TBSCertificate` as far as the walk looks at it.
    fn fields(evidence: &Evidence) -> Vec<u8> {
        let extension = |extn_id, value: Vec<u8>| Extension {
            extn_id,
            critical: true,
            extn_value: der::asn1::OctetString::new(value).unwrap(),
        };
        let other = ObjectIdentifier::new_unwrap("2.5.29.19");
        let list = vec![
            extension(other, vec![0x30, 0]),
            extension(ID_EVIDENCE, evidence.to_der().unwrap()),
            extension(other, b"\x30\x03abc".to_vec()),
        ];
        let list = list.to_der().unwrap();
        let explicit = der::asn1::AnyRef::new(EXTENSIONS_TAG, &list).unwrap();
        let serial = der::asn1::AnyRef::new(Tag::Integer, &[5]).unwrap();
        vec![serial, explicit].to_der().unwrap()
    }

    #[test]
    fn the_identifier_is_the_same_in_both_forms() {
        let arcs: Vec<u64> = ID_EVIDENCE.arcs().map(u64::from).collect();
        assert_eq!(arcs, EVIDENCE_ARCS);
    }

    #[test]
    fn other_shapes_are_refused() {
        let evidence = Evidence {
            elevation: [1; 16],
            policy_digest: [2; 32],
            activation_index: 3,
        };
        let der = evidence.to_der().unwrap();
        assert!(der.len() <= 400, "{}", der.len());
        let mut version = der.clone();
        version[4] = 2;
        assert_eq!(Evidence::from_der(&version), Err(EvidenceError::Version(2)));
        let narrow = [&[0x30, 12, 2, 1, 1, 4, 1, 9, 4, 1, 9, 4, 1, 9][..]].concat();
        assert_eq!(Evidence::from_der(&narrow), Err(EvidenceError::Width));
        assert!(Evidence::from_der(&[&der[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_evidence_means_no_offset() {
        assert_eq!(activation_index_offset(&[0x30, 3, 2, 1, 5]), None);
        assert_eq!(activation_index_offset(b""), None);
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_one_round_trip(evidence in evidence()) {
            prop_assert_eq!(Evidence::from_der(&evidence.to_der().unwrap()), Ok(evidence));
        }

        #[test]
        fn the_index_is_patched_in_place(evidence in evidence(), index: u64) {
            let mut tbs = fields(&evidence);
            let at = activation_index_offset(&tbs).unwrap();
            tbs[at..at + ACTIVATION_INDEX_BYTES].copy_from_slice(&index.to_be_bytes());
            let patched = Evidence { activation_index: index, ..evidence };
            prop_assert_eq!(tbs, fields(&patched));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Evidence::from_der(&bytes);
            let _ = activation_index_offset(&bytes);
        }
    }
}
