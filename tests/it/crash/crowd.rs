//! All workers of a house at once: they come, do what they do while the server dies and lives
//! again, and leave; then the books are held against what they have in hands.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::crash::books::Books;
use crate::crash::house::House;
use crate::crash::worker::Worker;
use crate::crash::{WORKERS, stop};
use crate::live::Live;

/// The workers of a house.
pub(crate) struct Crowd {
    house: Arc<House>,
    runtime: Runtime,
    workers: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Crowd {
    /// Registers the workers with a server that serves, and lets them begin.
    pub(crate) fn come(house: &Arc<House>) -> Self {
        house.keep_credentials();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(house.register());
        let worker = |number| runtime.spawn(Worker::new(house, number).work());
        let workers = (0..WORKERS).map(worker).collect();
        Self {
            house: Arc::clone(house),
            runtime,
            workers: std::sync::Mutex::new(workers),
        }
    }

    /// Lets the workers end what they are at, and then the server. Answers what it said.
    pub(crate) fn leave(&self, live: Live) -> Vec<String> {
        self.house.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.lock().unwrap().drain(..) {
            let ended = async { tokio::time::timeout(WORKER_LONGEST, worker).await };
            let ended = self.runtime.block_on(ended);
            ended.expect("a worker ends in time").unwrap();
        }
        stop(live)
    }

    /// Everything is at rest: starts a last time, reads all there is and compares.
    pub(crate) fn judge(&self) -> Books {
        let house = &self.house;
        let live = house.place.serve();
        let books = self.runtime.block_on(Books::read(house));
        let said = stop(live);
        assert!(
            !said.iter().any(|line| line.contains("a crash left")),
            "leftovers after SIGTERM: {said:#?}"
        );
        house.credentials_are_whole();
        let tally = house.tally.lock().unwrap();
        eprintln!("{tally:#?}\n{}", books.summary());
        assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
        books.hold(&tally.received, &tally.asked_once);
        drop(tally);
        books
    }
}

/// The longest that one step of a worker takes while the server is there.
const WORKER_LONGEST: Duration = Duration::from_mins(2);
