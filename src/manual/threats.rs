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
//! | an issuer's token | a CI job, for minutes | obtain base SVIDs of one subject till its end |
//! | a token issuer's key | elsewhere | obtain base SVIDs of subjects whose entry names it |
//! | a root of `own_bundle` | elsewhere | call as each workload |
//! | a foreign trust domain's root | elsewhere | call as each of its mapped subjects |
//! | a base SVID and its key | the workload | ask as that workload |
//! | an elevated SVID and its key | the workload | use one scope until notAfter, ask for nothing |
//! | the policy in force | the store, by digest | decide who gets what |
//!
//! All these files have mode 0600, and a key file that others may read is refused.
//!
//! # The boundaries
//!
//! - **Network to server.** TLS 1.3, full handshakes. Nothing is believed of a peer but a
//!   certificate that verifies, a secret that the store knows by its hash, or a token that a
//!   configured issuer signed. Headers of proxies count for nothing.
//! - **Server to issuer.** What an issuer publishes is a stranger's text; see `keyset`.
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
//!   `a_token_opens_nothing_late_or_for_another`,
//!   `races::a_join_token_redeemed_by_fifty_at_once_gives_one`.
//! - **Two moves of one elevation.** `one_of_many_moves_wins`,
//!   `races::a_thousand_elevations_end_once_each_however_many_pull_at_them`, and every order that a
//!   scheduler finds: `an_elevation_ends_once_and_nothing_is_minted_after_its_end`.
//! - **Neighbours in one commit.** `who_is_answered_is_durable_and_nobody_waits_for_ever`.
//! - **A retry that mints twice, or another request under the same key.**
//!   `a_repeated_request_finds_the_first`,
//!   `issue::a_repeated_request_gets_the_same_certificate_while_it_lives`,
//!   `races::one_key_used_by_sixty_four_at_once_mints_once`.
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
//! - **Forged and bent tokens.** No algorithm but the pinned ones, no key of the token's own, no
//!   header that changes its meaning; one spelling, no name twice, times in whole seconds, one
//!   audience. All JWS, key set and JOSE tests of Wycheproof have their verdict.
//!   `strangers::hostile_headers_get_their_answers`,
//!   `strangers::hostile_claims_get_their_answers`,
//!   `token_vectors::signed_tokens_get_their_verdicts`, and the fuzz targets `token`, `key_set`.
//! - **An issuer that is hostile, or stands in for one.** Its address is public or configured, it
//!   is not followed elsewhere, what it sends is bounded, and it keeps nobody waiting.
//!   `strangers::a_hostile_issuer_gives_no_keys`,
//!   `strangers::new_keys_are_found_and_hostile_names_ask_once`, `what_is_inside_is_not_public`,
//!   `a_silent_issuer_is_given_up`.
//! - **A job that is over.** Its SVID does not renew itself.
//!   `strangers::a_job_gets_its_svid_and_with_it_its_right`.
//! - **An authority that speaks for another trust domain.** A leaf is verified by the bundle of the
//!   one that it names; no root serves two, and none of protem's own is foreign.
//!   `strangers::no_authority_speaks_for_another_trust_domain`,
//!   `strangers::bundles_that_would_cross_are_refused_at_the_start`,
//!   `nobody_has_two_vouchers`.
//! - **A foreign name that looks elevated, or like a subject of ours.**
//!   `a_foreign_subject_has_one_name_here`,
//!   `strangers::arrangement_c_foreign_svids_are_elevated_under_their_names_here`.
//! - **Smuggling.** One host, one length, no bare LF, no chunks, no compression, no key twice, no
//!   list for an object. `doors::a_request_names_exactly_one_host`,
//!   `doors::a_body_is_read_in_one_way`, `doors::a_request_behind_a_refused_head_is_never_read`,
//!   `http_reads_what_was_judged_and_nothing_else`.
//! - **Slow and many.** Heads, bodies, writes, idle and old connections, streams and resets have
//!   limits. `doors::what_is_silent_or_slow_is_closed`,
//!   `a_neighbour_cannot_take_the_place_of_others`, `a_peer_that_takes_nothing_is_given_up`,
//!   `a_window_that_never_opens_ends_its_stream_and_no_other`,
//!   `pings_do_not_keep_an_idle_connection`.
//! - **Floods.** Refusals of one caller are recorded up to a rate and counted beyond it; strangers
//!   are counted by network; nobody else waits for it.
//!   `limits::a_flood_of_refusals_is_counted_and_disturbs_nobody`,
//!   `limits::strangers_are_counted_by_neighbour`,
//!   `rest::who_asks_too_often_is_told_when_to_ask_again`.
//! - **More than can be served.** Whoever ends first comes first, and nobody holds all places.
//!   `limits::whose_certificate_ends_first_is_served_first`,
//!   `the_next_is_whoever_ends_first_within_his_share`.
//! - **All connections taken.** Words for everybody, service for an operator.
//!   `doors::who_comes_beyond_the_limits_is_told_and_an_operator_is_served`.
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
//!   `a_clock_that_is_set_is_in_doubt_until_accepted`, `small_steps_add_up`, and with a real
//!   clock that is bent `faults::clocks`.
//! - **A full disk, a failed commit.** The group hears it and nothing is assumed; what could not be
//!   concluded is finished when the disk is well. `faults::disks`,
//!   `faults::points::a_step_that_fails_in_an_issuance_is_made_up_for_while_serving`,
//!   `store_sqlite::a_failed_commit_fails_its_group_and_no_other`.
//! - **A disk whose calls fail, a power cut, a death anywhere.** Every call that makes something
//!   durable fails once or is the last (`faults::syscalls`); power is cut on a disk that forgets
//!   what was not synced (`faults::power`, which also shows that a writer without syncs loses
//!   there what it answered for); the server dies at every named point (`faults::points`) and at
//!   any moment (`tests/it/crash.rs`). Every certificate that a client holds is in the books.
//! - **An older copy of the store, a log without its tail.** Told at the start, and nothing is
//!   minted until an operator says so. `faults::copies`.
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
//! - **A caller is its subject.** Its instances share one bucket of refusals, so one of them can
//!   make the refusals of the others be counted instead of recorded. Grants are not
//!   bounded like this: who may renew can renew ten thousand times a second, each on record.
//! - **Not every refusal is an event.** What policy and the rules beside it refuse is recorded, and
//!   callers that the door does not know are counted. A request that fails in between is only
//!   logged: a doubted clock, a malformed body.
//! - **No votes.** Approvals are always none; what needs one stays pending and lapses. So
//!   self-approval is not possible, and not yet prevented either.
//! - **No signals.** The engine knows them, no source feeds them.
//! - **Operator credentials do not end and cannot be removed.** One is made at the first start. It
//!   is a bearer secret without holder, and two people with it are one caller.
//! - **The kill switch asks policy.** A policy that refuses operators refuses it too. The way above
//!   policy, a local socket, is to come.
//! - **Two files put back together.** Who restores an older `protem.db` together with an older
//!   `ledger.head` is not seen, nor a loss of less than the last minute. That needs a witness
//!   elsewhere.
//! - **Keys lie in files.** There is no hardware module and no encryption of `ca/`.
//! - **A clock that stood ahead.** Events keep the time they were given. A server whose clock
//!   stands before the newest event comes up and mints nothing for workloads until an operator
//!   accepts the clock. A start whose clock stands ahead cannot know it.
//! - **Persons.** Callers are workloads, tokens and operators.
//! - **A distrusted foreign root ends no connection.** It opens no new one within seconds; those
//!   that are open end with their leaf or after an hour. Revocation lists are not read.
//! - **A stolen token of an issuer.** It can be shown again until it ends.
//! - **Refused tokens are logged, not recorded.** What an issuer's token is refused for at the door
//!   stands in the log with the issuer, and in no event.
//! - **Raw TCP behind an Envoy without the module.** No rule of Envoy's own reads notAfter there; a
//!   greatest age is all there is. `deploy/envoy` has the module, for one minor version of Envoy.
//! - **What a kernel was given before notAfter.** A slow reader may still receive it.
