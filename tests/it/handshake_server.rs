//! The opening handshake as a server sees it (RFC 6455 §4.2).

use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader, RequestHead, accept_key};
use motorway::{ConnectionRequest, HandshakeError, Peer, ServerOptions};

pub(crate) const UPGRADE: &str = "GET /chat?a=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// Reads a head at once and octet by octet; both must come to the same.
pub(crate) fn read(
    octets: &[u8],
    limits: HeadLimits,
) -> Result<Option<(RequestHead, usize)>, HandshakeError> {
    let at_once = HeadReader::new(limits).request(octets);
    let mut reader = HeadReader::new(limits);
    let mut slowly = Ok(None);
    for length in 0..=octets.len() {
        slowly = reader.request(&octets[..length]);
        if !matches!(slowly, Ok(None)) {
            break;
        }
    }
    let parts = |read: &Result<Option<(RequestHead, usize)>, HandshakeError>| match read {
        Ok(None) => "incomplete".to_owned(),
        Ok(Some((head, length))) => format!("{head:?} {length}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(parts(&at_once), parts(&slowly));
    at_once
}

fn check(request: &[u8], options: &ServerOptions) -> Checked {
    match read(request, HeadLimits::default()) {
        Ok(head) => {
            let (head, length) = head.expect("a whole head");
            assert_eq!(length, request.len());
            server::check(head, options, Peer::Unknown)
        }
        Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(request)),
    }
}

pub(crate) fn upgraded(request: &str, options: &ServerOptions) -> Box<ConnectionRequest> {
    match check(request.as_bytes(), options) {
        Checked::Upgrade(request) => request,
        other => panic!("{other:?}: {request}"),
    }
}

/// Returns the status line's code and the whole response.
pub(crate) fn refused(request: &str, options: &ServerOptions) -> (u16, String) {
    let response = match read(request.as_bytes(), HeadLimits::default()) {
        Err(error) => server::refuse(&error, options),
        Ok(head) => match server::check(head.unwrap().0, options, Peer::Unknown) {
            Checked::Refused { response, .. } => response,
            Checked::Http(request) => server::status_page(&request, options),
            Checked::Upgrade(_) => return (101, String::new()),
            other => panic!("{other:?}"),
        },
    };
    let response = String::from_utf8(response).unwrap();
    let status = response[9..12].parse().unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
    assert!(head.contains("\r\nConnection: close"));
    (status, response)
}

/// Changes the opening handshake: the line that starts with this is replaced, or one is added.
pub(crate) fn with(line: &str, replacement: &str) -> String {
    let mut request = String::new();
    for existing in UPGRADE.trim_end().split("\r\n") {
        let is_it = !line.is_empty() && existing.starts_with(line);
        let text = if is_it { replacement } else { existing };
        if !text.is_empty() {
            request += &format!("{text}\r\n");
        }
    }
    if line.is_empty() {
        request += &format!("{replacement}\r\n");
    }
    request + "\r\n"
}

#[test]
fn accept_key_of_the_rfc() {
    // RFC 6455 §1.3.
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

/// The line to replace in the opening handshake (none: one is added), what to put there, and
/// the status of the answer.
const STATUSES: &[(&str, &str, u16)] = &[
    ("", "X: y", 101),
    // Request line.
    ("GET", "POST / HTTP/1.1", 405),
    ("GET", "HEAD / HTTP/1.1", 405),
    ("GET", "get / HTTP/1.1", 405),
    ("GET", "POST / HTTP/1.0", 405),
    ("GET", "POST / HTTP/2.0", 405),
    ("GET", "GET / HTTP/1.0", 505),
    ("GET", "GET / HTTP/1.2", 505),
    ("GET", "GET / HTTP/2.0", 505),
    ("GET", "GET /", 400),
    ("GET", "GET HTTP/1.1", 400),
    ("GET", "GET / / HTTP/1.1", 400),
    ("GET", "GET  / HTTP/1.1", 400),
    ("GET", " GET / HTTP/1.1", 400),
    ("GET", "GET / http/1.1", 400),
    ("GET", "GET /#a HTTP/1.1", 400),
    ("GET", "GET * HTTP/1.1", 400),
    ("GET", "GET chat HTTP/1.1", 400),
    ("GET", "GET /\u{e9} HTTP/1.1", 400),
    ("GET", "GET ftp://server.example.com/ HTTP/1.1", 400),
    ("GET", "GET http://server.example.com/ HTTP/1.1", 101),
    ("GET", "GET ws://server.example.com HTTP/1.1", 101),
    ("GET", "GET http://evil.com/ HTTP/1.1", 400),
    ("GET", "GET http://server.example.com?a HTTP/1.1", 400),
    // Host.
    ("Host", "", 400),
    ("Host", "Host:", 400),
    ("Host", "Host: a\r\nHost: a", 400),
    ("Host", "Host: a, b", 400),
    ("Host", "Host: a:b", 400),
    ("Host", "Host: a:0", 400),
    ("Host", "Host: a:65536", 400),
    ("Host", "Host: user@a", 400),
    ("Host", "Host: a/b", 400),
    ("Host", "Host: \u{e9}", 400),
    ("Host", "Host: [::1]:9000", 101),
    // Upgrade, Connection.
    ("Upgrade", "", 200),
    ("Upgrade", "Upgrade: h2c", 400),
    ("Upgrade", "Upgrade: websockets", 400),
    ("Upgrade", "Upgrade: h2c, WebSocket", 101),
    ("Upgrade", "Upgrade: h2c\r\nUpgrade: WEBSOCKET", 101),
    ("Connection", "", 400),
    ("Connection", "Connection: keep-alive", 400),
    ("Connection", "Connection: keep-alive, upgrade", 101),
    (
        "Connection",
        "Connection: keep-alive\r\nConnection: UPGRADE",
        101,
    ),
    // Bodies.
    ("", "Content-Length: 0", 101),
    ("", "Content-Length: 1", 400),
    ("", "Content-Length: 00", 400),
    ("", "Content-Length: 0\r\nContent-Length: 0", 400),
    ("", "Transfer-Encoding: chunked", 400),
    ("", "Transfer-Encoding: identity", 400),
    // Version.
    ("Sec-WebSocket-Version", "", 400),
    (
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
        400,
    ),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version:", 400),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8", 400),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013", 400),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: +13", 400),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 269", 400),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", 426),
    ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 14", 426),
    // Subprotocols.
    ("", "Sec-WebSocket-Protocol: a, b", 101),
    ("", "Sec-WebSocket-Protocol: a, b, a", 400),
    (
        "",
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a",
        400,
    ),
    ("", "Sec-WebSocket-Protocol: a b", 400),
    ("", "Sec-WebSocket-Protocol:", 400),
    // Origin.
    ("", "Origin: https://a.com", 101),
    ("", "Origin: null", 101),
    ("", "Origin: https://a.com\r\nOrigin: https://a.com", 400),
    ("", "Origin: a.com", 400),
    ("", "Origin:", 400),
    // Key.
    ("Sec-WebSocket-Key", "", 400),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==",
        101,
    ),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PE===",
        400,
    ),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PECAAEC==",
        400,
    ),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PE==",
        400,
    ),
    ("Sec-WebSocket-Key", "Sec-WebSocket-Key: ==", 400),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4P",
        400,
    ),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4-EC==",
        400,
    ),
    (
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PECAA",
        400,
    ),
    ("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
    // Extensions.
    ("", "Sec-WebSocket-Extensions: foo; a=1, bar", 101),
    (
        "",
        "Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: bar",
        101,
    ),
    ("", "Sec-WebSocket-Extensions:", 400),
    ("", "Sec-WebSocket-Extensions: foo bar", 400),
    // HTTP that can be read in two ways.
    ("", "X: y\r\n z", 400),
    ("", " X: y", 400),
    ("", "X : y", 400),
    ("", ": y", 400),
    ("", "X", 400),
    ("", "X\u{e9}: y", 400),
    ("", "X: y\0", 400),
    ("", "X: y\rZ: z", 400),
    ("", "X: y\nZ: z", 400),
    ("", "X: y\r\r", 400),
    ("", "X: \u{7f}", 400),
    ("", "X: \u{1}", 400),
    // RFC 9110 §5.5 lets other octets pass where nothing is read into them.
    ("", "Cookie: name=\u{e9}", 101),
    ("GET", "\r\nGET / HTTP/1.1", 400),
    ("GET", "\nGET / HTTP/1.1", 400),
];

#[test]
fn statuses_of_refusals() {
    let options = ServerOptions::default();
    for &(line, replacement, status) in STATUSES {
        let request = with(line, replacement);
        let (found, response) = refused(&request, &options);
        assert_eq!(found, status, "{line:?} {replacement:?}: {response}");
    }
}

#[test]
fn checks_come_in_order() {
    // Each request has the faults of all later ones; the first in order decides.
    let options = ServerOptions::default().allowed_origins(["https://a.com"]);
    let bad = "Sec-WebSocket-Key: bad\r\nSec-WebSocket-Extensions: ;\r\n";
    let origin = format!("Origin: https://b.com\r\n{bad}");
    let protocol = format!("Sec-WebSocket-Protocol: a, a\r\n{origin}");
    let version = format!("Sec-WebSocket-Version: 7\r\n{protocol}");
    let upgrade = "Upgrade: websocket\r\nConnection: upgrade\r\n";
    let v13 = "Sec-WebSocket-Version: 13\r\n";
    for (head, expected) in [
        (
            format!("POST /# HTTP/1.0\r\nUpgrade: a\r\n{version}\r\n"),
            "method is not get",
        ),
        (
            format!("GET /# HTTP/1.0\r\nUpgrade: a\r\n{version}\r\n"),
            "version of http is not 1.1",
        ),
        (
            format!("GET /# HTTP/1.1\r\nUpgrade: a\r\n{version}\r\n"),
            "invalid request target",
        ),
        (
            format!("GET / HTTP/1.1\r\nUpgrade: a\r\n{version}\r\n"),
            "header host is missing",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\n{version}\r\n"),
            "header upgrade is invalid",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n{version}\r\n"),
            "header connection is missing",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}{version}\r\n"),
            "unsupported version of the protocol",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}{v13}{protocol}\r\n"),
            "header sec-websocket-protocol is invalid",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}{v13}{origin}\r\n"),
            "origin is not allowed",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}{v13}{bad}\r\n"),
            "header sec-websocket-key is invalid",
        ),
    ] {
        match check(head.as_bytes(), &options) {
            Checked::Refused { error, .. } => assert_eq!(error.to_string(), expected),
            other => panic!("{other:?}: {head}"),
        }
    }
}

#[test]
fn request_tells_all_that_it_has() {
    let request = "GET /a%20b?x=1&y=%C3%A4+z&x=2&&q&%zz=%4 HTTP/1.1\r\n\
        Host: Example.com:8080\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Cookie: a=1; b=\"2\"\r\n\
        cookie: c=3=4; a=5;d\r\n\
        Origin: https://a.com\r\n\
        Sec-WebSocket-Protocol: one,two\r\n\
        Sec-WebSocket-Protocol: three\r\n\
        Sec-WebSocket-Extensions: foo\r\n\
        Sec-WebSocket-Extensions: bar; baz=1\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let request = upgraded(request, &ServerOptions::default());
    assert_eq!(request.peer(), &Peer::Unknown);
    assert_eq!(request.target(), "/a%20b?x=1&y=%C3%A4+z&x=2&&q&%zz=%4");
    assert_eq!(request.path(), "/a%20b");
    assert_eq!(request.query(), Some("x=1&y=%C3%A4+z&x=2&&q&%zz=%4"));
    let params: Vec<_> = request
        .params()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    assert_eq!(params, ["x:1", "y:ä z", "x:2", "q:", "%zz:%4"]);
    assert_eq!(request.param("x").as_deref(), Some("1"));
    assert_eq!(request.param("n"), None);
    assert_eq!(request.host(), "Example.com");
    assert_eq!(request.version(), 13);
    assert_eq!(request.origin(), Some("https://a.com"));
    assert_eq!(request.protocols(), ["one", "two", "three"]);
    let extensions: Vec<_> = request
        .extensions()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(extensions, ["foo", "bar; baz=1"]);
    assert_eq!(request.header("UPGRADE"), Some("websocket"));
    assert_eq!(request.header("no such"), None);
    assert_eq!(request.headers().get_all("cookie").iter().count(), 2);
    for (name, value) in [
        ("a", Some("1")),
        ("b", Some("2")),
        ("c", Some("3=4")),
        ("d", None),
        ("A", None),
    ] {
        assert_eq!(request.cookie(name), value, "{name}");
    }
}

#[test]
fn origins_are_checked() {
    let list = ServerOptions::default().allowed_origins(["https://*.example.com"]);
    let any = ServerOptions::default();
    for (options, origin, status) in [
        (list.clone(), "https://a.example.com", 101),
        (list.clone(), "https://a.example.com.evil.com", 403),
        (list.clone(), "null", 403),
        (list.clone().allow_null_origin(true), "null", 101),
        (list.clone().allow_null_origin(true), "file://", 101),
        (
            list.clone().allow_null_origin(true).allow_null_origin(None),
            "null",
            403,
        ),
        (any.clone(), "null", 101),
        (any.clone().allow_null_origin(false), "null", 403),
        (any.clone().allow_null_origin(false), "https://a.com", 101),
        (any.allowed_origins(["not a pattern"]), "https://a.com", 403),
        (
            ServerOptions::autobahn().allowed_origins(["https://a.com"]),
            "https://b.com",
            400,
        ),
        (
            ServerOptions::autobahn().allowed_origins(["https://a.com"]),
            "null",
            101,
        ),
    ] {
        let (found, _) = refused(&with("", &format!("Origin: {origin}")), &options);
        assert_eq!(found, status, "{origin}");
    }
    // Without the header it is no browser that asks.
    upgraded(UPGRADE, &list);
}

#[test]
fn version_8_has_its_origin_elsewhere() {
    let options = ServerOptions::default()
        .versions([8, 13])
        .allowed_origins(["https://a.com"]);
    let version = "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Origin: ";
    let request = with("Sec-WebSocket-Version", &format!("{version}https://a.com"));
    let request = upgraded(&request, &options);
    assert_eq!(
        (request.version(), request.origin()),
        (8, Some("https://a.com"))
    );
    let request = with("Sec-WebSocket-Version", &format!("{version}https://b.com"));
    assert_eq!(refused(&request, &options).0, 403);
}

#[test]
fn refused_versions_are_told_what_is_enabled() {
    let request = with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 7");
    let (status, response) = refused(&request, &ServerOptions::default());
    assert_eq!(status, 426);
    assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"));
    assert!(response.contains("\r\nUpgrade: websocket\r\n"));
    let (status, response) = refused(&request, &ServerOptions::autobahn());
    assert_eq!(status, 400);
    assert!(response.contains("\r\nSec-WebSocket-Version: 13, 8\r\n"));
}

#[test]
fn external_port_is_checked() {
    for (port, host, status) in [
        (9000, "a:9000", 101),
        (9000, "a:9001", 400),
        (9000, "a", 400),
        (443, "a", 101),
        (80, "a", 101),
        (80, "a:8080", 400),
    ] {
        let options = ServerOptions::default().external_port(port);
        let (found, _) = refused(&with("Host", &format!("Host: {host}")), &options);
        assert_eq!(found, status, "{port} {host}");
    }
}
