//! What users can rely on: rules 1 to 3 of the protocol traits.

use crate::probe::{PIPE, Probe, Session, What, open, probe};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, masked, request, settle, within};
use motorway::{
    CloseCause, CloseCode, HandlerError, HandlerResult, Message, ServerOptions, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// A probe that waits at each message until the semaphore lets it go on, and then echoes.
fn gated() -> (Probe<crate::probe::Messages>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    let probe = probe(move |what| {
        let pass = Arc::clone(&pass);
        async move {
            if let What::Message(ws, message) = what {
                pass.acquire().await?.forget();
                // Fails where a test has closed meanwhile.
                let _ = ws.send(message).await;
            }
            Ok(())
        }
    });
    (probe, gate)
}

// Rule 1: one fresh instance, one callback at a time, in order.

#[tokio::test(start_paused = true)]
async fn each_connection_has_a_fresh_instance() {
    struct Count(usize);
    impl WebSocketServerProtocol for Count {
        async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
            self.0 += 1;
            ws.send(self.0.to_string()).await?;
            Ok(())
        }
    }
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let factory = WebSocketServerFactory::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Count(0)
    });
    for connection in 1..=3 {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        peer.head().await;
        for count in ["1", "2"] {
            peer.text("x").await;
            assert_eq!(peer.frame().await, Wire::text(count));
        }
        peer.say_goodbye().await;
        within(task).await.unwrap().unwrap();
        assert_eq!(made.load(Ordering::SeqCst), connection);
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_run_one_at_a_time_in_order() {
    let busy = Arc::new(AtomicUsize::new(0));
    let overlaps = Arc::clone(&busy);
    let probe = probe(move |what| {
        let busy = Arc::clone(&overlaps);
        async move {
            assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0, "{what:?}");
            sleep(Duration::from_millis(5)).await;
            busy.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    let frames = [
        Wire::text("1"),
        Wire::ping("p"),
        Wire::binary([0; 3]),
        Wire::pong("q"),
        Wire::text("2"),
        Wire::close(1000, ""),
    ];
    session.peer.send_all(&frames).await;
    while session.peer.next().await.is_some() {}
    let log = session.log.clone();
    session.end().await;
    let expected = [
        "connect",
        "open",
        "message 1",
        "ping p",
        "binary of 3",
        "pong",
        "message 2",
        "close",
    ];
    assert_eq!(log.lines(), expected);
}

// Rule 2: while a callback waits, the connection goes on.

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_callback_waits() {
    let (probe, gate) = gated();
    let mut session = open(&probe, ServerOptions::default()).await;
    // In the same read as the message, behind a message that waits, and later.
    let frames = [
        Wire::text("a"),
        Wire::ping("1"),
        Wire::text("b"),
        Wire::ping("2"),
    ];
    session.peer.send_all(&frames).await;
    assert_eq!(session.peer.frame().await, Wire::pong("1"));
    assert_eq!(session.peer.frame().await, Wire::pong("2"));
    for octet in Wire::ping("3").masked().encode() {
        session.peer.write([octet]).await;
        settle().await;
    }
    assert_eq!(session.peer.frame().await, Wire::pong("3"));
    gate.add_permits(2);
    assert_eq!(session.peer.frame().await, Wire::text("a"));
    assert_eq!(session.peer.frame().await, Wire::text("b"));
    assert!(session.peer.is_quiet().await, "no ping is answered twice");
    let expected = [
        "connect",
        "open",
        "message a",
        "ping 1",
        "message b",
        "ping 2",
        "ping 3",
    ];
    assert_eq!(session.log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_on_open_waits() {
    let probe = probe(|what| async move {
        if let What::Open(_) = what {
            sleep(Duration::from_secs(2)).await;
        }
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let _task = tokio::spawn(probe.factory(ServerOptions::default()).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    // One ping and half of a message come with the request, the rest of it later. What is in the
    // message looks like a close frame, but is not one.
    let trap = Wire::close(1000, "").masked().encode();
    let message = Wire::binary([&trap[..], &trap[..]].concat())
        .masked()
        .encode();
    let (first, second) = message.split_at(6 + trap.len());
    let early = [
        request("").as_bytes(),
        &masked(&[Wire::ping("early")]),
        first,
    ]
    .concat();
    peer.write(early).await;
    peer.head().await;
    let start = Instant::now();
    assert_eq!(peer.frame().await, Wire::pong("early"));
    peer.write(second).await;
    peer.send(Wire::ping("late")).await;
    assert_eq!(peer.frame().await, Wire::pong("late"));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "they did not wait for on_open"
    );
    sleep(Duration::from_secs(3)).await;
    let binary = format!("binary of {}", 2 * trap.len());
    let expected = ["connect", "open", "ping early", &binary, "ping late"];
    assert_eq!(probe.log().lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn closed_resolves_inside_of_on_message() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            let info = ws.closed().await;
            assert_eq!(info.code, CloseCode::from(4001));
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("wait").await;
    session.peer.send(Wire::close(4001, "enough")).await;
    assert_eq!(session.peer.frame().await, Wire::close(4001, "enough"));
    assert_eq!(session.peer.next().await, None);
    let Session { peer, task, log } = session;
    drop(peer);
    let info = within(task).await.unwrap().unwrap();
    assert!(info.was_clean, "{info:?}");
    assert_eq!(log.lines(), ["connect", "open", "message wait", "close"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_behind_messages_that_are_not_delivered_yet() {
    let (probe, gate) = gated();
    let mut session = open(&probe, ServerOptions::default()).await;
    let frames = [Wire::text("a"), Wire::text("b"), Wire::close(1000, "bye")];
    session.peer.send_all(&frames).await;
    assert!(session.peer.is_quiet().await);
    gate.add_permits(2);
    assert_eq!(session.peer.frame().await, Wire::text("a"));
    assert_eq!(session.peer.frame().await, Wire::text("b"));
    assert_eq!(session.peer.frame().await, Wire::close(1000, "bye"));
    assert!(session.end().await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_behind_messages_no_longer_than_the_closing_timeout() {
    let (probe, gate) = gated();
    let options = ServerOptions::default().close_handshake_timeout(Duration::from_secs(3));
    let mut session = open(&probe, options).await;
    let start = Instant::now();
    let frames = [Wire::text("a"), Wire::text("b"), Wire::close(4000, "bye")];
    session.peer.send_all(&frames).await;
    let info = within(session.ws().closed()).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(info.code, CloseCode::from(4000));
    assert!(!info.was_clean);
    assert_eq!(session.log.count("close"), 0, "the callback still runs");
    gate.add_permits(2);
    session.end().await;
}

#[tokio::test(start_paused = true)]
async fn output_is_flushed_while_a_callback_waits() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            ws.send("before").await?;
            sleep(Duration::from_secs(1)).await;
            ws.send("after").await?;
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("go").await;
    let start = Instant::now();
    assert_eq!(session.peer.frame().await, Wire::text("before"));
    assert_eq!(start.elapsed().as_secs(), 0);
    assert_eq!(session.peer.frame().await, Wire::text("after"));
    let ws = session.ws();
    ws.send("from elsewhere").await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text("from elsewhere"));
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_stops_at_the_window_and_goes_on_after() {
    let (probe, gate) = gated();
    let mut session = open(&probe, ServerOptions::default()).await;
    let message = Wire::binary(vec![7; 1000]).masked().encode();
    let mut taken = 0;
    // The first message is delivered and waits; what follows is read ahead.
    let writing = async {
        loop {
            session.peer.stream.write_all(&message).await.unwrap();
            taken += message.len();
        }
    };
    timeout(Duration::from_secs(5), writing)
        .await
        .expect_err("the writer is held back");
    let most = (256 << 10) + PIPE + (16 << 10);
    assert!(taken > 200 << 10, "{taken} octets were taken");
    assert!(taken <= most, "{taken} octets were taken");
    gate.add_permits(1 << 20);
    // Reading has to go on: messages come back, and the rest of the cut one is taken.
    for _ in 0..taken / message.len() {
        assert_eq!(session.peer.frame().await.payload.len(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn the_clocks_of_pings_stop_while_our_own_reading_waits() {
    let (probe, gate) = gated();
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::from_secs(1))
        .auto_ping_timeout(Duration::from_secs(1));
    let mut session = open(&probe, options).await;
    let message = Wire::binary(vec![7; 1000]).masked().encode();
    let writing = async {
        loop {
            session.peer.stream.write_all(&message).await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), writing)
        .await
        .expect_err("the writer is held back");
    assert!(session.ws().is_open(), "{:?}", session.ws().close_info());
    gate.add_permits(1 << 20);
    let mut messages = 0;
    while messages < 200 {
        messages += usize::from(session.peer.frame().await.payload.len() == 1000);
    }
    assert!(session.ws().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_noticed_while_a_callback_waits() {
    let (probe, _gate) = gated();
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::from_secs(1))
        .auto_ping_timeout(Duration::from_secs(1));
    let mut session = open(&probe, options).await;
    session.peer.text("x").await;
    let info = within(session.ws().closed()).await;
    assert!(matches!(info.cause, CloseCause::Timeout(_)), "{info:?}");
}

#[tokio::test(start_paused = true)]
async fn ping_resolves_inside_of_a_callback() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            let time = ws.ping("are you there").await?;
            ws.send(format!("{}", time.as_millis())).await?;
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session.peer.text("go").await;
    assert_eq!(session.peer.frame().await, Wire::ping("are you there"));
    sleep(Duration::from_millis(250)).await;
    // A message before the pong waits for its turn, the pong does not.
    session
        .peer
        .send_all(&[Wire::binary("x"), Wire::pong("are you there")])
        .await;
    let answer = session.peer.frame().await;
    let millis: u64 = String::from_utf8(answer.payload).unwrap().parse().unwrap();
    assert!((250..=260).contains(&millis), "{millis}");
}

// Rule 3: a callback is not cancelled.

#[tokio::test(start_paused = true)]
async fn a_callback_outlives_its_connection() {
    let probe = probe(|what| async move {
        if let What::Message(ws, _) = what {
            sleep(Duration::from_secs(60)).await;
            assert!(ws.send("too late").await.is_err());
            assert!(ws.try_send("too late").is_err());
            assert!(ws.ping("too late").await.is_err());
            sleep(Duration::from_secs(60)).await;
            return Err(HandlerError::close(4000, "nobody hears this"));
        }
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    let task = tokio::spawn(probe.factory(ServerOptions::default()).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    peer.head().await;
    peer.text("x").await;
    settle().await;
    drop(peer);
    let start = Instant::now();
    let ws = probe.log().ws();
    let info = within(ws.closed()).await;
    settle().await;
    assert!(watch.is_dropped(), "the socket is freed at once");
    assert!(matches!(info.cause, CloseCause::Dropped), "{info:?}");
    assert_eq!(probe.log().lines(), ["connect", "open", "message x"]);
    within(task).await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(119));
    assert_eq!(
        probe.log().lines(),
        ["connect", "open", "message x", "close"]
    );
}
