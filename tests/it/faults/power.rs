//! Power cuts on a disk that forgets what was not synced ([`lossy`](crate::faults::lossy)).
//!
//! `PROTEM_SOAK_CUTS` says how many (20); `PROTEM_SOAK_SEED` repeats the moments of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::crash::house::{Dice, House};
use crate::crash::{Crowd, number, seed, stop};
use crate::faults::lossy::{Cut, LossyDisk, Lost, Mounted};
use crate::live::{Live, Place};

/// A machine whose power can be cut: a disk, and the folder under which it is seen.
struct Machine {
    disk: LossyDisk,
    at: PathBuf,
    mounted: Option<Mounted>,
    lost: Lost,
}

#[test]
fn what_clients_received_is_in_the_books_after_power_cuts() {
    let cuts = number("PROTEM_SOAK_CUTS").unwrap_or(CUTS_DEFAULT);
    let seed = seed();
    let dice = Dice::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let house = Arc::new(House::new(directory.path(), seed));
    let mut machine = Machine::on(&house.place.directory);
    let mut live = house.place.serve();
    let crowd = Crowd::come(&house);
    let (mut serving, mut starting) = (0, 0);
    while serving + starting < cuts {
        if dice.below(4) == 0 {
            live.run_for(Duration::from_millis(dice.below(700)));
            starting += 1;
        } else {
            live.until_serving();
            live.run_for(Duration::from_millis(20 + dice.below(1_500)));
            serving += 1;
        }
        machine.cut(live, &dice);
        live = house.place.start();
    }
    live.until_serving();
    crowd.leave(live);
    let lost = machine.lost;
    eprintln!("{cuts} power cuts, {serving} while serving, {starting} while starting: {lost:?}");
    crowd.judge();
    let received = house.received_count();
    eprintln!("{received} certificates received");
    assert!(cuts <= received, "only {received} certificates");
    assert!(
        0 < lost.sectors && 0 < lost.kept,
        "nothing was lost: {lost:?}"
    );
}

/// Wherever the power is cut in a first start, the next one makes up for it.
#[test]
fn a_first_start_whose_power_is_cut_is_made_up_for() {
    let dice = Dice::new(seed());
    for _ in 0..number("PROTEM_SOAK_CUTS").unwrap_or(CUTS_DEFAULT) / 4 {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let place = Place::new(&data);
        let mut machine = Machine::on(&data);
        let mut live = place.start();
        live.run_for(Duration::from_millis(dice.below(600)));
        machine.cut(live, &dice);
        stop(place.serve());
        let said = stop(place.serve());
        assert!(
            !said.iter().any(|line| line.contains("a crash left")),
            "{said:#?}"
        );
    }
}

/// The disk does lose what is only written: a writer that does not wait for it loses rows that it
/// has answered for, and one that waits loses none.
#[test]
fn a_writer_that_does_not_sync_loses_what_it_answered_for() {
    for (synchronous, loses) in [("FULL", false), ("NORMAL", true), ("OFF", true)] {
        let directory = tempfile::tempdir().unwrap();
        let mut machine = Machine::on(&directory.path().join("data"));
        let file = machine.at.join("rows.db");
        let open = || {
            let connection = Connection::open(&file).unwrap();
            let settings = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;";
            connection.execute_batch(settings).unwrap();
            connection
        };
        let connection = open();
        connection
            .execute_batch("CREATE TABLE rows (number INTEGER)")
            .unwrap();
        connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        std::fs::File::open(&machine.at)
            .unwrap()
            .sync_all()
            .unwrap();
        let setting = format!("PRAGMA synchronous = {synchronous}");
        connection.execute_batch(&setting).unwrap();
        for number in 0..ROWS {
            connection
                .execute("INSERT INTO rows VALUES (?)", [number])
                .unwrap();
        }
        machine.disk.power_off();
        drop(connection);
        machine.power_on(Cut::Clean);
        let count = "SELECT count(*) FROM rows";
        let found: i64 = open().query_row(count, [], |row| row.get(0)).unwrap();
        eprintln!("synchronous={synchronous}: {ROWS} rows answered for, {found} found");
        assert_eq!(found < ROWS, loses, "synchronous={synchronous}: {found}");
    }
}

impl Machine {
    fn on(at: &Path) -> Self {
        std::fs::create_dir(at).unwrap();
        let disk = LossyDisk::new();
        let mounted = Some(disk.mount(at));
        Self {
            disk,
            at: at.to_owned(),
            mounted,
            lost: Lost::default(),
        }
    }

    /// Takes the power away from disk and server at once, and brings back what was durable;
    /// every other time with a part of the rest.
    fn cut(&mut self, live: Live, dice: &Dice) {
        self.disk.power_off();
        live.kill();
        let torn = dice.below(2) == 0;
        self.power_on(if torn { Cut::Torn(dice) } else { Cut::Clean });
    }

    fn power_on(&mut self, cut: Cut<'_>) {
        self.mounted = None;
        let lost = self.disk.power_on(cut);
        self.lost.sectors += lost.sectors;
        self.lost.kept += lost.kept;
        self.lost.names += lost.names;
        self.mounted = Some(self.disk.mount(&self.at));
    }
}

const CUTS_DEFAULT: u64 = 20;
const ROWS: i64 = 300;
