//! The process: callbacks that fail, shutdowns, logs, credentials, dependencies.

use crate::world::{
    BINARY, CLOSE, Masks, Raw, TEXT, World, both_ends, frame, request, status, until, within,
};
use motorway::{
    BasicAuth, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult,
    HeaderMap, Message, Server, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;

/// Panics in the callback that the path names.
#[derive(Default)]
struct Panics(String);

impl Panics {
    fn at(&self, callback: &str) {
        assert!(self.0 != callback, "{callback}");
    }
}

impl WebSocketServerProtocol for Panics {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        self.0 = request.path().trim_start_matches('/').to_owned();
        self.at("on_connect");
        Ok(ConnectionAccept::new())
    }
    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        self.at("on_open");
        Ok(())
    }
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        self.at("on_message");
        Ok(ws.send(message).await?)
    }
    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        self.at("on_close");
        Ok(())
    }
}

/// A panic in a callback: that connection ends, with 1011 where it was open; the count falls, others notice
/// nothing, and a shutdown does not hang (poem issue 843).
#[tokio::test]
async fn a_panic_in_a_callback_ends_one_connection() {
    let factory = WebSocketServerFactory::new(Panics::default);
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut other = Raw::dial(&server).await;
    other.write(request("")).await;
    assert_eq!(status(&other.head().await), 101);
    for (callback, opens, code) in [
        ("on_connect", 500, 0),
        ("on_open", 101, 1011),
        ("on_message", 101, 1011),
        ("on_close", 101, 1000),
    ] {
        for _ in 0..5 {
            let mut raw = Raw::dial(&server).await;
            raw.write(request("").replacen('/', &format!("/{callback}"), 1))
                .await;
            assert_eq!(status(&raw.head().await), opens, "{callback}");
            if opens == 101 {
                let message = if callback == "on_close" {
                    CLOSE
                } else {
                    BINARY
                };
                raw.write(frame(message, &1000_u16.to_be_bytes(), Masks::Yes))
                    .await;
                assert_eq!(raw.frame().await.unwrap().code(), code, "{callback}");
            }
        }
    }
    until("the count falls", || factory.connection_count() == 1).await;
    other.write(frame(TEXT, b"unharmed", Masks::Yes)).await;
    assert_eq!(other.frame().await.unwrap().payload, b"unharmed");
    let ending = tokio::spawn(server.shutdown(1001, "", Duration::from_secs(30)));
    assert_eq!(other.frame().await.unwrap().code(), 1001);
    other
        .write(frame(CLOSE, &1001_u16.to_be_bytes(), Masks::Yes))
        .await;
    drop(other);
    within(ending).await.unwrap().unwrap();
}

/// A shutdown says 1001 to all, waits no longer than its deadline for those that do not answer, and leaves the
/// port free.
#[tokio::test]
async fn a_shutdown_ends_in_time_and_frees_the_port() {
    let world = World::new(ServerOptions::default());
    let server = world.listen().await;
    let address = server.local_addr();
    let mut silent = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::dial(&server).await;
        raw.write(request("")).await;
        assert_eq!(status(&raw.head().await), 101);
        silent.push(raw);
    }
    // One that has not said what it wants.
    let mut half = Raw::dial(&server).await;
    half.write("GET / HTTP/1.1\r\n").await;
    within(server.shutdown(1001, "", Duration::from_millis(300)))
        .await
        .unwrap();
    for raw in &mut silent {
        assert_eq!(raw.frame().await.unwrap().code(), 1001);
    }
    assert_eq!(world.factory.connection_count(), 0);
    TcpStream::connect(address).await.unwrap_err();
    // Free, though sockets of old connections may linger in the kernel.
    let again: Server = world.factory.listen(address.to_string()).await.unwrap();
    drop(again);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs and errors that carry octets of the peer: none that drives a terminal or makes a line of its own, and
/// no more than a few.
#[tokio::test]
async fn what_a_peer_says_is_escaped_and_bounded() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let evil = "\u{1b}[2Jevil\u{9b}";
    let reason = [&1000_u16.to_be_bytes()[..], b"\x1b[2J\nevil line\r\x07"].concat();
    for mut talk in both_ends("").await {
        talk.send(CLOSE, &reason).await;
        assert_eq!(talk.next().await.code(), 1000);
        talk.raw = Raw::on(tokio::io::empty());
        let info = within(talk.ws.closed()).await;
        for text in [info.to_string(), format!("{info:?}")] {
            assert!(!text.contains(['\u{1b}', '\n', '\r', '\u{7}']), "{text:?}");
        }
    }
    let world = World::new(ServerOptions::default());
    let server = world.listen().await;
    for octets in [
        request(&format!("Cookie: {evil}\r\n")),
        request(&format!("Sec-WebSocket-Protocol: {evil}\r\n")),
        request("").replacen('/', &format!("/{evil}"), 1),
        format!("{evil}\r\n\r\n"),
        request(&format!("X: {}\r\n", "evil ".repeat(10_000))),
        request("").replacen('/', &format!("/{}", "evil".repeat(1900)), 1),
    ] {
        let mut raw = Raw::dial(&server).await;
        raw.write(&octets).await;
        raw.head().await;
    }
    until("all are gone", || world.factory.connection_count() == 0).await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!log.is_empty());
    assert!(!log.contains(['\u{1b}', '\u{9b}', '\u{7}', '\r']), "{log}");
    for line in log.lines() {
        assert!(!line.starts_with("evil"), "a line of the peer's own: {log}");
        assert!(line.len() < 2048, "{} octets: {line}", line.len());
    }
}

/// Credentials (CVE-2021-33880): nothing but the whole password of the same user; compared without a way
/// out at the first octet that differs.
#[test]
fn credentials_are_compared_whole() {
    let auth = BasicAuth::new("club")
        .user("alice", "open sesame")
        .user("bob", "b");
    let given = |credentials: &str| {
        use base64::Engine;
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Basic {encoded}").parse().unwrap());
        auth.check(&headers).map(str::to_owned).ok()
    };
    assert_eq!(given("alice:open sesame").as_deref(), Some("alice"));
    for wrong in [
        "alice:",
        "alice:open",
        "alice:open sesame ",
        "alice:open sesame\0",
        "alice:OPEN SESAME",
        "alice:b",
        "bob:open sesame",
        "alic:open sesame",
        ":open sesame",
        ":",
        "alice",
        "alice:open sesamE",
    ] {
        assert_eq!(given(wrong), None, "{wrong:?}");
    }
    let source = include_str!("../../src/handshake/server/basic_auth.rs");
    let (_, compare) = source.split_once("fn is_same(").unwrap();
    let (compare, _) = compare.split_once("\n}").unwrap();
    assert!(
        compare.contains("black_box") && !compare.contains("return"),
        "{compare}"
    );
    assert!(!compare.contains("known == given"), "{compare}");
}

/// Clocks that jump: no deadline of a connection knows the time of day.
#[test]
fn timers_are_monotonic() {
    for source in [
        include_str!("../../src/connection/keepalive.rs"),
        include_str!("../../src/transport/io.rs"),
        include_str!("../../src/transport/opening.rs"),
        include_str!("../../src/server/incoming.rs"),
        include_str!("../../src/server/lifecycle.rs"),
    ] {
        assert!(!source.contains("SystemTime"), "{source}");
    }
}

/// Dependencies with advisories: past RUSTSEC-2026-0007 (bytes), 2024-0399 (rustls) and 2026-0104
/// (rustls-webpki), and without those that nobody keeps.
#[test]
fn dependencies_are_past_their_advisories() {
    let lock = include_str!("../../Cargo.lock");
    let versions = |name: &str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let found: Vec<Vec<u32>> = lock
            .split(&entry)
            .skip(1)
            .map(|rest| {
                let version = rest.split('"').next().unwrap();
                version
                    .split('.')
                    .map(|part| part.parse().unwrap_or(0))
                    .collect()
            })
            .collect();
        found
    };
    for (name, least) in [
        ("bytes", [1, 11, 1]),
        ("rustls", [0, 23, 18]),
        ("rustls-webpki", [0, 103, 13]),
    ] {
        let found = versions(name);
        assert!(!found.is_empty(), "{name}");
        for version in found {
            assert!(version.as_slice() >= &least[..], "{name} {version:?}");
        }
    }
    assert!(versions("rustls-pemfile").is_empty());
}
