//! What the options of automatic pings and of writes that stall do, on the clock.

use crate::probe::{Session, both_ends, quiet};
use crate::wire::{Wire, settle, within};
use motorway::frame::Opcode;
use motorway::{CloseCause, Endpoint, TimeoutKind};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits for a ping and answers it or not; returns its payload and when it came.
async fn ping(session: &mut Session, start: Instant, answer: bool) -> (Vec<u8>, u64) {
    let ping = session.peer.frame().await;
    assert_eq!(ping.opcode, Opcode::Ping, "{ping:?}");
    let at = start.elapsed().as_secs();
    if answer {
        session.peer.send(Wire::pong(&ping.payload)).await;
    }
    (ping.payload, at)
}

#[tokio::test(start_paused = true)]
async fn pings_come_at_their_interval_and_with_their_size() {
    for size in [4, 12, 125] {
        for end in
            both_ends!(|options| options.auto_ping_interval(seconds(10)).auto_ping_size(size))
        {
            let start = Instant::now();
            let mut session = end.open(&quiet()).await;
            let mut seen = Vec::new();
            // Without a timeout the lack of an answer changes nothing.
            for (at, answer) in [(10, true), (20, false), (30, true)] {
                let (payload, came) = ping(&mut session, start, answer).await;
                assert_eq!((came, payload.len()), (at, size));
                assert!(!seen.contains(&payload), "never the same");
                seen.push(payload);
            }
            settle().await;
            assert_eq!(session.log.lines().last().unwrap(), "auto pong 0");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_ping_is_sent_unless_asked_for() {
    for end in both_ends!(|options| options.auto_ping_interval(None))
        .into_iter()
        .chain(both_ends!(|options| options.auto_ping_timeout(seconds(5))))
        .chain(both_ends!(|options| options.auto_ping_interval(seconds(0))))
    {
        let mut session = end.open(&quiet()).await;
        sleep(seconds(3600)).await;
        assert!(session.peer.is_quiet().await && session.ws().is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_is_dropped_in_time() {
    for end in both_ends!(|options| options
        .auto_ping_interval(seconds(10))
        .auto_ping_timeout(seconds(5)))
    {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        ping(&mut session, start, true).await;
        assert_eq!(ping(&mut session, start, false).await.1, 20);
        assert_eq!(session.peer.next().await, None);
        assert_eq!(start.elapsed().as_secs(), 25);
        let log = session.log.clone();
        let info = session.end().await;
        let kind = TimeoutKind::AutoPing;
        assert!(
            matches!(info.cause, CloseCause::Timeout(found) if found == kind),
            "{info:?}"
        );
        assert_eq!(log.count("timeout AutoPing"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn any_traffic_counts_as_a_pong_and_puts_off_the_next_ping_where_it_is_to() {
    // When the second ping comes or the connection ends, with text two seconds after the first.
    for (restart, first, dropped) in [(true, 18, false), (false, 10, true)] {
        for end in both_ends!(|options| options
            .auto_ping_interval(seconds(10))
            .auto_ping_timeout(seconds(5))
            .auto_ping_restart_on_any_traffic(restart))
        {
            let start = Instant::now();
            let mut session = end.open(&quiet()).await;
            sleep_until(start + seconds(8)).await;
            session.peer.text("puts it off").await;
            assert_eq!(ping(&mut session, start, false).await.1, first);
            sleep(seconds(2)).await;
            session.peer.send(Wire::pong("not the one")).await;
            match dropped {
                true => {
                    assert_eq!(session.peer.next().await, None);
                    assert_eq!(start.elapsed().as_secs(), first + 5);
                }
                false => {
                    let (_, at) = ping(&mut session, start, true).await;
                    assert_eq!(at, first + 2 + 10);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_end_with_the_closing_handshake() {
    for end in both_ends!(|options| options
        .auto_ping_interval(seconds(10))
        .close_handshake_timeout(seconds(100)))
    {
        let start = Instant::now();
        let mut session = end.open(&quiet()).await;
        session.ws().close(1000, "").await.unwrap();
        assert_eq!(session.peer.frame().await.opcode, Opcode::Close);
        assert_eq!(session.peer.next().await, None);
        assert_eq!(start.elapsed().as_secs(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_dropped_in_time() {
    let default = Some(60);
    for (ends, expected) in [
        (both_ends!(|options| options), default),
        (
            both_ends!(|options| options.write_stall_timeout(seconds(3))),
            Some(3),
        ),
        (
            both_ends!(|options| options.write_stall_timeout(seconds(0))),
            None,
        ),
    ] {
        for end in ends {
            let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(100), "").await;
            let ws = session.ws();
            ws.send(vec![0; 1000]).await.unwrap();
            ws.send(vec![0; 1000]).await.unwrap();
            // Some of it is enough, and what the peer sends is not.
            sleep(seconds(2)).await;
            session.peer.octets(1).await;
            let start = Instant::now();
            sleep(seconds(1)).await;
            session.peer.text("still there").await;
            let Some(expected) = expected else {
                sleep(seconds(3600)).await;
                assert!(!session.task.is_finished());
                continue;
            };
            let info = within(session.task).await.unwrap().unwrap();
            assert_eq!(start.elapsed().as_secs(), expected);
            let kind = TimeoutKind::WriteStall;
            assert!(
                matches!(info.cause, CloseCause::Timeout(found) if found == kind),
                "{info:?}"
            );
            assert!(info.unsent_octets > 1500 && info.closed_by == Endpoint::Local);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_taken_all_may_be_silent() {
    for end in both_ends!(|options| options.write_stall_timeout(seconds(3))) {
        let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(100), "").await;
        session.ws().send(vec![0; 1000]).await.unwrap();
        sleep(seconds(2)).await;
        assert_eq!(session.peer.frame().await.payload.len(), 1000);
        sleep(seconds(3600)).await;
        assert!(session.ws().is_open());
    }
}
