//! The process at the other end of one connection.
//!
//! The kernel tells who connected: user, group and number as of that moment, and a pidfd, which
//! means that process for ever. A kernel before 6.5 tells no pidfd; then the number is opened, and
//! a process that is so young that the number may have been another's is refused.
//!
//! Promises: a peer means one process; when it ends, that is seen at once.
//! Refuses: to take a number for a process.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use crate::agent::attestor::proc_folder::{self, Folder, Glance, Proc};
use crate::agent::attestor::together::{Line, Shown, Who};
use crate::agent::attestor::{AttestError, Attestor};
use crate::id::Holder;
use crate::identity::Selector;

/// Who is at the other end.
pub(crate) struct Peer {
    pid: u32,
    uid: u32,
    gid: u32,
    began: u64,
    root_of_host: bool,
    pidfd: Arc<AsyncFd<OwnedFd>>,
    /// With all other connections of the process.
    line: Arc<Line>,
    attestor: Arc<Attestor>,
    /// What it showed last, and when in running milliseconds that was asked.
    lately: Mutex<Option<(i64, Arc<BTreeSet<Selector>>)>>,
}

impl Attestor {
    /// Learns who connected a Unix socket that was accepted just now; `waited` says that he may
    /// have stood in line for long. To be called where a runtime is.
    ///
    /// # Errors
    /// When he is gone, or cannot be told for certain.
    pub(crate) fn meet(
        self: &Arc<Self>,
        socket: &impl AsFd,
        waited: bool,
    ) -> Result<Peer, AttestError> {
        let told = getsockopt(socket, sockopt::PeerCredentials);
        let told = told.map_err(|fault| unreadable(fault, "credentials"))?;
        let (uid, gid) = (told.uid(), told.gid());
        let pid = u32::try_from(told.pid()).unwrap_or(0);
        if pid == 0 {
            return Err(AttestError::Elsewhere);
        }
        if let Some((stranger, strange)) = self.strangers
            && (uid == stranger || gid == strange)
        {
            return Err(AttestError::Unmapped);
        }
        let named = self
            .asks_peer_pidfd
            .then(|| getsockopt(socket, sockopt::PeerPidfd));
        let (pidfd, certain) = match named {
            Some(Ok(pidfd)) => (pidfd, true),
            Some(Err(Errno::ENOPROTOOPT)) | None => (open(told.pid())?, false),
            Some(Err(fault)) => return Err(unreadable(fault, "pidfd")),
        };
        let folder = self.proc.folder(pid, pidfd.as_fd())?;
        let began = folder.began()?;
        // Who cannot be told is like everybody.
        let root_of_host = uid == ROOT && !folder.is_in_container().unwrap_or(true);
        if !certain && (waited || self.is_young(began)) {
            return Err(AttestError::Uncertain);
        }
        let pidfd = watched(pidfd).map_err(AttestError::Files)?;
        let who = Who {
            pid,
            began,
            uid,
            gid,
        };
        Ok(Peer {
            line: self.lines.of(who),
            pid,
            uid,
            gid,
            began,
            root_of_host,
            pidfd: Arc::new(pidfd),
            attestor: Arc::clone(self),
            lately: Mutex::default(),
        })
    }

    /// Whether the process began so lately that another may have had its number when the
    /// connection was made. Numbers come round only after thousands of other processes.
    pub(super) fn is_young(&self, began: u64) -> bool {
        let began_ms = i64::try_from(began).unwrap_or(i64::MAX);
        let began_ms = began_ms.saturating_mul(MS_PER_TICK);
        self.clock.read().boot_ms < began_ms.saturating_add(YOUNG_MS)
    }
}

impl Peer {
    /// Its number here; for logs.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The user that connected.
    pub(crate) const fn uid(&self) -> u32 {
        self.uid
    }

    /// The group that connected.
    #[cfg(test)]
    pub(crate) const fn gid(&self) -> u32 {
        self.gid
    }

    /// When it began, in clock ticks since boot.
    #[cfg(test)]
    pub(crate) const fn began(&self) -> u64 {
        self.began
    }

    /// Whether root connected, and not from a container.
    pub(crate) const fn is_root_of_host(&self) -> bool {
        self.root_of_host
    }

    /// As elevations are bound to it.
    pub(crate) fn holder(&self) -> Holder {
        Holder::process(self.pid, self.began)
    }

    /// What it shows now: by a look that begins from here on, and that all share who ask for this
    /// process at the same time.
    ///
    /// # Errors
    /// When that can't be told for certain: then it has no rights.
    pub(crate) async fn attest(&self) -> Shown {
        let asked_ms = self.attestor.clock().read().boot_ms;
        let shows = self.line.ask(self.attestor.attest(self)).await?;
        let mut lately = self.lately.lock().await;
        // Who asked later may have been answered sooner.
        if lately.as_ref().is_none_or(|(of_ms, _)| *of_ms <= asked_ms) {
            *lately = Some((asked_ms, Arc::clone(&shows)));
        }
        Ok(shows)
    }

    /// What it shows now, or showed within the last second. Of many who ask at once, one looks.
    ///
    /// # Errors
    /// As [`Self::attest`].
    pub(crate) async fn attest_lately(&self) -> Shown {
        let mut lately = self.lately.lock().await;
        let now_ms = self.attestor.clock().read().boot_ms;
        if let Some((of_ms, shows)) = lately.as_ref()
            && now_ms < of_ms.saturating_add(LATELY_MS)
        {
            return Ok(Arc::clone(shows));
        }
        *lately = None;
        let shows = self.line.ask(self.attestor.attest(self)).await?;
        *lately = Some((now_ms, Arc::clone(&shows)));
        Ok(shows)
    }

    /// Counts that it could not be attested; where a line of the log is due, how many were kept
    /// back.
    pub(crate) fn failed(&self) -> Option<u64> {
        self.attestor.failed.add();
        self.attestor.rarely.due("attest", self.attestor.clock())
    }

    /// Ends when the process ends.
    #[cfg(test)]
    pub(crate) async fn ended(&self) {
        // An error means that the runtime is ending, and everything with it.
        let _ = self.pidfd.readable().await;
    }

    /// Whether it lives, as the kernel sees it now.
    pub(crate) fn lives(&self) -> bool {
        !Self::has_ended(&self.pidfd)
    }

    /// Ready when the process has ended; else `cx` is woken then. For one task alone: the
    /// connection's.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.pidfd.poll_read_ready(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn pidfd(&self) -> Arc<AsyncFd<OwnedFd>> {
        Arc::clone(&self.pidfd)
    }

    pub(super) fn has_ended(pidfd: &AsyncFd<OwnedFd>) -> bool {
        proc_folder::has_ended(pidfd.get_ref().as_fd())
    }

    pub(super) fn folder(&self, proc: &Proc) -> Result<Folder, AttestError> {
        proc.folder(self.pid, self.pidfd.get_ref().as_fd())
    }

    /// Whether what was seen is the process that connected, and still of that user and group. A
    /// process that has become another user's may be no more than a holder of the connection: its
    /// caller gave the other end away and then ran a set-user-ID program.
    pub(super) const fn check(&self, glance: &Glance) -> Result<(), AttestError> {
        if glance.began != self.began {
            return Err(AttestError::Gone);
        }
        if glance.uid != self.uid || glance.gid != self.gid {
            return Err(AttestError::Changed);
        }
        Ok(())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("pid", &self.pid)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("began", &self.began)
            .field("pidfd", &self.pidfd.as_raw_fd())
            .finish_non_exhaustive()
    }
}

#[expect(
    deprecated,
    reason = "its unsafe successor is for values whose descriptor may be closed or change under \
              it; an `OwnedFd` keeps one and the same open until it is dropped"
)]
fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

fn open(pid: i32) -> Result<OwnedFd, AttestError> {
    let pid = Pid::from_raw(pid).ok_or(AttestError::Gone)?;
    let opened = pidfd_open(pid, PidfdFlags::empty());
    opened.map_err(|fault| unreadable(Errno::from_raw(fault.raw_os_error()), "pidfd"))
}

fn unreadable(fault: Errno, what: &'static str) -> AttestError {
    match fault {
        Errno::EMFILE | Errno::ENFILE => AttestError::Files(fault.into()),
        // The ways in which kernels say that the process was reaped.
        Errno::ESRCH | Errno::EINVAL | Errno::ENODATA => AttestError::Gone,
        _ => AttestError::NotReadable {
            what,
            fault: fault.into(),
        },
    }
}

const ROOT: u32 = 0;
/// `USER_HZ` of every architecture that Rust builds for.
const MS_PER_TICK: i64 = 10;
/// How long what a process showed is taken for what it shows.
const LATELY_MS: i64 = 1_000;
/// Far longer than from connecting to being accepted, far shorter than numbers take to come round.
const YOUNG_MS: i64 = 100;
