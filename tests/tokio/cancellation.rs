//! Futures that are dropped at any of their await points, on streams that make them wait.

use crate::probe::{End, Messages, PIPE, Probe, What, both_ends, probe, quiet};
use crate::streams::{Choppy, Watch, Watched};
use crate::wire::{Raw, Wire, request, response, settle, status, within};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCause, CloseCode, CloseInfo, Endpoint, Error, Message, MessageKind,
    PreparedMessage, Server, ServerOptions, WebSocket,
};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Polls a future so often, while the rest of the world goes on, and drops it if it is not ready.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

type Stream = Watched<Choppy<DuplexStream>>;

/// A stream that makes its user wait, and the other end of it.
fn choppy(seed: u64, room: usize) -> (Stream, DuplexStream, Watch) {
    let (ours, theirs) = tokio::io::duplex(room);
    let watch = Watch::default();
    let ours = Watched {
        inner: Choppy { inner: ours, seed },
        watch: watch.clone(),
    };
    (ours, theirs, watch)
}

fn is_aborted(ws: &WebSocket) {
    let info = ws.close_info().expect("it is told at once");
    assert!(matches!(info.cause, CloseCause::Aborted), "{info:?}");
    assert!(!info.was_clean);
    if info.remote.is_none() {
        assert_eq!(info.code, CloseCode::ABNORMAL);
        assert_eq!(info.closed_by, Endpoint::Local);
    }
    assert!(!ws.is_open() && ws.buffered() == 0);
    assert!(ws.try_send("x").is_err());
}

// The futures that are a connection.

/// A probe that echoes, after waiting in its callbacks for a moment; the counter tells how many
/// callbacks are under way.
fn waiting() -> (Probe<Messages>, Arc<()>) {
    let running = Arc::new(());
    let counter = Arc::clone(&running);
    let probe = probe(move |what| {
        let running = Arc::clone(&counter);
        async move {
            tokio::task::yield_now().await;
            if let What::Message(ws, message) = what {
                ws.send(message).await?;
            }
            drop(running);
            Ok(())
        }
    });
    (probe, running)
}

/// How many callbacks of this probe are under way.
fn callbacks(running: &Arc<()>) -> usize {
    // One is the test's, one the probe's.
    Arc::strong_count(running) - 2
}

/// A peer that talks for a while, and closes; it may find that nobody listens.
fn talk(theirs: DuplexStream, is_server: bool) -> JoinHandle<usize> {
    tokio::spawn(async move {
        let mut peer = match is_server {
            true => Raw::client(theirs),
            false => Raw::server(theirs),
        };
        let head = match is_server {
            true => request(""),
            false => match peer.try_head().await {
                Some(request) => response(&request, ""),
                None => return 0,
            },
        };
        let mut octets = head.into_bytes();
        for text in ["one", "two", "three"] {
            octets.extend(peer.encode(Wire::text(text)));
        }
        octets.extend(peer.encode(Wire::close(1000, "")));
        // Fails where the other end is gone.
        let _ = peer.stream.write_all(&octets).await;
        if !is_server {
            let _ = peer.stream.shutdown().await;
        }
        peer.rest().await.len()
    })
}

/// Runs a connection as this future until it was polled so often; returns whether it has ended.
async fn dropped_after(times: usize, end: &End, seed: u64) -> bool {
    let (probe, running) = waiting();
    let (ours, theirs, watch) = choppy(seed, PIPE);
    let talking = talk(theirs, end.is_server());
    let (ended, count): (Option<motorway::Result<CloseInfo>>, usize) = match end.clone() {
        End::Server(options) => {
            let factory = probe.factory(options);
            let serving = factory.serve_stream(ours);
            assert_eq!(factory.connection_count(), 1);
            let ended = poll_times(serving, times).await;
            (ended, factory.connection_count())
        }
        End::Client(options) => {
            let factory = probe.client(options);
            (poll_times(factory.run_stream(ours), times).await, 0)
        }
    };
    assert!(watch.is_dropped(), "the stream is dropped with it");
    assert_eq!((count, callbacks(&running)), (0, 0));
    let log = probe.log();
    match &ended {
        Some(info) => assert!(info.as_ref().unwrap().was_clean),
        None if log.count("open") > 0 => {
            // In the midst of `on_close` the end is known already.
            if log.count("close") == 0 {
                is_aborted(&log.ws());
            }
            within(log.ws().closed()).await;
            assert!(matches!(log.ws().send("x").await, Err(Error::Send(_))));
        }
        None => {}
    }
    within(talking).await.expect("the peer sees the end");
    ended.is_some()
}

#[tokio::test(start_paused = true)]
async fn the_future_of_a_connection_is_the_connection() {
    for end in both_ends!(|options| options) {
        let mut points = 0;
        for seed in 1..=100 {
            let mut times = 0;
            while !dropped_after(times, &end, seed).await {
                times += 1;
                assert!(times < 10_000, "it hangs");
            }
            points += times;
        }
        assert!(points > 800, "{points}: the stream did not make it wait");
    }
}

/// Connects with a future that is dropped after so many polls; returns whether it connected.
async fn connects(times: usize, seed: u64) -> bool {
    let probe = quiet();
    let (ours, theirs, watch) = choppy(seed, PIPE);
    let talking = talk(theirs, false);
    let factory = probe.client(ClientOptions::default());
    let connected = poll_times(factory.connect_stream(ours), times).await;
    // What has connected runs by itself, without the factory.
    drop(factory);
    if let Some(ws) = &connected {
        let info = within(ws.as_ref().unwrap().closed()).await;
        assert!(info.was_clean, "{info:?}");
        settle().await;
        assert_eq!(probe.log().lines().last().unwrap(), "close");
    } else {
        assert!(watch.is_dropped());
        assert_eq!(probe.log().count("open"), 0);
    }
    within(talking).await.expect("the peer sees the end");
    connected.is_some()
}

#[tokio::test(start_paused = true)]
async fn connecting_that_is_dropped_drops_the_connection() {
    let mut points = 0;
    for seed in 1..=100 {
        let mut times = 0;
        while !connects(times, seed).await {
            times += 1;
        }
        points += times;
    }
    assert!(points > 200, "{points}: the stream did not make it wait");
}

#[tokio::test(start_paused = true)]
async fn a_handle_knows_of_octets_that_were_dropped_unsent() {
    let probe = quiet();
    let (ours, theirs) = tokio::io::duplex(1000);
    let end = End::Server(ServerOptions::default());
    let (session, _) = end.open_on(&probe, (ours, theirs), "").await;
    let ws = session.ws();
    ws.send(vec![0; 5000]).await.unwrap();
    settle().await;
    let buffered = ws.buffered();
    assert!(buffered > 4000);
    session.task.abort();
    assert!(session.task.await.unwrap_err().is_cancelled());
    is_aborted(&ws);
    assert_eq!(ws.close_info().unwrap().unsent_octets, buffered);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told_when_the_connection_is_dropped() {
    let probe = quiet();
    let (ours, theirs, _) = choppy(5, 1000);
    let end = End::Server(ServerOptions::default());
    let (session, _) = end.open_on(&probe, (ours, theirs), "").await;
    let ws = session.ws();
    while ws.try_send(vec![0; 50_000]).is_ok() {}
    let tasks: Vec<JoinHandle<bool>> = (0..4)
        .map(|number| {
            let ws = ws.clone();
            tokio::spawn(async move {
                match number {
                    0 => ws.send("x").await.is_err(),
                    1 => ws.send_prepared(&PreparedMessage::new("x")).await.is_err(),
                    2 => ws.ping("x").await.is_err(),
                    _ => !ws.closed().await.was_clean,
                }
            })
        })
        .collect();
    settle().await;
    assert!(tasks.iter().all(|task| !task.is_finished()));
    session.task.abort();
    for task in tasks {
        assert!(within(task).await.unwrap());
    }
}

// What is sent.

#[derive(Clone, Copy, Debug)]
enum Way {
    Send,
    Prepared,
    Parts,
}

/// Sends numbered messages, each polled a few times at most; returns those that were sent.
async fn send_some(ws: &WebSocket, way: Way) -> Vec<u8> {
    let mut sent = Vec::new();
    for number in 0..100_u8 {
        let times = usize::from(number) % 7;
        let payload = vec![number; 30_000];
        let done = match way {
            Way::Send => poll_times(ws.send(payload), times).await,
            Way::Prepared => {
                let prepared = PreparedMessage::new(Message::from(payload));
                poll_times(ws.send_prepared(&prepared), times).await
            }
            Way::Parts => match poll_times(ws.begin_message(MessageKind::Binary), times).await {
                Some(writer) => {
                    let mut writer = writer.unwrap();
                    let done = poll_times(writer.write(payload), times).await;
                    within(writer.finish()).await.unwrap();
                    done
                }
                None => None,
            },
        };
        if let Some(result) = done {
            result.unwrap();
            sent.push(number);
        }
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_was_not_sent_and_what_resolved_was() {
    for way in [Way::Send, Way::Prepared, Way::Parts] {
        for end in both_ends!(|options| options) {
            let (ours, theirs, _) = choppy(9, 1000);
            let (mut session, _) = end.open_on(&quiet(), (ours, theirs), "").await;
            let ws = session.ws();
            let reading = tokio::spawn(async move {
                let mut received = Vec::new();
                while let Some(frame) = session.peer.next().await {
                    match frame.opcode {
                        Opcode::Close => break,
                        // The last frame of a message in parts is empty.
                        _ if frame.payload.is_empty() => {}
                        _ => {
                            assert_eq!(frame.payload, vec![frame.payload[0]; 30_000]);
                            received.push(frame.payload[0]);
                        }
                    }
                    tokio::task::yield_now().await;
                }
                received
            });
            let sent = send_some(&ws, way).await;
            if !matches!(way, Way::Parts) {
                assert_eq!(ws.stats().messages_sent, sent.len() as u64);
            }
            assert!((20..90).contains(&sent.len()), "{way:?} {}", sent.len());
            ws.close(1000, "").await.unwrap();
            assert_eq!(within(reading).await.unwrap(), sent, "{way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn finishing_that_is_dropped_leaves_the_message_unfinished() {
    for end in both_ends!(|options| options) {
        let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(1000), "").await;
        let ws = session.ws();
        let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
        while poll_times(writer.write(vec![1; 60_000]), 1).await.is_some() {}
        assert!(poll_times(writer.finish(), 3).await.is_none());
        let last = loop {
            let frame = session.peer.frame().await;
            if frame.opcode == Opcode::Close {
                break frame;
            }
            assert!(!frame.fin);
        };
        assert_eq!(last.code(), 1011);
        let info = within(ws.closed());
        drop(session.peer);
        assert!(matches!(info.await.cause, CloseCause::UnfinishedMessage));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_goes_out_with_the_first_poll_and_no_sooner() {
    for end in both_ends!(|options| options) {
        let (ours, theirs, _) = choppy(11, 1000);
        let (mut session, _) = end.open_on(&quiet(), (ours, theirs), "").await;
        let ws = session.ws();
        for times in 0..6 {
            assert!(poll_times(ws.ping([times]), times.into()).await.is_none());
        }
        for times in 1..6_u8 {
            let ping = session.peer.frame().await;
            assert_eq!((ping.opcode, ping.payload), (Opcode::Ping, vec![times]));
        }
        // Their answers disturb nobody.
        session.peer.send(Wire::pong([3])).await;
        let (time, ()) = tokio::join!(ws.ping("last"), async {
            let ping = session.peer.frame().await;
            session.peer.send(Wire::pong(&ping.payload)).await;
        });
        time.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_never_polled_closes_nothing() {
    for end in both_ends!(|options| options) {
        let (ours, theirs, _) = choppy(12, 1000);
        let (mut session, _) = end.open_on(&quiet(), (ours, theirs), "").await;
        let ws = session.ws();
        assert!(poll_times(ws.close(1000, ""), 0).await.is_none());
        assert!(ws.is_open() && poll_times(ws.closed(), 3).await.is_none());
        poll_times(ws.close(4000, ""), 1)
            .await
            .expect("ready at once")
            .unwrap();
        assert_eq!(session.peer.frame().await.code(), 4000);
        for times in 0..3 {
            assert!(poll_times(ws.closed(), times).await.is_none());
        }
        session.peer.send(Wire::close(4000, "")).await;
        assert!(session.end().await.was_clean);
        assert!(
            poll_times(ws.closed(), 1)
                .await
                .expect("ready at once")
                .was_clean
        );
    }
}

// Servers.

/// A server with a connection whose callback waits, and a peer that answers nothing.
async fn busy() -> (Server, Raw<TcpStream>, WebSocket, Arc<()>) {
    let running = Arc::new(());
    let counter = Arc::clone(&running);
    let probe = probe(move |what| {
        let running = Arc::clone(&counter);
        async move {
            if let What::Message(..) = what {
                std::future::pending::<()>().await;
            }
            drop(running);
            Ok(())
        }
    });
    let server = probe
        .factory(ServerOptions::default())
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    let mut peer = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    peer.text("wait").await;
    while probe.log().lines().len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ws = probe.log().ws();
    drop(probe);
    assert!(Arc::strong_count(&running) > 2);
    (server, peer, ws, running)
}

/// Drops a future that owns a server after so many polls, and looks whether all of it stops.
async fn stops<F: Future<Output = motorway::Result<()>>>(
    future: impl FnOnce(Server) -> F,
    times: usize,
) {
    let (server, peer, ws, running) = busy().await;
    let address = server.local_addr();
    assert!(poll_times(future(server), times).await.is_none());
    let info = within(ws.closed()).await;
    assert!(matches!(info.cause, CloseCause::Shutdown), "{info:?}");
    let gone = async {
        while Arc::strong_count(&running) > 1 || TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(gone).await;
    drop(peer);
}

#[tokio::test]
async fn a_shutdown_that_is_dropped_stops_the_server_at_once() {
    for times in 0..4 {
        stops(
            |server| server.shutdown(CloseCode::GOING_AWAY, "", Duration::from_secs(600)),
            times,
        )
        .await;
    }
}

#[tokio::test]
async fn running_that_is_dropped_stops_the_server_at_once() {
    for times in 0..4 {
        stops(
            |server| server.run_until(std::future::pending::<()>()),
            times,
        )
        .await;
        // Dropped in its shutdown.
        stops(|server| server.run_until(std::future::ready(())), times).await;
    }
}
