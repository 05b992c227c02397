//! `protem dev`: a whole authority with safe defaults in one directory of this machine.
//!
//! Promises: one command from nothing to a first certificate: data directory, root, example
//! policy, two demo workloads, an operator credential, and the next commands to try.
//! Refuses: to listen anywhere but on this machine unless told so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::attestation::{Caller, EntryTerms, Obtainer};
use crate::config::ServerConfig;
use crate::policy::BundleSource;
use crate::server::start::{Running, StartError, read_bundle, start};
use crate::service::{Call, ServiceError};
use crate::time::{Clock, Seconds};

/// What `protem dev` may be told.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The data directory.
    pub directory: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// A policy directory to activate instead of the example.
    pub policy: Option<PathBuf>,
}

/// A development server that is serving.
#[derive(Debug)]
pub struct DevServer {
    /// The server.
    pub running: Running,
    /// How clients reach it.
    pub url: String,
    /// The subjects that are registered for the demo.
    pub subjects: Vec<String>,
}

/// Starts a development server.
///
/// # Errors
/// Why it does not start.
pub async fn dev(options: &DevOptions, clock: Arc<dyn Clock>) -> Result<DevServer, StartError> {
    let config = ServerConfig::dev(&options.directory, options.listen)
        .map_err(|_| ServiceError::Field("the development configuration is broken"))?;
    let running = start(&config, clock).await?;
    let service = &running.service;
    let source = match &options.policy {
        Some(directory) => Some(read_bundle(directory)?),
        None if service.in_force().is_ok() => None,
        None => Some(example_policy()?),
    };
    if let Some(source) = source {
        service.activate_first_policy(&source).await?;
    }
    let call = Call {
        caller: operator(&running).await?,
        source: None,
    };
    let mut subjects = Vec::new();
    for workload in DEMO_WORKLOADS {
        let subject = format!("spiffe://{}{workload}", config.trust_domain);
        // Once: what an operator changed since stays.
        let terms = demo_entry(&subject)?;
        if service.entry_of(&call, &terms.subject).await?.is_none() {
            service.put_entry(&call, terms).await?;
        }
        subjects.push(subject);
    }
    Ok(DevServer {
        url: running.url.clone(),
        running,
        subjects,
    })
}

/// The operator whose credential the data directory holds.
async fn operator(running: &Running) -> Result<Caller, StartError> {
    let path = &running.operator_file;
    let text = std::fs::read_to_string(path)
        .map_err(|error| StartError::File(path.clone(), "read", error))?;
    let bearer = crate::attestation::Bearer::parse(text.trim())
        .map_err(|_| ServiceError::Field("operator.token holds no operator credential"))?;
    match &bearer {
        crate::attestation::Bearer::Operator(id, _) => Ok(running
            .service
            .operator_holder(*id, &bearer.digest())
            .await?),
        crate::attestation::Bearer::JoinToken(..) => Err(ServiceError::Token.into()),
    }
}

fn demo_entry(subject: &str) -> Result<EntryTerms, StartError> {
    let wrong = |_| ServiceError::Field("a demo entry is broken");
    Ok(EntryTerms {
        subject: subject.parse().map_err(wrong)?,
        selectors: Vec::new(),
        obtained_by: vec![Obtainer::Token],
        owner: DEMO_GROUP
            .parse()
            .map_err(|_| ServiceError::Field("a demo group is broken"))?,
        groups: vec![
            DEMO_GROUP
                .parse()
                .map_err(|_| ServiceError::Field("a demo group is broken"))?,
        ],
        life: Seconds::new(3_600),
        hint: None,
        federates_with: Vec::new(),
    })
}

/// The bundle of the repository's `policy/`, compiled in.
fn example_policy() -> Result<BundleSource, StartError> {
    let files = [
        ("README.md", include_str!("../../policy/README.md")),
        ("elevate.cedar", include_str!("../../policy/elevate.cedar")),
        ("issue.cedar", include_str!("../../policy/issue.cedar")),
        ("operate.cedar", include_str!("../../policy/operate.cedar")),
        ("scopes.toml", include_str!("../../policy/scopes.toml")),
        (
            "tests/elevate.toml",
            include_str!("../../policy/tests/elevate.toml"),
        ),
        (
            "tests/issue.toml",
            include_str!("../../policy/tests/issue.toml"),
        ),
        (
            "tests/operate.toml",
            include_str!("../../policy/tests/operate.toml"),
        ),
    ];
    Ok(BundleSource::collect(files)?)
}

const DEMO_WORKLOADS: [&str; 2] = ["/ns/demo/sa/web", "/ns/demo/sa/db"];
const DEMO_GROUP: &str = "demo";
