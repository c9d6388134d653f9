//! What users can rely on: rule 5, what is sent together leaves together, and rule 6, sending from
//! anywhere.

use crate::probe::{
    HIGH_WATER, OFFER, PIPE, Session, What, echo, is_closed, open, open_client, open_with, probe,
    quiet,
};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, header, request, settle, within};
use motorway::frame::Opcode;
use motorway::{
    Bytes, ClientOptions, DeflateOptions, Error, Message, MessageKind, PreparedMessage, SendError,
    ServerOptions, WebSocket,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

async fn writes_of(options: ServerOptions, headers: &str) -> usize {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    tokio::spawn(echo().factory(options).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request(headers)).await;
    let head = peer.head().await;
    assert_eq!(
        header(&head, "sec-websocket-extensions").is_some(),
        !headers.is_empty()
    );
    settle().await;
    let before = watch.writes();
    let frames: Vec<_> = (0..30)
        .map(|number| Wire::text(&number.to_string()))
        .collect();
    peer.send_all(&frames).await;
    for frame in &frames {
        let got = peer.frame().await;
        assert!(headers.is_empty() && got == *frame || got.rsv1, "{got:?}");
    }
    watch.writes() - before
}

#[tokio::test(start_paused = true)]
async fn what_the_callbacks_of_one_read_send_leaves_in_one_write() {
    assert_eq!(writes_of(ServerOptions::default(), "").await, 1);
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_leave_in_one_write_too() {
    let deflate = motorway::DeflateOptions::default();
    let options = ServerOptions::default().per_message_deflate(deflate);
    assert_eq!(writes_of(options, OFFER).await, 1);
}

#[tokio::test(start_paused = true)]
async fn pongs_and_the_close_go_out_with_the_messages_in_order() {
    let (session, _) = open_with(&echo(), ServerOptions::default(), ("", 64 << 10)).await;
    let Session { mut peer, .. } = session;
    let frames = [
        Wire::text("1"),
        Wire::ping("p"),
        Wire::text("2"),
        Wire::close(1000, ""),
    ];
    peer.send_all(&frames).await;
    assert_eq!(peer.frame().await, Wire::text("1"));
    assert_eq!(peer.frame().await, Wire::pong("p"));
    assert_eq!(peer.frame().await, Wire::text("2"));
    assert_eq!(peer.frame().await, Wire::close(1000, ""));
    assert_eq!(peer.next().await, None);
}

const LOW_WATER: usize = 64 << 10;

/// Fills the send queue above the high-water mark; nobody reads.
async fn fill(ws: &WebSocket) {
    while ws.try_send(vec![1; 16 << 10]).is_ok() {
        settle().await;
    }
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
    // Compressed it would be longer.
    assert_eq!(deflated.peer.frame().await, Wire::text("to everyone"));
    let long = PreparedMessage::new("to everyone, ".repeat(9));
    deflated.ws().send_prepared(&long).await.unwrap();
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
