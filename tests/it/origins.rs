//! Which origins match which patterns (RFC 6454, RFC 6455 §10.2).

use motorway::AllowedOrigins;

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
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://user@example.com",
        "https://example.com:",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:a",
        "https://example.com:**",
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
