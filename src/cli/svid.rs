//! `protem svid`: get, keep and look at SVIDs.
//!
//! Promises: `fetch` sends a request made elsewhere and needs no key; `write` makes the key itself
//! and never sends it.
//! Refuses: to print a private key.

mod write;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::attestation::Bearer;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment, moment_of};
use crate::cli::svid::write::Write;
pub(crate) use crate::cli::svid::write::refuse_same;
use crate::client::{Client, ClientError, Proof, read_svid, svid_name};
use crate::id::hex;
use crate::time::Seconds;
use crate::wire::svid::SvidRequest;
use crate::x509::CSR_BYTES_MAX;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Get one certificate for a request made elsewhere, and print the chain
    Fetch(Fetch),
    /// Keep an SVID in a folder, as files for Envoy and for programs
    Write(Write),
    /// Show the SVID in a folder
    Show {
        /// The folder that `protem svid write` or `protem elevate` keeps
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Fetch {
    /// The request, PEM, such as openssl writes it; `-` for standard input
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    #[command(flatten)]
    first: FirstProof,
    #[command(flatten)]
    wish: Wish,
}

/// The first proof of a workload.
#[derive(Args)]
pub(crate) struct FirstProof {
    /// Prove the caller with this join token
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["svid", "operator"])]
    join_token: Option<String>,
    /// Prove the caller with the join token in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["join_token", "svid", "operator"])]
    join_token_file: Option<PathBuf>,
    /// Prove the caller with the token in this file, such as a CI system or a cloud gives to a job
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["join_token", "join_token_file", "svid", "operator"])]
    token_file: Option<PathBuf>,
}

/// What the certificate should say.
#[derive(Args)]
pub(crate) struct Wish {
    /// The scope to hold
    #[arg(long)]
    scope: Option<String>,
    /// The elevation to hold it under, where there are several
    #[arg(long, value_name = "ID", requires = "scope")]
    elevation: Option<String>,
    /// For whom, for callers that may obtain for others
    #[arg(long, value_name = "SPIFFE_ID")]
    subject: Option<String>,
    /// The longest life wanted
    #[arg(long, value_name = "SPAN")]
    ttl: Option<Seconds>,
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Fetch(fetch) => fetch.run(reach, screen).await?,
            Self::Write(write) => return write.run(reach, screen).await,
            Self::Show { folder } => show(&folder, screen)?,
        }
        Ok(Exit::Done)
    }
}

impl FirstProof {
    /// The proof that the options name, where they name one.
    fn proof(self) -> anyhow::Result<Option<Proof>> {
        if let Some(path) = self.token_file {
            return Ok(Some(Proof::TokenFile(path)));
        }
        match (self.join_token, self.join_token_file) {
            (Some(text), _) => {
                let token = Bearer::parse(text.trim())
                    .map_err(|error| UsageError(format!("`--join-token`: {error}")))?;
                Ok(Some(Proof::Bearer(token)))
            }
            (None, Some(path)) => Ok(Some(Proof::BearerFile(path))),
            (None, None) => Ok(None),
        }
    }
}

impl Fetch {
    async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<()> {
        let request = SvidRequest {
            csr: read_request(&self.csr)?,
            scope: self.wish.scope,
            elevation: self.wish.elevation,
            subject: self.wish.subject,
            ttl: self.wish.ttl.map(|ttl| ttl.to_string()),
            holder: None,
        };
        let client: Client = match self.first.proof()? {
            Some(proof) => reach.client_as(proof)?,
            None => reach.client()?,
        };
        let view = client.mint(&request).await?;
        if screen.is_json() {
            return screen.json(&view);
        }
        screen.say(&format!(
            "{} until {}, event {}",
            view.spiffe_id,
            moment(&view.not_after, Reach::now()),
            view.event
        ));
        if !view.ignored.is_empty() {
            let ignored = view.ignored.join(", ");
            screen.say(&format!(
                "the request's own wishes were passed over: {ignored}"
            ));
        }
        screen.text(&view.chain)
    }
}

fn read_request(path: &Path) -> anyhow::Result<String> {
    let wrong = |error| {
        UsageError(format!(
            "cannot read the request `{}`: {error}",
            path.display()
        ))
    };
    let mut text = String::new();
    // PEM is longer than the DER that the server bounds; twice is always enough.
    let longest = u64::try_from(CSR_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    if path == Path::new("-") {
        std::io::stdin()
            .take(longest)
            .read_to_string(&mut text)
            .map_err(wrong)?;
    } else {
        let file = fs::File::open(path).map_err(wrong)?;
        file.take(longest)
            .read_to_string(&mut text)
            .map_err(wrong)?;
    }
    Ok(text)
}

fn show(folder: &Path, screen: &mut Screen) -> anyhow::Result<()> {
    let now = Reach::now();
    let held = read_svid(folder, now).map_err(ClientError::from)?;
    let (spiffe_id, name) = svid_name(&held.leaf).map_err(ClientError::from)?;
    let tbs = held.leaf.tbs();
    let scope = name.scope().map(ToString::to_string);
    // An elevated SVID has a key of its own; its elevation is bound to the base SVID's.
    let instance = held.key.public_key().fingerprint().to_string();
    let instance = scope.is_none().then_some(instance);
    if screen.is_json() {
        return screen.json(&serde_json::json!({
            "spiffe_id": spiffe_id,
            "subject": name.subject().to_string(),
            "scope": scope,
            "serial": hex::text(&tbs.serial),
            "fingerprint": held.leaf.fingerprint().to_string(),
            "instance": instance,
            "not_before": tbs.not_before.rfc3339(),
            "not_after": tbs.not_after.rfc3339(),
            "remaining_s": tbs.not_after.since(now).count(),
        }));
    }
    screen.record(&[
        ("spiffe id", spiffe_id),
        ("subject", name.subject().to_string()),
        ("scope", scope.unwrap_or_default()),
        ("serial", hex::text(&tbs.serial)),
        ("fingerprint", held.leaf.fingerprint().to_string()),
        ("instance", instance.unwrap_or_default()),
        ("not before", moment_of(tbs.not_before, now)),
        ("not after", moment_of(tbs.not_after, now)),
        ("issuer", tbs.issuer.text()),
    ])
}
