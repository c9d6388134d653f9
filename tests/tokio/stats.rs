//! Counters and times, against what a peer by hand has seen.

use crate::probe::{
    End, Frames, OFFER, PIPE, Pieces, What, both_ends, echo, open, open_with, probe,
};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, request, settle, within};
use motorway::testing::pair;
use motorway::{
    DeflateOptions, Moment, PreparedMessage, ServerOptions, Stats, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The octets that frames have on the wire.
fn wire(frames: &[Wire], masked: bool) -> u64 {
    let octets = frames.iter().map(|frame| match masked {
        true => frame.clone().masked().encode().len(),
        false => frame.encode().len(),
    });
    octets.sum::<usize>() as u64
}

#[tokio::test(start_paused = true)]
async fn three_levels_are_counted_each_way() {
    let mut session = open(&echo(), ServerOptions::default().auto_fragment_size(1000)).await;
    let head = request("").len() as u64;
    let mut long = Wire::binary(vec![7; 2500]);
    let frames = [
        Wire::text("one"),
        Wire::ping("ping"),
        Wire::text("two").unfinished(),
        Wire::new(motorway::frame::Opcode::Continuation, " and more"),
        long.clone(),
        Wire::pong("nobody asked"),
    ];
    session.peer.send_all(&frames).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(session.peer.frame().await);
    }
    long.payload.truncate(1000);
    assert_eq!(
        answers
            .iter()
            .filter(|frame| frame.payload.len() >= 500)
            .count(),
        3
    );
    let ws = session.ws();
    let stats = ws.stats();
    assert_eq!(stats.octets_received, wire(&frames, true));
    assert_eq!(stats.octets_sent, wire(&answers, false));
    assert_eq!(stats.frames_received, 6);
    assert_eq!(stats.frames_sent, 6);
    assert_eq!((stats.messages_received, stats.messages_sent), (3, 3));
    let octets = 3 + 3 + 9 + 2500;
    assert_eq!(stats.message_octets_received, octets);
    assert_eq!(stats.payload_octets_received, octets);
    assert_eq!(stats.message_octets_sent, octets);
    assert_eq!(stats.payload_octets_sent, octets);
    assert_eq!(stats.opening_octets_received, head);
    assert!(stats.opening_octets_sent > 100);
    assert_eq!(stats.compression_ratio_sent(), Some(1.0));
    let overhead = (stats.octets_sent - octets) as f64 / octets as f64;
    assert_eq!(stats.overhead_sent(), Some(overhead));
}

#[tokio::test(start_paused = true)]
async fn compression_shows_between_the_levels() {
    for frames_face in [false, true] {
        let deflate = DeflateOptions::default().threshold(0);
        let options = ServerOptions::default().per_message_deflate(deflate);
        let (mut session, _) = match frames_face {
            false => open_with(&echo(), options, (OFFER, PIPE)).await,
            true => open_with(&echo().mode::<Frames>(), options, (OFFER, PIPE)).await,
        };
        let text = "motorway ".repeat(100);
        session.ws().send(&*text).await.unwrap();
        let sent = session.peer.frame().await;
        assert!(sent.rsv1);
        session.peer.send(sent.clone()).await;
        session.peer.text("plain").await;
        settle().await;
        let stats = session.ws().stats();
        let squeezed = sent.payload.len() as u64;
        assert_eq!(stats.message_octets_received, 905);
        assert_eq!(stats.payload_octets_received, squeezed + 5);
        let ratio = stats.compression_ratio_received().unwrap();
        assert!(ratio < 0.2, "{ratio}");
        if frames_face {
            assert_eq!(stats.message_octets_sent, 900);
            assert_eq!(stats.payload_octets_sent, squeezed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_prepared_messages_and_writers_are_counted() {
    let mut session = open(&echo().mode::<Pieces>(), ServerOptions::default()).await;
    session.peer.text("pieces").await;
    let ws = session.ws();
    ws.send_prepared(&PreparedMessage::new("prepared"))
        .await
        .unwrap();
    ws.try_send_prepared(&PreparedMessage::new("too")).unwrap();
    let mut writer = ws.begin_message(motorway::MessageKind::Text).await.unwrap();
    writer.write("part").await.unwrap();
    writer.finish().await.unwrap();
    for _ in 0..4 {
        session.peer.frame().await;
    }
    let stats = ws.stats();
    assert_eq!(
        (stats.messages_received, stats.message_octets_received),
        (1, 6)
    );
    assert_eq!((stats.messages_sent, stats.message_octets_sent), (3, 15));
    assert_eq!((stats.frames_received, stats.frames_sent), (1, 4));
    assert_eq!(stats.payload_octets_sent, 15);
}

// Who shares a compressed frame has saved as much as who compressed it.
#[tokio::test(start_paused = true)]
async fn shared_frames_count_on_each_connection() {
    let prepared = PreparedMessage::new("motorway ".repeat(100));
    for takeover in ["", "; server_no_context_takeover"] {
        let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
        let offer = format!("{}{takeover}\r\n", OFFER.trim_end());
        let (mut session, _) = open_with(&echo(), options, (&offer, PIPE)).await;
        session.ws().send_prepared(&prepared).await.unwrap();
        let sent = session.peer.frame().await;
        settle().await;
        let stats = session.ws().stats();
        assert_eq!(stats.messages_sent, 1);
        assert_eq!(stats.message_octets_sent, 900);
        assert_eq!(stats.payload_octets_sent, sent.payload.len() as u64);
        assert!(sent.payload.len() < 90);
    }
}

#[tokio::test(start_paused = true)]
async fn counters_are_reset_and_those_of_the_factory_go_on() {
    let probe = echo();
    let factory = probe.factory(ServerOptions::default());
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = tokio::spawn(factory.serve_stream(ours));
        let mut raw = Raw::client(theirs);
        raw.write(request("")).await;
        raw.head().await;
        raw.text("Hello").await;
        raw.frame().await;
        ends.push((raw, task));
    }
    let ws = probe.log().ws();
    let before = ws.stats();
    assert_eq!(before.messages_sent, 1);
    assert_eq!(ws.reset_stats(), before);
    assert_eq!(ws.stats(), Stats::default());
    assert_eq!(ws.reset_stats(), Stats::default());
    assert_eq!(factory.connections().len(), 2);
    assert_eq!(factory.stats(), before + before);
    let (raw, task) = ends.pop().unwrap();
    raw.say_goodbye().await;
    within(task).await.unwrap().unwrap();
    assert_eq!(factory.connections().len(), 1);
    let stats = factory.stats();
    assert_eq!(stats.messages_received, 2);
    // The close frames of the one that has ended.
    assert_eq!(stats.frames_sent, 3);
    assert_eq!(stats.octets_sent, 2 * 7 + 4);
}

#[tokio::test(start_paused = true)]
async fn messages_count_as_soon_as_they_are_queued() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&counts);
    let probe = probe(move |what| {
        let told = Arc::clone(&told);
        async move {
            if let What::Message(ws, message) = what {
                ws.send(message.borrowed()).await?;
                let before = ws.reset_stats().messages_sent;
                ws.send_prepared(&PreparedMessage::new(message)).await?;
                ws.send("third").await?;
                told.lock()
                    .unwrap()
                    .push((before, ws.stats().messages_sent));
            }
            Ok(())
        }
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    for _ in 0..2 {
        session.peer.text("Hello").await;
        for _ in 0..3 {
            session.peer.frame().await;
        }
    }
    assert_eq!(*counts.lock().unwrap(), [(1, 2), (3, 2)]);
    assert_eq!(session.ws().stats().messages_sent, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_takes_before_it_fails_counts() {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    let end = End::Server(ServerOptions::default());
    let (session, _) = end.open_on(&echo(), (ours, theirs), "").await;
    let ws = session.ws();
    watch.fail_writes_after(7);
    ws.send("0123456789").await.unwrap();
    let info = within(ws.closed()).await;
    assert_eq!(info.unsent_octets, 5);
    assert_eq!(ws.stats().octets_sent, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_are_reset_from_everywhere_lose_nothing() {
    let probe = echo();
    let mut session = open(&probe, ServerOptions::default()).await;
    let ws = session.ws();
    let stop = AtomicBool::new(false);
    let reset = || {
        let mut sum = Stats::default();
        while !stop.load(Ordering::SeqCst) {
            sum += ws.reset_stats();
        }
        sum
    };
    let sums = std::thread::scope(|scope| {
        let threads = [scope.spawn(reset), scope.spawn(reset)];
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..200 {
                    session.peer.text("Hello").await;
                    session.peer.frame().await;
                }
            });
        });
        stop.store(true, Ordering::SeqCst);
        threads.map(|thread| thread.join().unwrap())
    });
    // What was sent last may be counted after it has arrived.
    within(async {
        while ws.stats().octets_sent + sums[0].octets_sent + sums[1].octets_sent < 200 * 7 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let all = sums[0] + sums[1] + ws.stats();
    assert_eq!((all.messages_received, all.messages_sent), (200, 200));
    assert_eq!((all.octets_received, all.octets_sent), (200 * 11, 200 * 7));
}

/// Waits for its end.
struct Quiet;

impl WebSocketServerProtocol for Quiet {}
impl WebSocketClientProtocol for Quiet {}

#[tokio::test(start_paused = true)]
async fn a_client_is_listed_and_counted_while_it_runs_in_a_task() {
    let server = WebSocketServerFactory::new(|| Quiet);
    let client = WebSocketClientFactory::new("ws://localhost/", || Quiet).unwrap();
    let pair = within(pair(&server, &client)).await.unwrap();
    assert_eq!(client.connections(), std::slice::from_ref(&pair.client));
    pair.client.send("Hello").await.unwrap();
    assert_eq!(client.stats().messages_sent, 1);
    pair.client.close(1000, "").await.unwrap();
    within(pair.client.closed()).await;
    settle().await;
    assert!(client.connections().is_empty());
    assert_eq!(client.stats().messages_sent, 1);
}

#[tokio::test]
async fn a_server_counts_closes_and_tells_all_its_connections() {
    let probe = echo();
    let factory = probe.factory(ServerOptions::default());
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", server.local_addr());
    let mut first = motorway::connect(&url).await.unwrap();
    let mut second = motorway::connect(&url).await.unwrap();
    while server.connection_count() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(server.broadcast("to everyone").is_empty());
    for ws in [&mut first, &mut second] {
        let told = within(ws.recv()).await.unwrap();
        assert_eq!(told, Some("to everyone".into()));
    }
    assert_eq!(server.stats().messages_sent, 2);
    assert!(server.close_connections(1005, "").is_err());
    server.close_connections(4000, "enough").unwrap();
    for ws in [&mut first, &mut second] {
        assert_eq!(within(ws.recv()).await.unwrap(), None);
        assert_eq!(within(ws.handle().closed()).await.code.as_u16(), 4000);
    }
    while server.connection_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stats().messages_sent, 2);
    assert_eq!(server.stats(), factory.stats());
    // It goes on to accept.
    within(motorway::connect(&url)).await.unwrap();
}

#[cfg(feature = "json")]
#[tokio::test(start_paused = true)]
async fn stats_are_json() {
    let mut session = open(&echo(), ServerOptions::default()).await;
    session.peer.text("Hello").await;
    session.peer.frame().await;
    let stats = session.ws().stats();
    let json = motorway::serde_json::to_string(&stats).unwrap();
    let value: motorway::serde_json::Value = motorway::serde_json::from_str(&json).unwrap();
    assert_eq!(value["octets_sent"], 7);
    assert_eq!(value["messages_received"], 1);
    assert_eq!(value["compression_ratio_received"], 1.0);
    assert_eq!(value["overhead_sent"], 0.4);
    let nothing = motorway::serde_json::to_value(Stats::default()).unwrap();
    assert!(nothing["overhead_sent"].is_null());
    assert!(stats.to_string().contains("octets_sent=7 "));
}

#[tokio::test(start_paused = true)]
async fn times_are_taken_where_asked_for() {
    let second = Duration::from_secs(1);
    for end in both_ends!(|options| options.track_timings(true)) {
        let slow = probe(|what| async move {
            if let What::Message(ws, message) = what {
                tokio::time::sleep(Duration::from_secs(2)).await;
                ws.send(message).await?;
            }
            Ok(())
        });
        let mut session = end.open(&slow).await;
        let ws = session.ws();
        let timings = ws.timings().unwrap();
        for moment in [Moment::Request, Moment::Response, Moment::OnOpen] {
            assert!(timings.at(moment).is_some(), "{moment:?}");
        }
        for moment in [
            Moment::Tls,
            Moment::OnMessageBegin,
            Moment::OnMessage,
            Moment::SendMessage,
        ] {
            assert_eq!(timings.at(moment), None, "{moment:?}");
        }
        // A message whose end comes a second after its beginning.
        session.peer.send(Wire::text("slow").unfinished()).await;
        tokio::time::sleep(second).await;
        let end = Wire::new(motorway::frame::Opcode::Continuation, "ly");
        session.peer.send(end).await;
        session.peer.frame().await;
        let timings = ws.timings().unwrap();
        let begun = timings
            .diff(Moment::OnMessageBegin, Moment::OnMessage)
            .unwrap();
        assert!(begun >= second && begun < 2 * second, "{begun:?}");
        let answered = timings
            .diff(Moment::OnMessage, Moment::SendMessage)
            .unwrap();
        assert!(
            answered >= 2 * second && answered < 3 * second,
            "{answered:?}"
        );
        assert_eq!(timings.diff(Moment::SendMessage, Moment::OnMessage), None);
    }
    for end in both_ends!(|options| options) {
        let session = End::open(end, &echo()).await;
        assert!(session.ws().timings().is_none());
    }
}
