//! The plan: the exact to-be-signed bytes of one certificate, and what is recorded of it.
//!
//! Promises: a plan exists only under a [`Warrant`]: a policy permit for everybody else's
//! certificates, rotation or bootstrap for what the authority signs for itself. The bytes are
//! built by rcgen and read back by `x509::lint`, other code, against an independent statement of
//! what is meant; a plan with a finding is not made (boulder's lint before sign).
//! Refuses: Clone, Default and serde; names that come from anywhere but the permit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use der::{Reader as _, SliceReader};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, IsCa};

use crate::audit::{Event, Key};
use crate::id::entropy::Entropy;
use crate::id::{TokenId, hex};
use crate::pki::authority::Warrant;
use crate::pki::issuing::Issuing;
use crate::pki::key::Certified;
use crate::pki::profile::Profile;
use crate::policy::FactVersion;
use crate::store::{Intent, Mint, Recordable, RetryKey};
use crate::time::Timestamp;
use crate::x509::{
    EVIDENCE_ARCS, Evidence, Expected, ExtendedKeyUse, Finding, KeyUse, NameConstraints, PublicKey,
    Role, Subtree, Tbs, activation_index_offset, common_name_der, lint,
};

/// A certificate that is ready to be recorded and then signed.
#[derive(Debug)]
pub struct Plan {
    intent: Intent,
    planned: Planned,
}

/// What is left of a plan once it is recorded: who is to sign, and what the lint read.
#[derive(Debug)]
pub struct Planned {
    issuing: Arc<Issuing>,
    read: Tbs,
}

/// Why a plan is not made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The bytes could not be built.
    #[error("the certificate cannot be built")]
    Build(#[from] rcgen::Error),
    /// The bytes could not be taken apart.
    #[error("the built certificate cannot be read")]
    Der(#[from] der::Error),
    /// The evidence extension could not be written.
    #[error("the evidence extension cannot be written")]
    Evidence(#[from] crate::x509::EvidenceError),
    /// What was built is not what is meant.
    #[error("the plan differs from what is meant: {}", shown(.0))]
    Lint(Vec<Finding>),
    /// The permit is for an act that makes no certificate.
    #[error("the permit is for an act that makes no certificate")]
    NothingToMint,
    /// Nothing of the life would be left.
    #[error("the right ends at {0}; nothing can be minted for the time left")]
    NoLife(Timestamp),
    /// A text that cannot stand in a certificate.
    #[error("a name cannot stand in a certificate")]
    Text,
}

/// All that goes into a certificate, from valid types only.
pub(crate) struct Contents<'a> {
    /// What the certificate may look like.
    pub(crate) profile: &'a Profile,
    /// The key that is certified.
    pub(crate) key: &'a PublicKey,
    /// What it is for.
    pub(crate) role: Role,
    /// The subject's common name; none for leaves, whose subject is empty.
    pub(crate) common_name: Option<String>,
    /// URI SANs.
    pub(crate) uris: Vec<String>,
    /// DNS SANs.
    pub(crate) dns: Vec<String>,
    /// IP SANs.
    pub(crate) ips: Vec<IpAddr>,
    /// What the issuer may name.
    pub(crate) constraints: Option<NameConstraints>,
    /// What an elevated SVID says about its making.
    pub(crate) evidence: Option<Evidence>,
    /// Now.
    pub(crate) now: Timestamp,
    /// The last second, inclusive.
    pub(crate) not_after: Timestamp,
}

/// What is recorded with a certificate, besides its bytes.
pub(crate) struct Recording {
    /// The event; the plan adds serial, times and names.
    pub(crate) event: Event,
    /// The facts that the permit rests on.
    pub(crate) guards: Vec<FactVersion>,
    /// The elevation that is minted from.
    pub(crate) mint: Option<Mint>,
    /// Whether this mint activates the elevation, so that its index is not known yet.
    pub(crate) activates: bool,
    /// The token that is spent.
    pub(crate) spend: Option<TokenId>,
    /// What a repeated request is known by.
    pub(crate) retry: Option<RetryKey>,
}

impl Plan {
    /// Builds, lints and dresses a certificate. Private to this room: the ways in are those of
    /// `Authority`, each with its warrant.
    pub(crate) fn build(
        warrant: Warrant,
        issuing: &Arc<Issuing>,
        contents: &Contents<'_>,
        recording: Recording,
        instance: u8,
        entropy: &Entropy,
    ) -> Result<Self, PlanError> {
        let serial = serial(instance, entropy);
        let not_before = contents.now.minus(contents.profile.backdate).whole_second();
        if contents.not_after <= contents.now {
            return Err(PlanError::NoLife(contents.not_after));
        }
        let tbs = to_be_signed(issuing, contents, &serial, not_before)?;
        let expected = expected(issuing, contents, &serial, not_before);
        let read = lint(&tbs, &expected).map_err(PlanError::Lint)?;
        let index_at = if recording.activates {
            activation_index_offset(&tbs)
        } else {
            None
        };
        let mut event = recording
            .event
            .with(Key::Serial, hex::text(&serial))
            .and("issuer", issuing.key_id())
            .and("key_sha256", contents.key.fingerprint().to_string())
            .and("not_after", contents.not_after.rfc3339())
            .and("not_before", not_before.rfc3339())
            .and("warrant", warrant.as_str());
        // Used up: what it allowed is this plan.
        drop(warrant);
        if let Some(uri) = contents.uris.first() {
            event = event.and("uri", uri.as_str());
        }
        if let Some(dns) = contents.dns.first() {
            event = event.and("dns", dns.as_str());
        }
        let intent = Intent {
            event,
            serial,
            tbs,
            index_at,
            guards: recording.guards,
            mint: recording.mint,
            spend: recording.spend,
            retry: recording.retry,
        };
        Ok(Self {
            intent,
            planned: Planned {
                issuing: Arc::clone(issuing),
                read,
            },
        })
    }
}

impl Planned {
    /// The issuer that it was planned for.
    pub(crate) const fn issuing(&self) -> &Arc<Issuing> {
        &self.issuing
    }

    /// The to-be-signed bytes as the lint read them, before the store wrote an index into them.
    pub(crate) fn into_read(self) -> Tbs {
        self.read
    }
}

impl Recordable for Plan {
    type Kept = Planned;

    fn into_parts(self) -> (Intent, Planned) {
        (self.intent, self.planned)
    }
}

/// What an issuer for base SVIDs and its siblings may name (DESIGN section 6). Never a URI
/// constraint: current validators then reject every SPIFFE leaf below (assurance 5.1).
pub(crate) fn no_dns_no_ip(permitted_dns: Option<String>) -> NameConstraints {
    let every_ip = [vec![0; 8], vec![0; 32]].map(Subtree::Ip);
    match permitted_dns {
        None => NameConstraints {
            permitted: Vec::new(),
            excluded: std::iter::once(Subtree::Dns(String::new()))
                .chain(every_ip)
                .collect(),
        },
        Some(name) => NameConstraints {
            permitted: vec![Subtree::Dns(name)],
            excluded: every_ip.to_vec(),
        },
    }
}

/// One instance byte (1 to 127, so the number is positive) and 128 random bits.
fn serial(instance: u8, entropy: &Entropy) -> Vec<u8> {
    let random: [u8; 16] = entropy.bytes();
    let mut serial = vec![instance.clamp(1, 127)];
    serial.extend(random);
    serial
}

fn to_be_signed(
    issuing: &Issuing,
    contents: &Contents<'_>,
    serial: &[u8],
    not_before: Timestamp,
) -> Result<Vec<u8>, PlanError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial.to_vec().into());
    params.not_before = not_before.date_time();
    params.not_after = contents.not_after.whole_second().date_time();
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = &contents.common_name {
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name.as_str());
    }
    params.subject_alt_names = alternative_names(contents)?;
    params.is_ca = match contents.role {
        Role::Authority {
            path_len: Some(length),
        } => IsCa::Ca(rcgen::BasicConstraints::Constrained(length)),
        Role::Authority { path_len: None } => IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        Role::Server | Role::Workload => IsCa::ExplicitNoCa,
    };
    params.key_usages = contents
        .profile
        .key_usage
        .iter()
        .copied()
        .filter_map(key_usage)
        .collect();
    params.extended_key_usages = contents
        .profile
        .extended_key_usage
        .iter()
        .filter_map(extended_key_usage)
        .collect();
    params.name_constraints = contents.constraints.as_ref().map(constraints);
    params.use_authority_key_identifier_extension = true;
    let key_id = contents.key.key_id().to_vec();
    params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(key_id);
    if let Some(evidence) = &contents.evidence {
        let extension = CustomExtension::from_oid_content(&EVIDENCE_ARCS, evidence.to_der()?);
        params.custom_extensions = vec![extension];
    }
    let key = Certified(contents.key);
    let built = if let Some(issuer) = issuing.builder() {
        params.signed_by(&key, issuer)?
    } else {
        // A root is its own issuer.
        let own = rcgen::Issuer::from_params(&params, issuing.unsigned());
        params.signed_by(&key, &own)?
    };
    first_element(built.der())
}

fn alternative_names(contents: &Contents<'_>) -> Result<Vec<rcgen::SanType>, PlanError> {
    let text = |name: &String| name.as_str().try_into().map_err(|_| PlanError::Text);
    let uris = contents
        .uris
        .iter()
        .map(|name| text(name).map(rcgen::SanType::URI));
    let dns = contents
        .dns
        .iter()
        .map(|name| text(name).map(rcgen::SanType::DnsName));
    let ips = contents
        .ips
        .iter()
        .map(|address| Ok(rcgen::SanType::IpAddress(*address)));
    uris.chain(dns).chain(ips).collect()
}

/// The second statement of the certificate, for the lint.
fn expected(
    issuing: &Issuing,
    contents: &Contents<'_>,
    serial: &[u8],
    not_before: Timestamp,
) -> Expected {
    let root = issuing.certificate().is_none();
    Expected {
        role: contents.role,
        serial: serial.to_vec(),
        algorithm: issuing.algorithm(),
        issuer: issuing.subject_der(contents.common_name.as_deref()),
        subject: common_name_der(contents.common_name.as_deref()),
        not_before,
        not_after: contents.not_after.whole_second(),
        issuer_not_after: if root {
            contents.not_after
        } else {
            issuing.not_after()
        },
        public_key: contents.key.clone(),
        uris: contents.uris.clone(),
        dns: contents.dns.clone(),
        ips: contents.ips.clone(),
        key_usage: contents.profile.key_usage.clone(),
        extended_key_usage: contents.profile.extended_key_usage.clone(),
        authority_key_id: Some(issuing.subject_key_id()),
        name_constraints: contents.constraints.clone(),
        evidence: contents.evidence,
    }
}

/// The `TBSCertificate` of a certificate (RFC 5280 4.1: the first of three elements).
fn first_element(certificate: &[u8]) -> Result<Vec<u8>, PlanError> {
    let mut reader = SliceReader::new(certificate)?;
    let tbs = reader.sequence(|parts| {
        let tbs = parts.tlv_bytes()?;
        parts.tlv_bytes()?;
        parts.tlv_bytes()?;
        Ok::<_, der::Error>(tbs.to_vec())
    })?;
    Ok(tbs)
}

const fn key_usage(usage: KeyUse) -> Option<rcgen::KeyUsagePurpose> {
    match usage {
        KeyUse::DigitalSignature => Some(rcgen::KeyUsagePurpose::DigitalSignature),
        KeyUse::KeyCertSign => Some(rcgen::KeyUsagePurpose::KeyCertSign),
        KeyUse::CrlSign => Some(rcgen::KeyUsagePurpose::CrlSign),
        // No profile holds these; were one to, the lint would miss it in the bytes.
        KeyUse::NonRepudiation
        | KeyUse::KeyEncipherment
        | KeyUse::DataEncipherment
        | KeyUse::KeyAgreement
        | KeyUse::EncipherOnly
        | KeyUse::DecipherOnly => None,
    }
}

const fn extended_key_usage(usage: &ExtendedKeyUse) -> Option<rcgen::ExtendedKeyUsagePurpose> {
    match usage {
        ExtendedKeyUse::ClientAuth => Some(rcgen::ExtendedKeyUsagePurpose::ClientAuth),
        ExtendedKeyUse::ServerAuth => Some(rcgen::ExtendedKeyUsagePurpose::ServerAuth),
        // As above.
        ExtendedKeyUse::Any | ExtendedKeyUse::Other(_) => None,
    }
}

fn constraints(constraints: &NameConstraints) -> rcgen::NameConstraints {
    let every_v4 = rcgen::CidrSubnet::from_addr_prefix(Ipv4Addr::UNSPECIFIED.into(), 0);
    let every_v6 = rcgen::CidrSubnet::from_addr_prefix(Ipv6Addr::UNSPECIFIED.into(), 0);
    let tree = |tree: &Subtree| match tree {
        Subtree::Dns(name) => Some(rcgen::GeneralSubtree::DnsName(name.clone())),
        Subtree::Ip(octets) if octets.len() == 8 => {
            Some(rcgen::GeneralSubtree::IpAddress(every_v4))
        }
        Subtree::Ip(_) => Some(rcgen::GeneralSubtree::IpAddress(every_v6)),
        Subtree::Other(_) | Subtree::Uri(_) => None,
    };
    rcgen::NameConstraints {
        permitted_subtrees: constraints.permitted.iter().filter_map(tree).collect(),
        excluded_subtrees: constraints.excluded.iter().filter_map(tree).collect(),
    }
}

fn shown(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
