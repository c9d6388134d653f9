//! Every option of servers and clients: a blocking end does as it says, or refuses it, or has no use for it,
//! as its documentation says.

use std::collections::BTreeSet;
use std::path::Path;

/// Each option, and the test of this folder in which it works, or is refused.
const PROVED: &[(&str, &str)] = &[
    (
        "accept_masked_server_frames",
        "options::frames_are_as_a_client_was_told",
    ),
    (
        "allow_null_origin",
        "options::heads_are_as_a_server_was_told",
    ),
    ("allowed_origins", "options::heads_are_as_a_server_was_told"),
    ("apply_mask", "options::messages_are_as_a_server_was_told"),
    (
        "auto_fragment_size",
        "options::messages_are_as_a_server_was_told",
    ),
    (
        "auto_ping_interval",
        "timeouts::automatic_pings_go_out_while_recv_waits",
    ),
    (
        "auto_ping_restart_on_any_traffic",
        "watch::pings_that_trickle_are_no_answer_to_an_automatic_one",
    ),
    (
        "auto_ping_size",
        "options::messages_are_as_a_server_was_told",
    ),
    (
        "auto_ping_timeout",
        "timeouts::peer_that_answers_no_ping_is_dropped",
    ),
    (
        "backlog",
        "options::a_backlog_holds_also_where_it_is_set_later",
    ),
    (
        "close_handshake_timeout",
        "closing::peer_that_does_not_close_is_dropped_in_time",
    ),
    (
        "connect_timeout",
        "dialing::a_proxy_that_is_silent_has_as_long_as_connecting",
    ),
    (
        "connect_to",
        "dialing::it_connects_to_another_place_and_asks_for_that_of_the_url",
    ),
    (
        "echo_close_code_reason",
        "options::frames_are_as_a_server_was_told",
    ),
    ("external_port", "options::heads_are_as_a_server_was_told"),
    ("fail_by_drop", "options::frames_are_as_a_server_was_told"),
    (
        "flash_socket_policy",
        "options::answers_are_as_a_server_was_told",
    ),
    ("header", "options::requests_are_as_a_client_was_told"),
    ("headers", "options::requests_are_as_a_client_was_told"),
    (
        "idle_timeout",
        "watch::silence_is_ended_by_idle_timeout_max_lifetime_and_message_timeout",
    ),
    (
        "local_addr",
        "dialing::a_client_connects_from_the_address_that_it_is_told_to",
    ),
    ("log_frames", "options::what_goes_over_the_wire_is_logged"),
    ("log_octets", "options::what_goes_over_the_wire_is_logged"),
    (
        "mask_client_frames",
        "options::frames_are_as_a_client_was_told",
    ),
    (
        "mask_server_frames",
        "options::messages_are_as_a_server_was_told",
    ),
    (
        "max_connections",
        "limits::of_clients_that_come_together_as_many_get_in_as_there_is_room_for",
    ),
    ("max_fragments", "options::frames_are_as_a_server_was_told"),
    (
        "max_frame_payload_size",
        "options::frames_are_as_a_server_was_told",
    ),
    (
        "max_handshaking",
        "shares::of_those_who_say_nothing_the_oldest_make_room",
    ),
    ("max_header_line", "options::heads_are_as_a_server_was_told"),
    ("max_header_size", "options::heads_are_as_a_server_was_told"),
    ("max_headers", "options::heads_are_as_a_server_was_told"),
    (
        "max_lifetime",
        "watch::silence_is_ended_by_idle_timeout_max_lifetime_and_message_timeout",
    ),
    (
        "max_message_payload_size",
        "options::frames_are_as_a_server_was_told",
    ),
    (
        "max_redirects",
        "redirects::redirects_are_refusals_unless_asked_for_and_too_many_are_told",
    ),
    ("memory_budget", "shares::who_holds_the_most_gives_it_up"),
    (
        "message_timeout",
        "watch::silence_is_ended_by_idle_timeout_max_lifetime_and_message_timeout",
    ),
    (
        "open_handshake_timeout",
        "opening::server_that_says_nothing_is_given_up_in_time",
    ),
    ("origin", "options::requests_are_as_a_client_was_told"),
    (
        "per_message_compression_accept",
        "options::compression_is_as_closures_want_it",
    ),
    (
        "per_message_compression_offers",
        "options::requests_are_as_a_client_was_told",
    ),
    (
        "per_message_deflate",
        "options::answers_are_as_a_server_was_told",
    ),
    ("protocols", "options::answers_are_as_a_server_was_told"),
    (
        "proxy",
        "proxies::a_tunnel_leads_to_the_server_and_nothing_behind_the_answer_is_lost",
    ),
    (
        "proxy_protocol",
        "shares::proxies_that_are_trusted_say_who_the_peer_is",
    ),
    (
        "rate_limit",
        "watch::who_sends_more_is_read_more_slowly_and_nothing_is_lost",
    ),
    (
        "receive_window",
        "watch::no_more_is_read_ahead_than_the_window",
    ),
    (
        "require_masked_client_frames",
        "options::messages_are_as_a_server_was_told",
    ),
    (
        "reuse_port",
        "shares::an_address_that_is_bound_cannot_be_shared_any_more",
    ),
    (
        "serve_flash_socket_policy",
        "options::answers_are_as_a_server_was_told",
    ),
    ("server", "options::answers_are_as_a_server_was_told"),
    (
        "server_connection_drop_timeout",
        "closing::server_that_does_not_drop_tcp_is_dropped_in_time",
    ),
    ("tcp_keepalive", "options::sockets_are_as_a_client_was_told"),
    ("tcp_no_delay", "options::sockets_are_as_a_client_was_told"),
    (
        "tcp_user_timeout",
        "options::sockets_are_as_a_client_was_told",
    ),
    (
        "trust_forwarded",
        "shares::the_peer_is_who_the_trusted_proxies_say",
    ),
    (
        "trust_x_forwarded_for",
        "shares::the_peer_is_who_the_trusted_proxies_say",
    ),
    ("useragent", "options::requests_are_as_a_client_was_told"),
    (
        "utf8_validate_incoming",
        "options::messages_are_as_a_server_was_told",
    ),
    ("version", "options::requests_are_as_a_client_was_told"),
    ("versions", "options::heads_are_as_a_server_was_told"),
    ("web_status", "options::heads_are_as_a_server_was_told"),
    (
        "web_status_redirect",
        "options::heads_are_as_a_server_was_told",
    ),
    (
        "write_stall_timeout",
        "timeouts::peer_that_takes_nothing_is_dropped",
    ),
];

/// Those that a blocking end has no use for, as their documentation says with the word `blocking`.
const WITHOUT_USE: &[&str] = &[
    "overflow_policy",
    "send_high_water",
    "send_low_water",
    "track_timings",
    "url",
];

/// The options, and the documentation of each.
fn options() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/options");
    let mut options = Vec::new();
    for file in ["setters.rs", "server.rs", "client.rs"] {
        let source = std::fs::read_to_string(folder.join(file)).unwrap();
        let mut docs = String::new();
        for (at, _) in source.match_indices('\n') {
            let line = &source[at + 1..];
            let text = line.lines().next().unwrap_or_default().trim();
            if let Some(doc) = text.strip_prefix("///") {
                docs += doc;
            } else if let Some((name, _)) = text
                .strip_prefix("pub fn ")
                .and_then(|rest| rest.split_once(['(', '<']))
            {
                let (_, arguments) = line.split_once('(').unwrap();
                if arguments.trim_start().starts_with("mut self") {
                    options.push((name.to_owned(), docs.clone()));
                }
                docs.clear();
            } else if !text.starts_with("#[") {
                docs.clear();
            }
        }
    }
    options
}

#[test]
fn each_option_works_or_is_refused_or_says_that_it_has_no_use_here() {
    let options = options();
    let names: BTreeSet<_> = options.iter().map(|(name, _)| name.as_str()).collect();
    let proved: BTreeSet<_> = PROVED.iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<_> = proved.iter().chain(WITHOUT_USE).copied().collect();
    assert!(names.len() > 60, "{names:?}");
    assert_eq!(names, known);
    assert_eq!(known.len(), PROVED.len() + WITHOUT_USE.len(), "twice");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blocking");
    for (name, test) in PROVED {
        let (file, test) = test.split_once("::").unwrap();
        let source = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        let (_, body) = source.split_once(&format!("\nfn {test}()")).expect(test);
        let body = body.split("\n#[test]").next().unwrap();
        // What several tests of a file share is above them.
        let shared = source.split("\n#[test]").next().unwrap();
        let said = [body, shared]
            .iter()
            .any(|part| part.contains(&format!("{name}(")));
        assert!(said, "{test} does not set {name}");
    }
    for (name, docs) in &options {
        let excepted = docs.contains("ot with `blocking`");
        let has_no_use = WITHOUT_USE.contains(&name.as_str());
        assert_eq!(excepted, has_no_use, "{name}:{docs}");
    }
}
