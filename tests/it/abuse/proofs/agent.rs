//! Group G: which test performs each attack on an agent and its sockets.

use crate::abuse::proofs::Proof;

pub(crate) const PROOFS: &[Proof] = &[
    (
        "G1",
        "another user connects",
        "told by the kernel, no entry no SVID",
        &[
            "attestor::another_user_shows_other_selectors",
            "offer::a_caller_without_an_entry_is_given_nothing_and_waits_until_that_is_sure",
            "house::an_entry_fits_who_shows_all_its_selectors_and_none_fits_nobody",
        ],
    ),
    (
        "G2",
        "a process number that is used again",
        "the process is held, gone is gone",
        &[
            "attestor::a_caller_that_was_gone_before_is_not_met",
            "attestor::a_caller_that_ends_while_it_is_attested_has_all_or_nothing",
            "attestor::a_kernel_that_names_no_process_takes_only_those_that_are_old",
            "attestor::holders_are_told_by_number_and_start",
        ],
    ),
    (
        "G3",
        "another program after connecting",
        "looked at anew before each new right",
        &[
            "attestor::a_caller_that_runs_another_program_shows_that_one",
            "attestor::a_caller_gains_nothing_by_a_program_that_sets_its_user",
            "hostile::before_a_new_right_goes_out_the_caller_is_looked_at_anew",
            "hostile::a_process_that_became_another_is_given_what_that_one_may_hold",
            "together::who_comes_during_a_look_shares_the_next_one_and_never_that_one",
        ],
    ),
    (
        "G4",
        "a connection handed to another process",
        "its maker's, and ends with him",
        &[
            "attestor::who_got_the_connection_from_a_caller_that_ended_has_nothing",
            "socket::a_connection_ends_with_the_process_that_made_it",
            "socket::a_stream_ends_with_the_process_that_opened_it",
        ],
    ),
    (
        "G5",
        "a link, a file or somebody's folder where the socket goes",
        "refused",
        &[
            "placing::a_link_in_place_of_a_folder_or_a_socket_is_refused",
            "placing::what_is_no_socket_of_ours_stays",
            "placing::a_folder_that_others_can_change_is_refused",
            "placing::a_folder_below_one_that_others_can_change_is_refused",
        ],
    ),
    (
        "G6",
        "the socket removed or replaced",
        "noticed, made anew where that is safe",
        &[
            "socket::a_socket_that_is_removed_or_replaced_is_made_anew",
            "socket::a_socket_is_not_made_anew_where_that_is_not_safe",
        ],
    ),
    (
        "G7",
        "an abstract socket, a mode that is not needed",
        "refused; the mode that is named",
        &[
            "placing::what_is_no_path_of_a_socket_is_refused",
            "placing::a_socket_has_the_mode_and_group_that_it_is_given",
        ],
    ),
    (
        "G8",
        "a container, a user namespace",
        "the host's numbers, the runtime's names",
        &[
            "attestor::who_is_root_in_a_namespace_of_his_own_is_who_he_is_outside",
            "attestor::a_path_of_another_view_is_not_believed",
            "cgroup::containers_are_found_below_what_runtimes_make",
            "cgroup::nobody_takes_a_name_by_a_group_of_his_own",
            "seats::root_of_a_container_is_as_everybody_and_root_of_the_host_is_not",
        ],
    ),
    (
        "G9",
        "no security header, HTTP/1.1, TCP",
        "refused; there is no TCP",
        &[
            "workload_socket::the_header_is_demanded_once_and_right_before_anything_else",
            "workload_api::a_client_without_the_header_is_turned_away_by_every_method",
            "socket::what_is_no_http_2_is_cut_off",
        ],
    ),
    (
        "G10",
        "10,000 connections or streams of one user, 100,000 that leave",
        "his share, and nothing is left",
        &[
            "socket::one_user_has_few_connections_and_root_gets_in",
            "workload_socket::a_process_has_so_many_streams_and_its_closed_ones_count_no_more",
            "hostile::streams_have_an_end_and_their_places_come_back",
            "turns::who_hangs_holds_up_himself",
            "socket::callers_who_leave_leave_nothing",
            "keeper::who_leaves_is_heard_of_however_he_leaves_and_however_full_the_line_is",
            "agent_churn::an_agent_on_which_everything_comes_and_goes_does_not_grow",
        ],
    ),
    (
        "G11",
        "a core dump, another process of the user",
        "no core, not traced; no key of a workload on disk",
        &[
            "hardening::a_whole_process_is_hardened",
            "hardening::no_core_is_ever_dumped",
            "hardening::only_the_one_capability_passes_the_limit",
        ],
    ),
    (
        "G12",
        "an elevated SVID at its end",
        "gone a second before",
        &[
            "house::an_elevated_svid_ends_a_second_early",
            "on_demand::an_elevated_svid_without_successor_is_removed_a_second_before_its_end",
            "handout::nothing_ended_or_not_begun_is_given",
        ],
    ),
    (
        "G13",
        "an agent that slept past an end",
        "what ended is dropped first",
        &["house::after_a_sleep_the_first_act_is_to_drop_what_ended"],
    ),
    (
        "G14",
        "the server away at a renewal",
        "held to the end, asked for after pauses",
        &[
            "house::what_ended_while_the_server_is_away_leaves_no_time_that_has_passed",
            "outages::what_is_held_goes_on_while_something_is_away",
            "link::pauses_grow_to_their_bound",
        ],
    ),
    (
        "G15",
        "two agents with one state",
        "one at a time on a host; a copy on another host is not told apart",
        &["home::generations_rise_over_starts_and_two_agents_never_share"],
    ),
    (
        "G16",
        "an agent that asks for entries of others",
        "refused",
        &[
            "obtain::only_the_ways_that_an_entry_names_lead_to_its_svid",
            "agents::an_agent_is_told_nothing_of_others",
            "holders::nobody_but_an_agent_of_the_subject_names_a_holder",
            "uses::only_the_agents_of_a_scopes_servers_are_believed",
        ],
    ),
    (
        "G17",
        "a malicious answer of the server",
        "never counts",
        &[
            "mint::a_malicious_answer_never_counts",
            "news::an_elevation_is_read_and_its_faults_are_named",
            "news::what_is_no_certificate_is_no_root",
        ],
    ),
    (
        "G18",
        "an elevated SVID with the key of a base SVID",
        "a key for each certificate",
        &["mint::every_certificate_is_asked_for_with_a_key_of_its_own"],
    ),
];
