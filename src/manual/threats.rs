//! What protem defends, against whom, and which test shows it.
//!
//! Tests are named where they stand: `issue::` and the like are files of `tests/it`; a bare name is
//! at the end of the file that it tests. `tests/it/envoy.rs` puts a real Envoy to the test.
//!
//! # What is worth attacking
//!
//! | Thing | Where it lives | Who holding it could |
//! |---|---|---|
//! | key of root or brought issuer | `ca/`, or your file | mint anything, until trust changes |
//! | keys of the intermediates | `ca/` | mint for a day, within name constraints |
//! | the store | `protem.db` | rewrite the ledger: it is not signed yet |
//! | an operator credential | `operator.token` | do what policy permits to operators |
//! | a join token | in a hand, for minutes | obtain one base SVID of one subject, once |
//! | a base SVID and its key | the workload | ask as that workload |
//! | an elevated SVID and its key | the workload | use one scope until notAfter, ask for nothing |
//! | the policy in force | the store, by digest | decide who gets what |
//!
//! All these files have mode 0600, and a key file that others may read is refused.
//!
//! # The boundaries
//!
//! - **Network to server.** TLS 1.3, full handshakes. Nothing is believed of a peer but a
//!   certificate that verifies, or a secret that the store knows by its hash. Headers of proxies
//!   count for nothing.
//! - **Server to store.** One process, one file, one lock. What the disk says is parsed, not
//!   trusted.
//! - **Workload to mesh.** protem is not there. What the proxy enforces is what its configuration
//!   says.
//! - **Policy to engine.** A bundle is a stranger's program: bounded, validated, unable to permit
//!   what the guardrails forbid.
//!
//! # What was tried
//!
//! `tests/golden/abuse.md` has a row for each attack of the groups C, S, T, M, H, D and K: what was
//! sent to a running server, what was expected and what came back.
//! `every_attack_gets_the_answer_of_the_table` makes them all again and compares, then looks
//! whether the server is whole: no panic, ready, no gap in the ledger, every intent with its
//! outcome, as many certificates as were answered. Where a door does not exist yet, the row says
//! so and shows what stands in its place.
//!
//! # What holds today
//!
//! ## A workload that wants more than its due
//!
//! - **Names in its request.** CA:TRUE, other SANs, NULs, trailing bytes, two lists of extensions:
//!   taken for nothing, or refused by name. `hostile_csr::every_hostile_request_gets_its_answer`,
//!   `mutated_requests_never_panic_and_never_change_the_key`, and the fuzz target `csr`.
//! - **Weak and foreign keys.** Small-order points, points off the curve, compressed points,
//!   explicit parameters, RSA outside 2048 to 4096 bits; keys of protem's own issuers.
//!   `hostile_csr::a_blocked_key_is_refused`, `a_changed_key_is_refused_or_another_key`.
//! - **A name that looks elevated.** The parts that mark a scope are reserved in every subject.
//!   `reserved_parts_are_refused_wherever_they_would_elevate`,
//!   `what_protem_would_not_write_is_not_read`.
//! - **One right used to get the next.** An elevated SVID obtains nothing, renews nothing.
//!   `issue::an_elevated_svid_opens_nothing_at_the_authority`.
//! - **A right that outlives itself.** notAfter is the last second at which the same question would
//!   be permitted. `issue::no_svid_outlives_its_elevation`,
//!   `a_right_ends_the_second_before_policy_turns`, `a_right_ends_with_the_word_of_a_signal`.
//! - **A second life for an ended elevation.** No such arrow exists, and a renewal asks again.
//!   `the_arrows_are_those_of_the_diagram_and_no_others`,
//!   `issue::a_revoked_elevation_cannot_renew`.
//! - **More instances than asked for.** `an_elevation_serves_as_many_as_asked`.
//! - **Elevations without number.** At most 100 open ones of one subject.
//!   `a_subject_has_bounded_open_elevations`.
//!
//! ## A race
//!
//! - **Facts that change between verdict and record.** The recording transaction checks each
//!   version. `a_changed_fact_refuses`, `stopped_minting_refuses`.
//! - **Two redeemers of one token.** Spending is part of that transaction. `a_token_is_spent_once`,
//!   `a_token_opens_nothing_late_or_for_another`.
//! - **Two moves of one elevation.** `one_of_many_moves_wins`.
//! - **A retry that mints twice, or another request under the same key.**
//!   `a_repeated_request_finds_the_first`,
//!   `issue::a_repeated_request_gets_the_same_certificate_while_it_lives`.
//!
//! ## A stranger on the network
//!
//! - **Resumption past the end.** No ticket, no session, no early data.
//!   `doors::no_session_resumes_and_no_ticket_is_sent`.
//! - **A connection kept past the end.**
//!   `doors::an_open_connection_closes_when_its_certificate_ends`,
//!   `doors::a_request_after_the_end_is_refused_though_the_timer_has_not_run`.
//! - **Foreign, ended or strangely named certificates.**
//!   `doors::an_ended_or_foreign_certificate_opens_nothing`,
//!   `only_names_that_protem_mints_make_a_caller`.
//! - **Smuggling.** One host, one length, no bare LF, no chunks, no compression, no key twice, no
//!   list for an object. `doors::a_request_names_exactly_one_host`,
//!   `doors::a_body_is_read_in_one_way`, `doors::a_request_behind_a_refused_head_is_never_read`,
//!   `http_reads_what_was_judged_and_nothing_else`.
//! - **Slow and many.** Heads, bodies, writes, idle and old connections, streams and resets have
//!   limits. `doors::what_is_silent_or_slow_is_closed`,
//!   `a_neighbour_cannot_take_the_place_of_others`, `a_peer_that_takes_nothing_is_given_up`,
//!   `a_window_that_never_opens_ends_its_stream_and_no_other`,
//!   `pings_do_not_keep_an_idle_connection`.
//! - **Hanging up in the middle.** An act that began is carried to its end.
//!   `doors::an_act_goes_on_when_its_caller_hangs_up`.
//!
//! ## A policy author who errs
//!
//! - **A bundle that overflows the stack.** Operators are counted before Cedar reads the text.
//!   `a_condition_nested_beyond_the_bound_is_refused_and_not_followed`,
//!   `the_deepest_policy_that_is_let_through_is_evaluated`.
//! - **An annotation that promises another approval than the condition asks.**
//!   `a_route_says_what_the_condition_says`, `a_need_lifts_its_forbid_and_nothing_less_does`.
//! - **A forbid that a dead source would silence, or that fails.**
//!   `a_dead_source_neither_silences_a_forbid_nor_helps_a_permit`, `a_forbid_that_fails_forbids`.
//! - **A broken bundle.** It is refused with every fault and its place; the old one stays.
//!   `all_faults_are_told_each_with_its_place`.
//!
//! ## The machine
//!
//! - **A clock that is set.** Minting stops until the clock is accepted.
//!   `issue::nothing_is_minted_while_the_clock_is_in_doubt`,
//!   `a_clock_that_is_set_is_in_doubt_until_accepted`.
//! - **A full disk, a failed commit.** The group hears it and nothing is assumed.
//!   `a_full_disk_refuses_and_is_forgotten_when_space_returns`,
//!   `store_sqlite::a_failed_commit_fails_its_group_and_no_other`.
//! - **A changed or damaged store.** Events are parsed from their sealed bytes at every read.
//!   `store_sqlite::a_changed_event_shows`, `store_sqlite::a_damaged_page_is_found_at_the_start`.
//! - **A second server on the file, another program's file, a newer schema.**
//!   `store_sqlite::a_second_server_on_one_file_is_refused`,
//!   `store_sqlite::a_file_that_is_no_store_is_refused_and_left_alone`.
//! - **A fault of the library that builds certificates.** Other code reads the bytes before they
//!   are recorded and after they are signed. `certificates::every_departure_is_a_finding`.
//!
//! ## The proxy in front
//!
//! With the configuration of `deploy/demo`, in a real Envoy: base SVID 403, elevated 200, and after
//! notAfter no further request on the same HTTP/1.1 or HTTP/2 connection, running streams reset, no
//! resumption, a slow head refused. Each is a check of `tests/envoy/drive.py`.
//!
//! # Out of scope
//!
//! - Whoever has the rights of the server's own user on its machine. He has the keys.
//! - A workload that gives its key away. The certificate says whose key it was; it ends soon.
//! - A mesh whose rules match by prefix or suffix, or that resumes sessions.
//! - Denial of service by a flood below TLS.
//! - The world's time. protem notices that its own clock was moved, not that it is wrong.
//!
//! # What does not hold yet
//!
//! Said plainly, so that nobody rests on it.
//!
//! - **The ledger is not signed.** Numbers are gapless and triggers refuse changes, but who can
//!   write the file can write another ledger. Checkpoints, proofs and witnesses are to come.
//! - **No bucket for each caller.** Refusals are recorded one by one, so a hostile caller can grow
//!   the ledger as fast as he can be refused. Long polls are not capped for each caller either.
//! - **Not every refusal is an event.** What policy and the rules beside it refuse is recorded. A
//!   request that fails before them is only logged: a doubted clock, a malformed body, a caller
//!   that the door does not know.
//! - **An outcome that cannot be recorded waits for a restart.** When the disk fills between intent
//!   and outcome, the intent stays open and its join token spent until the next start finishes it.
//! - **No votes.** Approvals are always none; what needs one stays pending and lapses. So
//!   self-approval is not possible, and not yet prevented either.
//! - **No signals.** The engine knows them, no source feeds them.
//! - **Operator credentials do not end and cannot be removed.** One is made at the first start. It
//!   is a bearer secret without holder, and two people with it are one caller.
//! - **The kill switch asks policy.** A policy that refuses operators refuses it too. The way above
//!   policy, a local socket, is to come.
//! - **A power cut.** Every commit waits for the disk. `tests/it/crash.rs` kills the server under
//!   load and compares every certificate with the books; no test cuts power.
//! - **Keys lie in files.** There is no hardware module and no encryption of `ca/`.
//! - **A clock that stood ahead.** Events keep the time they were given. A server whose clock
//!   stands before the newest event comes up and mints nothing for workloads until an operator
//!   accepts the clock. What a crash left is finished at that start by the clock as it is, and many
//!   small steps of the clock, each below five seconds, do not add up to a doubt.
//! - **Foreign identities, other certificate authorities, persons.** Callers are workloads of the
//!   own trust domain, join tokens and operators; nobody else is let in.
//! - **Raw TCP behind Envoy.** No rule there reads notAfter; a greatest age is all there is.
