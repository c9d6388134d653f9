//! What users can rely on: rule 6, the handle.

use crate::probe::{OFFER, PIPE, What, both_ends, echo, is_closed, open, open_with, probe, quiet};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, request, settle, within};
use motorway::frame::Opcode;
use motorway::{
    CloseCause, CloseCode, DeflateOptions, Endpoint, Error, MessageKind, Peer, PreparedMessage,
    SendError, ServerOptions, WebSocket,
};

#[test]
fn the_handle_can_be_used_from_any_task() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<WebSocket>();
    assert!(size_of::<WebSocket>() <= 8);
}

#[tokio::test(start_paused = true)]
async fn the_handle_knows_its_connection() {
    let options = ServerOptions::default().protocols(["b", "a"]);
    let probe = echo();
    let factory = probe.factory(options);
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let peer = Peer::from(std::net::SocketAddr::from(([192, 0, 2, 1], 50000)));
    tokio::spawn(factory.serve_stream_from(ours, peer.clone()));
    let mut raw = Raw::client(theirs);
    raw.write(crate::wire::request_for(
        "/chat?x=1",
        "Sec-WebSocket-Protocol: z, a, b\r\n",
    ))
    .await;
    let head = raw.head().await;
    assert_eq!(
        crate::wire::header(&head, "sec-websocket-protocol").unwrap(),
        "a"
    );
    settle().await;
    let ws = probe.log().ws();
    assert_eq!(ws.peer(), &peer);
    assert_eq!(ws.path(), "/chat");
    assert_eq!(ws.subprotocol(), Some("a"));
    assert!(ws.is_open() && ws.close_info().is_none());
    assert_eq!(ws, ws.clone());
    let other = open(&quiet(), ServerOptions::default()).await.ws();
    assert_ne!(ws.id(), other.id());
    assert_eq!(other.subprotocol(), None);
}

#[tokio::test(start_paused = true)]
async fn stats_count_octets_and_messages() {
    for headers in ["", OFFER] {
        let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
        let (mut session, _) = open_with(&echo(), options, (headers, PIPE)).await;
        let frames = [
            Wire::text("one"),
            Wire::ping("p"),
            Wire::text("two"),
            Wire::pong(""),
        ];
        let received: usize = frames
            .iter()
            .map(|frame| frame.clone().masked().encode().len())
            .sum();
        session.peer.send_all(&frames).await;
        let mut sent = 0;
        for _ in 0..3 {
            sent += session.peer.frame().await.encode().len();
        }
        let stats = session.ws().stats();
        assert_eq!(stats.messages_received, 2);
        assert_eq!(stats.messages_sent, 2, "{headers}");
        assert_eq!(stats.octets_received, received as u64);
        assert_eq!(stats.octets_sent, sent as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn stats_count_messages_that_a_close_or_a_refusal_follows() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            ws.send("answer").await?;
            ws.close(1000, "").await?;
            assert!(ws.try_send("refused").is_err());
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("x").await;
    assert_eq!(session.peer.frame().await, Wire::text("answer"));
    assert_eq!(session.peer.frame().await, Wire::close(1000, ""));
    assert_eq!(session.ws().stats().messages_sent, 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_request_counts_as_received() {
    let probe = echo();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    tokio::spawn(probe.factory(ServerOptions::default()).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    let early = Wire::text("early").masked().encode();
    peer.write([request("").as_bytes(), &early].concat()).await;
    peer.head().await;
    assert_eq!(peer.frame().await, Wire::text("early"));
    assert_eq!(probe.log().ws().stats().octets_received, early.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn abort_drops_the_connection_at_once() {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    let probe = quiet();
    let task = tokio::spawn(probe.factory(ServerOptions::default()).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    peer.head().await;
    settle().await;
    let ws = probe.log().ws();
    ws.abort();
    let info = within(ws.closed()).await;
    assert!(matches!(info.cause, CloseCause::Aborted));
    assert_eq!(info.code, CloseCode::ABNORMAL);
    assert!(watch.is_dropped() && peer.rest().await.is_empty());
    ws.abort();
    within(task).await.unwrap().unwrap();
    is_closed(ws.send("x").await);
}

#[tokio::test(start_paused = true)]
async fn abort_inside_of_a_callback_lets_no_message_follow() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            ws.abort();
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session
        .peer
        .send_all(&[Wire::text("1"), Wire::text("2")])
        .await;
    let log = session.log.clone();
    session.end().await;
    assert_eq!(log.lines(), ["connect", "open", "message 1", "close"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_close_changes_nothing_and_sends_fail_after_it() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    ws.close(4000, "first").await.unwrap();
    ws.close(4001, "second").await.unwrap();
    is_closed(ws.send("x").await);
    assert!(matches!(ws.try_send("x"), Err(SendError::Closed)));
    is_closed(ws.ping("x").await);
    assert!(matches!(ws.pong("x"), Err(SendError::Closed)));
    is_closed(ws.send_prepared(&PreparedMessage::new("x")).await);
    is_closed(ws.begin_message(MessageKind::Text).await);
    assert!(!ws.is_open());
    assert_eq!(session.peer.frame().await, Wire::close(4000, "first"));
    session.peer.send(Wire::close(4000, "first")).await;
    assert_eq!(session.peer.next().await, None);
    let info = session.end().await;
    assert_eq!(
        (info.code, info.closed_by),
        (CloseCode::from(4000), Endpoint::Local)
    );
    ws.close(1000, "").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bad_close_codes_and_long_control_payloads_are_refused() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let refused = ws.close(code, "").await.unwrap_err();
        assert!(
            matches!(refused, Error::Send(SendError::InvalidCloseCode { .. })),
            "{code}"
        );
    }
    let refused = ws.ping([0; 126]).await.unwrap_err();
    assert!(matches!(
        refused,
        Error::Send(SendError::ControlPayloadTooLong { size: 126 })
    ));
    assert!(ws.pong([0; 126]).is_err());
    assert!(ws.is_open());
    // 123 octets fit behind the code, and no character is cut in two (RFC 6455 §5.5).
    ws.close(1000, "ä".repeat(100)).await.unwrap();
    assert_eq!(
        session.peer.frame().await,
        Wire::close(1000, &"ä".repeat(61))
    );
}

#[tokio::test(start_paused = true)]
async fn a_pong_answers_every_ping_sent_before_its_own() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let pings: Vec<_> = ["1", "2", "3"]
        .map(|payload| {
            let ws = ws.clone();
            tokio::spawn(async move { ws.ping(payload).await })
        })
        .into();
    for payload in ["1", "2", "3"] {
        assert_eq!(session.peer.frame().await, Wire::ping(payload));
    }
    session.peer.send(Wire::pong("2")).await;
    settle().await;
    let done: Vec<_> = pings
        .iter()
        .map(tokio::task::JoinHandle::is_finished)
        .collect();
    assert_eq!(done, [true, true, false]);
    ws.abort();
    for (number, ping) in pings.into_iter().enumerate() {
        assert_eq!(within(ping).await.unwrap().is_ok(), number < 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_costs_one_pong() {
    for end in both_ends!(|options| options) {
        let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(256), "").await;
        for _ in 0..10_000 {
            session.peer.send(Wire::ping([b'x'; 100])).await;
        }
        let buffered = session.ws().buffered();
        assert!(buffered < 8 << 10, "{buffered}");
    }
}

// RFC 6455 §5.5.3: a peer may answer the most recent ping only.
#[tokio::test(start_paused = true)]
async fn a_pong_to_an_automatic_ping_answers_those_before_it() {
    let options = ServerOptions::default().auto_ping_interval(std::time::Duration::from_secs(10));
    let mut session = open(&quiet(), options).await;
    let ws = session.ws();
    let waiting = tokio::spawn(async move { ws.ping("mine").await });
    let mine = session.peer.frame().await;
    assert_eq!((mine.opcode, &*mine.payload), (Opcode::Ping, &b"mine"[..]));
    let automatic = session.peer.frame().await;
    assert_eq!(automatic.opcode, Opcode::Ping);
    session.peer.send(Wire::pong(automatic.payload)).await;
    let time = within(waiting).await.unwrap().unwrap();
    assert!(time >= std::time::Duration::from_secs(9), "{time:?}");
}
