//! Starting, stopping, watching.
//!
//! - **READY means `/readyz`.** A manager that orders others after protem should not start them
//!   before it mints. Where a person's word is missing (no policy, a clock in doubt) the server
//!   asks the manager for more time, look by look, instead of being killed before anybody can give
//!   that word through its own door. Price: `systemctl start` waits as long as the person does.
//! - **The watchdog asks whether the store answered, not what.** A full disk, a doubtful clock and
//!   a missing policy are answers, and a new start heals none of them; a start that loops would
//!   only hide the words. A writer or a runtime that hangs does not answer. Alternative: ping while
//!   ready; it turns every outage of the disk into a loop of starts.
//! - **A person's part of `/readyz` is asked at once, the store's in rounds.** A probe of the store
//!   is a durable write; probes must cost nothing. Price: up to 2 s until a broken disk is told.
//! - **A second signal ends with 1.** The exit code tells a manager that something under way was
//!   cut. The store is let go on another thread, because it waits for a disk that may hang.
//! - **Variables of the manager are no settings.** `NOTIFY_SOCKET` and its kin are read in
//!   `lifecycle::supervisor` alone; `tests/it/tidy.rs` holds the library to that file.
//! - **One table of metrics in a low room.** Names, help, labels and all label values stand in
//!   `metric::table`; instruments are made from a row and count `other` for what it does not name.
//!   Alternative: each room registers its own; then nothing could compare the reference, the
//!   dashboard and the alerts with the code. Price: a room that wants to measure edits a file of
//!   another room.
//! - **Latency is measured with a stopwatch, not with the clock.** [`Clock`](crate::time::Clock)
//!   has milliseconds and stands still in tests; [`Stopwatch`](crate::time::Stopwatch) decides
//!   nothing.
//! - **Log lines are read out of the source** by a test, not listed in a table that the code calls:
//!   a call of `tracing` stays a call of `tracing`. Price: the reader knows only the form that we
//!   write.
//! - **The doctor's local looks are in `server`, its probes in `client`.** What a start would find
//!   is known to the room that starts; the command only shows. It opens a store that nobody serves
//!   as immutable, because SQLite would otherwise leave files of another owner beside it.
//! - **The probes verify the chain and not the name.** Servers of a mesh have SPIFFE IDs and no DNS
//!   names. TLS 1.2 is compiled in for them alone; doors and client name TLS 1.3 as the only
//!   version.
//! - **The synchronisation of the clock is `unknown` without systemd-timesyncd.** The kernel's word
//!   needs `adjtimex`, which no library here gives without unsafe code.
