//! What `protem doctor` asks over the network, as findings.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::{UsageError, words};
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::client::probe::{
    ConnectionEnd, Endpoint, ExpiryReport, Readiness, Resumed, SessionReport, probe_expiry,
    probe_readiness, probe_resumption, read_holder,
};
use crate::client::{BUNDLE_PEM, SVID_KEY, SVID_PEM, ServerAddress, read_roots};
use crate::server::{Finding, Health, lives};
use crate::time::{Seconds, SystemClock};
use crate::x509::Certificate;

/// As whom a probe comes, and what it believes.
#[derive(Args)]
pub(crate) struct Holder {
    /// The holder's certificate chain, PEM; `svid.pem` of `--svid` when absent
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The holder's key, PKCS#8; `svid.key` of `--svid` when absent
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// What the endpoint's chain must stand under, PEM; `bundle.pem` of `--svid` when absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long the end of the holder's certificate may be away
    #[arg(long, value_name = "SPAN", default_value = "16m")]
    pub(crate) wait: Seconds,
}

#[derive(Args)]
pub(crate) struct Resumption {
    /// The endpoint
    #[arg(value_name = "HOST:PORT")]
    endpoint: String,
    #[command(flatten)]
    holder: Holder,
}

#[derive(Args)]
pub(crate) struct Expiry {
    /// The proxy, which speaks HTTP over mutual TLS
    #[arg(long, value_name = "HOST:PORT")]
    via: String,
    /// What to ask for
    #[arg(long, default_value = "/")]
    path: String,
    /// The host to name; that of `--via` when absent
    #[arg(long)]
    host: Option<String>,
    /// How long to go on after the end
    #[arg(long, value_name = "SPAN", default_value = "3s")]
    past: Seconds,
    #[command(flatten)]
    holder: Holder,
}

impl Resumption {
    pub(crate) async fn run(
        self,
        reach: &Reach,
        screen: &mut Screen,
    ) -> anyhow::Result<Vec<Finding>> {
        let endpoint = self.holder.endpoint(&self.endpoint, reach)?;
        tell_wait(&endpoint, self.holder.wait, screen);
        let reports = probe_resumption(&endpoint, &SystemClock, self.holder.wait).await?;
        Ok(reports.iter().map(session).collect())
    }
}

impl Expiry {
    pub(crate) async fn run(
        self,
        reach: &Reach,
        screen: &mut Screen,
    ) -> anyhow::Result<Vec<Finding>> {
        let endpoint = self.holder.endpoint(&self.via, reach)?;
        tell_wait(&endpoint, self.holder.wait, screen);
        let host = self.host.as_deref().unwrap_or(&self.via);
        let spans = (self.holder.wait, self.past);
        let report = probe_expiry(&endpoint, &self.path, host, &SystemClock, spans).await?;
        Ok(expiry(&report))
    }
}

impl Holder {
    pub(crate) fn endpoint(&self, address: &str, reach: &Reach) -> anyhow::Result<Endpoint> {
        let beside = |name: &str| reach.svid().map(|folder| folder.join(name));
        let missing = "give the roots of the endpoint with `--ca FILE`, or `--svid DIR`";
        let roots = self.ca.clone().or_else(|| beside(BUNDLE_PEM));
        let roots = roots.ok_or_else(|| UsageError(missing.to_owned()))?;
        let roots = read_trust(&roots)?;
        let chain = self.cert.clone().or_else(|| beside(SVID_PEM));
        let key = self.key.clone().or_else(|| beside(SVID_KEY));
        let holder = match (chain, key) {
            (Some(chain), Some(key)) => Some(read_holder(&chain, &key)?),
            _ => None,
        };
        let address: ServerAddress = format!("https://{address}")
            .parse()
            .map_err(|error| UsageError(format!("`{address}`: {error}")))?;
        Ok(Endpoint {
            address,
            roots,
            holder,
        })
    }
}

/// The server of the data directory, asked through its door.
pub(crate) async fn server(data: &Path) -> Vec<Finding> {
    let check = "server";
    let url = fs::read_to_string(data.join("server.url")).unwrap_or_default();
    let Ok(address) = url.parse::<ServerAddress>() else {
        let next = "the first start writes where it is reached to `server.url`";
        return vec![Finding::new(
            check,
            Health::Unknown,
            "not known where it is",
            next,
        )];
    };
    let asked = match read_trust(&data.join(BUNDLE_PEM)) {
        Ok(roots) => {
            let endpoint = Endpoint {
                address,
                roots,
                holder: None,
            };
            probe_readiness(&endpoint, &SystemClock)
                .await
                .map_err(anyhow::Error::from)
        }
        Err(error) => Err(error),
    };
    match asked {
        Ok(seen) => answered(&url, &seen),
        Err(error) => {
            let next = "start it, or read its log; where it should not run, all is well";
            vec![Finding::new(check, Health::Unknown, words(&error), next)]
        }
    }
}

fn answered(url: &str, seen: &Readiness) -> Vec<Finding> {
    let check = "server";
    let mut findings = vec![match seen.reasons.as_str() {
        "" => Finding::ok(check, format!("{url} is ready")),
        reasons => {
            let next = "do what each reason says; the manual's `runbook` has more";
            Finding::new(check, Health::Failed, reasons, next)
        }
    }];
    if let Some(ahead_s) = seen.ahead_s {
        let found = format!("{ahead_s:+} s from this clock");
        findings.push(if ahead_s.abs() <= CLOCKS_APART_S_MAX {
            Finding::ok("server's clock", found)
        } else {
            let next = "synchronise both: an SVID ends by the clock of whoever checks it";
            Finding::new("server's clock", Health::Failed, found, next)
        });
    }
    let now = Reach::now();
    let next = "the server renews it at half its life: read its log, or restart it";
    let end = seen.not_after;
    findings.extend(end.map(|end| lives("server", end, now, SERVER_LEAST, next)));
    findings
}

fn read_trust(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let shown = path.display();
    let pem =
        fs::read(path).map_err(|error| UsageError(format!("cannot read `{shown}`: {error}")))?;
    Ok(read_roots(&pem, || format!("`{shown}`"))?)
}

pub(crate) fn tell_wait(endpoint: &Endpoint, wait: Seconds, screen: &mut Screen) {
    if let Some(end) = endpoint.not_after() {
        let left = end.since(Reach::now());
        if left <= wait {
            let words = format!("the certificate ends in {} s; waiting for it", left.count());
            screen.tick(&words);
        } else {
            screen.say(&format!(
                "the certificate lives for {} s, longer than `--wait`: its end is not tried",
                left.count()
            ));
        }
    }
}

fn session(report: &SessionReport) -> Finding {
    let check = report.session.word();
    if let Some(why) = &report.not_spoken {
        return Finding::ok(check, format!("not spoken: {why}"));
    }
    let next = "switch resumption off at the server, tickets and session ids; a certificate that \
                ended opens new connections until then";
    match (&report.at_once, &report.after_end) {
        (_, Resumed::Accepted) => {
            let found = "a session of an ended certificate was resumed";
            Finding::new(check, Health::Failed, found, next)
        }
        (Resumed::Accepted, Resumed::NotTried) => {
            let found = "sessions are resumed; whether past the end was not tried";
            Finding::new(check, Health::Failed, found, next)
        }
        (Resumed::Accepted, Resumed::FullHandshake | Resumed::Refused(_)) => {
            let found = "sessions are resumed, but not past the end of the certificate";
            Finding::new(check, Health::Warning, found, next)
        }
        (Resumed::FullHandshake | Resumed::NotTried, _) => {
            Finding::ok(check, "every connection is a full handshake")
        }
        (Resumed::Refused(why), _) => {
            let next = "try again: a second connection should be as good as the first";
            Finding::new(
                check,
                Health::Unknown,
                format!("second connection: {why}"),
                next,
            )
        }
    }
}

fn expiry(report: &ExpiryReport) -> Vec<Finding> {
    let at = |ms: i64| format!("{ms:+} ms");
    let end = match report.end {
        ConnectionEnd::Closed(ms) => format!("closed by the proxy at {}", at(ms)),
        ConnectionEnd::Open => "open when the probe ended".to_owned(),
        ConnectionEnd::Silent(ms) => format!("no answer from {} on", at(ms)),
    };
    let refused = match report.refused {
        None => "none".to_owned(),
        Some((ms, status)) => format!("{status} at {}", at(ms)),
    };
    let mut findings = vec![
        Finding::ok("certificate", format!("ended at {}", report.not_after)),
        Finding::ok("connection", end),
        Finding::ok("first refusal", refused),
    ];
    let check = "last success";
    findings.push(match report.last_served_ms {
        None => Finding::new(
            check,
            Health::Unknown,
            "no request succeeded, also while the certificate lived",
            "name a `--path` and `--host` that this certificate opens",
        ),
        Some(ms) if ms <= LATE_MS_MAX => Finding::ok(
            check,
            format!("{} after notAfter, of {} in all", at(ms), report.served),
        ),
        Some(ms) => Finding::new(
            check,
            Health::Failed,
            format!("{} after notAfter: an ended right goes on", at(ms)),
            "check notAfter for every request and bound connections, as deploy/demo/server.yaml",
        ),
    });
    findings
}

/// The last second is inclusive (RFC 5280 4.1.2.5).
const LATE_MS_MAX: i64 = 1_000;
/// The header that tells the time has whole seconds.
const CLOCKS_APART_S_MAX: i64 = 2;
/// It lives 12 h and is renewed at half.
const SERVER_LEAST: Seconds = Seconds::new(4 * 3_600);
