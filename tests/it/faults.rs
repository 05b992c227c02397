//! The world breaks, and the authority holds: power that is cut, disks that fail, fill up and
//! forget, clocks that jump, servers that die between any two steps.
//!
//! Every run prints its counts. Longer runs of the same tests: `tests/soak`.

mod clocks;
mod copies;
mod disks;
pub(crate) mod lossy;
mod points;
mod power;
mod site;
mod syscalls;
