//! The overflow policy that drops the oldest messages, so that what arrives is fresh.

use crate::overflow::{number_of, numbered, options};
use crate::probe::{HIGH_WATER, PIPE, What, both_ends, is_closed, open, probe, quiet};
use crate::wire::{Wire, settle, within};
use futures_util::SinkExt;
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCause, Connector, DeflateOptions, DeflateStrategy, Hub, Message,
    MessageKind, OverflowPolicy, PreparedMessage, SendError, ServerOptions, WebSocket,
    WebSocketStream,
};
use std::time::Duration;
use tokio::time::sleep;

const LOW_WATER: usize = 64 << 10;
const SIZE: usize = 1 << 10;

fn oldest() -> ServerOptions {
    options(OverflowPolicy::DropOldest)
}

/// Sends so many messages to nobody who reads.
async fn flood(ws: &WebSocket, count: u32) {
    for number in 0..count {
        within(ws.send(numbered(number, SIZE))).await.unwrap();
        assert!(ws.buffered() <= HIGH_WATER + SIZE, "{}", ws.buffered());
    }
}

/// Checks the numbers of messages that arrived: the first ones, which were on their way, and the last.
fn check_kept(arrived: &[u32], count: u32, dropped: u64) {
    assert!(arrived.is_sorted_by(|a, b| a < b), "out of order");
    let gaps = arrived
        .windows(2)
        .filter(|two| two[1] != two[0] + 1)
        .count();
    assert_eq!(
        gaps, 1,
        "only what waited longest is dropped, but for what had left"
    );
    assert_eq!((arrived[0], *arrived.last().unwrap()), (0, count - 1));
    assert_eq!(arrived.len() as u64 + dropped, u64::from(count));
    let last = arrived.iter().rev().zip((0..count).rev());
    let fresh = last.take_while(|(a, b)| **a == *b).count();
    let (least, most) = (HIGH_WATER - LOW_WATER, HIGH_WATER);
    // Each counts for 64 more than it has.
    let weight = fresh * (SIZE + 64);
    assert!(
        weight > least - 8 * SIZE && weight <= most,
        "{fresh} fresh ones"
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_messages_arrive_whole_and_in_order() {
    for end in both_ends!(|options| options.overflow_policy(OverflowPolicy::DropOldest)) {
        let mut session = end.open(&quiet()).await;
        let ws = session.ws();
        flood(&ws, 5000).await;
        let dropped = ws.stats().messages_dropped;
        assert!(dropped > 4000, "{dropped}");
        // Never as much on the way as would make what arrives stale.
        assert!(ws.buffered() > HIGH_WATER - (HIGH_WATER / 10));
        assert_eq!(session.log.count("drain"), 0);
        let mut arrived = Vec::new();
        while arrived.last() != Some(&4999) {
            let frame = session.peer.frame().await;
            assert!(frame.fin && frame.opcode == Opcode::Binary);
            arrived.push(number_of(&frame.payload, SIZE));
        }
        check_kept(&arrived, 5000, dropped);
        settle().await;
        let stats = ws.stats();
        assert_eq!((ws.buffered(), session.log.count("drain")), (0, 1));
        assert_eq!(stats.messages_sent, arrived.len() as u64);
        assert_eq!(stats.messages_dropped, dropped);
        assert_eq!(stats.frames_sent, stats.messages_sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_ever_newer_messages() {
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    tokio::spawn(async move {
        for number in 0..20_000 {
            within(ws.send(numbered(number, SIZE))).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut arrived = Vec::new();
    let mut lag = 0;
    while arrived.last() != Some(&19_999) {
        // A tenth as fast, until no more is sent.
        if session.ws().stats().messages_dropped + 300 < 20_000 {
            sleep(Duration::from_millis(10)).await;
        }
        let frame = session.peer.frame().await;
        arrived.push(number_of(&frame.payload, SIZE));
        lag = lag.max(arrived.len());
    }
    assert!(arrived.is_sorted_by(|a, b| a < b));
    let dropped = session.ws().stats().messages_dropped;
    assert_eq!(arrived.len() as u64 + dropped, 20_000);
    assert!(dropped > 10_000);
}

/// Both ends are ours, with permessage-deflate, whose windows refer to all that was sent.
async fn deflated(
    server: ServerOptions,
) -> (
    WebSocketStream,
    WebSocket,
    tokio::task::JoinHandle<motorway::Result<motorway::CloseInfo>>,
) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let probe = quiet();
    let deflate = DeflateOptions::default().strategy(DeflateStrategy::Default);
    let factory = probe.factory(server.per_message_deflate(deflate));
    let served = tokio::spawn(factory.serve_stream(ours));
    let mut connector = Connector::new("ws://localhost/").unwrap();
    // No more is read than is asked for.
    let options = ClientOptions::default()
        .per_message_deflate(deflate)
        .receive_window(0);
    connector.set_protocol_options(options).unwrap();
    let client = connector.connect_stream(theirs).await.unwrap();
    settle().await;
    (client, probe.log().ws(), served)
}

/// A message that compresses little by itself, and to nearly nothing where an earlier one is known.
fn compressible(number: u32) -> String {
    let mut state = 12_345_u32;
    let mut text = format!("{number:08} ");
    for _ in 0..SIZE {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        text.push(char::from(b'a' + (state >> 16).to_le_bytes()[0] % 26));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn what_was_compressed_is_not_dropped_so_that_the_window_of_the_peer_is_right() {
    // Not to fit the marks, however well it compresses.
    let options = oldest().send_high_water(16 << 10).send_low_water(2 << 10);
    let (mut client, ws, _served) = deflated(options).await;
    let prepared = PreparedMessage::new("prepared ".repeat(100));
    // Fills the way to the client with what does not compress.
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|it| (it.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    within(ws.send(&noise[..]).uncompressed()).await.unwrap();
    for number in 0..500 {
        match number % 10 {
            3 => within(ws.send(compressible(number)).uncompressed())
                .await
                .unwrap(),
            7 => within(ws.send_prepared(&prepared)).await.unwrap(),
            _ => within(ws.send(compressible(number))).await.unwrap(),
        }
    }
    let dropped = ws.stats().messages_dropped;
    assert!(dropped > 300, "{dropped}");
    assert_eq!(
        within(client.recv()).await.unwrap(),
        Some(Message::from(&noise[..]))
    );
    let mut arrived = Vec::new();
    let mut repeated = 0;
    while arrived.last() != Some(&499) {
        let text = within(client.recv_text()).await.unwrap().expect("open");
        match text.get(..8).unwrap().parse() {
            Ok(number) => {
                assert!(*text == compressible(number), "message {number}");
                arrived.push(number);
            }
            Err(_) => {
                assert!(*text == "prepared ".repeat(100));
                repeated += 1;
            }
        }
        // More is sent, and more dropped, while the window of the client goes on.
        if arrived.len() == 5 {
            for number in 500..520 {
                within(ws.send(compressible(number))).await.unwrap();
            }
            break;
        }
    }
    while arrived.last() != Some(&519) {
        let text = within(client.recv_text()).await.unwrap().expect("open");
        if let Ok(number) = text.get(..8).unwrap().parse() {
            assert!(*text == compressible(number), "message {number}");
            arrived.push(number);
        } else {
            repeated += 1;
        }
    }
    assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
    let stats = ws.stats();
    let received = arrived.len() as u64 + repeated + 1;
    assert_eq!(received + stats.messages_dropped, 521);
    assert_eq!(stats.messages_sent, received);
    // With takeover: most messages refer to the one before them.
    let ratio =
        (stats.payload_octets_sent - 200_000) as f64 / (stats.message_octets_sent - 200_000) as f64;
    assert!(ratio < 0.6, "{ratio}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_at_once_each_keep_their_order() {
    for headers in [false, true] {
        let options = oldest().send_high_water(32 << 10).send_low_water(4 << 10);
        let (mut client, ws, _served) = match headers {
            true => deflated(options).await,
            false => deflated(options.per_message_deflate(None)).await,
        };
        let mut senders = Vec::new();
        for task in 0..20_u32 {
            let ws = ws.clone();
            senders.push(tokio::spawn(async move {
                for number in 0..200 {
                    ws.send(numbered(task << 16 | number, SIZE)).await.unwrap();
                }
            }));
        }
        let finished = async {
            for sender in senders {
                within(sender).await.unwrap();
            }
            within(ws.send(numbered(u32::MAX, SIZE))).await.unwrap();
        };
        let receiving = async {
            let mut next = [0_u32; 20];
            let mut count = 0_u64;
            loop {
                let octets = within(client.recv_bytes()).await.unwrap().expect("open");
                count += 1;
                let number = number_of(&octets, SIZE);
                if number == u32::MAX {
                    return count;
                }
                let task = usize::try_from(number >> 16).unwrap();
                assert!(number & 0xffff >= next[task], "task {task}");
                next[task] = (number & 0xffff) + 1;
            }
        };
        let ((), count) = tokio::join!(finished, receiving);
        assert_eq!(count + ws.stats().messages_dropped, 20 * 200 + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_goes_out_behind_all_that_waits() {
    for by_peer in [false, true] {
        let mut session = open(&quiet(), oldest()).await;
        let ws = session.ws();
        flood(&ws, 1000).await;
        let dropped = ws.stats().messages_dropped;
        assert!(dropped > 0);
        match by_peer {
            true => session.peer.send(Wire::close(1000, "")).await,
            // A code that must not be sent changes nothing.
            false => {
                within(ws.close(1005, "")).await.unwrap_err();
                within(ws.close(1000, "")).await.unwrap();
            }
        }
        settle().await;
        is_closed(within(ws.send("late")).await);
        let mut arrived = Vec::new();
        loop {
            let frame = session.peer.frame().await;
            if frame.opcode == Opcode::Close {
                break;
            }
            arrived.push(number_of(&frame.payload, SIZE));
        }
        check_kept(&arrived, 1000, dropped);
        assert_eq!(ws.stats().messages_dropped, dropped);
        if !by_peer {
            session.peer.send(Wire::close(1000, "")).await;
        }
        let info = session.end().await;
        assert!(info.was_clean && info.unsent_octets == 0, "{info:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_told_as_unsent() {
    let session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    flood(&ws, 1000).await;
    let buffered = ws.buffered();
    ws.abort();
    let info = within(ws.closed()).await;
    assert_eq!(info.unsent_octets, buffered);
    assert!(matches!(info.cause, CloseCause::Aborted));
    assert_eq!(ws.buffered(), 0);
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn short_messages_count_for_more_than_their_octets() {
    let session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    flood(&ws, 500).await;
    for number in 0..100_000_u32 {
        within(ws.send(number.to_string())).await.unwrap();
    }
    // As many places as fit the mark, of 64 octets and more each.
    let held = ws.buffered() - LOW_WATER;
    assert!(held < (HIGH_WATER / 64) * 5, "{held}");
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn the_newest_message_stays_however_large_it_is() {
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    for number in 0..5 {
        within(ws.send(numbered(number, 1 << 20))).await.unwrap();
    }
    assert!(ws.buffered() < (2 << 20) + LOW_WATER);
    for number in [0, 4] {
        let frame = session.peer.frame().await;
        assert_eq!(number_of(&frame.payload, 1 << 20), number);
    }
    assert_eq!(ws.stats().messages_dropped, 3);
}

/// What waits whole waits for the end of the message, and so the message must not wait for it.
#[tokio::test(start_paused = true)]
async fn a_message_in_parts_is_not_held_up_by_what_waits_behind_it() {
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    let mut writer = within(ws.begin_message(MessageKind::Text)).await.unwrap();
    within(writer.write("x".repeat(100 << 10))).await.unwrap();
    let mut senders = Vec::new();
    for number in 0..1000 {
        let ws = ws.clone();
        let send = async move { ws.send(numbered(number, SIZE)).await };
        senders.push(tokio::spawn(send));
    }
    settle().await;
    let ends = tokio::spawn(async move {
        writer.write("y".repeat(100 << 10)).await?;
        writer.finish().await
    });
    for _ in 0..2 {
        assert_eq!(session.peer.frame().await.payload.len(), 100 << 10);
    }
    assert_eq!(
        session.peer.frame().await,
        Wire::new(Opcode::Continuation, "")
    );
    within(ends).await.unwrap().unwrap();
    let next = session.peer.frame().await;
    assert_eq!(next.payload.len(), SIZE);
    for sender in senders {
        sender.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_in_parts_keeps_its_place_and_all_of_its_parts() {
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    let mut writer = within(ws.begin_message(MessageKind::Text)).await.unwrap();
    within(writer.write("begun")).await.unwrap();
    // While it is being sent, others wait for their turn, not for room; with no room they are kept.
    let waiting = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.send("waits for its turn").await })
    };
    settle().await;
    assert!(!waiting.is_finished());
    within(writer.write("x".repeat(300 << 10))).await.unwrap();
    flood_unbounded(&ws, 1000).await;
    let dropped = ws.stats().messages_dropped;
    assert!(dropped > 900, "{dropped}");
    let ends = tokio::spawn(async move { writer.finish().await });
    // Begun behind what waits, so it comes behind it.
    let begins = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.begin_message(MessageKind::Binary).await?.finish().await })
    };
    settle().await;
    assert!(!begins.is_finished());
    assert_eq!(session.peer.frame().await, Wire::text("begun").unfinished());
    assert_eq!(session.peer.frame().await.payload.len(), 300 << 10);
    assert_eq!(
        session.peer.frame().await,
        Wire::new(Opcode::Continuation, "")
    );
    within(ends).await.unwrap().unwrap();
    let mut numbers = Vec::new();
    let mut others = Vec::new();
    while others.len() < 2 {
        let frame = session.peer.frame().await;
        match frame.payload.len() {
            SIZE => numbers.push(number_of(&frame.payload, SIZE)),
            _ => others.push(frame),
        }
    }
    assert_eq!(numbers.last(), Some(&999));
    assert!(numbers.is_sorted_by(|a, b| b == &(a + 1)), "{numbers:?}");
    assert!(others.contains(&Wire::text("waits for its turn")));
    assert!(others.contains(&Wire::binary("")));
    within(waiting).await.unwrap().unwrap();
    within(begins).await.unwrap().unwrap();
}

/// As `flood`, where one message is larger than the mark.
async fn flood_unbounded(ws: &WebSocket, count: u32) {
    for number in 0..count {
        within(ws.send(numbered(number, SIZE))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_message_that_is_never_finished_does_not_hold_the_close_up() {
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    let mut writer = within(ws.begin_message(MessageKind::Binary)).await.unwrap();
    within(writer.write(vec![0; 300 << 10])).await.unwrap();
    flood_unbounded(&ws, 10).await;
    // Each is kept instead of the one before it, since there is no room at all.
    assert_eq!(ws.stats().messages_dropped, 9);
    within(ws.close(1000, "")).await.unwrap();
    assert_eq!(session.peer.frame().await.payload.len(), 300 << 10);
    assert_eq!(session.peer.frame().await.code(), 1000);
    session.peer.send(Wire::close(1000, "")).await;
    let info = session.end().await;
    assert!(info.was_clean, "{info:?}");
    // It was not sent, and that is told.
    assert_eq!(info.unsent_octets, SIZE);
    drop(writer);
}

#[tokio::test(start_paused = true)]
async fn publications_of_a_hub_do_not_overtake_what_waits() {
    let hub = Hub::in_memory();
    let mut session = open(&quiet(), oldest()).await;
    let ws = session.ws();
    hub.join(&ws, "topic").unwrap();
    hub.set_overflow(&ws, motorway::Overflow::drop_oldest())
        .unwrap();
    flood(&ws, 1000).await;
    let published = within(hub.publish("topic", "published")).await.unwrap();
    assert_eq!((published.sent, published.dropped), (1, 0));
    let mut last = None;
    loop {
        let frame = session.peer.frame().await;
        if frame == Wire::text("published") {
            break;
        }
        last = Some(number_of(&frame.payload, SIZE));
    }
    assert_eq!(last, Some(999));
}

#[tokio::test(start_paused = true)]
async fn what_waits_keeps_its_order_when_the_policy_changes() {
    for policy in [
        OverflowPolicy::Wait,
        OverflowPolicy::Error,
        OverflowPolicy::DropNewest,
    ] {
        let mut session = open(&quiet(), oldest()).await;
        let ws = session.ws();
        flood(&ws, 1000).await;
        ws.set_overflow_policy(policy).unwrap();
        let sending = {
            let ws = ws.clone();
            tokio::spawn(async move {
                while let Err(SendError::Full { .. }) = ws.try_send("first") {
                    sleep(Duration::from_millis(1)).await;
                }
                ws.send("second").await.unwrap();
            })
        };
        let mut frames = Vec::new();
        while frames.last() != Some(&Wire::text("second")) {
            settle().await;
            frames.push(session.peer.frame().await);
        }
        within(sending).await.unwrap();
        let [.., last, first, _] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(number_of(&last.payload, SIZE), 999);
        assert_eq!(*first, Wire::text("first"));
        settle().await;
        assert_eq!(ws.buffered(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_of_the_memory_budget() {
    let limit = 200 << 10;
    let options = oldest().memory_budget(limit as u64);
    let session = open(&quiet(), options).await;
    let ws = session.ws();
    let mut most = 0;
    for number in 0..1000 {
        if ws.send(numbered(number, SIZE)).await.is_err() {
            break;
        }
        most = most.max(ws.buffered());
        settle().await;
    }
    let info = within(ws.closed()).await;
    assert!(matches!(info.cause, CloseCause::MemoryBudget), "{info:?}");
    // Changes are told from 16 KiB on.
    assert!(
        (limit - (40 << 10)..limit + (40 << 10)).contains(&most),
        "{most}"
    );
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn callbacks_and_sinks_are_served_alike() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            for number in 0..1000 {
                ws.send(numbered(number, SIZE)).await?;
            }
        }
        Ok(())
    });
    let mut session = open(&probe, oldest()).await;
    session.peer.text("go").await;
    settle().await;
    let dropped = session.ws().stats().messages_dropped;
    let mut arrived = Vec::new();
    while arrived.last() != Some(&999) {
        let frame = session.peer.frame().await;
        arrived.push(number_of(&frame.payload, SIZE));
    }
    check_kept(&arrived, 1000, dropped);

    let (ours, theirs) = tokio::io::duplex(PIPE);
    let options = ClientOptions::default().overflow_policy(OverflowPolicy::DropOldest);
    let (mut ws, mut peer) = crate::stream::open_on(ours, theirs, options).await;
    for number in 0..1000 {
        within(ws.feed(Message::from(numbered(number, SIZE))))
            .await
            .unwrap();
    }
    within(ws.flush()).await.unwrap();
    let dropped = ws.handle().stats().messages_dropped;
    let mut arrived = Vec::new();
    while arrived.last() != Some(&999) {
        arrived.push(number_of(&peer.frame().await.payload, SIZE));
    }
    check_kept(&arrived, 1000, dropped);
}

// A stream of octets must lose nothing.
#[tokio::test(start_paused = true)]
async fn a_stream_of_octets_waits_whatever_the_policy() {
    use tokio::io::AsyncWriteExt;
    for policy in [
        OverflowPolicy::DropOldest,
        OverflowPolicy::DropNewest,
        OverflowPolicy::Error,
    ] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let options = ClientOptions::default().overflow_policy(policy);
        let (ws, mut peer) = crate::stream::open_on(ours, theirs, options).await;
        let octets: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let expected = octets.clone();
        let writing = tokio::spawn(async move {
            let mut io = ws.into_io();
            io.write_all(&octets).await.unwrap();
            io.flush().await.unwrap();
            io
        });
        let mut came = Vec::new();
        while came.len() < expected.len() {
            came.extend(peer.frame().await.payload);
        }
        assert!(came == expected, "{policy:?}");
        within(writing).await.unwrap();
    }
}
