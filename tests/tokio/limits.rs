//! What the limits of a connection do: time without data, time in all, time for a message, and
//! how much may come each second.

use crate::probe::{Log, PIPE, Pieces, Session, What, both_ends, echo, probe, quiet};
use crate::wire::{Wire, settle};
use motorway::{CloseCause, CloseInfo, RateLimit, TimeoutKind};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits for our close frame, which comes in this second and has this code; closes.
async fn closes(mut session: Session, (start, at): (Instant, u64), code: u16) -> CloseInfo {
    sleep_until(start + seconds(at) - Duration::from_millis(10)).await;
    assert!(session.ws().is_open(), "{:?}", session.log.lines());
    // What came before is not looked at.
    let close = loop {
        let frame = session.peer.frame().await;
        if frame.opcode == motorway::frame::Opcode::Close {
            break frame;
        }
    };
    assert_eq!(start.elapsed().as_secs(), at);
    assert_eq!(close.code(), code, "{close:?}");
    session.peer.send(Wire::close(code, "")).await;
    session.end().await
}

#[track_caller]
fn is_timeout(info: &CloseInfo, kind: TimeoutKind) {
    assert!(
        matches!(info.cause, CloseCause::Timeout(found) if found == kind),
        "{info:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_data_is_closed_in_order() {
    for end in both_ends!(|options| options.idle_timeout(seconds(30))) {
        let start = Instant::now();
        let session = end.open(&quiet()).await;
        let log = session.log.clone();
        let info = closes(session, (start, 30), 1001).await;
        is_timeout(&info, TimeoutKind::Idle);
        assert!(info.was_clean, "{info:?}");
        assert_eq!(log.count("timeout Idle"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn data_of_either_end_keep_a_connection() {
    for end in both_ends!(|options| options.idle_timeout(seconds(30))) {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        sleep_until(start + seconds(20)).await;
        session.peer.text("from the peer").await;
        sleep_until(start + seconds(45)).await;
        session.ws().send("from here").await.unwrap();
        // The first half of a frame is not a message yet.
        sleep_until(start + seconds(70)).await;
        session.peer.begin(100).await;
        sleep_until(start + seconds(95)).await;
        session.peer.write([0; 50]).await;
        settle().await;
        let info = closes(session, (start, 125), 1001).await;
        is_timeout(&info, TimeoutKind::Idle);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_and_pongs_are_no_data() {
    for end in both_ends!(|options| options
        .idle_timeout(seconds(30))
        .auto_ping_interval(seconds(7)))
    {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        for at in [10, 20, 28] {
            sleep_until(start + seconds(at)).await;
            session.peer.send(Wire::ping("here")).await;
            session.peer.send(Wire::pong("unasked")).await;
        }
        closes(session, (start, 30), 1001).await;
    }
}

#[tokio::test(start_paused = true)]
async fn pings_within_a_message_are_no_data() {
    for end in both_ends!(|options| options.idle_timeout(seconds(30))) {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        sleep_until(start + seconds(5)).await;
        session.peer.send(Wire::text("be").unfinished()).await;
        for at in [15, 25, 34] {
            sleep_until(start + seconds(at)).await;
            session.peer.send(Wire::ping("here")).await;
            settle().await;
        }
        let info = closes(session, (start, 35), 1001).await;
        is_timeout(&info, TimeoutKind::Idle);
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_runs_uses_the_connection() {
    for end in both_ends!(|options| options.idle_timeout(seconds(30))) {
        let slow = probe(|what| async move {
            if let What::Message(..) = what {
                sleep(seconds(100)).await;
            }
            Ok(())
        });
        let start = Instant::now();
        let mut session = end.open(&slow).await;
        session.peer.text("takes long").await;
        sleep_until(start + seconds(99)).await;
        assert!(session.ws().is_open());
        closes(session, (start, 130), 1001).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_ends_between_nine_tenths_of_it_and_all() {
    let mut ends = Vec::new();
    for end in both_ends!(|options| options.max_lifetime(seconds(1000)))
        .into_iter()
        .cycle()
        .take(20)
    {
        let code = if end.is_server() { 1012 } else { 1001 };
        let start = Instant::now();
        let mut session = end.open(&echo()).await;
        sleep_until(start + seconds(899)).await;
        session.peer.text("alive").await;
        assert_eq!(session.peer.frame().await.payload, b"alive");
        while session.ws().is_open() {
            sleep(Duration::from_millis(100)).await;
        }
        let lived = start.elapsed();
        assert!(lived >= seconds(900) && lived <= seconds(1001), "{lived:?}");
        ends.push(lived.as_secs());
        assert_eq!(session.peer.frame().await.code(), code);
        session.peer.send(Wire::close(code, "")).await;
        is_timeout(&session.end().await, TimeoutKind::Lifetime);
    }
    ends.sort_unstable();
    assert!(ends[19] - ends[0] > 20, "drawn evenly: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_has_to_be_whole_in_time() {
    for end in both_ends!(|options| options.message_timeout(seconds(10))) {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        // Nothing runs between messages.
        sleep_until(start + seconds(100)).await;
        session.peer.send(Wire::text("be").unfinished()).await;
        sleep_until(start + seconds(109)).await;
        session
            .peer
            .send(Wire::new(motorway::frame::Opcode::Continuation, "gun"))
            .await;
        sleep_until(start + seconds(200)).await;
        assert_eq!(session.log.count("message begun"), 1);
        session.peer.begin(100).await;
        // Little by little is not fast enough, and pings are no excuse.
        for at in 201..210 {
            sleep_until(start + seconds(at)).await;
            session.peer.write([0]).await;
        }
        let info = closes(session, (start, 210), 1008).await;
        is_timeout(&info, TimeoutKind::Message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_late_for_what_a_callback_takes() {
    for end in both_ends!(|options| options.message_timeout(seconds(10))) {
        let slow = probe(|what| async move {
            if let What::Piece(..) = what {
                sleep(seconds(60)).await;
            }
            Ok(())
        })
        .mode::<Pieces>();
        let mut session = end.open(&slow).await;
        session.peer.send(Wire::text("be").unfinished()).await;
        // Four callbacks: the beginnings, the data, and the end of the frame.
        sleep(seconds(4 * 60 + 5)).await;
        assert!(session.ws().is_open(), "{:?}", session.log.lines());
        let start = Instant::now();
        // Of its own time the message has had five seconds.
        let info = closes(session, (start, 5), 1008).await;
        is_timeout(&info, TimeoutKind::Message);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_off_do_nothing() {
    for end in both_ends!(|options| options
        .idle_timeout(seconds(0))
        .max_lifetime(None)
        .message_timeout(None)
        .rate_limit(None))
    {
        let mut session = end.open(&quiet()).await;
        session.peer.begin(100).await;
        sleep(seconds(1_000_000)).await;
        assert!(session.ws().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_too_many_messages_is_read_more_slowly() {
    let limit = RateLimit::pause().messages(10);
    for end in both_ends!(|options| options.rate_limit(limit)) {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        let messages = vec![Wire::text("x"); 100];
        session.peer.send_all(&messages).await;
        let count = |session: &Session| session.log.count("message x");
        settle().await;
        // Ten, and what is between two looks.
        assert!((10..=42).contains(&count(&session)), "{}", count(&session));
        for at in 1..9 {
            sleep_until(start + seconds(at)).await;
            let most = usize::try_from(at).unwrap() * 10 + 42;
            assert!(count(&session) <= most, "{} after {at} s", count(&session));
        }
        sleep_until(start + seconds(10)).await;
        assert_eq!(count(&session), 100);
        // Whoever keeps to the rate is not held up.
        sleep_until(start + seconds(20)).await;
        for at in 0..30 {
            session.peer.text("x").await;
            settle().await;
            assert_eq!(count(&session), 101 + at);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_too_much_too_fast_is_closed_where_that_is_asked_for() {
    let limit = RateLimit::close().burst(seconds(2));
    let (many, large) = (
        vec![Wire::text("x"); 21],
        vec![Wire::text(&"x".repeat(3000)); 7],
    );
    let pings = vec![Wire::ping("x"); 41];
    for (limit, fits, frames) in [
        (limit.messages(10), 20, many),
        (limit.octets(10_000), 6, large),
        (limit.control_frames(20), 40, pings),
    ] {
        for end in both_ends!(|options| options.rate_limit(limit)) {
            let mut session = end.clone().open(&quiet()).await;
            session.peer.send_all(&frames[..fits]).await;
            settle().await;
            assert!(session.ws().is_open(), "{limit:?}");
            // What was used up is given back with time.
            sleep(seconds(2)).await;
            session.peer.send_all(&frames[..fits]).await;
            settle().await;
            assert!(session.ws().is_open(), "{limit:?}");
            session.peer.send_all(&frames[fits..]).await;
            let start = Instant::now();
            settle().await;
            assert!(!session.ws().is_open(), "{limit:?}");
            let close = loop {
                let frame = session.peer.frame().await;
                if frame.opcode == motorway::frame::Opcode::Close {
                    break frame;
                }
            };
            assert_eq!((close.code(), start.elapsed().as_secs()), (1008, 0));
            let info = session.end().await;
            assert!(matches!(info.cause, CloseCause::RateLimit), "{info:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_in_one_read_is_not_delivered_to_its_end() {
    for end in both_ends!(|options| options.rate_limit(RateLimit::close().messages(10))) {
        let mut session = end.open(&quiet()).await;
        session.peer.send_all(&vec![Wire::text("x"); 500]).await;
        settle().await;
        assert!(session.log.count("message x") <= 10 + 32);
        assert!(!session.ws().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_read_slowly_is_not_blamed_for_it() {
    let limit = RateLimit::pause().octets(100);
    for end in both_ends!(|options| options
        .rate_limit(limit)
        .idle_timeout(seconds(5))
        .message_timeout(seconds(5))
        .auto_ping_interval(seconds(5))
        .auto_ping_timeout(seconds(5)))
    {
        let mut session = end.open(&quiet()).await;
        // Half a minute's worth, in one message whose end comes late for no fault of the peer's.
        session
            .peer
            .send(Wire::text(&"x".repeat(3000)).unfinished())
            .await;
        let end = Wire::new(motorway::frame::Opcode::Continuation, "y");
        session.peer.send(end).await;
        sleep(seconds(20)).await;
        assert!(session.ws().is_open());
        sleep(seconds(10)).await;
        assert_eq!(
            session.log.count("message of 3001"),
            1,
            "{:?}",
            session.log.lines()
        );
        assert!(session.ws().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_read_has_brought_is_dealt_with_slowly_and_nobody_blamed_for_it() {
    for end in both_ends!(|options| options
        .rate_limit(RateLimit::pause().messages(10))
        .auto_ping_interval(seconds(5))
        .auto_ping_timeout(seconds(5)))
    {
        let session = end.open(&quiet()).await;
        let (ws, log, mut peer) = (session.ws(), session.log.clone(), session.peer);
        // About a minute's worth in one read, behind which nothing is read meanwhile.
        peer.send_all(&vec![Wire::text("x"); 580]).await;
        let answering = tokio::spawn(async move {
            while let Some(frame) = peer.next().await {
                if frame.opcode == motorway::frame::Opcode::Ping {
                    peer.send(Wire::pong(frame.payload)).await;
                }
            }
        });
        sleep(seconds(40)).await;
        assert!(log.count("message x") < 580);
        assert!(ws.is_open(), "{:?}", ws.close_info());
        sleep(seconds(40)).await;
        assert_eq!(log.count("message x"), 580);
        assert!(ws.is_open(), "{:?}", ws.close_info());
        // By then the clocks go on.
        answering.abort();
        let _ = answering.await;
        sleep(seconds(20)).await;
        assert!(!ws.is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn senders_wait_and_go_on_where_the_options_say() {
    for end in both_ends!(|options| options.send_high_water(1000).send_low_water(100)) {
        let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(10), "").await;
        let ws = session.ws();
        ws.send(vec![0; 900]).await.unwrap();
        ws.try_send(vec![0; 900]).unwrap();
        settle().await;
        // More than a thousand wait.
        assert!(ws.buffered() > 1000);
        assert!(ws.try_send("x").is_err());
        let sending = tokio::spawn({
            let ws = ws.clone();
            async move { ws.send("x").await }
        });
        let before = ws.buffered();
        session.peer.octets(before - 200).await;
        settle().await;
        assert!(ws.buffered() > 100 && !sending.is_finished());
        session.peer.octets(150).await;
        settle().await;
        assert!(sending.is_finished());
        assert_eq!(session.log.count("drain"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn as_much_is_read_ahead_as_the_options_say() {
    for (window, room) in [(0, PIPE), (1000, PIPE), (100_000, 10)] {
        for end in both_ends!(|options| options.receive_window(window)) {
            let stuck = probe(|what| async move {
                match what {
                    What::Message(..) => std::future::pending().await,
                    _ => Ok(()),
                }
            });
            let (mut session, _) = end.open_on(&stuck, tokio::io::duplex(room), "").await;
            session.peer.text("sticks").await;
            settle().await;
            let before = session.ws().stats().octets_received;
            let writing = tokio::spawn(async move {
                session.peer.send(Wire::binary(vec![0; 60_000])).await;
                session.peer.send(Wire::ping("heard?")).await;
                session.peer.frame().await.payload
            });
            settle().await;
            let ahead = session_octets(&session.log) - before;
            assert_eq!(ahead == 0, window == 0, "{ahead}");
            assert!(ahead <= window.try_into().unwrap(), "{ahead} of {window}");
            if window > 60_100 {
                assert_eq!(writing.await.unwrap(), b"heard?");
            }
        }
    }
}

fn session_octets(log: &Log) -> u64 {
    log.ws().stats().octets_received
}
