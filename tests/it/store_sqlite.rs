//! What only files do: one server, modes, schemas, damage, failed commits, backup and restore.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protem::audit::{EventKind, Key};
use protem::elevation::Instances;
use protem::store::sqlite::{Sqlite, backup, restore};
use protem::store::{EventFilter, Intent, Store, StoreError};

use crate::store_contract::world::{
    approved, at, entry, event, gapless, intent, mint, number, numbers, opening, retry, together,
};

/// A folder with room for stores.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(Sqlite::open(&self.at("store.db")).unwrap())
    }

    /// Changes the file behind the store's back.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.at("store.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Why the store does not open any more.
    fn refusal(&self) -> StoreError {
        Sqlite::open(&self.at("store.db")).unwrap_err()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_reopening() {
    let folder = Folder::new();
    let asked = || Intent {
        retry: Some(retry("web", 1)),
        ..intent()
    };
    let store = folder.store();
    let first = store.intend(asked()).await.unwrap();
    drop(store);

    let store = folder.store();
    let left = store.unfinished(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].event, &left[0].tbs), (&first.event, &first.tbs));
    assert_eq!(
        protem::store::leftovers(&*store, 10).await.unwrap()[0].tbs(),
        first.tbs
    );
    assert!(store.intend(asked()).await.unwrap().repeated);
    let next = store.append(event(EventKind::ServerStarted)).await.unwrap();
    assert_eq!(next, number(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_file_is_refused() {
    let folder = Folder::new();
    let first = folder.store();
    assert!(matches!(folder.refusal(), StoreError::InUse(_)));
    first.probe().await.unwrap();
    drop(first);
    folder.store().probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_reads_the_files() {
    let folder = Folder::new();
    let path = folder.at("new/store.db");
    let store = Sqlite::open(&path).unwrap();
    store.probe().await.unwrap();
    assert_eq!(mode(&folder.at("new")), 0o700);
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.db.lock"] {
        assert_eq!(mode(&folder.at("new").join(name)), 0o600, "{name}");
    }
    store.backup(&folder.at("backup.db")).await.unwrap();
    assert_eq!(mode(&folder.at("backup.db")), 0o600);
    drop(store);
    fs::set_permissions(folder.at("new"), fs::Permissions::from_mode(0o770)).unwrap();
    let refused = Sqlite::open(&path).unwrap_err();
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_schema_is_refused() {
    let folder = Folder::new();
    drop(folder.store());
    for version in [5, 0, -1] {
        folder.tamper(&format!("PRAGMA user_version = {version}"));
        let refused = folder.refusal();
        let told =
            matches!(refused, StoreError::Schema { found, known: 4, .. } if found == version);
        assert!(told, "{refused:?}");
    }
    folder.tamper("PRAGMA user_version = 4");
    folder.store().probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_before_agents_tells_each_his_entries() {
    let folder = Folder::new();
    let put = folder
        .store()
        .put_entry(entry(), event(EventKind::EntryPut))
        .await;
    let put = put.unwrap();
    folder.tamper(
        "DROP TABLE entry_agents; ALTER TABLE entries DROP COLUMN federates_with; \
         DROP INDEX elevations_idle; ALTER TABLE elevations DROP COLUMN first_used_at; \
         ALTER TABLE elevations DROP COLUMN last_used_at; ALTER TABLE elevations DROP COLUMN uses; \
         ALTER TABLE elevations DROP COLUMN use_told_at; PRAGMA user_version = 2",
    );
    let store = folder.store();
    let agent = "spiffe://td.example/agent/a".parse().unwrap();
    let found = store.entries_of(&agent, None, 9).await.unwrap();
    let mut before = put;
    before.terms.federates_with.clear();
    assert_eq!(found, [before]);
}

#[tokio::test(flavor = "multi_thread")]
async fn elevations_of_before_uses_were_known_go_on() {
    let folder = Folder::new();
    let store = folder.store();
    let opened = approved(1, Instances::All);
    store.open_elevation(opening(opened.clone())).await.unwrap();
    store.intend(mint(1, 1)).await.unwrap();
    drop(store);
    folder.tamper(
        "DROP INDEX elevations_idle; ALTER TABLE elevations DROP COLUMN first_used_at; \
         ALTER TABLE elevations DROP COLUMN last_used_at; ALTER TABLE elevations DROP COLUMN uses; \
         ALTER TABLE elevations DROP COLUMN use_told_at; PRAGMA user_version = 3",
    );
    let store = folder.store();
    let row = store.elevation(opened.id).await.unwrap().unwrap();
    assert_eq!(row.elevation.idle_since(), Some(at(1_100)));
    let idle = store.idle_elevations(&opened.request.scope, at(1_100), 9);
    assert_eq!(idle.await.unwrap(), [row.elevation]);
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = Folder::new();
    for content in [&b""[..], b"words", &[7; 8_192]] {
        fs::write(folder.at("store.db"), content).unwrap();
        let refused = folder.refusal();
        let told = matches!(
            refused,
            StoreError::Place { .. } | StoreError::Damaged { .. }
        );
        assert!(told, "{refused:?}");
        assert_eq!(fs::read(folder.at("store.db")).unwrap(), content);
        fs::remove_file(folder.at("store.db")).unwrap();
    }
    folder.tamper("CREATE TABLE other (x); PRAGMA user_version = 1");
    assert!(matches!(folder.refusal(), StoreError::Place { .. }));
}

#[test]
fn a_log_without_its_file_is_refused() {
    let folder = Folder::new();
    fs::write(folder.at("store.db-wal"), "old").unwrap();
    assert!(matches!(folder.refusal(), StoreError::Place { .. }));
}

#[test]
fn what_an_interrupted_start_left_is_no_obstacle() {
    let folder = Folder::new();
    for end in [".new", ".new-journal", ".lock"] {
        fs::write(
            folder.at("store.db").with_extension(format!("db{end}")),
            "half",
        )
        .unwrap();
    }
    drop(folder.store());
    assert!(!folder.at("store.db.new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_event_shows() {
    let folder = Folder::new();
    let store = folder.store();
    for _ in 0..3 {
        store.append(event(EventKind::SvidDenied)).await.unwrap();
    }
    drop(store);
    let connection = rusqlite::Connection::open(folder.at("store.db")).unwrap();
    for sql in ["DELETE FROM events", "UPDATE events SET at = 0"] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
    drop(connection);
    folder.tamper(
        "DROP TRIGGER events_never_change;
         UPDATE events SET bytes = replace(bytes, 'tester', 'TEST,r,') WHERE number = 2;
         UPDATE events SET bytes = replace(bytes, 'number\":3', 'number\":4') WHERE number = 3;
         UPDATE events SET bytes = bytes || ' ' WHERE number = 1;",
    );
    let store = folder.store();
    for (row, column) in [(1, "bytes"), (3, "number")] {
        let damaged = store.event(number(row)).await.unwrap_err();
        let told = matches!(&damaged, StoreError::Damaged { table: "events", column: c, row: r }
            if *c == column && *r == row.to_string());
        assert!(told, "{damaged:?}");
    }
    assert!(
        store
            .events(EventFilter::default(), None, None, 9)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_found_at_the_start() {
    let folder = Folder::new();
    let store = folder.store();
    for _ in 0..200 {
        store.append(event(EventKind::SvidDenied)).await.unwrap();
    }
    drop(store);
    let mut bytes = fs::read(folder.at("store.db")).unwrap();
    let half = bytes.len() / 2 / 4_096 * 4_096;
    bytes[half..half + 4_096].fill(0xff);
    fs::write(folder.at("store.db"), bytes).unwrap();
    assert!(matches!(folder.refusal(), StoreError::Damaged { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_fails_its_group_and_no_other() {
    let folder = Folder::new();
    let store = folder.store();
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    // Broken only when the commit comes, as by a disk that fails then.
    folder.tamper(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE broken (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER break_commit AFTER INSERT ON events WHEN new.scope = 'break'
         BEGIN INSERT INTO broken VALUES (1); END;
         CREATE TRIGGER break_all AFTER INSERT ON events WHEN new.scope = 'break.all'
         BEGIN SELECT raise(ROLLBACK, 'gone'); END;
         CREATE TRIGGER break_one AFTER INSERT ON events WHEN new.scope = 'break.one'
         BEGIN SELECT raise(ABORT, 'only this one'); END;",
    );
    for scope in ["break", "break.all", "break.one"] {
        let before = store.head().await.unwrap().unwrap().number.value();
        let answers = together(&store, 32, move |store, caller| async move {
            let event = event(EventKind::SvidDenied);
            let event = if caller == 7 {
                event.with(Key::Scope, scope)
            } else {
                event
            };
            (caller, store.append(event).await)
        });
        let answers = answers.await;
        let (kept, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, it)| it.is_ok());
        assert!(lost.iter().any(|(caller, _)| *caller == 7), "{lost:?}");
        for (_, lost) in &lost {
            assert!(
                matches!(lost, Err(StoreError::Unavailable { .. })),
                "{lost:?}"
            );
        }
        let after = before + u64::try_from(kept.len()).unwrap();
        assert_eq!(numbers(&*store).await, gapless(after));
        let next = store.append(event(EventKind::SvidDenied)).await.unwrap();
        assert_eq!(next.value(), after + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_writing_is_a_prefix() {
    let folder = Folder::new();
    let store = folder.store();
    let writing = Arc::clone(&store);
    let writer = tokio::spawn(async move {
        for _ in 0..300 {
            writing.append(event(EventKind::SvidDenied)).await.unwrap();
        }
    });
    let mut heads = Vec::new();
    while !writer.is_finished() {
        let backup = folder.at(&format!("backup-{}.db", heads.len()));
        store.backup(&backup).await.unwrap();
        let restored = folder.at(&format!("restored-{}.db", heads.len()));
        restore(&backup, &restored).unwrap();
        let restored = Sqlite::open(&restored).unwrap();
        let found = numbers(&restored).await;
        let count = u64::try_from(found.len()).unwrap();
        assert_eq!(found, gapless(count));
        let next = restored
            .append(event(EventKind::ServerStarted))
            .await
            .unwrap();
        assert_eq!(next.value(), count + 1);
        heads.push(count);
    }
    writer.await.unwrap();
    assert!(heads.is_sorted() && heads[0] <= 300, "{heads:?}");
    assert_eq!(numbers(&*store).await, gapless(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_needs_no_server_and_disturbs_none() {
    let folder = Folder::new();
    let store = folder.store();
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    backup(&folder.at("store.db"), &folder.at("served.db")).unwrap();
    store.append(event(EventKind::SvidDenied)).await.unwrap();
    drop(store);
    backup(&folder.at("store.db"), &folder.at("unserved.db")).unwrap();
    for (name, count) in [("served.db", 1), ("unserved.db", 2)] {
        let restored = folder.at(&format!("restored-{name}"));
        restore(&folder.at(name), &restored).unwrap();
        assert_eq!(
            numbers(&Sqlite::open(&restored).unwrap()).await,
            gapless(count)
        );
    }
    fs::write(folder.at("words"), "words").unwrap();
    for none in ["words", "nothing"] {
        assert!(
            backup(&folder.at(none), &folder.at("none.db")).is_err(),
            "{none}"
        );
        assert!(!folder.at("none.db").exists());
    }
    assert!(!folder.at("nothing").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_and_restore_replace_nothing_and_take_only_stores() {
    let folder = Folder::new();
    let store = folder.store();
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    let (backup, words) = (folder.at("backup.db"), folder.at("words.db"));
    store.backup(&backup).await.unwrap();
    fs::write(&words, "words").unwrap();
    for taken in [&backup, &words, &folder.at("store.db")] {
        let refused = store.backup(taken).await;
        assert!(
            matches!(refused, Err(StoreError::Place { .. })),
            "{refused:?}"
        );
        let refused = restore(&backup, taken);
        let told = matches!(
            refused,
            Err(StoreError::Place { .. } | StoreError::InUse(_))
        );
        assert!(told, "{refused:?}");
    }
    assert_eq!(fs::read(&words).unwrap(), b"words");
    assert!(restore(&words, &folder.at("from-words.db")).is_err());
    assert!(restore(&folder.at("nothing.db"), &folder.at("from-nothing.db")).is_err());

    let mut bytes = fs::read(&backup).unwrap();
    let half = bytes.len() / 2 / 4_096 * 4_096;
    bytes[half..half + 4_096].fill(0xff);
    fs::write(&backup, bytes).unwrap();
    let damaged = restore(&backup, &folder.at("from-damaged.db"));
    assert!(
        matches!(damaged, Err(StoreError::Damaged { .. })),
        "{damaged:?}"
    );
    for name in [
        "from-words.db",
        "from-nothing.db",
        "from-damaged.db",
        "from-damaged.db.new",
    ] {
        assert!(!folder.at(name).exists(), "{name}");
    }
}
