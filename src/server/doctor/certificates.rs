//! The certificates of the authority: how long each issuer still lives.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::config::ServerConfig;
use crate::server::doctor::files::chain;
use crate::server::doctor::{Finding, Health};
use crate::server::start::AUTHORITY_DIRECTORY;
use crate::time::{Seconds, Timestamp};
use crate::x509::{Certificate, read_chain};

pub(super) fn examine(config: Option<&ServerConfig>, data: &Path, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Of an issuer several generations lie there: `<issuer>-<key>.pem`.
    let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
    let entries = fs::read_dir(data.join(AUTHORITY_DIRECTORY))
        .into_iter()
        .flatten()
        .flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|end| end != "pem") {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let issuer = name.split('-').next().unwrap_or(name).to_owned();
        match end_of(&path) {
            Ok(end) => {
                let known = newest.entry(issuer).or_insert(end);
                *known = end.max(*known);
            }
            Err(why) => {
                let found = format!("`{}`: {why}", path.display());
                let next = "restore the file from where secrets are kept";
                findings.push(Finding::new(CHECK, Health::Failed, found, next));
            }
        }
    }
    for (issuer, end) in newest {
        findings.push(if issuer == ROOT {
            lives(
                "root",
                end,
                now,
                YEAR_PART,
                "plan a new root, and new trust in the mesh",
            )
        } else {
            let next = "a running server renews it; the next start makes a new one";
            lives(&issuer, end, now, RENEWED_BEFORE, next)
        });
    }
    if let Some((_, path)) = config.and_then(|config| config.issuer.as_ref()) {
        findings.push(match end_of(path) {
            Ok(end) => lives(
                "brought issuer",
                end,
                now,
                WEEK,
                "bring the next one, and restart",
            ),
            Err(why) => {
                let found = format!("`{}`: {why}", path.display());
                Finding::new(CHECK, Health::Failed, found, "correct `issuer_chain`")
            }
        });
    }
    findings
}

/// A finding about how long a certificate lives, `least` being when to act.
#[must_use]
pub fn lives(name: &str, end: Timestamp, now: Timestamp, least: Seconds, next: &str) -> Finding {
    let found = format!("{name} ends at {end}");
    if end < now {
        Finding::new(
            CHECK,
            Health::Warning,
            format!("{found}, which is past"),
            next,
        )
    } else if end.since(now) < least {
        Finding::new(CHECK, Health::Warning, found, next)
    } else {
        Finding::ok(CHECK, found)
    }
}

fn end_of(path: &Path) -> Result<Timestamp, String> {
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let chain_of = read_chain(&pem).map_err(|error| chain(&error))?;
    let first: Option<&Certificate> = chain_of.first();
    first
        .map(|one| one.tbs().not_after)
        .ok_or_else(|| "no certificate in it".to_owned())
}

const CHECK: &str = "certificate";
const ROOT: &str = "root";
/// Intermediates are renewed at 45 % of 24 h: less than this is left only where nobody renews.
const RENEWED_BEFORE: Seconds = Seconds::new(10 * 3_600);
const WEEK: Seconds = Seconds::new(7 * 86_400);
/// New trust takes a mesh months.
const YEAR_PART: Seconds = Seconds::new(180 * 86_400);
