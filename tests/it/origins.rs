//! Which origins match which patterns (RFC 6454, RFC 6455 §10.2).

use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader};
use motorway::{AllowedOrigins, Peer, ServerOptions, TransportDetails};

/// A pattern, an origin, and whether they match.
const ORIGINS: &[(&str, &str, bool)] = &[
    // Exact origins, default ports filled in.
    ("https://example.com", "https://example.com", true),
    ("https://example.com", "https://example.com:443", true),
    ("https://example.com:443", "https://example.com", true),
    ("https://example.com", "HTTPS://EXAMPLE.COM", true),
    ("HTTPS://Example.COM", "https://example.com", true),
    ("https://example.com", "http://example.com", false),
    ("https://example.com", "https://example.com:8443", false),
    ("http://example.com", "http://example.com:80", true),
    ("http://example.com:443", "https://example.com", false),
    ("ws://example.com", "ws://example.com:80", true),
    ("wss://example.com", "wss://example.com:443", true),
    ("http://example.com:08080", "http://example.com:8080", true),
    // The host is matched to its end, from its start.
    ("https://example.com", "https://example.com.evil.com", false),
    ("https://example.com", "https://evil-example.com", false),
    ("https://example.com", "https://www.example.com", false),
    ("https://example.com", "https://examplexcom", false),
    ("https://example.com", "https://example.com.", false),
    // A whole label stands for one or more labels.
    ("https://*.example.com:443", "https://a.example.com", true),
    ("https://*.example.com:443", "https://a.b.example.com", true),
    ("https://*.example.com:443", "https://example.com", false),
    ("https://*.example.com:443", "https://.example.com", false),
    ("https://*.example.com:443", "https://a..example.com", false),
    (
        "https://*.example.com:443",
        "https://evil-example.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://a.example.com.evil.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://evil.com/.example.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://evil.com?.example.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://evil.com#.example.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://evil.com\\.example.com",
        false,
    ),
    (
        "https://*.example.com:443",
        "https://evil.com:443/a.example.com:443",
        false,
    ),
    ("*://*.example.com:*", "http://a.example.com:8080", true),
    ("*://*.example.com:*", "moz-extension://a.example.com", true),
    ("*://*.example.com:*", "http://a.example.org:8080", false),
    ("https://a.*.com", "https://a.b.c.com", true),
    ("https://a.*.com", "https://a.com", false),
    ("https://*", "https://anything.example", true),
    ("https://*", "https://[::1]", true),
    ("https://*", "http://anything.example", false),
    // Within a label it stands for anything but a dot.
    (
        "https://app-*.example.com",
        "https://app-1.example.com",
        true,
    ),
    (
        "https://app-*.example.com",
        "https://app-.example.com",
        true,
    ),
    (
        "https://app-*.example.com",
        "https://app-1.evil.example.com",
        false,
    ),
    ("https://*example.com", "https://evil-example.com", true),
    ("https://*example.com", "https://a.example.com", false),
    ("http*://example.com", "https://example.com", true),
    ("http*://example.com", "http://example.com", true),
    ("http*://example.com", "http://example.com:443", false),
    // Ports.
    ("http://localhost:*", "http://localhost:3000", true),
    ("http://localhost:*", "http://localhost", true),
    ("http://localhost:6*5535", "http://localhost:65535", true),
    ("http://localhost:*0000", "http://localhost:60000", true),
    ("http://localhost:*0000", "http://localhost:6000", false),
    ("http://localhost:30*", "http://localhost:3000", true),
    ("http://localhost:30*", "http://localhost:8030", false),
    ("http://localhost", "http://localhost:3000", false),
    ("http://[::1]:3000", "http://[::1]:3000", true),
    ("http://[::1]", "http://[::1]", true),
    ("http://[::1]", "http://[::2]", false),
    ("http://127.0.0.1", "http://127x0.0.1", false),
    // All.
    ("*", "https://anything.example", true),
    (
        "*",
        "moz-extension://0f3e2d1c-aaaa-bbbb-cccc-000000000000",
        true,
    ),
    // What is not an origin.
    ("*", "", false),
    ("*", "example.com", false),
    ("*", "https://", false),
    ("*", "https://user@example.com", false),
    ("*", "https://user:pass@example.com", false),
    ("*", "https://example.com/", false),
    ("*", "https://example.com:0", false),
    ("*", "https://example.com:65536", false),
    ("*", "https://example.com:", false),
    ("*", "https://exämple.com", false),
    ("*", "https://example.com https://evil.com", false),
    ("*", "://example.com", false),
    ("*", "1a://example.com", false),
    ("https://example.com", "https://example.com@evil.com", false),
    (
        "https://example.com",
        "https://example.com\u{ff0e}evil.com",
        false,
    ),
    ("https://kelvin.com", "https://\u{212a}elvin.com", false),
    // No origin at all goes by a rule of its own.
    ("*", "null", true),
    ("*", "NULL", true),
    ("*", "file://", true),
    ("*://*:*", "null", false),
    ("https://null", "null", false),
    ("*://*:*", "file:///etc/passwd", false),
];

#[test]
fn patterns_match_part_by_part() {
    for &(pattern, origin, expected) in ORIGINS {
        let origins = AllowedOrigins::new([pattern]).unwrap();
        assert_eq!(origins.allows(origin), expected, "{pattern} and {origin}");
    }
}

#[test]
fn one_pattern_of_several_suffices() {
    let origins = AllowedOrigins::new(["https://a.com", "https://b.com"]).unwrap();
    assert!(origins.allows("https://b.com"));
    assert!(!origins.allows("https://c.com"));
    assert!(!origins.is_any());
    assert!(
        AllowedOrigins::new(["https://a.com", "*"])
            .unwrap()
            .is_any()
    );
    assert!(AllowedOrigins::default().is_any());
}

#[test]
fn empty_list_refuses_all() {
    let origins = AllowedOrigins::new(Vec::<String>::new()).unwrap();
    assert!(!origins.allows("https://a.com"));
    assert!(!origins.allows("null"));
}

#[test]
fn bad_patterns_are_refused() {
    for pattern in [
        "",
        "example.com",
        "*.example.com",
        "file://*",
        "https://example.com:000080",
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://user@example.com",
        "https://example.com:",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:a",
        "https://example.com:**",
        // No port has such a number.
        "https://*.example.com:99*999",
        "https://example.com:*00000",
        "https://example.com:0*80",
        "https://example.com:7*0000",
        "https://(a|b).com",
        "https://a+b.com",
        "https://exämple.com",
        "https://[::1",
        "ht tp://a",
        "null",
    ] {
        let error = AllowedOrigins::new([pattern]).unwrap_err();
        assert_eq!(error.option(), "allowed_origins", "{pattern}");
    }
}

/// Tells what becomes of a request for this `Host` from a page of this origin.
fn judge(options: &ServerOptions, details: TransportDetails, (host, origin): (&str, &str)) -> u16 {
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let head = HeadReader::new(HeadLimits::default()).request(request.as_bytes());
    match server::check(head.unwrap().unwrap().0, options, details) {
        Checked::Upgrade(_) => 101,
        Checked::Refused { error, .. } => error.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn own_origin_has_scheme_host_and_port_of_the_request() {
    let options = ServerOptions::default().allowed_origins(["self"]);
    let plain = TransportDetails::server(Peer::Unknown);
    for (host, origin, expected) in [
        ("example.com", "http://example.com", 101),
        ("example.com", "http://EXAMPLE.com:80", 101),
        ("Example.com:80", "http://example.com", 101),
        ("example.com:8080", "http://example.com:8080", 101),
        ("[::1]:9000", "http://[::1]:9000", 101),
        ("example.com", "https://example.com", 403),
        ("example.com", "ws://example.com", 403),
        ("example.com:443", "https://example.com", 403),
        ("example.com:8080", "http://example.com", 403),
        ("example.com", "http://example.com:8080", 403),
        ("example.com", "http://evil.com", 403),
        ("example.com", "http://www.example.com", 403),
        ("example.com", "http://example.com.evil.com", 403),
        ("example.com", "http://evil-example.com", 403),
        ("example.com", "http://example.com.", 403),
        ("example.com", "null", 403),
        ("example.com", "file://", 403),
        ("example.com", "http://user@example.com", 400),
        ("example.com", "http://example.com/", 400),
        ("example.com", "self", 400),
    ] {
        let found = judge(&options, plain.clone(), (host, origin));
        assert_eq!(found, expected, "{host} {origin}");
    }
    let secure = plain.secure();
    for (host, origin, expected) in [
        ("example.com", "https://example.com", 101),
        ("example.com:443", "https://example.com", 101),
        ("example.com", "https://example.com:443", 101),
        ("example.com:8443", "https://example.com:8443", 101),
        // Whoever is in the way of plain HTTP could have made such a page.
        ("example.com", "http://example.com", 403),
        ("example.com:80", "http://example.com", 403),
        ("example.com:443", "http://example.com:443", 403),
        ("example.com:8443", "https://example.com", 403),
    ] {
        let found = judge(&options, secure.clone(), (host, origin));
        assert_eq!(found, expected, "{host} {origin}");
    }
}

#[test]
fn own_origin_may_be_one_of_several() {
    let plain = TransportDetails::server(Peer::Unknown);
    let options = ServerOptions::default().allowed_origins(["https://a.com", "self"]);
    for (origin, expected) in [
        ("http://example.com", 101),
        ("https://a.com", 101),
        ("http://b.com", 403),
    ] {
        let found = judge(&options, plain.clone(), ("example.com", origin));
        assert_eq!(found, expected, "{origin}");
    }
    let own = AllowedOrigins::same_origin();
    assert_eq!(own, AllowedOrigins::new(["self"]).unwrap());
    assert!(!own.is_any() && !own.allows("http://example.com") && !own.allows("null"));
    assert!(!own.allows("self"));
}
