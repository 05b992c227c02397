//! Owners and modes: who else could read a key or change a file.

use std::error::Error;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::ServerConfig;
use crate::server::doctor::{Finding, Health};
use crate::server::start::{AUTHORITY_DIRECTORY, OPERATOR_FILE, STORE_FILE};

pub(super) fn examine(config: Option<&ServerConfig>, data: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = match fs::metadata(data) {
        Ok(folder) if folder.is_dir() => folder,
        Ok(_) => {
            let found = format!("`{}` is no directory", data.display());
            let next = "name another `data`, or move the file away";
            findings.push(Finding::new(DIRECTORY, Health::Failed, found, next));
            return findings;
        }
        Err(error) => {
            let found = format!("`{}`: {error}", data.display());
            let next = "the first start makes it; its parent must be the server's to write";
            findings.push(Finding::new(DIRECTORY, Health::Unknown, found, next));
            return findings;
        }
    };
    findings.push(directory(data, &folder));
    let authority = data.join(AUTHORITY_DIRECTORY);
    if let Ok(found) = fs::metadata(&authority) {
        findings.push(directory(&authority, &found));
    }
    let mut secrets = vec![data.join(OPERATOR_FILE)];
    secrets.extend(["", "-wal", "-shm"].map(|end| data.join(format!("{STORE_FILE}{end}"))));
    secrets.extend(keys(&authority));
    secrets.extend(
        config
            .and_then(|config| config.issuer.clone())
            .map(|(key, _)| key),
    );
    let before = findings.len();
    for path in &secrets {
        // What is not there is another look's finding.
        let Ok(seen) = fs::metadata(path) else {
            continue;
        };
        // What lies elsewhere, a brought issuer, may be somebody else's.
        let owner = path.starts_with(data).then(|| folder.uid());
        findings.extend(secret(path, &seen, owner));
    }
    if findings.len() == before {
        findings.push(Finding::ok(
            SECRETS,
            "only their owner reads keys, store and credential",
        ));
    }
    findings
}

fn directory(path: &Path, seen: &Metadata) -> Finding {
    let (mode, own) = (seen.mode() & 0o777, rustix::process::geteuid().as_raw());
    let found = format!(
        "`{}`, mode {mode:04o}, owner {}",
        path.display(),
        seen.uid()
    );
    let shown = path.display();
    if mode & OTHERS_WRITE != 0 {
        let next = format!("chmod 700 {shown}");
        return Finding::new(DIRECTORY, Health::Failed, found, next);
    }
    if own != 0 && own != seen.uid() {
        let next = format!("run the server as user {}, or chown -R {shown}", seen.uid());
        return Finding::new(DIRECTORY, Health::Failed, found, next);
    }
    if mode & OTHERS_ANY != 0 {
        let next = format!("chmod 700 {shown}");
        return Finding::new(DIRECTORY, Health::Warning, found, next);
    }
    Finding::ok(DIRECTORY, found)
}

/// What is wrong with one secret file, which should be `owner`'s.
fn secret(path: &Path, seen: &Metadata, owner: Option<u32>) -> Option<Finding> {
    let mode = seen.mode() & 0o777;
    let shown = path.display();
    if mode & OTHERS_ANY != 0 {
        let found = format!("`{shown}` has mode {mode:04o}: others may read it");
        let next = format!("chmod 600 {shown}; if others are on this machine, replace the secret");
        return Some(Finding::new(SECRETS, Health::Failed, found, next));
    }
    let owner = owner.filter(|owner| *owner != seen.uid())?;
    let found = format!(
        "`{shown}` belongs to user {}, its directory to {owner}",
        seen.uid()
    );
    let next = format!("chown {owner} {shown}");
    Some(Finding::new(SECRETS, Health::Failed, found, next))
}

fn keys(authority: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(authority).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "key"))
        .collect()
}

/// The configuration itself: who may change it decides what the server does.
#[must_use]
pub fn configuration(path: &Path) -> Finding {
    let check = "configuration";
    let seen = match fs::metadata(path) {
        Ok(seen) => seen,
        Err(error) => {
            let found = format!("`{}`: {error}", path.display());
            return Finding::new(check, Health::Failed, found, "name the file with --config");
        }
    };
    match ServerConfig::read(path) {
        Err(error) => Finding::new(check, Health::Failed, chain(&error), "correct the file"),
        Ok(_) if seen.mode() & OTHERS_WRITE != 0 => {
            let found = format!("others may write to `{}`", path.display());
            let next = format!("chmod go-w {}", path.display());
            Finding::new(check, Health::Failed, found, next)
        }
        Ok(_) => Finding::ok(check, format!("`{}` is read", path.display())),
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

const DIRECTORY: &str = "directory";
const SECRETS: &str = "secret files";
const OTHERS_WRITE: u32 = 0o022;
const OTHERS_ANY: u32 = 0o077;
