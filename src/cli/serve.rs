//! What runs inside this process instead of asking a server: `serve`, `dev`, `backup`, `restore`
//! and the offline half of `policy`.
//!
//! Promises: everything here goes through the room `server`; this file only has the options.
//! Refuses: to do any of it by itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::config::ServerConfig;
use crate::server::{self, DevOptions, DevServer, Supposed};
use crate::telemetry;
use crate::time::SystemClock;
use crate::wire::policy::ExplainRequest;
use crate::wire::verdict::OutlookAnswer;

#[derive(Args)]
pub(crate) struct Serve {
    /// The server's configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Uses the data directory of `--dir`.
#[derive(Args)]
pub(crate) struct Dev {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A policy bundle to put into force instead of the example
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// What to log, such as `info`
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The server's configuration; the data directory of `--dir` when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the copy goes; must not be there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The server's configuration; the data directory of `--dir` when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The copy
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

impl Serve {
    pub(crate) async fn run(self, _screen: &mut Screen) -> anyhow::Result<Exit> {
        let config = ServerConfig::read(&self.config)?;
        telemetry::start(&config.log.filter, config.log.json)?;
        server::serve(&config, Arc::new(SystemClock)).await?;
        Ok(Exit::Done)
    }
}

impl Dev {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        telemetry::start(&self.log, false)?;
        let options = DevOptions {
            directory: reach.dir.clone(),
            listen: self.listen,
            policy: self.policy,
        };
        let dev = server::dev(&options, Arc::new(SystemClock)).await?;
        screen.text(&welcome(&dev, &reach.dir))?;
        dev.running.wait().await?;
        Ok(Exit::Done)
    }
}

impl Backup {
    pub(crate) fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        server::backup_store(&data_directory(self.config.as_deref(), reach)?, &self.to)?;
        screen.say(&format!("copied to `{}` and checked", self.to.display()));
        Ok(Exit::Done)
    }
}

impl Restore {
    pub(crate) fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        server::restore_store(&self.from, &data_directory(self.config.as_deref(), reach)?)?;
        screen.say("restored; the keys in `ca/` are not part of a copy of the store");
        Ok(Exit::Done)
    }
}

/// Checks a bundle and shows its faults.
pub(crate) fn policy_check(folder: &Path, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (digest, scopes, warnings) = server::check_policy(folder)?;
    if screen.is_json() {
        screen.json(&json!({ "digest": digest, "scopes": scopes, "warnings": warnings }))?;
        return Ok(Exit::Done);
    }
    screen.record(&[("digest", digest), ("scopes", scopes.join(", "))])?;
    for warning in warnings {
        screen.say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// Runs the tests of a bundle and shows what failed.
pub(crate) fn policy_test(folder: &Path, screen: &mut Screen) -> anyhow::Result<Exit> {
    let outcomes = server::test_policy(folder)?;
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|(_, failure)| failure.is_some())
        .collect();
    if screen.is_json() {
        let tests = outcomes
            .iter()
            .map(|(name, why)| json!({ "test": name, "failure": why }));
        screen.json(&tests.collect::<Vec<_>>())?;
    } else {
        for (name, failure) in &failed {
            screen.line(&format!(
                "FAILED {name}: {}",
                failure.as_deref().unwrap_or_default()
            ))?;
        }
        let passed = outcomes.len().saturating_sub(failed.len());
        screen.line(&format!("{passed} passed, {} failed", failed.len()))?;
    }
    Ok(if failed.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// What the bundle in `folder` would answer.
pub(crate) fn policy_explain(
    folder: &Path,
    request: &ExplainRequest,
    supposed: Supposed,
) -> anyhow::Result<OutlookAnswer> {
    Ok(server::explain_policy(
        folder,
        request,
        supposed,
        Reach::now(),
    )?)
}

fn data_directory(config: Option<&Path>, reach: &Reach) -> anyhow::Result<PathBuf> {
    Ok(match config {
        Some(file) => ServerConfig::read(file)?.data,
        None => reach.dir.clone(),
    })
}

/// What a person sees first: what runs, and what to try next. A test runs these commands.
fn welcome(dev: &DevServer, directory: &Path) -> String {
    let (url, dir) = (&dev.url, directory.display());
    let subject = dev.subjects.first().map_or("", String::as_str);
    format!(
        "\
protem serves {url} with data in {dir}

Registered: {subjects}
In force:   the policy bundle, see `protem --dir {dir} policy show`

Try, in another terminal:

  # a key and a request, made by openssl
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
      -keyout web.key -subj / -out web.csr

  # a certificate for it, paid with a one-use join token
  TOKEN=$(protem --dir {dir} token create {subject})
  curl --fail-with-body --silent --show-error --cacert {dir}/bundle.pem \\
      -H \"Authorization: Bearer $TOKEN\" \\
      -H 'Content-Type: application/pkcs10' -H 'Accept: application/pem-certificate-chain' \\
      --data-binary @web.csr -o web.pem {url}/v1/svids

  # openssl agrees
  openssl verify -x509_strict -CAfile {dir}/bundle.pem -untrusted web.pem web.pem

  # ask for a scope with that certificate, and hold it
  curl --fail-with-body --silent --show-error --cacert {dir}/bundle.pem \\
      --cert web.pem --key web.key -H 'Content-Type: application/json' \\
      -d '{{\"scope\":\"db.read\",\"reason\":\"a customer waits\"}}' {url}/v1/elevations
  curl --fail-with-body --silent --show-error --cacert {dir}/bundle.pem \\
      --cert web.pem --key web.key \\
      -H 'Content-Type: application/pkcs10' -H 'Accept: application/pem-certificate-chain' \\
      --data-binary @web.csr -o elevated.pem '{url}/v1/svids?scope=db.read'
  openssl x509 -in elevated.pem -noout -ext subjectAltName -enddate

  # everything that happened
  protem --dir {dir} audit list

A real Envoy that opens for the scope and shuts at its end: deploy/demo/run
Stop with ctrl-c.
",
        subjects = dev.subjects.join("\n            "),
    )
}
