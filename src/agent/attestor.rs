//! Who is calling on a local socket: one process, and what the kernel attests of it.
//!
//! ```text
//! accept --SO_PEERCRED, SO_PEERPIDFD--> Peer --/proc, twice alike, alive all along--> selectors
//! ```
//!
//! Promises: selectors are of the process that connected, at one moment at which it lived. A
//! process that is gone, or that has another user or group than when it connected, has none; so a
//! connection that was handed on cannot gain by a set-user-ID program. What cannot be told for
//! certain is left out: that only takes rights away. Numbers of users are those of this agent's
//! user namespace. Selectors are never logged.
//! Refuses: callers of another pid namespace, and users that have no number here.
//!
//! Known limits. The peer is who connected: a process that passes its connection on speaks for
//! whoever holds it, until it ends (assurance G4). Among processes of one user, `unix:path` and
//! `unix:sha256` tell which file runs, not which code: who may trace a process or choose its
//! environment may be it. For a script they tell the interpreter.

mod cgroup;
mod executable;
mod names;
mod needs;
mod peer;
mod proc_folder;
mod together;
mod turns;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::agent::rarely::Rarely;
use crate::identity::Selector;
use crate::metric::{Counter, One, Sheet, agent_table};
use crate::time::Clock;

use crate::agent::attestor::cgroup::belonging;
use crate::agent::attestor::executable::{Digests, Reading, Seen};
use crate::agent::attestor::names::{Names, Number};
use crate::agent::attestor::proc_folder::{Folder, Glance, Proc};
use crate::agent::attestor::together::Lines;
use crate::agent::attestor::turns::Turns;

pub(crate) use crate::agent::attestor::needs::Needs;
pub(crate) use crate::agent::attestor::peer::Peer;

/// What all attesting of one agent shares.
pub(crate) struct Attestor {
    proc: Proc,
    /// Who has no number of his own here.
    strangers: Option<(u32, u32)>,
    needs: watch::Sender<Needs>,
    /// Each look opens files: not as many at once as there are callers.
    looks: Turns,
    glances: Turns,
    lines: Lines,
    digests: Digests,
    names: Names,
    clock: Arc<dyn Clock>,
    /// Of callers who could not be attested.
    rarely: Rarely,
    failed: One<Counter>,
    /// Off in a test that stands for an older kernel.
    asks_peer_pidfd: bool,
}

/// Why a caller has no selectors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttestError {
    /// It is not the user or group any more that connected, or changes all the time.
    #[error("the caller is not who it was when it connected; let it connect again")]
    Changed,
    /// Its number is not visible here.
    #[error(
        "the caller is in another pid namespace; run the agent in that of the host (in Kubernetes \
         `hostPID: true`)"
    )]
    Elsewhere,
    /// This process has no file descriptor left.
    #[error("the agent may not open more files; raise its limit (`LimitNOFILE=`)")]
    Files(#[source] io::Error),
    /// The process has ended.
    #[error("the caller is gone")]
    Gone,
    /// It took too long.
    #[error("the caller could not be attested in time; try again")]
    Late,
    /// The directory of users failed.
    #[error("the names of users and groups can't be looked up; check the host's nsswitch.conf")]
    Names(#[source] io::Error),
    /// `/proc` keeps it secret.
    #[error(
        "`{what}` of the caller can't be read; run the agent as root, and mount /proc without \
         `hidepid`"
    )]
    NotReadable {
        /// Of `/proc/PID`.
        what: &'static str,
        /// Why.
        #[source]
        fault: io::Error,
    },
    /// The kernel does not name the process, and its number may have passed on.
    #[error("this kernel does not tell for certain who called; call again a moment later")]
    Uncertain,
    /// The user or group has no number in the agent's user namespace.
    #[error("the caller's user or group is not mapped in the agent's user namespace")]
    Unmapped,
}

impl Attestor {
    /// Opens `/proc`; executables of more than `sha256_bytes_max` get no `unix:sha256`. Until
    /// [`Attestor::need`] is told better, the dear selectors are not made.
    ///
    /// # Errors
    /// When `/proc` is not that of this process.
    pub(crate) fn new(sha256_bytes_max: u64, clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        Self::open(sha256_bytes_max, clock, true).map(Arc::new)
    }

    fn open(
        sha256_bytes_max: u64,
        clock: Arc<dyn Clock>,
        asks_peer_pidfd: bool,
    ) -> io::Result<Self> {
        let proc = Proc::open()?;
        Ok(Self {
            strangers: proc.strangers()?,
            proc,
            needs: watch::Sender::default(),
            looks: Turns::new(LOOKS_AT_ONCE_MAX, LOOKS_OF_UID_MAX),
            glances: Turns::new(GLANCES_AT_ONCE_MAX, GLANCES_OF_UID_MAX),
            lines: Lines::default(),
            digests: Digests::new(sha256_bytes_max),
            names: Names::new(),
            clock,
            rarely: Rarely::default(),
            failed: agent_table::NOT_ATTESTED.counter(),
            asks_peer_pidfd,
        })
    }

    /// Says which of the dear selectors are of use from now on.
    pub(crate) fn need(&self, needs: Needs) {
        self.needs.send_if_modified(|before| {
            let changed = *before != needs;
            *before = needs;
            changed
        });
    }

    /// What is needed, and each change of it: who attested before a change attests again.
    pub(crate) fn needs(&self) -> watch::Receiver<Needs> {
        self.needs.subscribe()
    }

    /// Puts what is counted on a sheet.
    pub(crate) fn on(&self, sheet: &mut Sheet) {
        self.failed.on(sheet);
    }

    /// The clock of all this.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    async fn attest(&self, peer: &Peer) -> Result<Arc<BTreeSet<Selector>>, AttestError> {
        let steady = async {
            for _ in 0..TRIES_MAX {
                if let Some(selectors) = self.attest_once(peer).await? {
                    return Ok(Arc::new(selectors.0));
                }
            }
            Err(AttestError::Changed)
        };
        let in_turn = async {
            let turn = self.looks.take(peer.uid()).await;
            let _turn = turn.ok_or(AttestError::Late)?;
            let within = tokio::time::timeout(ATTEST_TIME_MAX, steady).await;
            within.map_err(|_| AttestError::Late)?
        };
        let within = tokio::time::timeout(TURN_TIME_MAX, in_turn).await;
        within.map_err(|_| AttestError::Late)?
    }

    /// None where the process became another one while it was looked at.
    async fn attest_once(&self, peer: &Peer) -> Result<Option<Selectors>, AttestError> {
        let needs = *self.needs.borrow();
        let folder = Arc::new(peer.folder(&self.proc)?);
        let before = self.glance(peer, &folder).await?;
        let mut selectors = Selectors::default();
        selectors.add_glance(&before);
        let path = before.executable.as_deref();
        let path = path.filter(|_| needs.executable());
        let seen = match path {
            Some(path) => self.digests.look(&folder, path, peer.uid()).await?,
            None => None,
        };
        if let Some(seen) = seen {
            let added = self.add_executable(&mut selectors, peer, &folder, &before, seen, needs);
            if !added.await? {
                return Ok(None);
            }
        }
        if needs.names {
            self.add_names(&mut selectors, &before).await?;
        }
        if let Some(path) = path
            && self.digests.look(&folder, path, peer.uid()).await? != seen
        {
            return Ok(None);
        }
        let after = self.glance(peer, &folder).await?;
        Ok((before == after).then_some(selectors))
    }

    async fn glance(&self, peer: &Peer, folder: &Arc<Folder>) -> Result<Glance, AttestError> {
        let turn = self.glances.take(peer.uid()).await;
        let turn = turn.ok_or(AttestError::Late)?;
        let (folder, pidfd) = (Arc::clone(folder), peer.pidfd());
        let glance = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let glance = folder.glance();
            // What was read of a process that ended meanwhile may be of nobody.
            if Peer::has_ended(&pidfd) {
                return Err(AttestError::Gone);
            }
            glance
        });
        let glance = glance.await.map_err(|_| AttestError::Late)??;
        peer.check(&glance)?;
        Ok(glance)
    }

    /// Says whether the process ran the same file all the while.
    async fn add_executable(
        &self,
        selectors: &mut Selectors,
        peer: &Peer,
        folder: &Arc<Folder>,
        glance: &Glance,
        seen: Seen,
        needs: Needs,
    ) -> Result<bool, AttestError> {
        if needs.path && seen.is_here() {
            let path = glance.executable.as_deref().map(std::str::from_utf8);
            selectors.add("unix:path", path.and_then(Result::ok).unwrap_or_default());
        }
        let in_container = belonging(&glance.cgroup).container.is_some();
        if !needs.sha256 || !seen.reads_as_it_runs(in_container) {
            return Ok(true);
        }
        let now = self.clock.now();
        let reading = self.digests.digest(folder, seen, peer.uid(), now).await?;
        match reading {
            Reading::Changed => return Ok(false),
            Reading::Digest(digest) => {
                selectors.add("unix:sha256", crate::id::hex::text(&digest));
            }
            Reading::TooLarge | Reading::Unreadable => {
                tracing::debug!(pid = peer.pid(), ?reading, "a caller gets no unix:sha256");
            }
        }
        Ok(true)
    }

    async fn add_names(
        &self,
        selectors: &mut Selectors,
        glance: &Glance,
    ) -> Result<(), AttestError> {
        let groups = glance.groups.iter().take(GROUPS_MAX);
        let numbers = [Number::Uid(glance.uid), Number::Gid(glance.gid)].into_iter();
        let numbers = numbers.chain(groups.map(|gid| Number::Gid(*gid))).collect();
        let boot_ms = self.clock.read().boot_ms;
        let names = self.names.of(numbers, glance.uid, boot_ms).await?;
        let kinds = ["unix:user", "unix:group"].into_iter();
        let kinds = kinds.chain(std::iter::repeat("unix:supplementary_group"));
        for (kind, name) in kinds.zip(names) {
            if let Some(name) = name {
                selectors.add(kind, name);
            }
        }
        Ok(())
    }
}

/// Selectors that are being gathered.
#[derive(Debug, Default)]
struct Selectors(BTreeSet<Selector>);

impl Selectors {
    /// Adds one; what is no legal selector is left out.
    fn add(&mut self, kind: &str, value: impl Display) {
        if let Ok(selector) = format!("{kind}:{value}").parse() {
            self.0.insert(selector);
        } else {
            tracing::debug!(kind, "a property is no legal selector: it is left out");
        }
    }

    fn add_glance(&mut self, glance: &Glance) {
        self.add("unix:uid", glance.uid);
        self.add("unix:gid", glance.gid);
        for gid in glance.groups.iter().take(GROUPS_MAX) {
            self.add("unix:supplementary_gid", gid);
        }
        let belonging = belonging(&glance.cgroup);
        if let Some(unit) = belonging.unit {
            self.add("systemd:id", unit);
        }
        if let Some(container) = belonging.container {
            self.add("container:id", container);
        }
    }
}

/// Executables of more bytes have no `unix:sha256` unless the configuration says otherwise: some
/// seconds of reading.
#[cfg(test)]
pub(crate) const SHA256_BYTES_MAX: u64 = 512 * 1_024 * 1_024;
/// How long it is looked at one caller.
const ATTEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a caller waits for his selectors, with others of his user before him.
const TURN_TIME_MAX: Duration = Duration::from_secs(30);
/// How often a process that changes while it is looked at is looked at anew.
const TRIES_MAX: usize = 3;
/// Supplementary groups that are told, the least first.
const GROUPS_MAX: usize = 1_024;
/// Callers that are looked at at once.
const LOOKS_AT_ONCE_MAX: usize = 128;
const LOOKS_OF_UID_MAX: usize = 32;
/// Processes that are read at once.
const GLANCES_AT_ONCE_MAX: usize = 32;
const GLANCES_OF_UID_MAX: usize = 8;

#[cfg(test)]
mod tests;
