//! The ranges of options.

use std::time::Duration;

use motorway::{ClientOptions, DeflateOptions, HeaderMap, HeaderValue, ServerOptions};

fn assert_fault(options: &ServerOptions, option: &str, value: &str) {
    let error = options.validate().unwrap_err();
    assert_eq!(error.option(), option);
    let start = format!("option {option} is {value}, but must be ");
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn defaults_are_valid() {
    for options in [ServerOptions::default(), ServerOptions::autobahn()] {
        options.validate().unwrap();
    }
    for options in [ClientOptions::default(), ClientOptions::autobahn()] {
        options.validate().unwrap();
    }
    DeflateOptions::default().validate().unwrap();
}

#[test]
fn sizes_outside_of_their_range_are_refused() {
    let new = ServerOptions::default;
    for (options, option, value) in [
        (
            new().max_frame_payload_size(0),
            "max_frame_payload_size",
            "0",
        ),
        (
            new().max_message_payload_size(0),
            "max_message_payload_size",
            "0",
        ),
        (new().max_fragments(0), "max_fragments", "0"),
        (new().auto_fragment_size(0), "auto_fragment_size", "0"),
        (new().auto_ping_size(3), "auto_ping_size", "3"),
        (new().auto_ping_size(126), "auto_ping_size", "126"),
        (new().max_header_size(511), "max_header_size", "511"),
        (
            new().max_header_size((1 << 20) + 1),
            "max_header_size",
            "1048577",
        ),
        (new().max_header_line(127), "max_header_line", "127"),
        (new().max_header_line(32_769), "max_header_line", "32769"),
        (new().max_headers(7), "max_headers", "7"),
        (new().max_headers(4097), "max_headers", "4097"),
        (new().max_connections(0), "max_connections", "0"),
        (new().max_handshaking(0), "max_handshaking", "0"),
        (new().memory_budget(65_535), "memory_budget", "65535"),
        (new().external_port(0), "external_port", "0"),
        (new().versions([]), "versions", "[]"),
        (new().versions([13, 7]), "versions", "[13, 7]"),
    ] {
        assert_fault(&options, option, value);
    }
}

#[test]
fn durations_outside_of_their_range_are_refused() {
    let new = ServerOptions::default;
    let year = Duration::from_secs(366 * 86_400);
    new().open_handshake_timeout(year).validate().unwrap();
    let long = year + Duration::from_secs(1);
    for (options, option) in [
        (new().open_handshake_timeout(long), "open_handshake_timeout"),
        (
            new().close_handshake_timeout(long),
            "close_handshake_timeout",
        ),
        (new().write_stall_timeout(long), "write_stall_timeout"),
        (new().auto_ping_interval(long), "auto_ping_interval"),
        (new().auto_ping_timeout(long), "auto_ping_timeout"),
    ] {
        assert_fault(&options, option, "31622401s");
    }
    let forever = new().auto_ping_timeout(Duration::MAX);
    assert!(forever.validate().is_err());
}

#[test]
fn texts_that_cannot_be_sent_are_refused() {
    let new = ServerOptions::default;
    for (options, option, value) in [
        (
            new().server("a\r\nb: c".to_owned()),
            "server",
            r#""a\r\nb: c""#,
        ),
        (new().url("http://a".to_owned()), "url", r#""http://a""#),
        (new().url("ws://a/?b".to_owned()), "url", r#""ws://a/?b""#),
        (new().url("ws://a/#b".to_owned()), "url", r##""ws://a/#b""##),
        (new().url("ws://".to_owned()), "url", r#""ws://""#),
        (new().url("ws://a/ b".to_owned()), "url", r#""ws://a/ b""#),
        (new().protocols(["a", "a"]), "protocols", r#""a""#),
        (new().protocols(["a b"]), "protocols", r#""a b""#),
        (new().protocols([""]), "protocols", r#""""#),
        (
            new().allowed_origins(["*", "a"]),
            "allowed_origins",
            r#""a""#,
        ),
    ] {
        assert_fault(&options, option, value);
    }
}

#[test]
fn headers_of_the_handshake_are_refused() {
    for (name, value) in [
        ("a b", "c"),
        ("", "c"),
        ("a", "b\nc: d"),
        ("a", "b\0"),
        ("upgrade", "h2c"),
        ("connection", "close"),
        ("content-length", "1"),
        ("transfer-encoding", "a"),
        ("sec-websocket-key", "a"),
        ("sec-websocket-anything", "a"),
    ] {
        let options = ServerOptions::default().header(name, value);
        assert_fault(&options, "headers", &format!("{name:?}"));
    }
}

#[test]
fn deflate_values_outside_of_their_range_are_refused() {
    let new = DeflateOptions::default;
    for (deflate, option, value) in [
        (
            new().server_max_window_bits(8),
            "server_max_window_bits",
            "8",
        ),
        (
            new().server_max_window_bits(16),
            "server_max_window_bits",
            "16",
        ),
        (
            new().client_max_window_bits(8),
            "client_max_window_bits",
            "8",
        ),
        (
            new().client_max_window_bits(16),
            "client_max_window_bits",
            "16",
        ),
        (new().level(10), "level", "10"),
        (new().mem_level(0), "mem_level", "0"),
        (new().mem_level(10), "mem_level", "10"),
    ] {
        let options = ServerOptions::default().per_message_deflate(deflate);
        assert_fault(&options, option, value);
    }
}

#[test]
fn client_values_outside_of_their_range_are_refused() {
    let new = ClientOptions::default;
    let long = Duration::from_secs(1 << 40);
    for (options, option) in [
        (new().origin("a\r\n"), "origin"),
        (new().useragent("\0".to_owned()), "useragent"),
        (new().header("Host", "a"), "headers"),
        (new().header("Sec-WebSocket-Protocol", "a"), "headers"),
        (new().connect_timeout(long), "connect_timeout"),
        (
            new().server_connection_drop_timeout(long),
            "server_connection_drop_timeout",
        ),
        (new().max_fragments(0), "max_fragments"),
    ] {
        assert_eq!(options.validate().unwrap_err().option(), option);
    }
}

#[test]
fn bounds_are_inclusive() {
    let smallest = DeflateOptions::default()
        .server_max_window_bits(9)
        .level(0)
        .mem_level(1);
    let largest = DeflateOptions::default()
        .client_max_window_bits(15)
        .level(9)
        .mem_level(9);
    for options in [
        ServerOptions::default()
            .auto_ping_size(4)
            .per_message_deflate(smallest),
        ServerOptions::default()
            .auto_ping_size(125)
            .per_message_deflate(largest),
        ServerOptions::default()
            .auto_fragment_size(1)
            .max_connections(1)
            .external_port(1),
        ServerOptions::default()
            .max_header_size(512)
            .max_header_line(128)
            .max_headers(8),
        ServerOptions::default()
            .versions([8])
            .url("wss://[::1]:1/a".to_owned()),
        ServerOptions::default()
            .server(None)
            .max_message_payload_size(None),
    ] {
        options.validate().unwrap();
    }
}

#[test]
fn zero_duration_is_off() {
    let off = ServerOptions::default().open_handshake_timeout(None);
    assert_eq!(
        ServerOptions::default().open_handshake_timeout(Duration::ZERO),
        off
    );
    assert_ne!(ServerOptions::default(), off);
}

#[test]
fn autobahn_differs_from_default_only_where_it_says() {
    let same = ServerOptions::autobahn()
        .fail_by_drop(false)
        .max_message_payload_size(64 << 20)
        .max_frame_payload_size(16 << 20)
        .max_fragments(131_072)
        .close_handshake_timeout(Duration::from_secs(5))
        .write_stall_timeout(Duration::from_secs(60))
        .echo_close_code_reason(true)
        .open_handshake_timeout(Duration::from_secs(5))
        .auto_ping_size(12);
    let expected = ServerOptions::default()
        .versions([8, 13])
        .allow_null_origin(true);
    // Not equal, since the statuses of two refusals differ; those have tests of their own.
    let normal = |options: ServerOptions| {
        format!("{options:?}").replace("autobahn_status: true", "autobahn_status: false")
    };
    assert_eq!(normal(same), normal(expected));
    let client = ClientOptions::autobahn()
        .fail_by_drop(false)
        .max_message_payload_size(64 << 20)
        .max_frame_payload_size(16 << 20)
        .max_fragments(131_072)
        .close_handshake_timeout(Duration::from_secs(5))
        .write_stall_timeout(Duration::from_secs(60))
        .echo_close_code_reason(true);
    assert_eq!(client, ClientOptions::default());
}

#[test]
fn headers_add_up() {
    let mut headers = HeaderMap::new();
    headers.append("set-cookie", HeaderValue::from_static("a=1"));
    headers.append("set-cookie", HeaderValue::from_static("b=2"));
    let one = ServerOptions::default().headers(&headers);
    let two = ServerOptions::default()
        .header("Set-Cookie", "a=1")
        .header("Set-Cookie", "b=2");
    assert_eq!(one, two);
}

#[test]
fn times_of_tcp_outside_of_their_range_are_refused() {
    let new = ServerOptions::default;
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
    for (options, option, value) in [
        (new().tcp_keepalive(Duration::ZERO), "tcp_keepalive", "0ns"),
        (
            new().tcp_keepalive(second * 32_768),
            "tcp_keepalive",
            "32768s",
        ),
        (new().tcp_keepalive(second * 3 / 2), "tcp_keepalive", "1.5s"),
        (
            new().tcp_user_timeout(Duration::ZERO),
            "tcp_user_timeout",
            "0ns",
        ),
        (
            new().tcp_user_timeout(second / 1001),
            "tcp_user_timeout",
            "999",
        ),
        (
            new().tcp_user_timeout(day * 25),
            "tcp_user_timeout",
            "2160000s",
        ),
    ] {
        let error = options.validate().unwrap_err();
        assert_eq!(error.option(), option);
        let start = format!("option {option} is {value}");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    let options = ClientOptions::default()
        .tcp_keepalive(None)
        .tcp_user_timeout(None);
    options.validate().unwrap();
    assert!(
        ClientOptions::default()
            .tcp_keepalive(Duration::ZERO)
            .validate()
            .is_err()
    );
}
