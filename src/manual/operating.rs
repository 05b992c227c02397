//! Running protem: from the first start to the day when something is wrong.
//!
//! Commands are those of `protem --help`. `--dir DIR` names the data directory of a server on this
//! machine; elsewhere `--server URL --bundle FILE --operator FILE` say the same.
//!
//! # Install
//!
//! One binary, one configuration file, one data directory on a local disk, a user of its own.
//! Building needs Rust 1.95 and a C compiler. `deploy/config/server.toml` documents every key;
//! unknown keys are refused. `deploy/README.md` shows three ways to run, smallest first.
//!
//! ```text
//! protem dev                                  everything with safe defaults below .protem
//! protem serve --config server.toml           the real thing
//! protem doctor --config server.toml          what is wrong here, and what to do
//! ```
//!
//! Health and metrics are at `observe`, without TLS: keep it on the machine. `/livez` says that the
//! process answers; `/readyz` that it can record, trusts its clock and has a policy, or why not.
//! Units for systemd are in `deploy/systemd`.
//!
//! # Start and stop
//!
//! - **SIGTERM or SIGINT** ends it: no new connections, requests under way are answered within
//!   20 s, exit code 0. It does so as process 1 of a container too, from its first moment on, and
//!   starts no process of its own.
//! - **A second one** ends it at once, as the end of the 20 s does: exit code 1. What was recorded
//!   and not answered is finished by the next start.
//! - **A service manager** that sets `NOTIFY_SOCKET` hears `READY=1` when `/readyz` answers 200,
//!   a `STATUS` in words, `STOPPING=1`; with `WATCHDOG_USEC` a sign of life for each look that the
//!   store answered, four in that time. A stuck disk or runtime is silent and is started anew. A
//!   clock in doubt or a missing policy is a person's to mend: the server stays up and, at its
//!   start, asks for more time. These variables are the manager's; no setting is read from any.
//! - There is no reload. Policy and entries change while it runs; for the rest start it anew.
//!
//! # Many at once
//!
//! `POST /v1/svids/batch` takes up to 500 requests, each as for `POST /v1/svids`, and answers each
//! with its SVID or its problem, in their order and with status 200. One bad item leaves the others
//! as they are; each is its own walk, decided and recorded for itself. An `Idempotency-Key` is the
//! batch's, and each item is repeated by its place in it. A third less work for the server than as
//! many single calls.
//!
//! # The doctor
//!
//! `protem doctor` looks at clock, disk (space, kind, the time of a flush), owners and modes of
//! directory, keys, store and credential, certificates that end, the store, ports, and asks the
//! server. Each line says what to do. It changes nothing, also not as another user. Two probes
//! look at the mesh, as a holder who wants to stay longer than he may:
//!
//! ```text
//! protem doctor resumption HOST:PORT --svid DIR     are sessions resumed past notAfter
//! protem doctor expiry --via HOST:PORT --svid DIR   is an open connection cut at notAfter
//! ```
//!
//! Give them an elevated SVID of a few minutes. They exit with 1 where there is a hole.
//!
//! # The data directory
//!
//! | File | Holds | Secret | Lost means |
//! |---|---|---|---|
//! | `protem.db`, `-wal`, `-shm` | what is remembered | reasons | restore a backup |
//! | `protem.db.lock` | the lock of the one server | no | nothing |
//! | `ca/root.key`, `ca/root.pem` | the own root | yes | a new root, and new trust everywhere |
//! | `ca/<issuer>-<key>.key`, `.pem` | up to three generations of each issuer | yes | made anew |
//! | `operator.token` | the first operator's credential | yes | no way in but a backup |
//! | `ledger.head` | newest event, a minute old at most | no | an older copy is not told |
//! | `bundle.pem` | the roots, for clients | no | written at each start |
//! | `server.url` | how to reach it from this machine | no | written at each start |
//!
//! Directories have mode 0700, secret files 0600; a key file that others may read is refused.
//!
//! # The first start
//!
//! 1. The store is made, and the root, unless `issuer_key` and `issuer_chain` bring an issuer
//!    (`pki/README.md` tells which to take).
//! 2. The three intermediates are made; each is an event.
//! 3. `first_policy` is activated, if it is set; later it is not read any more. Without it nothing
//!    is permitted but an operator's first `protem policy activate`.
//! 4. The first operator's credential is written to `operator.token`. Keep it apart, and give it to
//!    nobody who should not hold everything that `operate.cedar` permits.
//! 5. The server's own certificate is minted, the doors open.
//!
//! Then register a workload, give it a token, and let it fetch its first SVID:
//!
//! ```text
//! protem entry put --subject spiffe://prod.example/ns/shop/sa/web --owner shop --group shop
//! protem token create spiffe://prod.example/ns/shop/sa/web
//! protem svid write --out DIR --join-token-file FILE
//! protem elevate db.read --svid DIR --out OTHER --reason "why"
//! ```
//!
//! Workloads that have SVIDs already, and CI jobs that have tokens, need no join token: see
//! [`strangers`](super::strangers).
//!
//! # Backup and restore
//!
//! `protem backup --config server.toml FILE` copies the store at one moment while the server runs,
//! and reads the copy whole before it gets its name. The keys below `ca/` are not in it: copy them
//! apart, once for the root and to where secrets are kept. Intermediates need no copy.
//!
//! `protem restore --config server.toml FILE` puts a copy in place while no server runs and no
//! `protem.db` is there. Where `ledger.head` knows a newer event, the server starts and mints
//! nothing (`minting.stopped` tells why) until `protem minting release`; so it does when somebody
//! put an older file in place by hand. What happened after the copy is gone, so afterwards:
//!
//! - elevations that were revoked since are open again: `protem revoke --all --reason "restored"`,
//!   then `protem minting release --reason "restored"`;
//! - join tokens that were spent since may be unspent until they end: at most a day, ten minutes
//!   unless asked otherwise;
//! - certificates minted since live until their notAfter and are in no ledger; the request log has
//!   their serial numbers;
//! - event numbers begin again after the copy's last, so evidence in those certificates points at
//!   other events. Keep the damaged store if you can.
//!
//! # The clock is in doubt
//!
//! Minting, sweeping and renewal stop when the wall clock and the clock since boot part by more
//! than 5 s from where they stood at the start or at the last acceptance, at once or in small
//! steps. A machine that slept is in no doubt: the clock since boot counts the sleep. `/readyz`
//! says so, `protem_clock_in_doubt` is 1, the log has an error, callers get `clock-in-doubt`. Find
//! out who set the clock and whether it is right now. Then:
//!
//! ```text
//! protem minting show
//! protem clock accept --reason "time server replaced; checked against two others"
//! ```
//!
//! A start with a clock more than 5 s before the newest event succeeds, in doubt from the first
//! moment: the server certifies itself and mints for nobody until the clock is accepted. What a
//! crash left is finished after that.
//!
//! # The disk is full
//!
//! Below 32 MiB of free space `/readyz` says so; mints, new elevations and queries of the ledger
//! are refused as `unavailable`, and all else goes on: revoke, release, lists. With no space at all
//! nothing is recorded, so nothing is done. Free some; no restart is needed, and what could not be
//! concluded is finished within seconds.
//!
//! # The kill switch
//!
//! ```text
//! protem revoke --all --reason "key of web was published"
//! protem minting show
//! protem minting release --reason "rotated, checked"
//! ```
//!
//! Every open elevation ends and nothing is minted, base SVIDs neither, until the release. What was
//! minted lives until its notAfter: minutes for elevated SVIDs, an hour for base ones. Narrower:
//! `--subject`, `--scope`, `--instance`, `--elevation`. To take a workload's base SVID away, remove
//! its entry (`protem entry remove`): nothing more is minted for it.
//!
//! # Rotation
//!
//! - **Intermediates** live 24 h and are renewed at 45 % of it, looked at once a minute. The chain
//!   travels with each leaf; nobody has to be told. Watch `protem_issuer_not_after_seconds`.
//! - **The server's certificate** lives 12 h, is renewed at half, and never leaves memory.
//! - **The own root** lives ten years. There is no rotation of it yet: a new one is a new data
//!   directory and new trust in the mesh.
//! - **A brought issuer** is exchanged by new files and a restart. New intermediates are made under
//!   it; those under the old one stay unused. SVIDs from under the old issuer stay good in the mesh
//!   and no longer open protem's own door: their holders need a join token.
//! - **Policy** is exchanged by `protem policy activate DIR`. Going back is activating the old
//!   files.
//! - **The operator credential** cannot be exchanged yet.
//!
//! # What ends, and what one sees
//!
//! - **An elevated SVID at its end.** Envoy answers 403 on the open connection and resets running
//!   streams; its access log has `left_ms` at 0 or less. Nothing happens at protem. `protem svid
//!   write` and `protem elevate` renew between 45 and 55 % of the life, as long as the elevation
//!   lasts.
//! - **An elevation at its end.** Within a second it is `ended`, `expired`, with the event
//!   `elevation.ended`. `protem elevate` removes key and certificate from its folder. One that was
//!   approved and not used for 15 minutes ends as `unused`; one that waited an hour for people is
//!   `lapsed`.
//! - **protem away.** Base SVIDs of an hour last for half an hour at least, elevated ones for half
//!   of their life. Nothing else depends on it.
//! - **A full disk.** Every act that records fails as `unavailable`, `/readyz` tells it, and
//!   nothing is minted. It goes on by itself when there is space.
//!
//! # Exits of the command
//!
//! | Code | Means | Do |
//! |---|---|---|
//! | 0 | as asked | |
//! | 1 | failed | read the words; the server's log has the request's id |
//! | 2 | the command line or a file that it names is wrong | correct it |
//! | 3 | denied by policy, or not let in | `protem policy explain`, or another proof |
//! | 4 | still waiting for people, or the given time is over | wait, or ask the group it names |
//! | 5 | the server cannot be reached or does not prove itself | check address and bundle |
//!
//! # Problems
//!
//! Every refusal is a document of RFC 9457: `type` is `urn:protem:problem:` and the word below,
//! `code` is finer, `detail` is for the caller, `next` says what to do, `instance` finds the line
//! in the log.
//!
//! | Word | Status | Means |
//! |---|---|---|
//! | `clock-in-doubt` | 503 | see above |
//! | `conflict` | 409 | the state does not allow it, or another act came first; `busy`: ask again |
//! | `denied` | 403 | policy said no; the verdict names the policies |
//! | `forbidden` | 403 | the caller is known and may not do this |
//! | `internal` | 500 | a fault; ask again with the same idempotency key |
//! | `length-required` | 411 | send `Content-Length`, no chunks |
//! | `malformed` | 400 | no HTTP, JSON or query as it should be |
//! | `method-not-allowed` | 405 | see `/v1/openapi.json` |
//! | `minting-stopped` | 503 | the kill switch is on |
//! | `not-acceptable` | 406 | no answer of that media type |
//! | `not-found` | 404 | no such thing, or none that this caller may see |
//! | `rate-limited` | 429 | asked, refused or waiting too often; `Retry-After` says how long |
//! | `timeout` | 408 | the request did not arrive in time |
//! | `too-large` | 413 | the body is above its limit |
//! | `unauthenticated` | 401 | no proof, two proofs, or one that does not hold |
//! | `unavailable` | 503 | no policy, a store that cannot record, or too many at once: `crowded` |
//! | `unprocessable` | 422 | a value is wrong; `detail` names the field |
//! | `unsupported-media-type` | 415 | the body is of another type |
//!
//! # Metrics, dashboard, alerts
//!
//! All in `deploy/observability`: `metrics.md` is written from the code, `dashboard.json` is for
//! Grafana, `alerts.yaml` for Prometheus. [`runbook`](crate::manual::runbook) says what to do when
//! an alert comes. No subject, scope or address is ever a label.
//!
//! # Floods
//!
//! A caller who is refused again and again is told so with 429 and no longer recorded line by line:
//! one event `overflow.counted` a minute says how often and why. Strangers are counted the same
//! way, by address or IPv6 network. Whoever is permitted something gets it all the same. Ask
//! `protem audit list --kind overflow.counted`.
//!
//! When more want to mint than the machine can serve, whoever's own certificate ends first is
//! served first, and the others hear `crowded` with a `Retry-After` of a quarter of what they have
//! left. Revoking, stopping and reading stand in no line. Past the limit of connections there
//! is a small reserve, also for each address: there everybody hears `connections`, and what an
//! operator asks is served all the same. Past the reserve the handshake ends with the TLS alert
//! `internal_error`: clients tell of a connection that could not be trusted, the server's log of
//! one that was refused.
//!
//! # Limits
//!
//! Bytes, counts and spans that no configuration passes. Each is a constant at the end of its file.
//!
//! | What | Limit | Constant |
//! |---|---|---|
//! | certificate request | 8 KiB | `CSR_BYTES_MAX` |
//! | certificate; chain file; certificates in it | 16 KiB; 64 KiB; 8 | `CHAIN_CERTIFICATES_MAX` |
//! | to-be-signed bytes beside key and names | 700 | `FRAME_BYTES_MAX` |
//! | request body; policy upload | 64 KiB; 1 MiB | `BODY_BYTES_MAX`, `POLICY_BYTES_MAX` |
//! | query; idempotency key | 4 KiB; 64 characters | `QUERY_BYTES_MAX`, `KEY_BYTES_MAX` |
//! | request head; header lines | 16 KiB; 64 | `HEAD_BYTES_MAX`, `HEADERS_MAX` |
//! | connections; from one neighbour | 16,384; 1,024 | `CONNECTIONS_PER_NEIGHBOUR_MAX` |
//! | beyond them, for operators; from one neighbour | 64; 4 | `RESERVE_PER_NEIGHBOUR_MAX` |
//! | files kept from connections | 192 | `FILES_KEPT` |
//! | requests of one caller | 20,000, then 10,000 a second | `REQUESTS` |
//! | recorded refusals of one caller | 256, then one in 5 s | `REFUSALS` |
//! | callers remembered; counted by name in a round | 65,536; 256 | `COUNTED_PARTIES_MAX` |
//! | walks at once; of one caller; in line | 512; 384; 4,096 | `PLACES_MAX`, `SHARE_MAX` |
//! | wait in line | 5 s | `WAIT_MAX` |
//! | waits for elevations; of one caller | 8,192; 200 | `WAITS_PER_CALLER_MAX` |
//! | lists and searches of one caller at once | 2 | `SEARCHES_PER_CALLER_MAX` |
//! | batches at once; of one caller | 32; 4 | `BATCHES_MAX`, `BATCHES_PER_CALLER_MAX` |
//! | waits for the keys of one issuer | 64 | `WAITING_PER_ISSUER_MAX` |
//! | streams of one connection | 128 | `STREAMS_MAX` |
//! | handshake; head; body | 10 s each | `HANDSHAKE_MAX`, `HEAD_READ_MAX`, `READ_MAX` |
//! | idle; age; stalled write; drain | 2 min; 1 h; 20 s; 20 s | `IDLE_MAX`, `AGE_MAX` |
//! | wait for an elevation | 60 s | `WAIT_MAX` |
//! | page; export stream | 1,000; 1,000,000 rows | `PAGE_ROWS_MAX`, `STREAM_ROWS_MAX` |
//! | SPIFFE ID; trust domain; scope | 2,048; 255; 63 bytes | `SPIFFE_ID_BYTES_MAX` |
//! | group; selector; hint | 63; 256; 64 bytes | `GROUP_BYTES_MAX`, `SELECTOR_BYTES_MAX` |
//! | selectors, obtainers, groups of an entry | 32, 32, 64 | `ENTRY_GROUPS_MAX` |
//! | all obtainers of an entry | 12 KiB | `ENTRY_OBTAINERS_BYTES_MAX` |
//! | life of a base SVID | 1 min to 24 h | `ENTRY_LIFE_MAX` |
//! | life of an elevated SVID | 60 s to 15 min | `SVID_LIFE_MAX` |
//! | elevation | `svid_life` to 8 h | `ELEVATION_LONGEST_MAX` |
//! | reason; ticket | 1,024; 64 bytes | `REASON_BYTES_MAX`, `TICKET_BYTES_MAX` |
//! | scheduled ahead | 30 days | `SCHEDULE_AHEAD_MAX` |
//! | waiting for people; for the first mint | 1 h; 15 min | `DECIDE_WITHIN`, `ACTIVATE_WITHIN` |
//! | open elevations of one subject | 100 | `OPEN_PER_SUBJECT_MAX` |
//! | instances of one elevation | 4,096 | `BOUND_MAX` |
//! | join token | 1 min to 1 day, else 10 min | `TOKEN_LIFE_MAX` |
//! | issuer's token; its life; leeway | 8 KiB; 1 day; 30 s | `TOKEN_BYTES_MAX`, `LEEWAY_MAX` |
//! | issuer's document; keys; their age | 64 KiB; 32; 1 h | `KEYS_MAX`, `KEYS_AGE_MAX` |
//! | readings that tokens can cause | one in 30 s for each issuer | `KEYS_ASK_AGAIN_AFTER` |
//! | bundle file of a trust domain | as chain file | `CHAIN_BYTES_MAX` |
//! | idempotency key is known for | 25 h | `RETRY_KEPT` |
//! | event | 65,535 bytes | `EVENT_BYTES_MAX` |
//! | free space below which nothing new is minted | 32 MiB | `RESERVE_BYTES` |
//! | an intent is left over after | 10 s | `LEFT_AFTER` |
//! | acts waiting; in one commit | 1,024; 512 | `WAITING_MAX`, `GROUP_MAX` |
//! | bundle; file; files | 8 MiB; 1 MiB; 512 | `BUNDLE_BYTES_MAX`, `FILES_MAX` |
//! | scopes; servers of a scope | 20,000; 64 | `SCOPES_MAX`, `SERVERS_MAX` |
//! | operators of one policy | 512 | `OPERATORS_MAX` |
//! | approvals that one need asks | 16 | `NEED_COUNT_MAX` |
//! | tests of one file | 2,000 | `SUITE_TESTS_MAX` |
//! | a verdict looks ahead | 24 h | `HORIZON_MAX` |
//! | what the command reads of one answer | 8 MiB | `ANSWER_BYTES_MAX` |
//! | attempts of a call that may be repeated | 3 | `ATTEMPTS_MAX` |
//!
//! A bundle may have 8 MiB by file and 1 MiB by upload: activate larger ones as `first_policy`.
//!
//! # Logs
//!
//! On standard error; one line for each request with id, path, status, code, caller, event and
//! serial. Never a key, a token, a request or a reason. `log` is a filter such as
//! `protem::api=debug,info`. `deploy/observability/logs.md` has every line with its fields, what
//! it means and what to do.
//!
//! # Upgrade
//!
//! 1. `protem backup FILE`, and keep it until the new version has run for a day.
//! 2. `protem policy check DIR` and `protem policy test DIR` with the new binary: the schema is
//!    compiled in, and a bundle that no longer compiles keeps the server from starting.
//! 3. Stop, replace the binary, start. The last version's configuration still starts.
//!
//! The schema of the store moves forward only, each step in one transaction. An older binary
//! refuses a store that a newer one has opened; going back is restoring the backup, with all that
//! this means.
