//! Logs of the wire and spans, as a subscriber of `tracing` sees them.

use crate::observed::{Capture, Seen};
use crate::probe::{End, OFFER, PIPE, What, both_ends, echo, open, open_with, probe, quiet};
use crate::wire::{Raw, Wire, close_body, request_for, settle, within};
use motorway::{DeflateOptions, MessageKind, Peer, ServerOptions, StatusCode};
use std::time::Duration;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

const FRAMES: &str = "motorway::frames";
const OCTETS: &str = "motorway::octets";
const HANDSHAKE: &str = "motorway::handshake";

fn line(seen: &Seen) -> String {
    let text = |name| seen.fields.text(name);
    let names = [
        "direction",
        "fin",
        "rsv",
        "opcode",
        "mask",
        "length",
        "payload",
    ];
    let line: Vec<_> = names.into_iter().map(text).collect();
    line.join(" ")
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_frame_is_logged_also_where_echoes_are_corked() {
    let (capture, _guard) = Capture::start(LevelFilter::TRACE);
    let mut session = open(&echo(), ServerOptions::default().log_frames(true)).await;
    // Two small messages in one write: both go through the cork.
    let frames = [Wire::text("Hello"), Wire::binary([0, 255]), Wire::ping("p")];
    session.peer.send_all(&frames).await;
    for _ in 0..3 {
        session.peer.frame().await;
    }
    session.peer.send(Wire::close(1000, "bye\n")).await;
    session.peer.frame().await;
    let ws = session.ws();
    session.end().await;
    let seen = capture.of(FRAMES);
    let (received, sent): (Vec<_>, Vec<_>) = seen
        .iter()
        .map(line)
        .partition(|line| line.starts_with("received"));
    let mask = "37fa213d";
    assert_eq!(
        received,
        [
            format!("received true 0 Text {mask} 5 Hello"),
            format!("received true 0 Binary {mask} 2 00ff"),
            format!("received true 0 Ping {mask} 1 70"),
            format!("received true 0 Close {mask} 6 1000 bye\\n"),
        ]
    );
    assert_eq!(
        sent,
        [
            "sent true 0 Text  5 Hello",
            "sent true 0 Binary  2 00ff",
            "sent true 0 Pong  1 70",
            "sent true 0 Close  6 1000 bye\\n",
        ]
    );
    assert!(seen.iter().all(|seen| seen.level == Level::DEBUG));
    let id = ws.id().to_string();
    assert!(seen.iter().all(|seen| seen.fields.text("connection") == id));
    assert!(capture.of(OCTETS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn frames_are_logged_at_either_end_and_elided() {
    for end in both_ends!(|options| options.log_frames(true).auto_fragment_size(1000)) {
        let (capture, _guard) = Capture::start(LevelFilter::DEBUG);
        let is_server = end.is_server();
        let mut session = end.open(&quiet()).await;
        let long = "ä\x1b".repeat(500);
        session.peer.text(&long).await;
        settle().await;
        session.ws().send(&*long).await.unwrap();
        let mut writer = session
            .ws()
            .begin_message(MessageKind::Binary)
            .await
            .unwrap();
        writer.write(&[7; 3][..]).await.unwrap();
        writer.finish().await.unwrap();
        session.peer.frame().await;
        settle().await;
        let seen = capture.of(FRAMES);
        let length = 256;
        let shown = format!("{}…", "ä\\u{1b}".repeat(length / 3));
        // 256 octets end in the middle of a character.
        let shown = shown.replace('…', "\u{fffd}…");
        assert_eq!(seen[0].fields.text("payload"), shown);
        assert_eq!(seen[0].fields.text("length"), "1500");
        assert_eq!(seen[0].fields.text("mask").is_empty(), !is_server);
        let sent = seen[1..].iter().map(|seen| {
            let text = |name| seen.fields.text(name).to_owned();
            assert_eq!(text("mask").len(), if is_server { 0 } else { 8 });
            [
                text("direction"),
                text("fin"),
                text("opcode"),
                text("length"),
            ]
            .join(" ")
        });
        assert_eq!(
            sent.collect::<Vec<_>>(),
            [
                "sent false Text 1000",
                "sent true Continuation 500",
                "sent false Binary 3",
                "sent true Continuation 0",
            ]
        );
        let continued = seen[2].fields.text("payload");
        assert!(
            continued.contains("ä\\u{1b}"),
            "text goes on as text: {continued}"
        );
        assert_eq!(seen[3].fields.text("payload"), "070707");
    }
}

#[tokio::test(start_paused = true)]
async fn compressed_payloads_are_logged_as_they_are_on_the_wire() {
    let (capture, _guard) = Capture::start(LevelFilter::DEBUG);
    let deflate = DeflateOptions::default().threshold(0);
    let options = ServerOptions::default()
        .log_frames(true)
        .per_message_deflate(deflate);
    let (mut session, _) = open_with(&quiet(), options, (OFFER, PIPE)).await;
    session.ws().send("Hello").await.unwrap();
    let frame = session.peer.frame().await;
    assert!(frame.rsv1);
    let seen = capture.of(FRAMES);
    assert_eq!(seen[0].fields.text("rsv"), "4");
    assert_eq!(seen[0].fields.text("payload"), hex(&frame.payload));
}

#[tokio::test(start_paused = true)]
async fn every_read_and_write_is_logged_in_hexadecimal() {
    let (capture, _guard) = Capture::start(LevelFilter::TRACE);
    let mut session = open(&echo(), ServerOptions::default().log_octets(true)).await;
    let octets = session.peer.encode(Wire::text("Hello"));
    session.peer.write(&octets).await;
    session.peer.frame().await;
    let long = Wire::binary(vec![9; 3000]);
    session.peer.send(long).await;
    session.peer.frame().await;
    let seen = capture.of(OCTETS);
    let at = |place: usize| {
        let text = |name| seen[place].fields.text(name).to_owned();
        (text("direction"), text("length"), text("octets"))
    };
    let first = (
        "received".to_owned(),
        octets.len().to_string(),
        hex(&octets),
    );
    assert_eq!(at(0), first);
    let second = ("sent".to_owned(), "7".to_owned(), hex(b"\x81\x05Hello"));
    assert_eq!(at(1), second);
    let (direction, length, shown) = at(seen.len() - 1);
    assert_eq!((&*direction, &*length), ("sent", "3004"));
    assert_eq!(shown, format!("827e0bb8{}…", "09".repeat(1020)));
    assert!(seen.iter().all(|seen| seen.level == Level::TRACE));
    assert!(capture.of(FRAMES).is_empty());
    assert_eq!(capture.of(HANDSHAKE).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn octets_read_while_a_callback_waits_and_large_messages_are_logged_too() {
    let (capture, _guard) = Capture::start(LevelFilter::DEBUG);
    let options = ServerOptions::default().log_frames(true);
    let waits = probe(|what| async move {
        if let What::Message(..) = what {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    let mut session = open(&waits, options).await;
    session.peer.text("waits").await;
    settle().await;
    session.peer.send(Wire::ping("ahead")).await;
    assert_eq!(session.peer.frame().await, Wire::pong("ahead"));
    session.peer.send(Wire::binary(vec![1; 100_000])).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    session.peer.text("after").await;
    settle().await;
    let seen = capture.of(FRAMES);
    let seen: Vec<_> = seen
        .iter()
        .map(|seen| {
            format!(
                "{} {}",
                seen.fields.text("opcode"),
                seen.fields.text("length")
            )
        })
        .collect();
    assert_eq!(
        seen,
        ["Text 5", "Ping 5", "Pong 5", "Binary 100000", "Text 5"]
    );
}

#[tokio::test(start_paused = true)]
async fn heads_are_logged_without_their_secrets() {
    let headers = "Authorization: Basic c2VjcmV0\r\nCookie: sid=secret\r\nX-Shown: yes\r\n";
    let (capture, _guard) = Capture::start(LevelFilter::TRACE);
    let options = ServerOptions::default()
        .log_frames(true)
        .header("Set-Cookie", "sid=secret");
    open_with(&quiet(), options, (headers, PIPE)).await;
    let client = motorway::ClientOptions::default()
        .log_octets(true)
        .header("Proxy-Authorization", "secret");
    let headers = "Set-Cookie: secret\r\n";
    End::Client(client)
        .open_on(&quiet(), tokio::io::duplex(PIPE), headers)
        .await;
    let seen = capture.of(HANDSHAKE);
    let heads: Vec<_> = seen.iter().map(|seen| seen.fields.text("head")).collect();
    assert_eq!(heads.len(), 4, "{heads:?}");
    let messages: Vec<_> = seen
        .iter()
        .map(|seen| seen.fields.text("message"))
        .collect();
    assert_eq!(messages, ["request", "response", "request", "response"]);
    assert!(
        heads[0].contains("Authorization: [redacted]"),
        "{}",
        heads[0]
    );
    assert!(heads[0].contains("X-Shown: yes"), "{}", heads[0]);
    assert!(heads[1].starts_with("HTTP/1.1 101 "), "{}", heads[1]);
    assert!(
        heads[2].contains("proxy-authorization: [redacted]"),
        "{}",
        heads[2]
    );
    for seen in capture.all() {
        let text = format!("{seen:?}");
        assert!(
            !text.contains("secret") && !text.contains("c2Vjcm"),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_logged_without_its_body() {
    let (capture, _guard) = Capture::start(LevelFilter::DEBUG);
    let probe = quiet().on_connect(|_| async { Err(StatusCode::FORBIDDEN.into()) });
    let factory = probe.factory(ServerOptions::default().log_frames(true));
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut raw = Raw::client(theirs);
    raw.write(request_for("/", "")).await;
    raw.rest().await;
    within(task).await.unwrap().unwrap_err();
    let seen = capture.of(HANDSHAKE);
    assert_eq!(seen.len(), 2);
    assert!(seen[1].fields.text("head").starts_with("HTTP/1.1 403 "));
    assert!(seen[1].fields.text("head").ends_with("\\r\\n\\r\\n"));
}

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_read_are_logged_without_their_secrets() {
    for (request, shown) in [
        (
            "GET / HTTP/1.1\r\nHost: a\nCookie: s3cret\r\n\r\n",
            "GET / HTTP/1.1\\r\\nHost: a\\nCookie [redacted]",
        ),
        (
            "GET / HTTP/1.1\r\nCookie : s3cret\r\n s3cret\r\n\r\n",
            "Cookie [redacted]",
        ),
        ("\x16\x03\x01\x02\x00\x01", "\\x16\\x03\\x01\\x02\\x00"),
    ] {
        let (capture, _guard) = Capture::start(LevelFilter::TRACE);
        let factory = echo().factory(ServerOptions::default().log_frames(true));
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = tokio::spawn(factory.serve_stream(ours));
        let mut raw = Raw::client(theirs);
        raw.write(request).await;
        raw.rest().await;
        within(task).await.unwrap().unwrap_err();
        let seen = capture.of(HANDSHAKE);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[0].fields.text("head").contains(shown), "{seen:?}");
        assert!(seen[1].fields.text("head").starts_with("HTTP/1.1 400 "));
        for seen in capture.all() {
            assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_logged_of_the_wire_unless_asked_for() {
    for end in both_ends!(|options| options) {
        let (capture, _guard) = Capture::start(LevelFilter::TRACE);
        let mut session = end.open(&echo()).await;
        session.peer.text("Hello").await;
        session.peer.frame().await;
        session
            .peer
            .send(Wire::new(
                motorway::frame::Opcode::Close,
                close_body(1000, ""),
            ))
            .await;
        session.peer.frame().await;
        session.end().await;
        for target in [FRAMES, OCTETS, HANDSHAKE] {
            assert!(capture.of(target).is_empty(), "{target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_run_in_the_span_of_their_connection() {
    let (capture, _guard) = Capture::start(LevelFilter::INFO);
    let says = probe(|what| async move {
        tokio::task::yield_now().await;
        tracing::info!(target: "user", "{}", format!("{what:?}").split('(').next().unwrap());
        match what {
            What::Message(..) => Err(std::io::Error::other("fails").into()),
            _ => Ok(()),
        }
    })
    .on_connect(|request| async move {
        tracing::info!(target: "user", "Connect");
        let protocol = request.protocols().first().cloned();
        Ok(
            protocol.map_or_else(motorway::ConnectionAccept::new, |protocol| {
                motorway::ConnectionAccept::new().protocol(protocol)
            }),
        )
    });
    let factory = says.factory(ServerOptions::default());
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let peer = Peer::from(std::net::SocketAddr::from(([192, 0, 2, 1], 50000)));
    let task = tokio::spawn(factory.serve_stream_from(ours, peer));
    let mut raw = Raw::client(theirs);
    raw.write(request_for("/chat?x=1", "Sec-WebSocket-Protocol: v1\r\n"))
        .await;
    raw.head().await;
    raw.text("Hello").await;
    assert_eq!(raw.frame().await.code(), 1011);
    let ws = says.log().ws();
    raw.say_goodbye().await;
    within(task).await.unwrap().unwrap();
    let said = capture.of("user");
    let words: Vec<_> = said
        .iter()
        .map(|seen| seen.fields.text("message"))
        .collect();
    assert_eq!(words, ["Connect", "Open", "Message", "Close"]);
    for seen in &said {
        let [(name, fields)] = &seen.spans[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(name, "connection");
        assert_eq!(fields.text("id"), ws.id().to_string());
        assert_eq!(fields.text("peer"), "tcp4:192.0.2.1:50000");
        assert_eq!(fields.text("path"), "/chat");
        let opened = fields.text("message") != "Connect" && !std::ptr::eq(seen, &said[0]);
        assert_eq!(fields.text("subprotocol"), if opened { "v1" } else { "" });
    }
    // So do the library's own events.
    let failed = capture.all().into_iter();
    let failed = failed.filter(|seen| seen.fields.text("message") == "callback failed");
    let failed: Vec<_> = failed.collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].spans.len(), 1);
    assert!(!format!("{:?}", tracing::Span::current().id()).contains("Some"));
}

#[tokio::test(start_paused = true)]
async fn a_clients_callbacks_and_a_servers_handler_run_in_spans() {
    let (capture, _guard) = Capture::start(LevelFilter::INFO);
    let says = |what: &str| tracing::info!(target: "user", "{what}");
    let client = probe(move |_| async move {
        says("client");
        Ok(())
    });
    let mut session = crate::probe::open_client(&client, Default::default()).await;
    session.peer.text("Hello").await;
    session.end().await;
    let server = motorway::WebSocketServerFactory::from_handler(move |mut ws| async move {
        says("server");
        while ws.recv().await?.is_some() {
            says("server");
        }
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(server.serve_stream(ours));
    let mut raw = Raw::client(theirs);
    raw.write(request_for("/", "")).await;
    raw.head().await;
    raw.text("Hello").await;
    settle().await;
    raw.say_goodbye().await;
    within(task).await.unwrap().unwrap();
    let said = capture.of("user");
    let count = |word: &str| {
        said.iter()
            .filter(|seen| seen.fields.text("message") == word)
            .count()
    };
    assert!(count("client") >= 3 && count("server") == 2, "{said:?}");
    for seen in said {
        assert_eq!(seen.spans.len(), 1, "{seen:?}");
        assert_eq!(seen.spans[0].1.text("path"), "/");
    }
}
