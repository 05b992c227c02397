//! What to do when an alert comes. Each heading is the name of a rule in
//! `deploy/observability/alerts.yaml`; `tests/it/observability.rs` fails when one is missing here.
//!
//! First of all: what was minted lives until its end and nothing in the data path asks protem.
//! There is half an hour at least for base SVIDs, and half a life for elevated ones.
//! `protem doctor --config FILE` on the server looks at clock, disk, files, certificates and store
//! and tells the next step for each.
//!
//! # ProtemAbsent
//!
//! Nothing is scraped. `systemctl status protem` and the end of its journal: a start that fails
//! says why in one line. `observe` in the configuration is where Prometheus must ask; it listens
//! without TLS and should stay on the machine.
//!
//! # ProtemNotReady
//!
//! `/readyz` lists what is missing. *The store does not answer*: a write waits for the disk; see
//! ProtemStoreFails. *The clock*: ProtemClockInDoubt. *No policy is in force*:
//! `protem policy activate DIR` with an operator's credential.
//!
//! # ProtemClockInDoubt
//!
//! The wall clock moved otherwise than the clock that counts from boot, by more than 5 s, or the
//! server started before its last event. Do not accept at once: a clock that is set back lets
//! rights live longer. Find out who set it, compare with two sources, then
//! `protem clock accept --reason WHY`; the word stands in the ledger.
//!
//! # ProtemMintingStopped
//!
//! Somebody used `protem revoke --all`, or the server found at its start that its store is older
//! than what it had answered for: a restored copy. `protem audit list --kind minting.stopped` names
//! who (`server` for the second) and the moment; the log line `minting is stopped` says why. When
//! the reason is gone, or the copy is the one you want: `protem minting release --reason WHY`.
//!
//! # ProtemStoreFails
//!
//! Every act of a failed commit was refused; nothing half happened. `protem doctor` tells a full
//! or read-only disk from damage. When there is space it goes on by itself. Damage: stop, keep the
//! file, restore the last copy elsewhere, and read "Backup and restore" in
//! [`operating`](crate::manual::operating).
//!
//! # ProtemFailsInside
//!
//! An answer was `internal`. The line `request failed inside` has the request's id and the cause
//! with its sources. Callers may repeat with the same idempotency key.
//!
//! # ProtemIntentsUnfinished
//!
//! A certificate was planned and recorded, and its signature has no outcome: the issuer's key
//! could not be used, or its outcome could not be recorded. It opens nothing. A restart finishes
//! each from the recorded bytes, at most once.
//!
//! # ProtemIssuerEnds
//!
//! Intermediates live 24 h and are renewed at 45 % of it. The round that renews them fails: its
//! error is in the log once a minute. When the issuer above is a brought one, look at its own end
//! first: `protem doctor` shows it.
//!
//! # ProtemServerCertificateEnds
//!
//! As above, for the server's own certificate of 12 h. A restart mints a new one.
//!
//! # ProtemStoreSlow
//!
//! A commit waits for the disk's flush. `protem doctor` measures one. Below 5 ms is a good disk;
//! above 50 ms find another. Many waiting acts (`protem_store_waiting_acts`) with fast commits are
//! load, not the disk.
//!
//! # ProtemIssueSlow
//!
//! With fast commits the processor is the bound: see how many SVIDs are minted.
//!
//! # ProtemRefusesMuch
//!
//! `protem_refusals_total` by reason tells what kind; `protem audit list` tells whom. After a
//! change of policy go back by activating the old files.
//!
//! # ProtemConnectionsRefused
//!
//! The lines in the log name the addresses. One address with a thousand connections is a client
//! that does not reuse them.
//!
//! # ProtemHandshakesFail
//!
//! By reason: `tls` is a client that does not know the roots, or shows a certificate that has
//! ended; `slow` is one that connects and says nothing; `no_svid` shows a certificate of another
//! kind.
//!
//! # ProtemAgentCutOff
//!
//! `protem agent status` on that host tells why in the row `server`: the address, the bundle, a
//! server that is away, or an entry of the agent that is gone. Workloads feel nothing until what
//! they hold has ended; elevated SVIDs end first.
//!
//! # ProtemAgentEnds
//!
//! The agent does not get a new SVID of its own: the row `own SVID fails` tells why. A full disk
//! under `state` is one reason: it asks for nothing that it could not keep. After the end it needs
//! a proof again: `protem token create AGENT` into the file that `join_token_file` names; it is
//! tried within half a minute, without a restart.
//!
//! # ProtemAgentMintsFail
//!
//! The column `trouble` of `protem agent status` has the server's words for each: a policy that
//! changed, an entry that names another agent, minting that is stopped.
