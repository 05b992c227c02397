//! One secret as Envoy takes it.
//!
//! Promises: a certificate is its whole chain without the root and its PKCS#8 key, PEM, in one
//! message (facts/mesh.md 8.11); roots are a plain CA, or the SPIFFE validator where that is set.
//! `ALL` is always the SPIFFE validator: under a plain CA the roots of one trust domain would vouch
//! for the names of another.
//! Refuses: files and names of files; everything is in the message.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use prost_types::Any;

use crate::agent::holdings::{Generation, Svid};
use crate::agent::sds::shelf::Roots;
use crate::agent::xds::{Content, Digest};
use crate::proto::core::data_source::Specifier;
use crate::proto::core::{DataSource, TypedExtensionConfig};
use crate::proto::tls::secret::Type;
use crate::proto::tls::spiffe_cert_validator_config::TrustDomain;
use crate::proto::tls::{
    CertificateValidationContext, Secret as Message, SpiffeCertValidatorConfig, TlsCertificate,
};
use crate::scope::SvidName;
use crate::time::{Seconds, Timestamp};

/// How an Envoy checks its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Validator {
    /// Its own validator over a list of roots: it knows CRLs and every matcher.
    #[default]
    Plain,
    /// The SPIFFE validator: it ignores CRLs and all matchers but those of URIs, in silence.
    Spiffe,
}

/// What a name is answered with.
#[derive(Clone, Debug)]
pub(super) enum Secret {
    /// The roots of several trust domains, each for its own names.
    AllRoots(Vec<Roots>),
    /// The roots of one.
    Roots(Roots, Validator),
    /// A certificate with its key.
    Svid(Arc<Svid>),
}

impl Content for Secret {
    fn generation(&self) -> Generation {
        match self {
            Self::AllRoots(all) => all.iter().map(|one| one.since).max().unwrap_or_default(),
            Self::Roots(roots, _) => roots.since,
            Self::Svid(svid) => svid.generation,
        }
    }

    fn digest(&self) -> Digest {
        match self {
            Self::AllRoots(all) => {
                let parts = all.iter().flat_map(|one| {
                    let name = one.of.as_str().as_bytes();
                    [name, one.digest.bytes()]
                });
                Digest::of(parts)
            }
            Self::Roots(roots, Validator::Plain) => roots.digest,
            Self::Roots(roots, Validator::Spiffe) => {
                Digest::of([SPIFFE_VALIDATOR.as_bytes(), roots.digest.bytes()])
            }
            Self::Svid(svid) => Digest::of([svid.sha256.as_slice()]),
        }
    }

    fn encode(&self, name: &str) -> Any {
        let body = match self {
            Self::AllRoots(all) => Type::ValidationContext(spiffe(all)),
            Self::Roots(roots, Validator::Plain) => {
                Type::ValidationContext(CertificateValidationContext {
                    trusted_ca: Some(inline(roots.pem.clone())),
                    ..CertificateValidationContext::default()
                })
            }
            Self::Roots(roots, Validator::Spiffe) => {
                Type::ValidationContext(spiffe(std::slice::from_ref(roots)))
            }
            Self::Svid(svid) => Type::TlsCertificate(TlsCertificate {
                certificate_chain: Some(inline(svid.chain_pem.clone())),
                private_key: Some(inline(Bytes::from_owner(KeyOf(svid.clone())))),
            }),
        };
        let secret = Message {
            name: name.to_owned(),
            r#type: Some(body),
        };
        Any {
            type_url: SECRET_TYPE.to_owned(),
            value: secret.encode_to_vec(),
        }
    }

    fn ends(&self) -> Option<Timestamp> {
        match self {
            Self::AllRoots(_) | Self::Roots(..) => None,
            Self::Svid(svid) => is_elevated(svid).then(|| last_use(svid)),
        }
    }

    fn raises_rights(&self) -> bool {
        matches!(self, Self::Svid(_))
    }
}

/// Whether an SVID may be handed over at this moment.
pub(super) fn is_usable(svid: &Svid, now: Timestamp) -> bool {
    let end = if is_elevated(svid) {
        last_use(svid)
    } else {
        svid.not_after
    };
    svid.not_before <= now && now < end
}

/// An elevated SVID is out of use a second before its end (assurance G12).
fn last_use(svid: &Svid) -> Timestamp {
    svid.not_after.minus(END_MARGIN)
}

fn is_elevated(svid: &Svid) -> bool {
    match svid.name {
        SvidName::Base(_) => false,
        SvidName::Elevated { .. } => true,
    }
}

fn spiffe(all: &[Roots]) -> CertificateValidationContext {
    let trust_domains = all.iter().map(|roots| TrustDomain {
        name: roots.of.to_string(),
        trust_bundle: Some(inline(roots.pem.clone())),
    });
    let config = SpiffeCertValidatorConfig {
        trust_domains: trust_domains.collect(),
    };
    CertificateValidationContext {
        custom_validator_config: Some(TypedExtensionConfig {
            name: SPIFFE_VALIDATOR.to_owned(),
            typed_config: Some(Any {
                type_url: SPIFFE_VALIDATOR_TYPE.to_owned(),
                value: config.encode_to_vec(),
            }),
        }),
        ..CertificateValidationContext::default()
    }
}

const fn inline(bytes: Bytes) -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineBytes(bytes)),
    }
}

/// The key inside its SVID, so that no message holds a copy that nobody wipes.
struct KeyOf(Arc<Svid>);

impl AsRef<[u8]> for KeyOf {
    fn as_ref(&self) -> &[u8] {
        self.0.key_pem.as_bytes()
    }
}

/// The type of the resources of this service.
pub(super) const SECRET_TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const SPIFFE_VALIDATOR: &str = "envoy.tls.cert_validator.spiffe";
const SPIFFE_VALIDATOR_TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";
const END_MARGIN: Seconds = Seconds::new(1);
