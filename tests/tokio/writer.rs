//! What users can rely on: messages that are sent in parts.

use crate::probe::{HIGH_WATER, PIPE, What, is_closed, open, open_with, probe, quiet};
use crate::wire::{Wire, settle, within};
use motorway::frame::Opcode;
use motorway::{CloseCause, DeflateOptions, Error, MessageKind, SendError, ServerOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

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
async fn parts_are_fragmented_like_messages() {
    for deflates in [false, true] {
        let mut options = ServerOptions::default().auto_fragment_size(1000);
        if deflates {
            options = options.per_message_deflate(DeflateOptions::default().level(0));
        }
        let with = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut session, _) = open_with(&quiet(), options, (with, PIPE)).await;
        let ws = session.ws();
        let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
        writer.write(vec![7; 5000]).await.unwrap();
        writer.finish().await.unwrap();
        let (mut length, mut frames) = (0, 0);
        loop {
            let frame = session.peer.frame().await;
            assert!(frame.payload.len() <= 1000);
            assert_eq!(frame.opcode == Opcode::Binary, frames == 0);
            assert_eq!(frame.rsv1, deflates && frames == 0);
            (length, frames) = (length + frame.payload.len(), frames + 1);
            if frame.fin {
                break;
            }
        }
        assert!(length >= 5000 && frames >= 6, "{length} in {frames}");
    }
}
