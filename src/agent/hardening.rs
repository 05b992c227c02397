//! Keeps the agent's keys in memory, and its memory to itself.
//!
//! Promises: no core dumps, by limit and by `PR_SET_DUMPABLE`, which also keeps other processes of
//! the same user from tracing this one; new files are of their owner alone; memory is never swapped
//! out where the system allows to lock all of it, and a log line says what to do where not.
//! Refuses: to lock memory under a limit: a later allocation would fail and end the agent.

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// What became of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// It is never swapped out.
    Locked,
    /// Only a part may be locked, so none is.
    Limited,
    /// The system refused.
    Refused(Errno),
}

/// Why the agent is not safe to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HardeningError {
    /// A core dump would hold every key.
    #[error("core dumps can't be turned off")]
    Cores(#[source] Errno),
}

/// Hardens this process, once at its start, before any key is in it. Logs where memory could not be
/// locked.
///
/// # Errors
/// When core dumps cannot be turned off.
pub(crate) fn harden() -> Result<Memory, HardeningError> {
    umask(Mode::from_bits_truncate(OWNER_ONLY));
    forbid_dumps()?;
    let memory = lock_memory();
    match memory {
        Memory::Locked => {}
        Memory::Limited => {
            tracing::warn!("keys may be swapped out: the limit of locked memory is not infinite");
        }
        Memory::Refused(error) => {
            tracing::warn!(%error, "keys may be swapped out: the system locks no memory");
        }
    }
    Ok(memory)
}

fn forbid_dumps() -> Result<(), HardeningError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(HardeningError::Cores)?;
    set_dumpable(false).map_err(HardeningError::Cores)
}

fn lock_memory() -> Memory {
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_MEMLOCK) else {
        return Memory::Limited;
    };
    let raised = now == RLIM_INFINITY
        || (most == RLIM_INFINITY && setrlimit(Resource::RLIMIT_MEMLOCK, most, most).is_ok());
    let status = std::fs::read_to_string(OWN_STATUS).unwrap_or_default();
    if !raised && !may_pass_limit(&status) {
        return Memory::Limited;
    }
    // On fault: stacks and arenas are locked as they come into use, not in their whole size.
    let on_fault = MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    match mlockall(all) {
        Ok(()) => Memory::Locked,
        Err(Errno::ENOMEM) => Memory::Limited,
        Err(fault) => Memory::Refused(fault),
    }
}

/// Whether a process of this status has `CAP_IPC_LOCK`, which no limit binds.
fn may_pass_limit(status: &str) -> bool {
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits & CAP_IPC_LOCK != 0)
}

const OWNER_ONLY: u32 = 0o077;
const OWN_STATUS: &str = "/proc/self/status";
/// Capability 14 (capabilities(7)).
const CAP_IPC_LOCK: u64 = 1 << 14;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use nix::sys::prctl::get_dumpable;

    use super::*;
    use crate::agent::callers::by_itself;

    #[test]
    fn a_whole_process_is_hardened() {
        if !by_itself("agent::hardening::tests::a_whole_process_is_hardened") {
            return;
        }
        let memory = harden().unwrap();
        let status = std::fs::read_to_string(OWN_STATUS).unwrap();
        let locked = status
            .lines()
            .any(|line| line.starts_with("VmLck:") && line.split_whitespace().nth(1) != Some("0"));
        assert_eq!(memory == Memory::Locked, locked, "{memory:?}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "secret").unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Memory and threads are to be had as before.
        let more = std::thread::spawn(|| vec![1_u8; 64 * 1_024 * 1_024].len());
        assert_eq!(more.join().unwrap(), 64 * 1_024 * 1_024);
    }

    #[test]
    fn no_core_is_ever_dumped() {
        forbid_dumps().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
        assert_eq!(get_dumpable(), Ok(false));
    }

    #[test]
    fn only_the_one_capability_passes_the_limit() {
        assert!(may_pass_limit("Name:\ta\nCapEff:\t0000000000004000\n"));
        assert!(may_pass_limit("CapEff:\t000001ffffffffff\n"));
        assert!(!may_pass_limit("CapEff:\t000001ffffffbfff\n"));
        assert!(!may_pass_limit("CapPrm:\t0000000000004000\n"));
        assert!(!may_pass_limit("CapEff:\tx\n"));
        assert!(!may_pass_limit(""));
    }
}
