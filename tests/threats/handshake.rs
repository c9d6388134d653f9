//! The opening handshake: whatever is ambiguous in HTTP, and whoever should not get in.

use crate::heads::{SECOND, lenient, long, smuggled};
use crate::world::{
    KEY, Masks, Raw, TEXT, World, ask, echo_server, field, frame, request, response, status, until,
    within,
};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader};
use motorway::{
    AllowedOrigins, ClientOptions, ConnectionAccept, ConnectionDeny, ConnectionRequest, Connector,
    Error, HandlerResult, HandshakeError, Peer, Server, ServerOptions, StatusCode, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// A head of a length of one's choice (CVE-2023-43669): 32 KiB in all, 8 KiB a line, 128 headers.
#[tokio::test]
async fn a_head_of_any_length_is_cut_off() {
    let (server, _world) = echo_server().await;
    for (octets, expected) in long() {
        let (status, head) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{} octets: {head}", octets.len());
    }
}

/// The same for the answer of a server, which a client reads no further either.
#[tokio::test]
async fn an_answer_of_any_length_is_cut_off() {
    for endless in [
        "HTTP/1.1 101 ",
        "HTTP/1.1 101 S\r\nX: ",
        "HTTP/1.1 101 S\r\na: b\r\n",
    ] {
        let (error, taken) = answered(|_| {
            let more = if endless.ends_with('\n') {
                "a: b\r\n"
            } else {
                "aaaaaa"
            };
            [endless, &more.repeat(1 << 20)].concat().into_bytes()
        })
        .await;
        let fault = handshake_error(error);
        assert!(
            matches!(
                fault,
                HandshakeError::LineTooLong { .. } | HandshakeError::TooManyHeaders { .. }
            ),
            "{fault:?}"
        );
        assert!(!taken, "6 MiB were read");
    }
}

/// A head that comes octet by octet: parsing goes on where it stopped, so that it takes linear time.
#[test]
fn a_head_octet_by_octet_is_parsed_once() {
    let limits = HeadLimits {
        size: 1 << 20,
        line: 1 << 20,
        headers: 1 << 18,
    };
    for line in ["a:\r\n", "a", "a, "] {
        let octets = format!(
            "GET / HTTP/1.1\r\nX: {}",
            line.repeat((128 << 10) / line.len())
        );
        let (start, mut reader) = (Instant::now(), HeadReader::new(limits));
        for length in 0..(128 << 10) - 64 {
            assert!(
                reader
                    .request(&octets.as_bytes()[..length])
                    .unwrap()
                    .is_none()
            );
            // To read it again at each octet takes 8 thousand million steps.
            assert!(start.elapsed() < Duration::from_secs(10), "{length} octets");
        }
    }
}

/// Lists that take quadratic time (CVE-2020-7662, CVE-2020-7663, CVE-2021-32640).
#[test]
fn lists_are_parsed_in_linear_time() {
    let limits = HeadLimits {
        size: 1 << 20,
        line: 1 << 20,
        headers: 128,
    };
    let options = ServerOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    let distinct: String = (0..30_000).map(|number| format!("p{number}, ")).collect();
    for (name, list) in [
        ("Extensions", "a;".repeat(120_000)),
        ("Extensions", "a; b=\"\\".repeat(100_000)),
        ("Extensions", "permessage-deflate, ".repeat(12_000) + "a"),
        (
            "Extensions",
            "permessage-deflate; server_max_window_bits=8, ".repeat(5_000) + "a",
        ),
        ("Extensions", " \t".repeat(100_000) + ";"),
        ("Protocol", distinct + "p"),
        ("Protocol", ", ".repeat(100_000)),
        ("Protocol", "a, ".repeat(80_000) + "a"),
    ] {
        let octets = request(&format!("Sec-WebSocket-{name}: {list}\r\n"));
        let start = Instant::now();
        let (head, _) = HeadReader::new(limits)
            .request(octets.as_bytes())
            .unwrap()
            .unwrap();
        drop(server::check(head, &options, Peer::Unknown));
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(20), "{name}: {taken:?}");
    }
}

/// Slowloris: an octet now and then renews nothing; five seconds from accept to the 101.
#[tokio::test(start_paused = true)]
async fn slowloris_has_five_seconds_in_all() {
    let world = World::new(ServerOptions::default());
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let start = tokio::time::Instant::now();
    let serving = tokio::spawn(world.factory.serve_stream(ours));
    for octet in request(&format!("X: {}\r\n", "a".repeat(60))).as_bytes() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if theirs.write_all(&[*octet]).await.is_err() {
            break;
        }
    }
    assert!(matches!(
        within(serving).await.unwrap(),
        Err(Error::Timeout(_))
    ));
    assert!(
        start.elapsed() < Duration::from_millis(5200),
        "{:?}",
        start.elapsed()
    );
}

/// The same by a server to a client, also with interim answers without end (RFC 9110 §15.2).
#[tokio::test(start_paused = true)]
async fn slowloris_of_a_server_has_five_seconds_in_all() {
    for octets in [
        "HTTP/1.1 101 S\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "HTTP/1.1 102 P\r\n\r\n",
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let start = tokio::time::Instant::now();
        let dialing = tokio::spawn(async move {
            let connector = Connector::new("ws://localhost").unwrap();
            connector.connect_stream(ours).await
        });
        for octet in octets.as_bytes().iter().cycle() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if theirs.write_all(&[*octet]).await.is_err() {
                break;
            }
        }
        within(dialing).await.unwrap().unwrap_err();
        assert!(
            start.elapsed() < Duration::from_millis(5200),
            "{:?}",
            start.elapsed()
        );
    }
}

/// Clients that say nothing at all are gone in time, and hold up nobody meanwhile.
#[tokio::test]
async fn silent_clients_are_gone_in_time() {
    let (server, _world) = echo_server().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Raw::dial(&server).await);
    }
    let start = Instant::now();
    assert_eq!(ask(&server, request("")).await.0, 101);
    for mut raw in silent {
        raw.rest().await;
    }
    assert!(start.elapsed() > Duration::from_secs(4), "dropped early");
}

/// A body on an upgrade (CVE-2026-69243), an upgrade without its tokens (GHSA-4mp9-239f-g9hg), another
/// method: one answer, no 101, and nothing of what follows is taken for a request.
#[tokio::test]
async fn smuggling_gets_one_refusal() {
    let (server, _world) = echo_server().await;
    for (octets, expected) in smuggled() {
        let (status, answer) = ask(&server, octets.clone() + SECOND).await;
        assert_eq!(status, expected, "{octets}{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{octets}{answer}");
        assert!(!answer.contains("admin"), "{answer}");
    }
    // Nothing to read is no body (RFC 9112 §6.3).
    assert_eq!(ask(&server, request("Content-Length: 0\r\n")).await.0, 101);
}

/// HTTP that two readers may read in two ways (RFC 9112 §2.2, §3.2, §5.1, §5.2).
#[tokio::test]
async fn lenient_http_is_refused() {
    let (server, world) = echo_server().await;
    for (octets, expected) in lenient() {
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{octets:?}: {answer}");
    }
    assert!(world.told.lock().unwrap().is_empty(), "no instance is made");
}

/// Octets above ASCII: RFC 9110 §5.5 has them in values of fields, as opaque data that old programs put
/// there, so those that nobody here reads pass. In what is read into, nothing is guessed.
#[tokio::test]
async fn octets_above_ascii_are_refused_where_they_are_read() {
    let (server, _world) = echo_server().await;
    for (line, expected) in [
        ("Cookie: name=\u{e9}\r\n", 101),
        ("User-Agent: \u{e9}\r\n", 101),
        ("Origin: https://\u{e9}.com\r\n", 400),
        ("Sec-WebSocket-Protocol: \u{e9}\r\n", 400),
        ("Sec-WebSocket-Extensions: \u{e9}\r\n", 400),
        ("Content-Length: \u{e9}\r\n", 400),
        ("\u{e9}: a\r\n", 400),
    ] {
        let (status, answer) = ask(&server, request(line)).await;
        assert_eq!(status, expected, "{line:?}: {answer}");
    }
    for name in [
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Version: 13",
        KEY,
        "GET /",
    ] {
        let octets = request("").replace(name, &format!("{name}\u{e9}"));
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, 400, "{octets:?}: {answer}");
    }
    // Octets that are no UTF-8 either.
    for (name, expected) in [("Host: ", 400), ("GET /", 400), ("X: ", 101)] {
        let mut octets = request("X: a\r\n").into_bytes();
        let at = octets
            .windows(name.len())
            .position(|found| found == name.as_bytes());
        octets.insert(at.unwrap() + name.len(), 0xff);
        assert_eq!(ask(&server, &octets).await.0, expected, "{name:?}");
    }
}

/// The key missing, twice or of another length, the version (RFC 6455 §4.2.1, §4.2.2, §4.4).
#[tokio::test]
async fn a_key_or_version_that_is_wrong_is_refused() {
    let (server, _world) = echo_server().await;
    let keyed = |key: &str| request("").replace(KEY, key);
    let line = format!("Sec-WebSocket-Key: {KEY}\r\n");
    for (octets, expected) in [
        (request("").replace(&line, ""), 400),
        (request(&line), 400),
        (keyed(""), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4P"), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4PEBE="), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4PEBES"), 400),
        (keyed(&"A".repeat(4096)), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4-EC=="), 400),
        (keyed("\"AQIDBAUGBwgJCgsMDQ4PEC==\""), 400),
        (
            request("").replace("Sec-WebSocket-Version: 13\r\n", ""),
            400,
        ),
        (request("Sec-WebSocket-Version: 13\r\n"), 400),
        (request("").replace("Version: 13", "Version: 013"), 400),
        (request("").replace("Version: 13", "Version: 13, 8"), 400),
        (
            request("").replace("Version: 13", "Version: 4294967309"),
            400,
        ),
    ] {
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{octets:?}: {answer}");
    }
    for version in [0, 7, 8, 12, 14, 255] {
        let octets = request("").replace("Version: 13", &format!("Version: {version}"));
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, 426, "{answer}");
        assert_eq!(
            field(&answer, "sec-websocket-version").as_deref(),
            Some("13")
        );
    }
}

/// Answers one client of default options so; returns what it came to, and whether all octets were taken.
async fn answered(
    answer: impl FnOnce(&str) -> Vec<u8>,
) -> (Result<motorway::WebSocketStream, Error>, bool) {
    answered_with(ClientOptions::default(), answer).await
}

async fn answered_with(
    options: ClientOptions,
    answer: impl FnOnce(&str) -> Vec<u8>,
) -> (Result<motorway::WebSocketStream, Error>, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connector = Connector::new(format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    connector.set_protocol_options(options).unwrap();
    let dialing = tokio::spawn(async move { connector.connect().await });
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    let request = raw.head().await;
    let taken = raw.write(answer(&request)).await;
    let opened = within(dialing).await.unwrap();
    (opened, taken)
}

fn handshake_error(opened: Result<motorway::WebSocketStream, Error>) -> HandshakeError {
    match opened {
        Err(Error::Handshake(error)) => *error,
        other => panic!("{other:?}"),
    }
}

/// 200 taken for 101 (CVE-2024-23326): a client takes 101 and its tokens, and the accept key of its own
/// key, and nothing else (RFC 6455 §4.1).
#[tokio::test]
async fn a_client_takes_101_only() {
    let replaced = |old: &'static str, new: &'static str| {
        move |request: &str| {
            let answer = response(request, "");
            assert!(answer.contains(old), "{answer}");
            (answer.replace(old, new) + "\u{1}").into_bytes()
        }
    };
    for (old, new) in [
        ("101 Switching Protocols", "200 OK"),
        ("101 Switching Protocols", "100 Continue"),
        ("101 Switching Protocols", "204 No Content"),
        ("101 Switching Protocols", "301 Moved"),
        ("101 Switching Protocols", "426 Upgrade"),
        ("101 Switching Protocols", "1010 S"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("HTTP/1.1", "HTTP/2"),
        ("Upgrade: websocket\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: h2c, websocket"),
        ("Connection: Upgrade\r\n", ""),
        ("Connection: Upgrade", "Connection: close"),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
        (
            "Sec-WebSocket-Accept: ",
            "Sec-WebSocket-Accept: a\r\nSec-WebSocket-Accept: ",
        ),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: unasked\r\n\r\n"),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
        ("\r\n\r\n", "\r\nX: a\0\r\n\r\n"),
        ("\r\n\r\n", "\r\nX : a\r\n\r\n"),
        ("\r\n\r\n", "\r\nX: a\r\n b\r\n\r\n"),
    ] {
        let (opened, _) = answered(replaced(old, new)).await;
        assert!(opened.is_err(), "{old:?} {new:?}");
    }
    // It has no body, whatever it says (RFC 9112 §6.3): what follows is frames.
    for line in ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"] {
        let frames = frame(TEXT, b"no body", Masks::No);
        let answer = |request: &str| [response(request, line).as_bytes(), &frames].concat();
        let mut ws = answered(answer).await.0.unwrap();
        assert_eq!(&*within(ws.recv_text()).await.unwrap().unwrap(), "no body");
    }
    // The answer to somebody else's key.
    let fixed = format!("GET / HTTP/1.1\r\nSec-WebSocket-Key: {KEY}\r\n\r\n");
    let (opened, _) = answered(|_| response(&fixed, "").into_bytes()).await;
    opened.unwrap_err();
    answered(|request| response(request, "").into_bytes())
        .await
        .0
        .unwrap();
}

struct Careless;

impl WebSocketServerProtocol for Careless {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let evil = "x\r\nSet-Cookie: evil=1";
        match request.path() {
            "/reason" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).reason(evil)),
            "/deny" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).header("x-why", evil)),
            "/name" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).header(evil, "x")),
            "/accept" => Ok(ConnectionAccept::new().header("x-why", evil)),
            "/protocol" => Ok(ConnectionAccept::new().protocol(evil)),
            _ => Err(StatusCode::NOT_FOUND.into()),
        }
    }
}

/// Header injection (CVE-2020-35678, RUSTSEC-2017-0002) out of what callbacks put into answers, and out of
/// what a request says.
#[tokio::test]
async fn header_injection_out_of_answers() {
    let server = WebSocketServerFactory::new(|| Careless)
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    for path in [
        "/reason",
        "/deny",
        "/name",
        "/accept",
        "/protocol",
        "/%0d%0aSet-Cookie:%20evil=1",
    ] {
        let (status, answer) = ask(&server, request("").replacen('/', path, 1)).await;
        assert!([403, 404, 500].contains(&status), "{path}: {answer}");
        assert!(
            !answer.to_lowercase().contains("\nset-cookie"),
            "{path}: {answer}"
        );
    }
    // The status page shows nothing of the request either.
    let plain = "GET /<script>?redirect=%0d%0aSet-Cookie:%20evil HTTP/1.1\r\nHost: <b>.com\r\n\r\n";
    for octets in [plain, &plain.replace("<b>", "b")] {
        let (_, answer) = ask(&server, octets).await;
        assert!(
            !answer.contains("evil") && !answer.contains("<script>") && !answer.contains("<b>"),
            "{answer}"
        );
    }
}

/// Header injection out of what a client is given: its URL, its headers, a redirect.
#[tokio::test]
async fn header_injection_out_of_urls_and_headers() {
    for url in [
        "ws://a/\r\nX: y",
        "ws://a\r\nX: y/",
        "ws://a/ X",
        "ws://a/\0",
        "ws://a/?\n",
        "ws://u\r\n@a/",
    ] {
        match Connector::new(url) {
            Err(_) => {}
            Ok(connector) => {
                let url = connector.url().to_string();
                assert!(!url.contains(['\r', '\n', '\0', ' ']), "{url:?}");
            }
        }
    }
    let options = ClientOptions::default;
    for options in [
        options().header("x-a", "b\r\nX: y"),
        options().header("x-a\r\nX", "b"),
        options().header("x-a", "b\0"),
        options().origin("https://a\r\nX: y".to_owned()),
        options().useragent("a\r\nX: y".to_owned()),
        options().protocols(["a\r\nX: y"]),
    ] {
        options.validate().unwrap_err();
    }
    // A redirect stays a URL: what is encoded in it stays so.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connector = Connector::new(format!("ws://{address}")).unwrap();
    connector
        .set_protocol_options(options().max_redirects(1))
        .unwrap();
    let dialing = tokio::spawn(async move { connector.connect().await });
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    raw.head().await;
    raw.write(format!(
        "HTTP/1.1 302 F\r\nLocation: ws://{address}/%0d%0aX-Evil:%20y\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    let head = raw.head().await;
    assert!(
        head.starts_with("GET /%0d%0aX-Evil:%20y HTTP/1.1\r\n"),
        "{head}"
    );
    drop(raw);
    within(dialing).await.unwrap().unwrap_err();
}

/// Patterns, an origin, and the status that it gets.
const ORIGINS: &[(&[&str], &str, u16)] = &[
    (&["https://*.example.com"], "https://a.example.com", 101),
    (&["https://*.example.com"], "https://a.b.example.com", 101),
    (&["https://*.example.com"], "https://example.com", 403),
    (&["https://*.example.com"], "https://evilexample.com", 403),
    (
        &["https://*.example.com"],
        "https://a.example.com.evil.org",
        403,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org/a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org?a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org#a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org@a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://a.example.com@evil.org",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org\\a.example.com",
        400,
    ),
    (&["https://*.example.com"], "https://aXexample.com", 403),
    (&["https://*.example.com"], "http://a.example.com", 403),
    (
        &["https://*.example.com"],
        "https://a.example.com:8443",
        403,
    ),
    (&["https://*.example.com"], "https://a.example.com:443", 101),
    (&["https://*.example.com"], "HTTPS://A.EXAMPLE.COM", 101),
    (&["https://*.example.com"], "null", 403),
    (&["https://a.com"], "https://axcom", 403),
    (&["https://a.com"], "https://a.com.", 403),
    (&["https://a.com"], "https://xa.com", 403),
    (&["https://a.com:8443"], "https://a.com", 403),
    (&["http://10.0.0.1"], "http://1010.0.1", 403),
    (&["self"], "http://localhost.evil.org", 403),
    (&["self"], "http://localhost", 101),
    (&[], "https://a.com", 403),
    (&["*"], "null", 101),
    (&["*"], "https://a.com", 101),
];

/// Cross-site hijacking: patterns without an anchor, over-wide wildcards (CVE-2026-34157), special
/// characters (WS-2020-0443), scheme or port ignored (JLSEC-2026-614), `null` (RFC 6454 §7).
#[tokio::test]
async fn cross_site_origins_are_refused() {
    let listed = |patterns: &[&str]| ServerOptions::default().allowed_origins(patterns.to_vec());
    for &(patterns, origin, expected) in ORIGINS {
        let world = World::new(listed(patterns));
        let server = world.listen().await;
        let (status, answer) = ask(&server, request(&format!("Origin: {origin}\r\n"))).await;
        assert_eq!(status, expected, "{patterns:?} {origin}: {answer}");
        let twice = format!("Origin: {origin}\r\nOrigin: https://b.com\r\n");
        assert_eq!(
            ask(&server, request(&twice)).await.0,
            400,
            "{origin} and another"
        );
    }
    for pattern in [
        "https://a.com/",
        "https://a.com/*",
        "https://(a|b).com",
        "https://^a",
        "*.example.com",
    ] {
        assert!(AllowedOrigins::new([pattern]).is_err(), "{pattern}");
    }
}

/// Parameters of extensions out of range crash peers (CVE-2026-2229): a server declines the offer.
#[tokio::test]
async fn parameters_out_of_range_are_declined_by_a_server() {
    let options = ServerOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    let world = World::new(options);
    let server = world.listen().await;
    for value in [
        "7",
        "16",
        "0",
        "-9",
        "+9",
        "09",
        "015",
        "271",
        "4294967305",
        "9.0",
        "",
        "\"\"",
        "a",
    ] {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {name}={value}\r\n");
            let (status, answer) = ask(&server, request(&line)).await;
            assert!([101, 400].contains(&status), "{line}{answer}");
            assert_eq!(field(&answer, "sec-websocket-extensions"), None, "{line}");
        }
    }
    for (parameters, accepted) in [
        ("server_max_window_bits=8", false),
        ("server_max_window_bits", false),
        ("server_max_window_bits=9; server_max_window_bits=9", false),
        ("server_no_context_takeover=1", false),
        ("unknown", false),
        ("client_max_window_bits=8", true),
        ("server_max_window_bits=9", true),
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n");
        let (_, answer) = ask(&server, request(&line)).await;
        assert_eq!(
            field(&answer, "sec-websocket-extensions").is_some(),
            accepted,
            "{parameters}: {answer}"
        );
    }
}

/// The same in an answer: a client fails (RFC 7692 §7.1.3).
#[tokio::test]
async fn parameters_out_of_range_fail_a_client() {
    let options =
        || ClientOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    for parameters in [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=265",
        "server_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=99999999999999999999",
        "client_max_window_bits",
        "unknown",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits=\"1\\\"\"",
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n");
        let (opened, _) =
            answered_with(options(), |request| response(request, &line).into_bytes()).await;
        assert!(opened.is_err(), "{parameters}");
    }
    let line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n";
    let (opened, _) =
        answered_with(options(), |request| response(request, line).into_bytes()).await;
    opened.unwrap();
}

/// Octets that come with the head (CVE-2026-130647, CVE-2026-2833): received once, in order, by both ends;
/// those behind a refusal by nobody; a second request behind the first is a frame that is wrong.
#[tokio::test]
async fn early_octets_are_taken_once() {
    let (server, _world) = echo_server().await;
    let frames: Vec<u8> = (0..200)
        .flat_map(|number| frame(TEXT, format!("{number}").as_bytes(), Masks::Yes))
        .collect();
    let octets = [request("").as_bytes(), &frames].concat();
    // Cut within the head, at its end, and within a frame.
    for cut in [10, request("").len(), request("").len() + 3, octets.len()] {
        let mut raw = Raw::dial(&server).await;
        raw.write(&octets[..cut]).await;
        tokio::task::yield_now().await;
        raw.write(&octets[cut..]).await;
        assert_eq!(status(&raw.head().await), 101);
        for number in 0..200 {
            assert_eq!(
                raw.frame().await.unwrap().payload,
                format!("{number}").as_bytes()
            );
        }
        raw.write(frame(TEXT, b"last", Masks::Yes)).await;
        assert_eq!(raw.frame().await.unwrap().payload, b"last");
    }
    let (_, answer) = ask(&server, [request("X : a\r\n").as_bytes(), &frames].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");

    let mut raw = Raw::dial(&server).await;
    raw.write(request("") + &request("")).await;
    assert_eq!(status(&raw.head().await), 101);
    assert_eq!(raw.frame().await.unwrap().code(), 1002);
    assert_eq!(raw.rest().await, b"");

    let (opened, _) = answered(|request| {
        let hello = frame(TEXT, b"hello", Masks::No);
        [response(request, "").as_bytes(), &hello, &hello[..3]].concat()
    })
    .await;
    let mut ws = opened.unwrap();
    assert_eq!(&*within(ws.recv_text()).await.unwrap().unwrap(), "hello");
}

static INSTANCES: AtomicUsize = AtomicUsize::new(0);

/// Fails in as many ways as there are, one after the other.
struct Failing;

impl WebSocketServerProtocol for Failing {
    async fn on_connect(
        &mut self,
        _: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        match INSTANCES.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => panic!("on_connect"),
            1 => Err(StatusCode::NOT_FOUND.into()),
            _ => Ok(ConnectionAccept::new()),
        }
    }

    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        if INSTANCES.load(Ordering::Relaxed) % 4 == 3 {
            panic!("on_open");
        }
        Err(motorway::HandlerError::close(4000, "enough"))
    }
}

async fn refused_with(server: &Server, octets: &str) -> u16 {
    ask(server, octets).await.0
}

/// The limit of connections: the count comes back after panics, errors, resets and half-open clients,
/// and those beyond it get 503 before any other check, once their request is there.
#[tokio::test]
async fn the_connection_limit_does_not_drift() {
    let mut factory = WebSocketServerFactory::new(|| Failing);
    factory
        .set_protocol_options(ServerOptions::default().max_connections(4))
        .unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    for round in 0..24 {
        let mut raw = Raw::dial(&server).await;
        let octets = request("");
        // Some say half of it, some all, some too much; some read the answer.
        match round % 4 {
            0 => drop(raw),
            1 => {
                raw.write(&octets[..octets.len() / 2]).await;
            }
            2 => {
                raw.write("X : a\r\n\r\n").await;
            }
            _ => {
                raw.write(&octets).await;
                raw.rest().await;
            }
        }
    }
    // Four that say nothing: they count from accept.
    let mut silent = Vec::new();
    let full = async {
        loop {
            silent.push(Raw::dial(&server).await);
            if silent.len() >= 4
                && refused_with(&server, "POST bad HTTP/1.1\r\nX: a\r\n\r\n").await == 503
            {
                break;
            }
        }
    };
    within(full).await;
    assert_eq!(refused_with(&server, &request("Host: two\r\n")).await, 503);
    // Half a request is not answered yet.
    drop(silent);
    let mut statuses = Vec::new();
    for _ in 0..1000 {
        statuses.push(refused_with(&server, &request("")).await);
        if statuses.ends_with(&[500, 404]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(statuses.ends_with(&[500, 404]), "{statuses:?}");
    until("all are gone", || factory.connection_count() == 0).await;
}

/// A request that another stack has read is checked no less, without a socket.
#[test]
fn smuggling_through_another_server_is_refused() {
    for line in [
        "Content-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: two\r\n",
    ] {
        let octets = request(line);
        let read = HeadReader::new(HeadLimits::default()).request(octets.as_bytes());
        let (head, _) = read.unwrap().unwrap();
        let checked = server::check(head, &ServerOptions::default(), Peer::Unknown);
        assert!(matches!(checked, Checked::Refused { .. }), "{line}");
    }
}
