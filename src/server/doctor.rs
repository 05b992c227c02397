//! What can be wrong with the place where a server is to run, or runs.
//!
//! Promises: every finding names what was looked at, how it is, and the next step where there is
//! one; nothing is changed but for one small file that is written, flushed and removed to measure
//! the disk.
//! Refuses: to guess: what cannot be known from here is `unknown`, never `ok`.

mod certificates;
mod disk;
mod files;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::config::ServerConfig;
use crate::server::doctor::files::chain;
use crate::server::start::STORE_FILE;
use crate::store::sqlite::checkup;
use crate::time::{Clock, Reading, Seconds};

pub use crate::server::doctor::certificates::lives;
pub use crate::server::doctor::files::configuration;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub check: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing.
    pub next: String,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It stands in the way.
    Failed,
    /// As it should be.
    Ok,
    /// It cannot be known from here.
    Unknown,
    /// It will stand in the way, or lets in who should not be.
    Warning,
}

impl Health {
    /// The word for people and programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
        }
    }
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Health::Ok, found, "")
    }

    /// Anything else.
    pub fn new(
        check: &'static str,
        health: Health,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            check,
            health,
            found: found.into(),
            next: next.into(),
        }
    }
}

/// Looks at the data directory `data`, and at the rest that `config` names, if it is given.
pub fn examine(config: Option<&ServerConfig>, data: &Path, clock: &dyn Clock) -> Vec<Finding> {
    let begun = clock.read();
    let mut findings = files::examine(config, data);
    if data.is_dir() {
        findings.extend(disk::examine(data));
        findings.extend(store(&data.join(STORE_FILE), begun));
        findings.extend(certificates::examine(config, data, begun.wall));
    }
    if let Some(config) = config {
        let doors = [
            ("port `listen`", Some(config.listen)),
            ("port `observe`", config.observe),
        ];
        for (check, address) in doors {
            findings.extend(address.map(|address| port(check, address)));
        }
    }
    findings.push(clocks(begun, clock.read()));
    findings.push(synchronised());
    findings
}

fn store(path: &Path, begun: Reading) -> Vec<Finding> {
    let check = "store";
    if !path.exists() {
        let found = format!("`{}` is not there", path.display());
        return vec![Finding::new(
            check,
            Health::Unknown,
            found,
            "the first start makes it",
        )];
    }
    let seen = match checkup(path) {
        Ok(seen) => seen,
        Err(error) => {
            let next = "read the words; for damage: keep the file and restore the last copy";
            let words = chain(&error);
            return vec![Finding::new(check, Health::Failed, words, next)];
        }
    };
    let who = if seen.served {
        "a server holds it"
    } else {
        "no server holds it"
    };
    let found = format!(
        "no damage found; schema {}, write-ahead log {}, {who}; every writer sets synchronous FULL",
        seen.schema,
        if seen.wal { "on" } else { "off" }
    );
    let mut findings = vec![if seen.wal {
        Finding::ok(check, found)
    } else {
        let next = "another program changed it; the next start sets it back";
        Finding::new(check, Health::Warning, found, next)
    }];
    if let Some((number, at)) = seen.newest {
        let ahead = at.since(begun.wall);
        let found = format!("event {number} of {at}");
        findings.push(if AHEAD_MAX < ahead {
            let next = "the clock is behind the ledger: correct it, or `protem clock accept`";
            Finding::new("newest event", Health::Failed, found, next)
        } else {
            Finding::ok("newest event", found)
        });
    }
    findings
}

fn port(check: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::new(
            check,
            Health::Unknown,
            format!("somebody listens on {address}"),
            "where the server is not running, name another port or end the other program",
        ),
        Err(error) => Finding::new(
            check,
            Health::Failed,
            format!("cannot listen on {address}: {error}"),
            "name an address of this machine and a port above 1023",
        ),
    }
}

/// Whether wall and boot clock went on together while everything else was looked at.
fn clocks(begun: Reading, ended: Reading) -> Finding {
    let wall_ms = ended.wall.unix_ms().saturating_sub(begun.wall.unix_ms());
    let boot_ms = ended.boot_ms.saturating_sub(begun.boot_ms);
    let apart_ms = wall_ms.saturating_sub(boot_ms);
    let found = format!("{}, {apart_ms} ms apart from the boot clock", ended.wall);
    if apart_ms.abs() <= APART_MS_MAX {
        Finding::ok("clock", found)
    } else {
        let next = "somebody sets the clock by jumps; let a time service slew it";
        Finding::new("clock", Health::Warning, found, next)
    }
}

/// systemd-timesyncd leaves a mark; other services leave none that can be read without rights.
fn synchronised() -> Finding {
    let check = "time service";
    if Path::new(TIMESYNC_MARK).exists() {
        return Finding::ok(check, "systemd-timesyncd has synchronised the clock");
    }
    let next = "`timedatectl` or `chronyc tracking` tells whether the clock is synchronised";
    Finding::new(check, Health::Unknown, "no mark of systemd-timesyncd", next)
}

/// How far the newest event may lie ahead: the same as a start tolerates.
const AHEAD_MAX: Seconds = Seconds::new(5);
const APART_MS_MAX: i64 = 100;
const TIMESYNC_MARK: &str = "/run/systemd/timesync/synchronized";
