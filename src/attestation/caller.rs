//! The caller: workload, holder of a token, or operator.
//!
//! Promises: [`Workload::from_peer`] accepts exactly the names that protem mints, and
//! [`Workload::from_foreign_peer`] those of one foreign trust domain under their names here; the
//! elevated caller stays visible as such, so that policy can refuse him (assurance S15, S16).
//! Refuses: to judge a certificate's chain or time: the TLS layer and the door did that before.

use std::fmt;

use crate::attestation::foreign::ForeignTrustDomain;
use crate::attestation::issuer::Claimant;
use crate::id::{Instance, OperatorId, TokenId};
use crate::identity::{SpiffeId, SpiffeIdError, Subject, TrustDomain};
use crate::scope::{SvidName, SvidNameError};
use crate::time::Timestamp;

/// Who asks, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever holds a token that a configured issuer signed.
    Claimant(Claimant),
    /// Whoever holds an operator credential.
    Operator(OperatorId),
    /// Whoever holds an unspent join token, for the subject that it was made for.
    Token(TokenId, Subject),
    /// Whoever holds the key of a current SVID.
    Workload(Workload),
}

/// A caller that came with a certificate which verifies under protem's root, or under the bundle of
/// a configured trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What the certificate calls him, where another authority than protem's vouches for him.
    pub foreign: Option<SpiffeId>,
    /// Whom the certificate names, in the own trust domain.
    pub name: SvidName,
    /// The key it was made for: the instance, for direct callers.
    pub instance: Instance,
    /// The last second in which the certificate is valid.
    pub not_after: Timestamp,
}

/// What the door read from a peer's verified certificate.
#[derive(Clone, Debug)]
pub struct PeerNames {
    /// Every URI SAN, in order.
    pub uris: Vec<String>,
    /// Every DNS SAN, in order.
    pub dns: Vec<String>,
    /// The key identifier of the issuer, as the certificate has it.
    pub issuer_key_id: Option<Vec<u8>>,
    /// SHA-256 of the SPKI.
    pub key_sha256: [u8; 32],
    /// The certificate's last second.
    pub not_after: Timestamp,
}

/// Why a certificate makes no caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// A foreign name with a part that marks a scope.
    #[error("the certificate's name has a part that is reserved for scopes; call with a base SVID")]
    Elevated,
    /// Of another trust domain.
    #[error("the certificate is of trust domain `{0}`, which this authority does not serve")]
    ForeignTrustDomain(TrustDomain),
    /// The SANs are not what protem writes.
    #[error("the certificate's names are not those of an SVID of this authority")]
    Name(#[from] SvidNameError),
    /// The URI SAN is no SPIFFE ID.
    #[error("the certificate's URI SAN is no SPIFFE ID")]
    SpiffeId(#[from] SpiffeIdError),
    /// More than one DNS SAN.
    #[error("the certificate has {0} DNS SANs, an SVID has at most one")]
    SeveralDnsNames(usize),
    /// None or several URI SANs (X509-SVID 2).
    #[error("the certificate has {0} URI SANs, an SVID has exactly one")]
    UriCount(usize),
}

impl Workload {
    /// The workload that a verified certificate names.
    ///
    /// # Errors
    /// The rule of the SVID form that the certificate breaks.
    pub fn from_peer(peer: &PeerNames, served: &TrustDomain) -> Result<Self, AttestationError> {
        let uri = peer.spiffe_id()?;
        let dns = match peer.dns.as_slice() {
            [] => None,
            [one] => Some(one.as_str()),
            several => return Err(AttestationError::SeveralDnsNames(several.len())),
        };
        if uri.trust_domain() != served {
            return Err(AttestationError::ForeignTrustDomain(
                uri.trust_domain().clone(),
            ));
        }
        Ok(Self {
            foreign: None,
            name: SvidName::from_sans(&uri, dns)?,
            instance: Instance::from_bytes(peer.key_sha256),
            not_after: peer.not_after,
        })
    }

    /// The workload that a verified certificate of a foreign trust domain names. Its DNS names
    /// mean nothing here, but that one which marks a scope is no base identity.
    ///
    /// # Errors
    /// As [`ForeignTrustDomain::subject`].
    pub fn from_foreign_peer(
        peer: &PeerNames,
        of: &ForeignTrustDomain,
    ) -> Result<Self, AttestationError> {
        let id = peer.spiffe_id()?;
        // As another protem marks an elevated SVID under its `dns` encoding.
        let marks_a_scope = |name: &String| name.split('.').any(|label| label == SCOPE_LABEL);
        if peer.dns.iter().any(marks_a_scope) {
            return Err(AttestationError::Elevated);
        }
        Ok(Self {
            name: SvidName::Base(of.subject(&id)?),
            foreign: Some(id),
            instance: Instance::from_bytes(peer.key_sha256),
            not_after: peer.not_after,
        })
    }
}

impl PeerNames {
    /// The one SPIFFE ID (X509-SVID 2).
    ///
    /// # Errors
    /// [`AttestationError::UriCount`] or [`AttestationError::SpiffeId`].
    pub fn spiffe_id(&self) -> Result<SpiffeId, AttestationError> {
        match self.uris.as_slice() {
            [uri] => Ok(uri.parse()?),
            uris => Err(AttestationError::UriCount(uris.len())),
        }
    }
}

impl Caller {
    /// The subject whose rights the caller may use, when there is one.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Claimant(claimant) => Some(&claimant.subject),
            Self::Operator(_) => None,
            Self::Token(_, subject) => Some(subject),
            Self::Workload(workload) => Some(workload.name.subject()),
        }
    }

    /// Who vouches for him, where it is not protem: fields of every event that he causes.
    #[must_use]
    pub fn vouched(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Claimant(claimant) => vec![
                ("token", claimant.token.clone()),
                ("token_issuer", claimant.issuer.to_string()),
            ],
            Self::Workload(Workload {
                foreign: Some(id), ..
            }) => vec![("foreign_id", id.to_string())],
            Self::Operator(_) | Self::Token(..) | Self::Workload(_) => Vec::new(),
        }
    }
}

/// As the ledger and the log name a caller: never a secret.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimant(claimant) => write!(f, "claimant:{}", claimant.subject),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Token(id, _) => write!(f, "token:{id}"),
            Self::Workload(workload) => match workload.name.scope() {
                None => write!(f, "workload:{}", workload.name.subject()),
                Some(scope) => write!(f, "workload:{}#{scope}", workload.name.subject()),
            },
        }
    }
}

/// The label before the trust domain in the DNS name of an elevated SVID (DESIGN section 6).
const SCOPE_LABEL: &str = "scope";

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uris: &[&str], dns: &[&str]) -> Result<Workload, AttestationError> {
        let names = PeerNames {
            uris: uris.iter().map(ToString::to_string).collect(),
            dns: dns.iter().map(ToString::to_string).collect(),
            issuer_key_id: None,
            key_sha256: [7; 32],
            not_after: Timestamp::from_unix_s(9).unwrap(),
        };
        Workload::from_peer(&names, &"td.example".parse().unwrap())
    }

    #[test]
    fn only_names_that_protem_mints_make_a_caller() {
        let web = "spiffe://td.example/web";
        assert!(peer(&[web], &[]).is_ok());
        assert!(peer(&["spiffe://td.example/web/scope/db.read"], &[]).is_ok());
        assert!(peer(&[web], &["db.read.scope.td.example"]).is_ok());
        for (uris, dns) in [
            (vec![], vec![]),
            (vec![web, web], vec![]),
            (vec!["spiffe://other.example/web"], vec![]),
            (vec!["spiffe://td.example"], vec![]),
            (vec![web], vec!["localhost"]),
            (vec![web], vec!["a.scope.td.example", "b.scope.td.example"]),
        ] {
            assert!(peer(&uris, &dns).is_err(), "{uris:?} {dns:?}");
        }
    }

    #[test]
    fn a_foreign_svid_that_is_elevated_by_its_dns_name_makes_no_caller() {
        let of = ForeignTrustDomain::new(
            "other.example".parse().unwrap(),
            "/foreign/other".to_owned(),
            "td.example".parse().unwrap(),
        );
        let of = of.unwrap();
        let names = |dns: &str| PeerNames {
            uris: vec!["spiffe://other.example/web".to_owned()],
            dns: vec![dns.to_owned()],
            issuer_key_id: None,
            key_sha256: [7; 32],
            not_after: Timestamp::from_unix_s(9).unwrap(),
        };
        let workload = |dns| Workload::from_foreign_peer(&names(dns), &of);
        assert!(workload("web.other.example").is_ok());
        let refused = workload("db.read.scope.other.example").unwrap_err();
        assert_eq!(refused, AttestationError::Elevated);
    }
}
