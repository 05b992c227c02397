//! Decisions about the store: what is remembered, and when it counts.
//!
//! # Intent, then signature, then outcome
//!
//! The bytes and their event are durable before the key is used; the certificate is durable before
//! it is answered. Price: two commits for each certificate. Alternative: one commit after signing,
//! and a crash that leaves a certificate nobody recorded.
//!
//! # One thread writes, and groups what waits
//!
//! Acts that wait share one commit; nobody is answered before it. A refusal takes back its own act
//! alone: the acts of the hot path (intent, outcome, plain event) look at everything before they
//! write, so there is nothing to take back; the others have a savepoint each. A fault of the
//! database in an act without savepoint fails its whole group, and nothing of it is recorded.
//! Price: who writes a verb of the first kind must put every check before the first write; one
//! that refuses later is turned into such a fault.
//!
//! One caller commits at once. Where the last commit had twelve acts or more, the next waits 2 ms
//! for others: each commit writes some ten pages however many acts it holds. Price: writes wait in
//! one line. Alternative: a pool of writers, and SQLite's own lock instead of our queue.
//!
//! # What every decision asks is remembered
//!
//! Policy, kill switch and entries change rarely and are asked for at each mint. They are kept
//! between their changes; the writer, which alone changes them, forgets everything before it
//! answers. The writer likewise remembers which guards held. Elevations are read each time. Price:
//! whoever changes the file behind the server's back is noticed later; the server owns the file.
//!
//! # Readers and searchers are two pools
//!
//! Four connections read for walks, two for pages and exports. An auditor who exports a year never
//! makes a mint wait. Every question has a bound on its steps. Price: two more open files, and a
//! wide question may be told to narrow its filter.
//!
//! # A failed commit closes the connection
//!
//! What the failed commit left behind is read from the file, never remembered. Price: one
//! reopening. A panic in the writing thread is treated alike.
//!
//! No sync that failed is ever taken for done. Each commit waits for its own frames of the log, so
//! what was answered before is safe; the next commit writes its frames anew from the last durable
//! one, over those whose sync failed; a checkpoint whose sync failed copies all its pages again. So
//! the process stays, `/readyz` says no until a write goes through, and callers hear "perhaps":
//! the same idempotency key finds what was stored after all. Alternative: end the process at the
//! first failed sync, as databases do whose own buffers outlive it. Every call that makes something
//! durable is failed and killed once by `faults::syscalls`.
//!
//! # What is left over is finished while serving
//!
//! An outcome that could not be recorded, because the disk was full or broken, is made up for every
//! five seconds, from the recorded bytes, as after a crash. What is younger than ten seconds is
//! taken to be under way. Should a walk be slower than that, the store takes one outcome, and who
//! comes second hears so and hands nothing out. Price: no set of what is in flight to keep right,
//! and ten seconds in which the same key gets `conflict`.
//!
//! # A part of the disk is kept for outcomes
//!
//! While less than 32 MiB are free, new intents and elevations are refused, and so are queries of
//! the ledger and refusals, which anybody can cause without end: they are answered `unavailable`.
//! Outcomes, revocations and what operators do are recorded. Looked at every two seconds, so a mint
//! pays nothing for it. Price: disks of a few MiB serve nobody.
//!
//! # The newest event is remembered outside the store
//!
//! `ledger.head` names the newest event and its hash; written at start and end and every minute. A
//! store that does not hold that event is an older copy, or a log that lost its tail, and mints
//! nothing until `protem minting release`. Only an outside witness sees who restores both files.
//! Price: a copy that is put in place on purpose needs the same word; `protem restore` asks for it
//! anyway.
//!
//! # The clock is believed from one moment on
//!
//! Wall clock and boot clock are compared with what both showed at the start or at the last
//! `protem clock accept`, not with the last look: small steps add up. What a time server slews
//! moves both and is no step. Price: a machine whose time is stepped again and again must be
//! accepted again and again; it needs a better time server.
//!
//! # Points to stop at are named in one file
//!
//! `failpoint` names the points between the steps; `FAILPOINTS` is read by the crate `fail` in
//! `main`, in programs of the tests alone, where its feature is on. What users run has no points
//! and reads nothing. Price: one call between steps that does nothing.
//!
//! # The contract is a trait with verbs
//!
//! `Store` has acts, not tables: each is one transaction with its event. It is sealed, so only this
//! room implements it. The contract's tests run over the trait, with a second implementation in
//! memory, so that another database can join. Price: a new act is a new method in every backend.
//!
//! # Events are canonical JSON
//!
//! Sorted keys, whole numbers, one way to escape, no space; reading takes exactly what writing
//! gives. Equal events have equal bytes, so a Merkle leaf can be made of them later. Price: larger
//! than a binary form, and a reader of our own. Alternatives: CBOR in its deterministic form
//! (nobody reads it in a terminal), or RFC 8785, whose floats and UTF-16 order we do not need.
//!
//! # Free text is committed to, not recorded
//!
//! The event holds SHA-256 of a salt and the reason; the text lies in a table of its own. Erasing
//! it breaks nothing. Price: an auditor with the ledger alone sees that there was a reason, not
//! which.
//!
//! # A token is spent in the transaction that records what it buys
//!
//! So two redeemers cannot both win, and a crash spends it only together with a certificate that
//! will be finished. The door looks at its hash and its end only, so a repeated request with the
//! same idempotency key still finds its certificate. Price: whether it is spent is known late in
//! the walk.
//!
//! # Secrets are kept as plain SHA-256
//!
//! They hold 256 random bits. Guessing is hopeless with any hash, and a slow one would only slow
//! the door. Price: none known; the comparison takes the same time wherever two digests differ.
//!
//! # Idempotency keys live for 25 hours
//!
//! As long as the longest base SVID, and an hour for who asks late. A key belongs to its caller,
//! and the same key with another request is refused. Price: rows, which each use prunes.
//!
//! # A store appears whole
//!
//! A new store is written under another name, synced, and linked into place. So an empty file is
//! damage and never a fresh ledger. Price: hard links, which every local file system has.
//!
//! # Local disks only
//!
//! Network file systems say that they lock and sync. NFS is recognised and refused. Price: no
//! failover by a shared disk; many servers are for PostgreSQL, later.
//!
//! # A backup is one step of all pages
//!
//! One moment, whatever is written meanwhile; read whole before it gets its name. Price: the copy
//! of a very large store holds its log from shrinking until it is done.
//!
//! # A walk decides again when facts change under it
//!
//! At most eight times, then the caller hears `busy`. Price: under a storm of changes to one
//! elevation a request may fail. Alternative: a lock for each subject, and its deadlocks.
