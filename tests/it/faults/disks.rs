//! Disks that fill up or take no change: refused in words, told by `/readyz`, and over without a
//! restart when the disk is well again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fuser::Errno;
use protem::wire::problem::ProblemKind;
use protem::wire::token::TokenRequest;

use crate::crash::house::subject;
use crate::crash::stop;
use crate::faults::lossy::LossyDisk;
use crate::faults::site::{INTENTS, Site, Wish};

/// A file system of its own size in memory.
struct SmallDisk(PathBuf);

#[test]
fn a_disk_that_fills_up_refuses_first_what_is_new() {
    let mut disk = None;
    let (site, live) = Site::in_place(|place| disk = Some(SmallDisk::new(&place.directory)));
    let folder = disk.as_ref().unwrap().0.clone();
    site.until_unready(None);

    // Less than the reserve is left: nothing new is minted, but operators can act.
    fill(&folder.join("half"), 40);
    site.until_unready(Some("record anything new"));
    let before = site.count(INTENTS);
    let refused = site.ask(&Wish::new(1)).unwrap_err();
    assert_eq!(
        refused.problem(),
        Some(ProblemKind::Unavailable),
        "{refused:?}"
    );
    assert_eq!(site.count(INTENTS), before);
    token(&site).unwrap();

    // Nothing is left at all, not even for a page in the log.
    fill(&folder.join("rest"), 64);
    let full = (0..200)
        .find_map(|_| token(&site).err())
        .expect("a full disk");
    assert_eq!(full.problem(), Some(ProblemKind::Unavailable), "{full:?}");
    let refused = site.ask(&Wish::new(2)).unwrap_err();
    assert_eq!(
        refused.problem(),
        Some(ProblemKind::Unavailable),
        "{refused:?}"
    );

    fs::remove_file(folder.join("half")).unwrap();
    fs::remove_file(folder.join("rest")).unwrap();
    site.until_unready(None);
    site.ask(&Wish::new(3)).unwrap();
    stop(live);
    site.is_whole();
    drop(disk);
}

#[test]
fn a_disk_that_takes_no_change_is_told_and_made_up_for() {
    for error in [Errno::EROFS, Errno::ENOSPC, Errno::EIO] {
        let disk = LossyDisk::new();
        let mut mounted = None;
        let (site, live) = Site::in_place(|place| {
            fs::create_dir(&place.directory).unwrap();
            mounted = Some(disk.mount(&place.directory));
        });
        site.until_unready(None);
        disk.close(Some(error));
        let refused = site.ask(&Wish::new(1)).unwrap_err();
        assert_eq!(
            refused.problem(),
            Some(ProblemKind::Unavailable),
            "{refused:?}"
        );
        site.until_unready(Some("the store cannot"));
        disk.close(None);
        site.until_unready(None);
        site.ask(&Wish::new(2)).unwrap();
        stop(live);
        site.is_whole();
        drop(mounted);
    }
}

#[test]
fn a_start_on_a_disk_that_takes_no_change_is_refused() {
    let mut disk = None;
    let (site, live) = Site::in_place(|place| disk = Some(SmallDisk::new(&place.directory)));
    stop(live);
    let disk = disk.unwrap();
    disk.remount("ro");
    let (status, said) = site.house.place.start().ended();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(
        said.join("\n").contains("Read-only file system"),
        "{said:#?}"
    );
    disk.remount("rw");
    stop(site.house.place.serve());
    site.is_whole();
    drop(disk);
}

impl SmallDisk {
    /// Mounts 64 MiB at a folder, which it makes.
    fn new(at: &Path) -> Self {
        fs::create_dir(at).unwrap();
        as_root(
            &["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"],
            at,
        );
        Self(at.to_owned())
    }

    fn remount(&self, how: &str) {
        as_root(&["mount", "-o", &format!("remount,{how}")], &self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(&["umount", "-l"], &self.0);
    }
}

/// Runs a command that only root may, with the folder as its last word.
#[track_caller]
fn as_root(words: &[&str], folder: &Path) {
    let root = rustix::process::geteuid().is_root();
    let words = if root {
        words.to_vec()
    } else {
        [&["sudo", "-n"], words].concat()
    };
    let done = Command::new(words[0])
        .args(&words[1..])
        .arg(folder)
        .status();
    let done = done.is_ok_and(|status| status.success());
    assert!(
        done,
        "{words:?} failed: small disks need root, or sudo without a question"
    );
}

/// Writes so many MiB, or what there is room for.
fn fill(path: &Path, mib: usize) {
    let mut file = fs::File::create(path).unwrap();
    for _ in 0..mib * 256 {
        if std::io::Write::write_all(&mut file, &[7; 4_096]).is_err() {
            return;
        }
    }
}

fn token(site: &Site) -> Result<(), protem::client::ClientError> {
    let request = TokenRequest {
        subject: subject(0),
        ttl: None,
    };
    site.operate(async |operator| operator.create_token(&request).await.map(|_| ()))
}
