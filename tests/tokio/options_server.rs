//! What the options of a server alone do, on the wire.

use crate::probe::{Log, PIPE, open, open_with, quiet};
use crate::wire::{Raw, Wire, header, request, settle, status, within};
use motorway::{CloseCause, Error, OptionsError, ProtocolError, ServerOptions};
use tokio::io::DuplexStream;

/// The answer to a request, and what else there is to see of it.
struct Answer {
    head: String,
    body: String,
    log: Log,
}

impl Answer {
    fn status(&self) -> u16 {
        status(&self.head)
    }
}

/// Asks a server with these options; one that refuses says so and closes.
async fn ask(options: &ServerOptions, request: impl AsRef<[u8]>) -> Answer {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let probe = quiet();
    let task = tokio::spawn(probe.factory(options.clone()).serve_stream(ours));
    let mut peer: Raw<DuplexStream> = Raw::client(theirs);
    peer.write(request).await;
    let head = peer.head().await;
    let log = probe.log();
    let mut body = String::new();
    if status(&head) == 101 {
        peer.say_goodbye().await;
    } else {
        body = String::from_utf8(peer.rest().await).unwrap();
        drop(peer);
        within(task).await.unwrap().unwrap_err();
        assert!(log.lines().is_empty(), "no instance is made");
    }
    Answer { head, body, log }
}

/// A request with another version.
fn version(version: u8, headers: &str) -> String {
    request(headers).replace("Version: 13", &format!("Version: {version}"))
}

fn origin(origin: &str) -> String {
    request(&format!("Origin: {origin}\r\n"))
}

#[tokio::test(start_paused = true)]
async fn frames_without_a_mask_fail_the_connection_unless_accepted() {
    for (require, lines) in [(true, 0), (false, 1)] {
        let options = ServerOptions::default().require_masked_client_frames(require);
        let mut session = open(&quiet(), options).await;
        session.peer.write(Wire::text("bare").encode()).await;
        settle().await;
        assert_eq!(session.log.count("message bare"), lines);
        if require {
            assert_eq!(session.peer.frame().await.code(), 1002);
            let info = session.end().await;
            let error = ProtocolError::UnmaskedFrame;
            assert!(matches!(info.cause, CloseCause::Protocol(found) if found == error));
        } else {
            session.peer.text("masked").await;
            settle().await;
            assert_eq!(session.log.count("message masked"), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_to_clients_are_masked_only_where_asked_for() {
    for mask in [false, true] {
        let options = ServerOptions::default().mask_server_frames(mask);
        let mut session = open(&quiet(), options).await;
        session.ws().send("hello").await.unwrap();
        session
            .peer
            .send_all(&[Wire::ping("p"), Wire::close(1000, "")])
            .await;
        for expected in [Wire::text("hello"), Wire::pong("p"), Wire::close(1000, "")] {
            let frame = session.peer.frame().await;
            assert_eq!(frame.masked, mask);
            assert_eq!(frame.payload, expected.payload);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn versions_that_are_not_enabled_are_refused() {
    let default = ServerOptions::default();
    for (options, asked, expected, listed) in [
        (default.clone(), 13, 101, None),
        (default.clone(), 8, 426, Some("13")),
        (default.clone().versions([8]), 8, 101, None),
        (default.clone().versions([8]), 13, 426, Some("8")),
        (default.clone().versions([13, 8]), 8, 101, None),
        (ServerOptions::autobahn(), 8, 101, None),
        (ServerOptions::autobahn(), 7, 400, Some("13, 8")),
    ] {
        let answer = ask(&options, version(asked, "")).await;
        assert_eq!(answer.status(), expected, "{asked}");
        assert_eq!(
            header(&answer.head, "sec-websocket-version").as_deref(),
            listed
        );
    }
}

#[tokio::test(start_paused = true)]
async fn origins_that_are_not_allowed_are_refused() {
    let listed = |options: ServerOptions| options.allowed_origins(["https://*.example.com"]);
    let default = ServerOptions::default();
    for (options, request, expected) in [
        (default.clone(), origin("https://anyone.org"), 101),
        (
            listed(default.clone()),
            origin("https://a.example.com"),
            101,
        ),
        (listed(default.clone()), origin("https://evil.org"), 403),
        (listed(default.clone()), origin("http://a.example.com"), 403),
        (listed(default.clone()), request(""), 101),
        (
            listed(ServerOptions::autobahn()),
            origin("https://evil.org"),
            400,
        ),
        // Without an origin: files and the like.
        (default.clone(), origin("null"), 101),
        (
            default.clone().allow_null_origin(false),
            origin("null"),
            403,
        ),
        (listed(default.clone()), origin("null"), 403),
        (
            listed(default.clone()).allow_null_origin(true),
            origin("null"),
            101,
        ),
        (
            listed(default).allow_null_origin(true),
            origin("https://evil.org"),
            403,
        ),
    ] {
        let answer = ask(&options, &request).await;
        assert_eq!(answer.status(), expected, "{options:?} {request}");
        assert_eq!(answer.log.count("connect"), usize::from(expected == 101));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_on_streams_count_towards_the_limit() {
    let probe = quiet();
    let factory = probe.factory(ServerOptions::default().max_connections(2));
    let mut peers = Vec::new();
    for expected in [101, 101, 503] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        assert_eq!(status(&peer.head().await), expected);
        peers.push(peer);
    }
    assert_eq!(probe.log().count("connect"), 2, "no instance for the third");
    drop(peers.pop());
    settle().await;
    assert_eq!(factory.connection_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_plain_request_gets_the_page_or_426() {
    let plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = ask(&ServerOptions::default(), plain).await;
    assert_eq!(answer.status(), 200);
    let length = header(&answer.head, "content-length").unwrap();
    assert_eq!(length, answer.body.len().to_string());
    assert!(answer.body.contains("<html") && answer.head.contains("text/html"));
    let answer = ask(&ServerOptions::default().web_status(false), plain).await;
    assert_eq!(answer.status(), 426);
    assert_eq!(
        header(&answer.head, "upgrade").as_deref(),
        Some("websocket")
    );
    assert!(!answer.body.contains("<html"));
}

#[tokio::test(start_paused = true)]
async fn the_server_header_is_ours_or_none() {
    let plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let own = ServerOptions::default().server("own/1".to_owned());
    let motorway = concat!("motorway/", env!("CARGO_PKG_VERSION"));
    for (options, expected) in [
        (ServerOptions::default(), Some(motorway)),
        (own, Some("own/1")),
        (ServerOptions::default().server(None), None),
    ] {
        let refusing = options.clone().allowed_origins(["https://a.org"]);
        for answer in [
            ask(&options, request("")).await,
            ask(&options, plain).await,
            ask(&refusing, origin("https://b.org")).await,
        ] {
            let found = header(&answer.head, "server");
            assert_eq!(found.as_deref(), expected, "{}", answer.head);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_port_that_clients_see_is_checked() {
    let options = ServerOptions::default().external_port(9000);
    for (host, expected) in [
        ("localhost:9000", 101),
        ("localhost:9001", 400),
        ("localhost", 400),
    ] {
        let request = request("").replace("Host: localhost", &format!("Host: {host}"));
        assert_eq!(ask(&options, request).await.status(), expected, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_protocol_of_the_client_that_is_spoken_is_taken() {
    let options = ServerOptions::default().protocols(["v2", "v1"]);
    for (offered, expected) in [
        ("Sec-WebSocket-Protocol: v0, v1, v2\r\n", Some("v1")),
        ("Sec-WebSocket-Protocol: v0\r\n", None),
        ("", None),
    ] {
        let (session, head) = open_with(&quiet(), options.clone(), (offered, PIPE)).await;
        let found = header(&head, "sec-websocket-protocol");
        assert_eq!(found.as_deref(), expected);
        assert_eq!(session.ws().subprotocol(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn new_options_count_for_new_connections_and_invalid_ones_for_none() {
    let probe = quiet();
    let mut factory = probe.factory(ServerOptions::default().header("X-Set", "1"));
    let second = factory.clone();
    let open = |factory: &motorway::WebSocketServerFactory<_>| {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(factory.serve_stream(ours));
        async {
            let mut peer = Raw::client(theirs);
            peer.write(request("")).await;
            let set = header(&peer.head().await, "x-set").unwrap();
            (peer, set)
        }
    };
    let (mut old, set) = open(&factory).await;
    assert_eq!(set, "1");
    let invalid = ServerOptions::default()
        .header("X-Set", "2")
        .max_frame_payload_size(1)
        .auto_ping_size(3);
    let error = factory.set_protocol_options(invalid).unwrap_err();
    let Error::Options(error) = error else {
        panic!("{error}")
    };
    assert!(matches!(
        *error,
        OptionsError::OutOfRange {
            option: "auto_ping_size",
            ..
        }
    ));
    let (mut same, set) = open(&factory).await;
    assert_eq!(set, "1", "the old ones are left");
    let valid = ServerOptions::default()
        .header("X-Set", "3")
        .max_frame_payload_size(1);
    factory.set_protocol_options(valid).unwrap();
    for factory in [&factory, &second] {
        let (mut new, set) = open(factory).await;
        assert_eq!(set, "3");
        new.text("ab").await;
        assert_eq!(new.frame().await.code(), 1009);
    }
    for peer in [&mut old, &mut same] {
        peer.text("ab").await;
    }
    settle().await;
    assert_eq!(
        probe.log().count("message ab"),
        2,
        "running ones keep theirs"
    );
}
