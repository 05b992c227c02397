//! The disk: space, kind, and how long a flush takes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use crate::server::doctor::{Finding, Health};
use crate::time::Stopwatch;

pub(super) fn examine(data: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    match statvfs(data) {
        Err(error) => {
            let found = format!("cannot be asked: {error}");
            findings.push(Finding::new(SPACE, Health::Unknown, found, ""));
        }
        Ok(seen) => {
            findings.push(space(seen.f_bavail.saturating_mul(seen.f_frsize)));
            if seen.f_flag.contains(StatVfsMountFlags::RDONLY) {
                let next = "mount it writable; a disk with faults goes read-only by itself";
                findings.push(Finding::new(
                    KIND,
                    Health::Failed,
                    "mounted read-only",
                    next,
                ));
            }
        }
    }
    if let Ok(seen) = statfs(data) {
        let kind = u64::try_from(seen.f_type).unwrap_or_default();
        findings.push(system(kind));
    }
    findings.push(flush(data));
    findings
}

fn space(bytes: u64) -> Finding {
    let found = format!("{} MiB free", bytes >> 20);
    if bytes < SPACE_BYTES_LEAST {
        Finding::new(
            SPACE,
            Health::Failed,
            found,
            "make room: without it nothing is minted",
        )
    } else if bytes < SPACE_BYTES_WANTED {
        Finding::new(
            SPACE,
            Health::Warning,
            found,
            "make room; the ledger only grows",
        )
    } else {
        Finding::ok(SPACE, found)
    }
}

/// By the number that each file system bears (statfs(2)).
fn system(kind: u64) -> Finding {
    let known = |health, found: &str, next: &str| Finding::new(KIND, health, found, next);
    let network = "locks and flushes of network file systems cannot be relied on: use a local disk";
    match kind {
        0x6969 => known(Health::Failed, "NFS", network),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => known(Health::Failed, "SMB", network),
        0x0102_1997 => known(Health::Warning, "9p", network),
        0x6573_5546 => known(Health::Warning, "FUSE", network),
        0x0102_1994 | 0x8584_58F6 => known(
            Health::Warning,
            "memory",
            "all of it is gone with the machine: use a disk",
        ),
        0x794C_7630 => known(
            Health::Warning,
            "overlay",
            "it goes with its container: mount a volume for the data directory",
        ),
        _ => Finding::ok(KIND, format!("file system {kind:#x}, no network")),
    }
}

/// The median of a few small writes, each made durable, as a commit does.
fn flush(data: &Path) -> Finding {
    let check = "disk flush";
    let path = data.join(PROBE_FILE);
    let measured = flushes(&path);
    let removed = fs::remove_file(&path);
    let mut seconds = match measured.and_then(|seconds| removed.map(|()| seconds)) {
        Ok(seconds) => seconds,
        Err(error) => {
            let next = "look at the mount and at who owns the directory";
            return Finding::new(
                check,
                Health::Failed,
                format!("cannot write: {error}"),
                next,
            );
        }
    };
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let found = format!("{:.1} ms", median * 1_000.0);
    if median < FLUSH_S_MAX {
        Finding::ok(check, found)
    } else {
        let next = "every group of acts waits for one flush: find a faster disk or its neighbour";
        Finding::new(check, Health::Warning, found, next)
    }
}

fn flushes(path: &Path) -> io::Result<Vec<f64>> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    let mut seconds = Vec::new();
    for _ in 0..FLUSHES {
        let watch = Stopwatch::start();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        seconds.push(watch.seconds());
    }
    Ok(seconds)
}

const SPACE: &str = "disk space";
const KIND: &str = "disk kind";
const PROBE_FILE: &str = ".doctor";
const FLUSHES: usize = 9;
const FLUSH_S_MAX: f64 = 0.05;
const SPACE_BYTES_LEAST: u64 = 64 << 20;
const SPACE_BYTES_WANTED: u64 = 1 << 30;
