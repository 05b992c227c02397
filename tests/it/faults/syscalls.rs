//! Every call by which the server makes something durable fails once, or is the last one.
//!
//! strace fails the N-th call of a thread with an error, or kills the process in it. Whatever the
//! caller heard: the next start works, the same request gets one certificate, the books agree.
//!
//! `PROTEM_SOAK_SWEEP` tries every N that there is; else a few are drawn.

use std::fs;

use crate::crash::house::Dice;
use crate::crash::{number, seed, stop};
use crate::faults::site::{Site, Wish};
use crate::live::Live;
use crate::tools::tool;

/// Calls of one kind, and how they are told from calls that make nothing durable.
struct Calls {
    names: &'static str,
    /// Only calls on these files of the data directory; on any file when there is none.
    files: &'static [&'static str],
    /// Up to which N is drawn in a short run; the later half is met while serving.
    usual: u64,
}

/// What came of a case.
#[derive(Debug, Default)]
struct Counts {
    tried: u64,
    injected: u64,
    died: u64,
    not_started: u64,
    answered: u64,
    refused: u64,
}

#[test]
fn every_call_that_makes_durable_may_fail_once() {
    let whole = number("PROTEM_SOAK_SWEEP").is_some();
    let dice = Dice::new(seed());
    let (site, live) = Site::new();
    stop(live);
    let mut counts = Counts::default();
    for calls in CALLS {
        for fault in FAULTS {
            let before = counts.injected;
            if whole {
                for nth in 1..=NTH_MAX {
                    if !counts.one(&site, calls, fault, nth) {
                        break;
                    }
                }
            } else {
                // One while starting, one when it serves.
                let half = calls.usual / 2;
                counts.one(&site, calls, fault, 1 + dice.below(half));
                counts.one(&site, calls, fault, 1 + half + dice.below(half));
            }
            eprintln!(
                "{} {fault}: {} injected",
                calls.names,
                counts.injected - before
            );
        }
    }
    eprintln!("{counts:?}");
    assert!(counts.tried / 2 < counts.injected, "{counts:?}");
    assert!(
        0 < counts.not_started && 0 < counts.answered + counts.refused,
        "{counts:?}"
    );
}

impl Counts {
    /// Answers whether the fault was met.
    fn one(&mut self, site: &Site, calls: &Calls, fault: &str, nth: u64) -> bool {
        self.tried += 1;
        let log = site.directory.path().join("strace.log");
        let mut place = site.house.place.clone();
        let strace = tool("strace").get_program().to_str().unwrap().to_owned();
        let inject = format!("inject={}:{fault}:when={nth}", calls.names);
        let trace = format!("trace={}", calls.names);
        let words = [
            "-D",
            "-f",
            "-qq",
            "-o",
            log.to_str().unwrap(),
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        place.under = vec![strace];
        place.under.extend(words.map(str::to_owned));
        for file in calls.files {
            let file = place.directory.join(file);
            place
                .under
                .extend(["-P".to_owned(), file.to_str().unwrap().to_owned()]);
        }
        let mut live = place.start();
        let wish = Wish::new(self.tried * 10);
        if live.serves() {
            match site.ask(&wish) {
                Ok(_) => self.answered += 1,
                Err(_) => self.refused += 1,
            }
            // A fault that is over is over.
            let mut again = Vec::new();
            while again.len() < 4 && !again.last().is_some_and(Result::is_ok) {
                let once = self.tried * 10 + 1 + again.len() as u64;
                again.push(site.ask(&Wish::new(once)));
            }
            let recovered = again.iter().any(Result::is_ok) || fault == KILL;
            if !recovered {
                let (_, said) = live.terminate();
                panic!("{inject}: it does not recover: {again:#?}\n{said:#?}");
            }
        } else {
            self.not_started += 1;
        }
        let (_, said) = live.terminate();
        let log = fs::read_to_string(log).unwrap();
        let died = log.contains("killed by SIGKILL");
        let met = died || log.contains("(INJECTED)");
        self.died += u64::from(died);
        self.injected += u64::from(met);
        let live: Live = site.house.place.serve();
        if let Err(error) = site.ask(&wish) {
            panic!("{inject}: {error:?}\n{said:#?}");
        }
        site.renew(self.tried * 10);
        stop(live);
        site.is_whole();
        met
    }
}

const CALLS: &[Calls] = &[
    Calls {
        names: "fsync,fdatasync",
        files: &[],
        usual: 20,
    },
    Calls {
        names: "pwrite64",
        files: &[],
        usual: 120,
    },
    Calls {
        names: "write",
        files: &["bundle.new", "ledger.new", "server.new"],
        usual: 2,
    },
    Calls {
        names: "rename,ftruncate,unlink",
        files: &[],
        usual: 6,
    },
];
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", KILL];
const KILL: &str = "signal=KILL";
/// More than any thread makes in one life of this test.
const NTH_MAX: u64 = 300;
