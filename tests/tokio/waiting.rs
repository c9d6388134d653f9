//! What happens while a callback waits: what is read ahead, answered, held and kept.

use crate::probe::{Frames, Probe, What, open, open_with, probe, quiet};
use crate::wire::{Raw, Wire, request, settle};
use motorway::frame::Opcode;
use motorway::{ServerOptions, WebSocketServerFactory};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// A protocol whose first message waits for the gate, and whose others wait for the end.
fn gated_then_endless() -> (Probe<crate::probe::Messages>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let probe = probe(move |what| {
        let gate = Arc::clone(&shared);
        async move {
            match what {
                What::Message(_, message) if message.as_bytes() == b"first" => {
                    gate.acquire().await.unwrap().forget();
                }
                What::Message(ws, _) => {
                    ws.closed().await;
                }
                _ => {}
            }
            Ok(())
        }
    });
    (probe, gate)
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_at_once_when_all_before_it_is_delivered() {
    for closing_timeout in [Some(Duration::from_secs(5)), None] {
        let (probe, gate) = gated_then_endless();
        let options = ServerOptions::default().close_handshake_timeout(closing_timeout);
        let mut session = open(&probe, options).await;
        session.peer.text("first").await;
        settle().await;
        // Read ahead, and then delivered.
        session.peer.text("second").await;
        settle().await;
        gate.add_permits(1);
        settle().await;
        assert_eq!(session.log.count("message second"), 1);
        let start = Instant::now();
        session.peer.send(Wire::close(4001, "x")).await;
        assert_eq!(session.peer.frame().await, Wire::close(4001, "x"));
        assert!(start.elapsed() < Duration::from_secs(1));
        assert!(session.end().await.was_clean);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_behind_the_end_of_a_message_that_is_not_told_yet() {
    let pieces = Arc::new(AtomicUsize::new(0));
    let probe = probe(move |what| {
        let pieces = Arc::clone(&pieces);
        async move {
            if let What::Piece(ws) = what {
                match pieces.fetch_add(1, Ordering::SeqCst) {
                    0 => {}
                    1 => sleep(Duration::from_secs(1)).await,
                    _ => ws.send("answer").await?,
                }
            }
            Ok(())
        }
    });
    let mut session = open(&probe.mode::<Frames>(), ServerOptions::default()).await;
    session.peer.text("question").await;
    settle().await;
    session.peer.send(Wire::close(1000, "")).await;
    assert_eq!(session.peer.frame().await, Wire::text("answer"));
    assert_eq!(session.peer.frame().await.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn messages_before_the_end_of_the_stream_are_delivered_whether_a_callback_waited_or_not() {
    for waits in [false, true] {
        let probe = probe(move |what| async move {
            if let What::Message(_, message) = what
                && message.as_bytes() == b"first"
                && waits
            {
                sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        });
        let mut session = open(&probe, ServerOptions::default()).await;
        let messages = ["first", "second", "third"].map(Wire::text);
        session.peer.send_all(&messages).await;
        let log = session.log.clone();
        session.end().await;
        for message in ["message first", "message second", "message third"] {
            assert_eq!(log.count(message), 1, "{message}, waits: {waits}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_callback_but_the_last_ones_comes_after_one_that_panicked() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            while ws.try_send(vec![0; 64 << 10]).is_ok() {}
            panic!("on purpose");
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("go").await;
    while session.peer.frame().await.opcode != Opcode::Close {}
    session.peer.send(Wire::close(1011, "")).await;
    let log = session.log.clone();
    session.end().await;
    assert_eq!(log.lines(), ["connect", "open", "message go", "close"]);
}

#[tokio::test(start_paused = true)]
async fn on_drain_comes_once_however_often_the_queue_drained_meanwhile() {
    let (probe, gate) = gated_then_endless();
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("first").await;
    settle().await;
    let ws = session.ws();
    tokio::spawn(async move {
        for _ in 0..400 {
            ws.send(vec![0; 32 << 10]).await.unwrap();
        }
    });
    for _ in 0..400 {
        session.peer.frame().await;
    }
    assert_eq!(session.log.count("drain"), 0);
    gate.add_permits(1);
    settle().await;
    assert_eq!(session.log.count("drain"), 1);
}

// Pings and pongs that were dealt with must not fill the window for good.
#[tokio::test(start_paused = true)]
async fn a_callback_that_lasts_as_long_as_the_connection_does_not_deafen_it() {
    let probe = probe(|what| async move {
        if let What::Open(ws) = what {
            ws.closed().await;
        }
        Ok(())
    });
    let options = ServerOptions::default().auto_ping_interval(Duration::from_secs(10));
    let mut session = open(&probe, options).await;
    for _ in 0..40_000 {
        let ping = session.peer.frame().await;
        assert_eq!(ping.opcode, Opcode::Ping);
        session.peer.send(Wire::pong(ping.payload)).await;
    }
    session.peer.send(Wire::ping("alive?")).await;
    assert_eq!(session.peer.frame().await, Wire::pong("alive?"));
    session.peer.send(Wire::close(1000, "")).await;
    assert_eq!(session.peer.frame().await.code(), 1000);
    assert!(session.end().await.was_clean);
}

#[tokio::test]
async fn no_more_than_the_window_is_read_ahead() {
    let probe = probe(|what| async move {
        if let What::Message(_, message) = what
            && message.as_bytes() == b"sleep"
        {
            sleep(Duration::from_secs(3600)).await;
        }
        Ok(())
    });
    let log = probe.log();
    let factory: WebSocketServerFactory<_> = probe.factory(ServerOptions::default());
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut peer = Raw::client(stream);
    peer.write(request("")).await;
    peer.head().await;
    // Large reads before, so that the buffers are large.
    let flood = Wire::binary(vec![0; 1000]).masked().encode().repeat(2000);
    let sleeps = Wire::text("sleep").masked().encode();
    let before = (flood.len() + sleeps.len()) as u64;
    peer.write([&flood[..], &sleeps].concat()).await;
    let _ = timeout(Duration::from_millis(200), peer.write(flood.repeat(2))).await;
    while log.count("message sleep") == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(200)).await;
    let ahead = log.ws().stats().octets_received - before;
    assert!((1..=256 << 10).contains(&ahead), "{ahead} octets");
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_while_the_queue_never_empties() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let producer = tokio::spawn(async move { while ws.send(vec![1; 32 << 10]).await.is_ok() {} });
    settle().await;
    session.peer.send(Wire::ping("alive?")).await;
    let start = Instant::now();
    while session.peer.frame().await.opcode != Opcode::Pong {
        sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    producer.abort();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_but_steadily_is_not_given_up() {
    let probe = probe(|what| async move {
        if let What::Open(ws) = what {
            ws.send(vec![0; 32 << 20]).await?;
        }
        Ok(())
    });
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::from_secs(10))
        .auto_ping_timeout(Duration::from_secs(5));
    let (mut session, _) = open_with(&probe, options, ("", 64 << 10)).await;
    // A mebibyte a second.
    let mut octets = 0;
    while octets < 31 << 20 {
        sleep(Duration::from_millis(15)).await;
        let read = session.peer.some(16 << 10).await;
        assert!(read > 0, "dropped after {octets} octets");
        octets += read;
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_of_ones_own_cost_no_memory_either() {
    let probe = probe(|what| async move {
        if let What::Ping(ws, payload) = what {
            ws.pong(payload)?;
        }
        Ok(())
    });
    let mut session = open(
        &probe.mode::<crate::probe::NoPong>(),
        ServerOptions::default(),
    )
    .await;
    for _ in 0..20_000 {
        session.peer.send(Wire::ping([b'x'; 100])).await;
    }
    let buffered = session.ws().buffered();
    assert!(buffered < 64 << 10, "{buffered} octets");
    assert!(session.ws().is_open());
}

// Once this end closes, what waits behind the message can be answered no more.
#[tokio::test(start_paused = true)]
async fn a_held_close_is_released_when_this_end_closes() {
    let probe = probe(|what| async move {
        if let What::Message(ws, message) = what
            && message.as_bytes() == b"first"
        {
            sleep(Duration::from_millis(500)).await;
            ws.close(1000, "").await?;
            ws.closed().await;
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    let frames = [
        Wire::text("first"),
        Wire::text("second"),
        Wire::close(1000, ""),
    ];
    session.peer.send_all(&frames).await;
    assert_eq!(session.peer.frame().await.code(), 1000);
    assert!(session.end().await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn the_clocks_go_on_after_the_window_was_full_to_the_octet() {
    for missing in [0, 1] {
        let (probe, gate) = gated_then_endless();
        let options = ServerOptions::default()
            .auto_ping_interval(Duration::from_secs(10))
            .auto_ping_timeout(Duration::from_secs(5));
        let (mut session, _) = open_with(&probe, options, ("", 1 << 20)).await;
        session.peer.text("first").await;
        settle().await;
        // With a header of 14 octets.
        let size = (256 << 10) - 14 - missing;
        session.peer.send(Wire::binary(vec![0; size])).await;
        settle().await;
        gate.add_permits(1);
        let ping = timeout(Duration::from_secs(60), session.peer.frame()).await;
        assert_eq!(ping.unwrap().opcode, Opcode::Ping, "missing {missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_of_ones_own_takes_the_place_of_no_answer() {
    let options = ServerOptions::default();
    let (mut session, _) = open_with(&quiet(), options, ("", 4 << 10)).await;
    let ws = session.ws();
    ws.send(vec![0; 64 << 10]).await.unwrap();
    settle().await;
    for ping in ["one", "two", "three"] {
        session.peer.send(Wire::ping(ping)).await;
        settle().await;
    }
    ws.pong("heartbeat").unwrap();
    session.peer.frame().await;
    for pong in ["one", "three", "heartbeat"] {
        assert_eq!(session.peer.frame().await, Wire::pong(pong));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_out_of_the_buffer_of_a_stream_is_dropped() {
    let (ours, theirs) = tokio::io::duplex(4 << 10);
    let buffered = tokio::io::BufWriter::with_capacity(64 << 10, ours);
    let probe = quiet();
    let options = ServerOptions::default().write_stall_timeout(Duration::from_secs(10));
    tokio::spawn(probe.factory(options).serve_stream(buffered));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    peer.head().await;
    settle().await;
    let ws = probe.log().ws();
    ws.send(vec![0; 32 << 10]).await.unwrap();
    let closed = timeout(Duration::from_secs(60), ws.closed()).await;
    assert!(!closed.unwrap().was_clean);
}
