//! The shape that certificates and requests share: content, algorithm, signature.
//!
//! RFC 5280 section 4.1 and RFC 2986 section 4.2 have the same outer SEQUENCE. It is taken apart
//! here without copying, so that the signature is checked over the very bytes that came, and put
//! together in one place. Non-minimal lengths, indefinite lengths and trailing bytes are refused.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader};

/// The three parts of something signed, each as it stands in the input.
pub(crate) struct Signed<'a> {
    /// The DER of what is signed, header included.
    pub(crate) content: &'a [u8],
    /// The DER `AlgorithmIdentifier`, header included.
    pub(crate) algorithm: &'a [u8],
    /// The octets of the signature.
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes a signed thing apart.
    pub(crate) fn split(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut reader = SliceReader::new(der)?;
        let signed = reader.sequence(|r| {
            let content = r.tlv_bytes()?;
            let algorithm = r.tlv_bytes()?;
            let signature = BitStringRef::decode(r)?;
            let whole = signature.as_bytes();
            let signature = whole.ok_or_else(|| der::Tag::BitString.value_error())?;
            Ok::<_, der::Error>(Self {
                content,
                algorithm,
                signature,
            })
        })?;
        reader.finish()?;
        Ok(signed)
    }

    /// Puts a signed thing together.
    pub(crate) fn assemble(&self) -> Result<Vec<u8>, der::Error> {
        Outer {
            content: AnyRef::from_der(self.content)?,
            algorithm: AnyRef::from_der(self.algorithm)?,
            signature: BitStringRef::from_bytes(self.signature)?,
        }
        .to_der()
    }
}

#[derive(Sequence)]
struct Outer<'a> {
    content: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_as_they_were() {
        let content = [0x30, 3, 2, 1, 7];
        let signed = Signed {
            content: &content,
            algorithm: &[0x30, 0],
            signature: b"sig",
        };
        let der = signed.assemble().unwrap();
        let again = Signed::split(&der).unwrap();
        assert_eq!(again.content, content);
        assert_eq!(again.algorithm, [0x30, 0]);
        assert_eq!(again.signature, b"sig");
        assert!(Signed::split(&[&der[..], &[0]].concat()).is_err());
    }
}
