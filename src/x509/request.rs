//! Writing a certificate request: what an agent or the command line sends.
//!
//! It holds a public key and proof of possession and nothing else, since nothing else is ever taken
//! from one: empty subject, no attributes.

use der::asn1::AnyRef;
use der::{Decode, Encode, Sequence};

use crate::x509::pem::write_pem;
use crate::x509::private_key::{PrivateKey, PrivateKeyError};
use crate::x509::signed::Signed;

/// A PKCS#10 request (RFC 2986) for this key, as one PEM block.
///
/// # Errors
/// Where the key cannot sign.
pub fn write_request(key: &PrivateKey) -> Result<String, PrivateKeyError> {
    let content = content(key).map_err(|_| PrivateKeyError::Encoding)?;
    let signature = key.sign(&content)?;
    let signed = Signed {
        content: &content,
        algorithm: signature.algorithm.der(),
        signature: &signature.bytes,
    };
    let der = signed.assemble().map_err(|_| PrivateKeyError::Encoding)?;
    Ok(write_pem("CERTIFICATE REQUEST", &der))
}

fn content(key: &PrivateKey) -> Result<Vec<u8>, der::Error> {
    Content {
        version: 0,
        subject: AnyRef::from_der(&[0x30, 0])?,
        key: AnyRef::from_der(key.public_key().spki_der())?,
        attributes: AnyRef::from_der(&[0xa0, 0])?,
    }
    .to_der()
}

/// `CertificationRequestInfo` (RFC 2986 section 4.1).
#[derive(Sequence)]
struct Content<'a> {
    version: u8,
    subject: AnyRef<'a>,
    key: AnyRef<'a>,
    attributes: AnyRef<'a>,
}
