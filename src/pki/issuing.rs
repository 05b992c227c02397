//! One issuer with its key: a generation of base, elevated or service, or the root.
//!
//! Promises: the raw signer is private to this file; the one way to a signature is
//! [`Issuing::sign`], and it takes recorded bytes. What was signed is parsed again with other
//! code and compared byte for byte with what was recorded; the first signature of a key and a part
//! of the others are verified.
//! Refuses: to sign anything that the store did not record.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::Issuer;

use crate::pki::key::{Signer, Unsigned};
use crate::pki::profile::IssuerName;
use crate::store::Recorded;
use crate::time::Timestamp;
use crate::x509::{
    Certificate, CertificateError, Fingerprint, KeyError, PrivateKeyError, PublicKey,
    SignatureAlgorithm, Tbs, common_name_der, write_chain,
};

/// An issuer and its key.
pub struct Issuing {
    name: IssuerName,
    signer: Box<dyn Signer>,
    /// Of its public key.
    fingerprint: Fingerprint,
    /// How often it signed.
    signed: AtomicU64,
    standing: Option<Standing>,
}

/// What an issuer has once it is certified; a root that is being made has none of it yet.
struct Standing {
    certificate: Certificate,
    /// The issuer's certificate and those above it, without the root, PEM.
    chain_pem: String,
    builder: Issuer<'static, Unsigned>,
}

/// Why a recorded plan did not become a certificate.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The signed certificate cannot be read back.
    #[error("the signed certificate cannot be read back")]
    Read(#[from] CertificateError),
    /// The signed bytes are not those that were recorded.
    #[error("the signed bytes are not those that were recorded")]
    OtherBytes,
    /// The signature does not verify under the issuer's key.
    #[error("the signature does not verify under the issuer's key")]
    Unverified(#[from] KeyError),
    /// The key would not sign.
    #[error("the issuer's key cannot sign")]
    Signer(#[from] PrivateKeyError),
}

impl Issuing {
    /// A key that is about to become a root.
    pub(crate) fn uncertified(name: IssuerName, signer: Box<dyn Signer>) -> Self {
        Self {
            name,
            fingerprint: signer.public_key().fingerprint(),
            signer,
            signed: AtomicU64::new(0),
            standing: None,
        }
    }

    /// An issuer with its certificate and those above it, leaf to root.
    pub(crate) fn certified(
        name: IssuerName,
        signer: Box<dyn Signer>,
        certificate: Certificate,
        above: &[Certificate],
    ) -> Result<Self, rcgen::Error> {
        let der = certificate.der().to_vec().into();
        let builder = Issuer::from_ca_cert_der(&der, Unsigned::of(signer.as_ref()))?;
        let chain = std::iter::once(&certificate).chain(above);
        let chain_pem = write_chain(chain.filter(|one| !one.is_self_issued()));
        Ok(Self {
            name,
            fingerprint: signer.public_key().fingerprint(),
            signer,
            signed: AtomicU64::new(0),
            standing: Some(Standing {
                certificate,
                chain_pem,
                builder,
            }),
        })
    }

    /// Signs what was recorded, and checks what came out. What the lint has `read` of these very
    /// bytes is not read a second time.
    ///
    /// # Errors
    /// Why there is no certificate; the caller records that.
    pub(crate) fn sign<K>(
        &self,
        recorded: &Recorded<K>,
        read: Option<Tbs>,
    ) -> Result<Certificate, SignError> {
        let signature = self.signer.sign(recorded.tbs())?;
        let der = Certificate::assemble(recorded.tbs(), &signature)?;
        let certificate = match read {
            Some(tbs) => Certificate::parse_around(tbs, der)?,
            None => Certificate::parse(&der)?,
        };
        if certificate.tbs_der() != recorded.tbs() {
            return Err(SignError::OtherBytes);
        }
        match self.name {
            // Few and long-lived: verified by other code (p256) than the code that signed.
            IssuerName::Root => certificate.verify_signed_by(self.signer.public_key())?,
            // The same library, but from the certificate's parsed parts and the public key (see
            // `manual::decisions` for the price of p256 here).
            IssuerName::Service => {
                certificate.verify_signature_fast(self.signer.public_key())?;
            }
            IssuerName::Base | IssuerName::Elevated if self.is_to_be_verified() => {
                certificate.verify_signature_fast(self.signer.public_key())?;
            }
            IssuerName::Base | IssuerName::Elevated => {}
        }
        Ok(certificate)
    }

    /// Whether the next signature is verified before it goes out. The first one always is, so a
    /// key that does not work is found at once.
    ///
    /// RSA and Ed25519 signatures are each verified: one that a fault of the machine made wrong
    /// gives their key away. ECDSA draws a new nonce each time, so a wrong one is refused by
    /// whoever sees it and tells nothing; a verification costs twice the signature, and one in
    /// [`VERIFIED_ONE_IN`] finds a machine that goes wrong.
    fn is_to_be_verified(&self) -> bool {
        match self.signer.algorithm() {
            SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384 => {
                let so_far = self.signed.fetch_add(1, Ordering::Relaxed);
                so_far.is_multiple_of(VERIFIED_ONE_IN)
            }
            SignatureAlgorithm::Ed25519
            | SignatureAlgorithm::RsaSha256
            | SignatureAlgorithm::RsaSha384
            | SignatureAlgorithm::RsaSha512 => true,
        }
    }

    /// Which issuer it is.
    pub const fn name(&self) -> IssuerName {
        self.name
    }

    /// Its certificate; none for a root that is being made.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.standing.as_ref().map(|standing| &standing.certificate)
    }

    /// Its certificate and those above it without the root, PEM.
    pub fn chain_pem(&self) -> &str {
        self.standing
            .as_ref()
            .map_or("", |standing| &standing.chain_pem)
    }

    /// SHA-256 of its public key, lower-case hex; how events name it.
    pub(crate) fn key_id(&self) -> String {
        self.fingerprint.to_string()
    }

    /// SHA-256 of its public key.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What builds certificates in its name.
    pub(crate) fn builder(&self) -> Option<&Issuer<'static, Unsigned>> {
        self.standing.as_ref().map(|standing| &standing.builder)
    }

    /// The planning stand-in of its key.
    pub(crate) fn unsigned(&self) -> Unsigned {
        Unsigned::of(self.signer.as_ref())
    }

    /// The public half of its key.
    pub(crate) fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// What it signs with.
    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.algorithm()
    }

    /// The last second of its own certificate; the beginning of time while it has none.
    pub fn not_after(&self) -> Timestamp {
        self.certificate()
            .map_or(Timestamp::EPOCH, |certificate| certificate.tbs().not_after)
    }

    /// DER of its name; of a root that is being made, of the common name planned.
    pub(crate) fn subject_der(&self, planned: Option<&str>) -> Vec<u8> {
        match self.certificate() {
            Some(certificate) => certificate.tbs().subject.der.clone(),
            None => common_name_der(planned),
        }
    }

    /// The identifier under which its certificates name its key.
    pub(crate) fn subject_key_id(&self) -> Vec<u8> {
        let stated = self
            .certificate()
            .and_then(|own| own.tbs().subject_key_id.clone());
        stated.unwrap_or_else(|| self.public_key().key_id().to_vec())
    }
}

/// Never the key.
impl fmt::Debug for Issuing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuing({} {})", self.name.as_str(), self.key_id())
    }
}

/// Of how many ECDSA signatures one is verified before it goes out.
const VERIFIED_ONE_IN: u64 = 32;
