//! What users can rely on: rules 6 and 7, the handle and what dropping a future does.

use crate::probe::{PIPE, Session, What, echo, open, open_client, open_with, probe, quiet};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, request, settle, within};
use motorway::frame::Opcode;
use motorway::{
    Bytes, ClientOptions, CloseCause, CloseCode, DeflateOptions, Endpoint, Error, Message,
    MessageKind, Peer, PreparedMessage, SendError, ServerOptions, WebSocket,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const HIGH_WATER: usize = 256 << 10;
const LOW_WATER: usize = 64 << 10;
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

fn is_closed<T: std::fmt::Debug>(result: motorway::Result<T>) {
    assert!(
        matches!(result, Err(Error::Send(SendError::Closed))),
        "{result:?}"
    );
}

/// Fills the send queue above the high-water mark; nobody reads.
async fn fill(ws: &WebSocket) {
    while ws.try_send(vec![1; 16 << 10]).is_ok() {
        settle().await;
    }
}

#[test]
fn the_handle_can_be_used_from_any_task() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<WebSocket>();
    assert!(size_of::<WebSocket>() <= 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tasks_send_at_once_and_each_keeps_its_order() {
    for headers in ["", OFFER] {
        let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
        let (mut session, _) = open_with(&echo(), options, (headers, 4 << 10)).await;
        let ws = session.ws();
        for task in 0..100_u16 {
            let ws = ws.clone();
            tokio::spawn(async move {
                for number in 0..20_u16 {
                    let payload = [&task.to_be_bytes()[..], &number.to_be_bytes(), &[7; 700]];
                    ws.send(payload.concat()).await.unwrap();
                    if number % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        let mut next = [0_u16; 100];
        for _ in 0..2000 {
            let frame = session.peer.frame().await;
            if !headers.is_empty() {
                continue;
            }
            assert_eq!(frame.payload.len(), 704);
            let task = usize::from(u16::from_be_bytes([frame.payload[0], frame.payload[1]]));
            let number = u16::from_be_bytes([frame.payload[2], frame.payload[3]]);
            assert_eq!(number, next[task], "task {task}");
            next[task] += 1;
        }
        assert_eq!(ws.stats().messages_sent, 2000);
        session.peer.say_goodbye().await;
    }
}

#[tokio::test(start_paused = true)]
async fn try_send_is_refused_above_the_high_water_mark_and_send_waits() {
    for headers in ["", OFFER] {
        let deflate = DeflateOptions::default().threshold(1 << 20);
        let options = ServerOptions::default().per_message_deflate(deflate);
        let (mut session, _) = open_with(&quiet(), options, (headers, PIPE)).await;
        let ws = session.ws();
        fill(&ws).await;
        let full = ws.try_send("one more").unwrap_err();
        assert!(matches!(full, SendError::Full { buffered } if buffered > HIGH_WATER));
        assert!(ws.buffered() > HIGH_WATER && ws.buffered() < HIGH_WATER + (64 << 10));
        let waiting = {
            let ws = ws.clone();
            tokio::spawn(async move { ws.send("waited").await })
        };
        sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        assert_eq!(session.log.count("drain"), 0);
        let mut drained_at = None;
        loop {
            let frame = session.peer.frame().await;
            settle().await;
            if drained_at.is_none() && session.log.count("drain") == 1 {
                drained_at = Some(ws.buffered());
            }
            if frame == Wire::text("waited") {
                break;
            }
        }
        assert!(drained_at.expect("on_drain was called") <= LOW_WATER);
        within(waiting).await.unwrap().unwrap();
        assert_eq!(ws.buffered(), 0);
        assert_eq!(session.log.count("drain"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_do_not_wait_for_room() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    fill(&ws).await;
    ws.pong("unsolicited").unwrap();
    within(ws.close(1000, "bye")).await.unwrap();
    is_closed(within(ws.send("after close")).await);
    let mut last = Vec::new();
    while let Some(frame) = session.peer.next().await {
        if frame.opcode.is_control() {
            last.push(frame.opcode);
        }
        if frame.opcode == Opcode::Close {
            break;
        }
    }
    assert_eq!(last, [Opcode::Pong, Opcode::Close]);
    session.peer.send(Wire::close(1000, "bye")).await;
    assert!(session.end().await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_send_more_than_the_high_water_mark() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            for _ in 0..8 {
                ws.send(vec![1; 100 << 10]).await?;
            }
            ws.send("done").await?;
        }
        Ok(())
    });
    // Once with a stream that takes everything at once, once with one that does not.
    for room in [4 << 20, 4 << 10] {
        let (mut session, _) = open_with(&probe, ServerOptions::default(), ("", room)).await;
        session.peer.text("go").await;
        for _ in 0..8 {
            assert_eq!(session.peer.frame().await.payload.len(), 100 << 10);
        }
        assert_eq!(session.peer.frame().await, Wire::text("done"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_fails_when_the_connection_closes() {
    let session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    fill(&ws).await;
    let waiting = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.send("waits").await })
    };
    settle().await;
    ws.close(1000, "").await.unwrap();
    let start = Instant::now();
    is_closed(within(waiting).await.unwrap());
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "it did not wait for the peer"
    );
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
async fn everything_sent_in_a_callback_keeps_its_order() {
    let prepared = PreparedMessage::new("prepared");
    let probe = probe(move |what| {
        let prepared = prepared.clone();
        async move {
            if let What::Message(ws, _) = what {
                ws.send("1").await?;
                ws.send_prepared(&prepared).await?;
                ws.send("2").await?;
                let mut writer = ws.begin_message(MessageKind::Text).await?;
                writer.write("3").await?;
                writer.finish().await?;
                ws.send("4").await?;
                ws.close(1000, "").await?;
            }
            Ok(())
        }
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("go").await;
    for text in ["1", "prepared", "2"] {
        assert_eq!(session.peer.frame().await, Wire::text(text));
    }
    assert_eq!(session.peer.frame().await, Wire::text("3").unfinished());
    assert_eq!(
        session.peer.frame().await,
        Wire::new(Opcode::Continuation, "")
    );
    assert_eq!(session.peer.frame().await, Wire::text("4"));
    assert_eq!(session.peer.frame().await, Wire::close(1000, ""));
}

#[tokio::test(start_paused = true)]
async fn messages_do_not_mix_with_one_that_is_sent_in_parts() {
    let slot = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&slot);
    let probe = probe(move |what| {
        let slot = Arc::clone(&keep);
        async move {
            match what {
                What::Message(ws, message) if message.is_text() => {
                    ws.send("whole").await?;
                    let mut writer = ws.begin_message(MessageKind::Text).await?;
                    writer.write("part").await?;
                    *slot.lock().unwrap() = Some(writer);
                }
                _ => {}
            }
            Ok(())
        }
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    // The ping is answered between what the two callbacks of one read send.
    session
        .peer
        .send_all(&[Wire::text("go"), Wire::ping("p")])
        .await;
    assert_eq!(session.peer.frame().await, Wire::text("whole"));
    assert_eq!(session.peer.frame().await, Wire::text("part").unfinished());
    assert_eq!(session.peer.frame().await, Wire::pong("p"));
    let ws = session.ws();
    assert!(matches!(ws.try_send("mixed"), Err(SendError::Busy)));
    let sending = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.send("later").await })
    };
    sleep(Duration::from_secs(1)).await;
    assert!(!sending.is_finished());
    // Control frames may come between (RFC 6455 §5.4).
    ws.pong("between").unwrap();
    assert_eq!(session.peer.frame().await, Wire::pong("between"));
    let mut writer = slot.lock().unwrap().take().unwrap();
    writer.write("more").await.unwrap();
    writer.finish().await.unwrap();
    let more = Wire::new(Opcode::Continuation, "more").unfinished();
    assert_eq!(session.peer.frame().await, more);
    assert_eq!(
        session.peer.frame().await,
        Wire::new(Opcode::Continuation, "")
    );
    assert_eq!(session.peer.frame().await, Wire::text("later"));
    within(sending).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_dropped_unfinished_fails_the_connection_with_1011() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
    writer.write(vec![1; 10]).await.unwrap();
    assert_eq!(
        session.peer.frame().await,
        Wire::binary([1; 10]).unfinished()
    );
    let waiting = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.send("waits").await })
    };
    settle().await;
    drop(writer);
    assert_eq!(session.peer.frame().await, Wire::close(1011, ""));
    is_closed(within(waiting).await.unwrap());
    assert_eq!(session.peer.next().await, None);
    let info = session.end().await;
    assert!(
        matches!(info.cause, CloseCause::UnfinishedMessage),
        "{info:?}"
    );
    assert!(!info.was_clean);
}

#[tokio::test(start_paused = true)]
async fn a_writer_dropped_after_a_close_spoils_nothing() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
    writer.write(vec![1; 10]).await.unwrap();
    session.peer.frame().await;
    ws.close(1000, "").await.unwrap();
    is_closed(writer.write(vec![1; 10]).await);
    drop(writer);
    assert_eq!(session.peer.frame().await, Wire::close(1000, ""));
    sleep(Duration::from_millis(500)).await;
    session.peer.send(Wire::close(1000, "")).await;
    assert_eq!(session.peer.next().await, None);
    assert!(session.end().await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn the_writer_waits_for_room_and_obeys_the_limit() {
    let options = ServerOptions::default().max_message_payload_size(1 << 20);
    let mut session = open(&quiet(), options).await;
    let ws = session.ws();
    let writing = tokio::spawn(async move {
        let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
        for _ in 0..10 {
            writer.write(vec![1; 100 << 10]).await.unwrap();
        }
        let refused = writer.write(vec![1; 100 << 10]).await.unwrap_err();
        assert!(
            matches!(refused, Error::Send(SendError::MessageTooLarge { .. })),
            "{refused}"
        );
        writer.finish().await.unwrap();
    });
    sleep(Duration::from_secs(1)).await;
    assert!(!writing.is_finished());
    let buffered = session.ws().buffered();
    assert!(buffered < HIGH_WATER + (101 << 10), "{buffered}");
    let mut received = 0;
    loop {
        let frame = session.peer.frame().await;
        received += frame.payload.len();
        if frame.fin {
            break;
        }
    }
    assert_eq!(received, 10 * (100 << 10));
    within(writing).await.unwrap();
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
async fn a_message_above_the_limit_is_refused_and_harms_nothing() {
    let options = ServerOptions::default().max_message_payload_size(10);
    let mut session = open(&quiet(), options).await;
    let ws = session.ws();
    let size = 11;
    for refused in [
        ws.send(vec![0; 11]).await,
        ws.send_prepared(&PreparedMessage::new(vec![0; 11])).await,
    ] {
        let refused = refused.unwrap_err();
        let Error::Send(error) = refused else {
            panic!("{refused}")
        };
        assert_eq!(error, SendError::MessageTooLarge { size, limit: 10 });
    }
    ws.send("fits").await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text("fits"));
}

#[tokio::test(start_paused = true)]
async fn prepared_messages_suit_every_connection() {
    let prepared = PreparedMessage::new("to everyone");
    let mut plain = open(&quiet(), ServerOptions::default()).await;
    plain.ws().send_prepared(&prepared).await.unwrap();
    assert_eq!(plain.peer.frame().await, Wire::text("to everyone"));
    let options = ServerOptions::default().auto_fragment_size(4);
    let mut fragmented = open(&quiet(), options).await;
    fragmented.ws().send_prepared(&prepared).await.unwrap();
    assert_eq!(
        fragmented.peer.frame().await,
        Wire::text("to e").unfinished()
    );
    let mut client = open_client(&quiet(), ClientOptions::default()).await;
    client.ws().send_prepared(&prepared).await.unwrap();
    assert_eq!(
        client.peer.frame().await,
        Wire::text("to everyone").masked()
    );
    let deflate = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let (mut deflated, _) = open_with(&quiet(), deflate, (OFFER, PIPE)).await;
    deflated.ws().send_prepared(&prepared).await.unwrap();
    assert!(deflated.peer.frame().await.rsv1);
    // It waits for room like any other.
    let ws = plain.ws();
    fill(&ws).await;
    assert!(
        timeout(Duration::from_secs(1), ws.send_prepared(&prepared))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn large_owned_payloads_and_small_ones_keep_their_order() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let large = Bytes::from(vec![9; 60 << 10]);
    tokio::spawn(async move {
        for number in 0..20 {
            ws.send(number.to_string()).await.unwrap();
            ws.send(large.clone()).await.unwrap();
        }
    });
    for number in 0..20 {
        assert_eq!(session.peer.frame().await, Wire::text(&number.to_string()));
        assert_eq!(session.peer.frame().await, Wire::binary(vec![9; 60 << 10]));
    }
}

// Rule 7: what dropping a future does.

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_has_queued_nothing() {
    let Session { mut peer, log, .. } = open(&quiet(), ServerOptions::default()).await;
    let ws = log.ws();
    fill(&ws).await;
    let before = (ws.buffered(), ws.stats().messages_sent);
    for _ in 0..3 {
        assert!(
            timeout(Duration::from_millis(10), ws.send("dropped"))
                .await
                .is_err()
        );
        let prepared = PreparedMessage::new("dropped");
        assert!(
            timeout(Duration::from_millis(10), ws.send_prepared(&prepared))
                .await
                .is_err()
        );
    }
    // Never polled at all.
    drop(ws.send("dropped"));
    assert_eq!((ws.buffered(), ws.stats().messages_sent), before);
    let last = tokio::spawn(async move { ws.send("last").await });
    loop {
        let frame = peer.frame().await;
        assert_ne!(frame, Wire::text("dropped"));
        if frame == Wire::text("last") {
            break;
        }
    }
    last.await.unwrap().unwrap();
    assert!(peer.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_dropped_has_sent_nothing() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    fill(&ws).await;
    let mut writer = within(ws.begin_message(MessageKind::Text)).await.unwrap();
    assert!(
        timeout(Duration::from_millis(10), writer.write("dropped"))
            .await
            .is_err()
    );
    let writing = tokio::spawn(async move {
        writer.write("kept").await.unwrap();
        writer.finish().await.unwrap();
    });
    loop {
        let frame = session.peer.frame().await;
        if frame.opcode == Opcode::Text {
            assert_eq!(frame, Wire::text("kept").unfinished());
            break;
        }
    }
    within(writing).await.unwrap();
    assert_eq!(
        session.peer.frame().await,
        Wire::new(Opcode::Continuation, "")
    );
}

#[tokio::test(start_paused = true)]
async fn begin_message_that_is_dropped_has_begun_nothing() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let writer = ws.begin_message(MessageKind::Text).await.unwrap();
    let second = timeout(
        Duration::from_millis(10),
        ws.begin_message(MessageKind::Text),
    )
    .await;
    assert!(second.is_err());
    writer.finish().await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text(""));
    ws.send("free").await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text("free"));
}

#[tokio::test(start_paused = true)]
async fn closed_and_ping_may_be_dropped() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    for _ in 0..3 {
        assert!(
            timeout(Duration::from_millis(10), ws.closed())
                .await
                .is_err()
        );
        assert!(
            timeout(Duration::from_millis(10), ws.ping("p"))
                .await
                .is_err()
        );
        assert_eq!(session.peer.frame().await, Wire::ping("p"));
    }
    session.peer.send(Wire::pong("p")).await;
    let ping = ws.ping("q");
    let pong = async {
        assert_eq!(session.peer.frame().await, Wire::ping("q"));
        session.peer.send(Wire::pong("q")).await;
    };
    let (time, ()) = within(async { tokio::join!(ping, pong) }).await;
    time.unwrap();
    ws.close(1000, "").await.unwrap();
    session.peer.frame().await;
    session.peer.send(Wire::close(1000, "")).await;
    assert_eq!(session.peer.next().await, None);
    drop(session);
    assert!(within(ws.closed()).await.was_clean);
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
async fn text_and_binary_are_sent_as_what_they_are() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    ws.send_text("t").await.unwrap();
    ws.send_binary(&b"b"[..]).await.unwrap();
    ws.send(Message::from("")).await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text("t"));
    assert_eq!(session.peer.frame().await, Wire::binary("b"));
    assert_eq!(session.peer.frame().await, Wire::text(""));
}
