//! Rows whose attack needs another stage than a running server: the test that performs each.
//!
//! A test that is named here and does not exist fails `abuse::every_proof_exists`.

mod agent;

use crate::abuse::{Row, shown};

pub(crate) fn rows() -> Vec<Row> {
    let all = PROOFS.iter().chain(agent::PROOFS);
    all.map(|(id, attack, expected, tests)| shown(id, attack, expected, tests))
        .collect()
}

/// Row, attack, expected answer, tests.
pub(crate) type Proof = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const PROOFS: &[Proof] = &[
    (
        "C1",
        "every request of this group under a strict profile",
        "refused, or minted without what it asks",
        &["hostile_csr::every_hostile_request_gets_its_answer"],
    ),
    (
        "C16",
        "50,000 mutations of the requests of this group",
        "never a panic, never another key",
        &["mutants::mutants_are_refused_or_keep_their_key"],
    ),
    (
        "C16",
        "the certificates and requests of another project's test vectors",
        "each its verdict, never a panic",
        &["vectors::vectors_of_others_get_their_verdicts"],
    ),
    (
        "C10",
        "signatures of Wycheproof: P-256, P-384, Ed25519, RSA",
        "valid ones accepted, invalid ones refused",
        &["vectors::signatures_of_wycheproof_are_told_apart"],
    ),
    (
        "C20",
        "a challenge password in logs or errors",
        "never shown",
        &["hostile_csr::secrets_in_attributes_are_never_shown"],
    ),
    (
        "S7",
        "an authority for a trust domain that is an address",
        "refused at start",
        &["config::the_sample_is_read_and_its_mistakes_are_told"],
    ),
    (
        "S8",
        "a base identity that looks elevated, under every encoding",
        "refused, or one reading",
        &["hostile_names::no_base_identity_looks_elevated_under_any_encoding"],
    ),
    (
        "S13",
        "a minted wildcard, a second URI",
        "never",
        &["hostile_names::every_certificate_has_one_uri_and_no_wildcard"],
    ),
    (
        "T2",
        "JWT: algorithms confused",
        "401: the algorithm is pinned",
        &[
            "strangers::hostile_headers_get_their_answers",
            "token_vectors::signed_tokens_get_their_verdicts",
        ],
    ),
    (
        "T3",
        "JWT: keys named by the token",
        "ignored; an unknown kid asks once",
        &[
            "strangers::hostile_headers_get_their_answers",
            "strangers::new_keys_are_found_and_hostile_names_ask_once",
        ],
    ),
    (
        "T4",
        "JWT: key sets of others, large, redirected",
        "no keys, no answer to wait for",
        &["strangers::a_hostile_issuer_gives_no_keys"],
    ),
    (
        "T5",
        "JWT: issuers nearly alike",
        "401, exact text",
        &[
            "strangers::hostile_claims_get_their_answers",
            "strangers::a_hostile_issuer_gives_no_keys",
        ],
    ),
    (
        "T6",
        "JWT: another audience",
        "401",
        &["strangers::hostile_claims_get_their_answers"],
    ),
    (
        "T7",
        "JWT: ended, endless, not begun",
        "401",
        &["strangers::hostile_claims_get_their_answers"],
    ),
    (
        "T8",
        "JWT: claims twice, nested, of other types",
        "401",
        &[
            "strangers::claims_that_two_readers_read_differently_are_none",
            "strangers::hostile_claims_get_their_answers",
        ],
    ),
    (
        "T12",
        "one join token in two transactions",
        "spent once",
        &["issue::a_join_token_is_spent_once"],
    ),
    (
        "M2",
        "resumption by a clock that is moved past the end",
        "a full handshake, refused",
        &[
            "doors::no_session_resumes_and_no_ticket_is_sent",
            "doors::an_ended_or_foreign_certificate_opens_nothing",
        ],
    ),
    (
        "M3",
        "a request after the end that no timer has seen",
        "401 certificate_ended",
        &["doors::a_request_after_the_end_is_refused_though_the_timer_has_not_run"],
    ),
    (
        "M15",
        "base and elevated SVID on one connection pool",
        "two secrets, two files",
        &["client::a_base_svid_is_written_and_then_renewed_with_itself"],
    ),
    (
        "H1",
        "a peer that reads nothing, HTTP/1.1",
        "connection ended",
        &["listener::a_peer_that_takes_nothing_is_given_up"],
    ),
    (
        "H1",
        "a peer that opens no window, HTTP/2",
        "stream reset, others served",
        &["doors::a_window_that_never_opens_ends_its_stream_and_no_other"],
    ),
    (
        "H1",
        "an idle HTTP/2 connection, silent or pinging",
        "connection ended",
        &[
            "doors::what_is_silent_or_slow_is_closed",
            "doors::pings_do_not_keep_an_idle_connection",
        ],
    ),
    (
        "H1",
        "more connections than a neighbour may hold",
        "told so; an operator served",
        &["doors::who_comes_beyond_the_limits_is_told_and_an_operator_is_served"],
    ),
    (
        "H2",
        "2,000 streams of broken heads, cut anywhere",
        "HTTP reads what was judged",
        &["listener::http_reads_what_was_judged_and_nothing_else"],
    ),
    (
        "H2",
        "a request behind a refused head",
        "never read",
        &["doors::a_request_behind_a_refused_head_is_never_read"],
    ),
    (
        "H6",
        "the published description against a running server",
        "no answer but those described",
        &["described::the_published_description_holds_under_generated_requests"],
    ),
    (
        "D1",
        "a full disk during a commit",
        "refused, forgotten when space returns",
        &[
            "writer::a_full_disk_refuses_and_is_forgotten_when_space_returns",
            "faults::a_disk_that_fills_up_refuses_first_what_is_new",
        ],
    ),
    (
        "D3",
        "EIO on fsync",
        "refused, reopened, made up for",
        &["faults::every_call_that_makes_durable_may_fail_once"],
    ),
    (
        "D4",
        "kill -9 between any two steps",
        "no record lost, no signature without one",
        &[
            "crash::what_clients_received_is_in_the_books_after_kill_9",
            "faults::a_server_that_dies_in_an_issuance_leaves_nothing_half_done",
            "restart::a_crash_before_the_signature_is_finished_once_from_the_recorded_bytes",
        ],
    ),
    (
        "D5",
        "a power cut",
        "no acknowledged record lost",
        &[
            "faults::what_clients_received_is_in_the_books_after_power_cuts",
            "faults::a_writer_that_does_not_sync_loses_what_it_answered_for",
        ],
    ),
    (
        "D6",
        "a damaged page, a changed event, another program's file",
        "found and refused",
        &[
            "store_sqlite::a_damaged_page_is_found_at_the_start",
            "store_sqlite::a_changed_event_shows",
            "store_sqlite::a_file_that_is_no_store_is_refused_and_left_alone",
            "store_sqlite::a_log_without_its_file_is_refused",
            "faults::a_harmed_store_is_refused_with_words",
            "faults::a_log_that_lost_its_tail_mints_nothing_until_an_operator_says_so",
        ],
    ),
    (
        "D11",
        "conflicting acts at once",
        "one writer: each answered, one wins",
        &[
            "races::sixty_four_mints_at_once_of_one_place_give_one_instance",
            "races::mints_at_once_with_a_revocation_end_with_it",
        ],
    ),
    (
        "D12",
        "a newer schema, an interrupted start",
        "refused; made up for",
        &[
            "store_sqlite::a_store_of_another_schema_is_refused",
            "store_sqlite::what_an_interrupted_start_left_is_no_obstacle",
        ],
    ),
    (
        "D13",
        "a question without end",
        "refused, the next one answered",
        &["readers::a_question_without_end_is_refused_and_the_next_one_answered"],
    ),
    (
        "D14",
        "what a copy holds",
        "a prefix of the ledger",
        &[
            "store_sqlite::a_backup_while_writing_is_a_prefix",
            "store_sqlite::backup_and_restore_replace_nothing_and_take_only_stores",
            "faults::an_older_copy_mints_nothing_until_an_operator_says_so",
        ],
    ),
    (
        "D15",
        "a group of which one fails",
        "its neighbours stand",
        &["store_sqlite::a_failed_commit_fails_its_group_and_no_other"],
    ),
    (
        "K1",
        "the clock jumps",
        "minting stops until accepted",
        &[
            "issue::nothing_is_minted_while_the_clock_is_in_doubt",
            "clock::a_clock_that_is_set_is_in_doubt_until_accepted",
            "clock::a_clock_before_the_last_event_is_in_doubt",
            "faults::a_clock_that_jumps_stops_minting_until_it_is_accepted",
            "faults::small_steps_of_the_clock_add_up",
        ],
    ),
    (
        "K3",
        "a leaf that outlives its right or its issuer",
        "cut to it",
        &[
            "issue::no_svid_outlives_its_elevation",
            "restart::issuers_renew_before_half_their_life_and_old_leaves_stay_good",
        ],
    ),
    (
        "K4",
        "an issuer whose root nobody has",
        "issuers change below one root",
        &["restart::issuers_renew_before_half_their_life_and_old_leaves_stay_good"],
    ),
    (
        "K6",
        "a signature over other bytes",
        "read again with other code, refused",
        &[
            "certificates::both_verifiers_agree_for_every_kind_of_issuer",
            "certificates::every_departure_is_a_finding",
        ],
    ),
    (
        "K7",
        "a serial that was used",
        "refused by the store",
        &["store_contract::a_serial_is_used_once"],
    ),
    (
        "K9",
        "a key in words of the program",
        "no word shows it; memory is wiped, not yet scanned",
        &["private_key::debug_shows_the_public_half_only"],
    ),
];
