//! Rows whose attack needs another stage than a running server: the test that performs each.
//!
//! A test that is named here and does not exist fails `abuse::every_proof_exists`.

use crate::abuse::{Row, shown};

pub(crate) fn rows() -> Vec<Row> {
    PROOFS
        .iter()
        .map(|(id, attack, expected, tests)| shown(id, attack, expected, tests))
        .collect()
}

/// Row, attack, expected answer, tests.
type Proof = (
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
        "elsewhere: JWT callers",
        &[],
    ),
    (
        "T3",
        "JWT: keys named by the token",
        "elsewhere: JWT callers",
        &[],
    ),
    (
        "T4",
        "JWT: key sets of others, large, redirected",
        "elsewhere: JWT callers",
        &[],
    ),
    (
        "T5",
        "JWT: issuers nearly alike",
        "elsewhere: JWT callers",
        &[],
    ),
    ("T6", "JWT: another audience", "elsewhere: JWT callers", &[]),
    (
        "T7",
        "JWT: ended, endless, not begun",
        "elsewhere: JWT callers",
        &[],
    ),
    (
        "T8",
        "JWT: claims twice, nested, of other types",
        "elsewhere: JWT callers",
        &[],
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
        "closed",
        &["doors::more_connections_than_a_neighbour_may_hold_are_closed"],
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
        &["writer::a_full_disk_refuses_and_is_forgotten_when_space_returns"],
    ),
    ("D3", "EIO on fsync", "elsewhere: faults of the disk", &[]),
    (
        "D4",
        "kill -9 between any two steps",
        "no record lost, no signature without one",
        &[
            "crash::what_clients_received_is_in_the_books_after_kill_9",
            "restart::a_crash_before_the_signature_is_finished_once_from_the_recorded_bytes",
        ],
    ),
    ("D5", "a power cut", "elsewhere: faults of the disk", &[]),
    (
        "D6",
        "a damaged page, a changed event, another program's file",
        "found and refused",
        &[
            "store_sqlite::a_damaged_page_is_found_at_the_start",
            "store_sqlite::a_changed_event_shows",
            "store_sqlite::a_file_that_is_no_store_is_refused_and_left_alone",
            "store_sqlite::a_log_without_its_file_is_refused",
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
