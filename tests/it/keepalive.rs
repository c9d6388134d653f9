//! Automatic pings and the deadlines of the closing handshake, with time passed in.

#![cfg(test)]

use bytes::BytesMut;
use motorway::connection::{
    AutoPing, CloseCause, Connection, Due, Happening, Rules, State, TimeoutKind, Timers,
};
use motorway::{ClientOptions, CloseFrame, ServerOptions};
use std::time::{Duration, Instant};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(4);

/// Timers that were made at the instant returned, with pings every 10 s.
fn timers(change: impl FnOnce(&mut AutoPing)) -> (Timers, Instant) {
    let mut ping = AutoPing {
        interval: INTERVAL,
        timeout: Some(TIMEOUT),
        size: 12,
        restart_on_any_traffic: false,
    };
    change(&mut ping);
    let mut rules = Rules::server(&ServerOptions::default());
    rules.auto_ping = Some(ping);
    let now = Instant::now();
    (Timers::new(&rules, now), now)
}

fn due(timers: &mut Timers, now: Instant) -> Option<Due> {
    timers.handle_timeout(now, &mut || [1, 2, 3, 4])
}

#[track_caller]
fn pinged(timers: &mut Timers, now: Instant) -> Vec<u8> {
    match due(timers, now) {
        Some(Due::Ping(payload)) => payload,
        other => panic!("{other:?} is due, and not a ping"),
    }
}

const LOST: Option<Due> = Some(Due::Timeout(TimeoutKind::AutoPing));

#[test]
fn first_ping_is_due_after_one_interval_and_not_before() {
    let (mut timers, start) = timers(|_| {});
    assert_eq!(timers.poll_timeout(), Some(start + INTERVAL));
    assert_eq!(
        due(&mut timers, start + INTERVAL - Duration::from_nanos(1)),
        None
    );
    assert_eq!(pinged(&mut timers, start + INTERVAL).len(), 12);
}

#[test]
fn no_ping_is_due_where_none_is_asked_for() {
    let now = Instant::now();
    let mut timers = Timers::new(&Rules::server(&ServerOptions::default()), now);
    assert_eq!(timers.poll_timeout(), None);
    assert_eq!(due(&mut timers, now + seconds(1000)), None);
}

#[test]
fn ping_has_the_size_asked_for_and_is_never_the_same() {
    for size in 4..=125 {
        let (mut timers, start) = timers(|ping| (ping.size, ping.timeout) = (size, None));
        let first = pinged(&mut timers, start + INTERVAL);
        let second = pinged(&mut timers, start + INTERVAL * 2);
        assert_eq!((first.len(), second.len()), (size, size));
        assert_ne!(first, second);
    }
}

#[test]
fn one_ping_is_outstanding_at_a_time() {
    let (mut timers, start) = timers(|ping| ping.timeout = Some(INTERVAL * 5));
    let sent = start + INTERVAL;
    pinged(&mut timers, sent);
    assert_eq!(timers.poll_timeout(), Some(sent + INTERVAL * 5));
    assert_eq!(due(&mut timers, sent + INTERVAL * 2), None);
}

#[test]
fn unanswered_ping_is_a_timeout() {
    let (mut timers, start) = timers(|_| {});
    let sent = start + INTERVAL;
    pinged(&mut timers, sent);
    assert_eq!(timers.poll_timeout(), Some(sent + TIMEOUT));
    assert_eq!(
        due(&mut timers, sent + TIMEOUT - Duration::from_nanos(1)),
        None
    );
    assert_eq!(due(&mut timers, sent + TIMEOUT), LOST);
}

// Whoever was held up has not read yet what arrived meanwhile.
#[test]
fn deadline_that_is_noticed_late_is_put_off_once() {
    let (mut timers, start) = timers(|_| {});
    for round in 0..2 {
        let sent = start + INTERVAL + round * seconds(60);
        let payload = pinged(&mut timers, sent);
        let late = sent + seconds(30);
        assert_eq!(due(&mut timers, late), None);
        assert_eq!(timers.poll_timeout(), Some(late + seconds(1)));
        if round == 0 {
            assert!(timers.pong(&payload, late).is_some());
            continue;
        }
        assert_eq!(due(&mut timers, late + seconds(20)), LOST);
    }
}

#[test]
fn closing_handshake_that_is_looked_at_late_is_put_off_once() {
    let options = ClientOptions::default().close_handshake_timeout(seconds(5));
    let (mut client, start) = client(&options);
    client.close(CloseFrame::new(1000, ""), start).unwrap();
    client.handle_timeout(start + seconds(60));
    assert!(drain(&mut client).is_none());
    assert_eq!(client.poll_timeout(), Some(start + seconds(61)));
    client.handle_timeout(start + seconds(90));
    assert!(drain(&mut client).is_some());
}

#[test]
fn pong_answers_and_the_next_ping_follows_one_interval_later() {
    let (mut timers, start) = timers(|_| {});
    let sent = start + INTERVAL;
    let payload = pinged(&mut timers, sent);
    let answered = sent + seconds(3);
    assert_eq!(timers.pong(&payload, answered), Some(seconds(3)));
    assert_eq!(timers.poll_timeout(), Some(answered + INTERVAL));
    assert_eq!(timers.pong(&payload, answered), None, "answered already");
    pinged(&mut timers, answered + INTERVAL);
}

// RFC 6455 §5.5.3: a pong has the payload of its ping.
#[test]
fn pong_has_to_match() {
    let (mut timers, start) = timers(|_| {});
    assert_eq!(timers.pong(b"unsolicited", start), None);
    let sent = start + INTERVAL;
    let payload = pinged(&mut timers, sent);
    for other in [&b""[..], b"other", &payload[..11]] {
        assert_eq!(timers.pong(other, sent), None);
    }
    assert_eq!(due(&mut timers, sent + TIMEOUT), LOST);
}

#[test]
fn pings_go_on_after_a_lost_pong_where_there_is_no_timeout() {
    let (mut timers, start) = timers(|ping| ping.timeout = None);
    for round in 1..5 {
        assert_eq!(timers.poll_timeout(), Some(start + INTERVAL * round));
        pinged(&mut timers, start + INTERVAL * round);
    }
}

#[test]
fn any_traffic_counts_as_an_answer_where_it_is_to() {
    let (mut timers, start) = timers(|ping| ping.restart_on_any_traffic = true);
    assert!(timers.watches_traffic());
    timers.received(start + seconds(6));
    assert_eq!(timers.poll_timeout(), Some(start + seconds(16)));
    let payload = pinged(&mut timers, start + seconds(16));
    timers.received(start + seconds(18));
    assert_eq!(timers.poll_timeout(), Some(start + seconds(28)));
    assert_eq!(due(&mut timers, start + seconds(20)), None);
    // The pong may come late and still tell how long it took.
    assert_eq!(timers.pong(&payload, start + seconds(19)), Some(seconds(3)));
    assert_eq!(timers.poll_timeout(), Some(start + seconds(29)));
}

#[test]
fn traffic_is_no_answer_where_it_is_not_to_be() {
    let (mut timers, start) = timers(|_| {});
    assert!(!timers.watches_traffic());
    timers.received(start + seconds(6));
    assert_eq!(timers.poll_timeout(), Some(start + INTERVAL));
    pinged(&mut timers, start + INTERVAL);
    timers.received(start + seconds(11));
    assert_eq!(due(&mut timers, start + INTERVAL + TIMEOUT), LOST);
}

#[test]
fn pause_stops_the_clocks_and_moves_both_deadlines() {
    let (mut timers, start) = timers(|_| {});
    timers.pause(start + seconds(4));
    timers.pause(start + seconds(5));
    assert_eq!(timers.poll_timeout(), None);
    assert_eq!(due(&mut timers, start + seconds(60)), None);
    timers.resume(start + seconds(64));
    timers.resume(start + seconds(65));
    let sent = start + seconds(70);
    assert_eq!(timers.poll_timeout(), Some(sent));
    pinged(&mut timers, sent);
    timers.pause(sent + seconds(1));
    assert_eq!(due(&mut timers, sent + seconds(60)), None);
    timers.resume(sent + seconds(61));
    assert_eq!(timers.poll_timeout(), Some(sent + seconds(60) + TIMEOUT));
    assert_eq!(due(&mut timers, sent + seconds(60) + TIMEOUT), LOST);
}

#[test]
fn answer_during_a_pause_is_not_postponed_by_the_time_before_it() {
    let (mut timers, start) = timers(|ping| ping.restart_on_any_traffic = true);
    timers.pause(start);
    timers.received(start + seconds(60));
    timers.resume(start + seconds(61));
    assert_eq!(timers.poll_timeout(), Some(start + seconds(71)));
}

#[test]
fn closing_ends_pings_and_begins_its_own_deadline() {
    let (mut timers, start) = timers(|_| {});
    let rules = Rules::server(&ServerOptions::default().close_handshake_timeout(seconds(5)));
    timers.closing(&rules, State::CloseSent, start);
    assert_eq!(timers.poll_timeout(), Some(start + seconds(5)));
    timers.closing(&rules, State::Complete, start + seconds(3));
    assert_eq!(
        timers.poll_timeout(),
        Some(start + seconds(5)),
        "not postponed"
    );
    assert_eq!(due(&mut timers, start + seconds(4)), None);
    let timeout = Some(Due::Timeout(TimeoutKind::ClosingHandshake));
    assert_eq!(due(&mut timers, start + seconds(5)), timeout);
}

fn client(options: &ClientOptions) -> (Connection, Instant) {
    let now = Instant::now();
    let keys = Box::new(|| [0; 4].into());
    (
        Connection::new(Rules::client(options), None, keys, now),
        now,
    )
}

fn drain(connection: &mut Connection) -> Option<CloseCause> {
    let mut cause = None;
    while let Some(happening) = connection.poll_event() {
        if let Happening::Closed(info) = happening {
            assert!(!info.was_clean);
            cause = Some(info.cause);
        }
    }
    cause
}

// §7.1.1: the server drops TCP, and a client does not wait for ever, whoever closed first.
#[test]
fn client_gives_up_a_server_that_does_not_drop_tcp() {
    let options = ClientOptions::default()
        .close_handshake_timeout(seconds(5))
        .server_connection_drop_timeout(seconds(2));
    for closes_first in [true, false] {
        let (mut client, start) = client(&options);
        if closes_first {
            client.close(CloseFrame::new(1000, ""), start).unwrap();
            assert_eq!(client.poll_timeout(), Some(start + seconds(5)));
        }
        let later = start + seconds(1);
        client.receive(&mut BytesMut::from(&b"\x88\x00"[..]), later);
        drain(&mut client);
        assert_eq!(client.state(), State::Complete);
        assert_eq!(client.poll_timeout(), Some(later + seconds(2)));
        client.handle_timeout(later + seconds(2));
        let cause = drain(&mut client);
        let Some(CloseCause::Timeout(kind)) = cause else {
            panic!("{cause:?}");
        };
        assert_eq!(kind, TimeoutKind::ServerConnectionDrop);
        assert_eq!(client.poll_timeout(), None);
    }
}

#[test]
fn closing_handshake_without_an_answer_is_a_timeout() {
    let options = ClientOptions::default().close_handshake_timeout(seconds(5));
    let (mut client, start) = client(&options);
    client.close(CloseFrame::new(1000, ""), start).unwrap();
    client.handle_timeout(start + seconds(4));
    assert!(drain(&mut client).is_none());
    client.handle_timeout(client.poll_timeout().unwrap());
    let cause = drain(&mut client);
    assert!(matches!(
        cause,
        Some(CloseCause::Timeout(TimeoutKind::ClosingHandshake))
    ));
}

#[test]
fn failed_connection_waits_for_the_end_of_tcp_no_longer_than_a_closing_one() {
    let options = ClientOptions::default().close_handshake_timeout(seconds(5));
    let (mut client, start) = client(&options);
    client.receive(&mut BytesMut::from(&b"\x83\x00"[..]), start);
    assert!(drain(&mut client).is_none());
    assert_eq!(client.poll_timeout(), Some(start + seconds(5)));
    client.handle_timeout(start + seconds(5));
    assert!(matches!(drain(&mut client), Some(CloseCause::Protocol(_))));
}

#[test]
fn deadlines_may_be_off() {
    let options = ClientOptions::default()
        .close_handshake_timeout(None)
        .server_connection_drop_timeout(None);
    let (mut client, start) = client(&options);
    client.close(CloseFrame::new(1000, ""), start).unwrap();
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn connection_pings_and_tells_the_round_trip_time() {
    let options = ClientOptions::default()
        .auto_ping_interval(INTERVAL)
        .auto_ping_timeout(TIMEOUT)
        .mask_client_frames(false);
    let (mut client, start) = client(&options);
    client.handle_timeout(start + INTERVAL);
    let mut wire = client.poll_output().unwrap();
    assert_eq!(wire[..2], *b"\x89\x0c");
    wire[0] = 0x8a;
    client.receive(&mut wire, start + INTERVAL + seconds(1));
    let happenings: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    let [Happening::AutoPong(time), Happening::Event(_)] = &happenings[..] else {
        panic!("{happenings:?}");
    };
    assert_eq!(*time, seconds(1));
    // No answer to the next one.
    client.handle_timeout(client.poll_timeout().unwrap());
    client.handle_timeout(client.poll_timeout().unwrap());
    let cause = drain(&mut client);
    assert!(matches!(
        cause,
        Some(CloseCause::Timeout(TimeoutKind::AutoPing))
    ));
}

// Whoever sleeps until `poll_timeout` and no longer always finds something due.
#[test]
fn something_is_due_whenever_poll_timeout_says_so() {
    for timeout in [None, Some(TIMEOUT)] {
        let (mut timers, mut now) = timers(|ping| ping.timeout = timeout);
        for _ in 0..10 {
            let at = timers.poll_timeout().unwrap();
            assert!(at > now);
            assert_eq!(due(&mut timers, at - Duration::from_nanos(1)), None);
            match due(&mut timers, at) {
                Some(Due::Ping(_)) => now = at,
                Some(_) => break,
                None => panic!("nothing is due"),
            }
        }
    }
}

#[test]
fn writes_that_stall_are_a_timeout_unless_some_is_taken() {
    let options = ServerOptions::default().write_stall_timeout(seconds(3));
    let rules = Rules::server(&options);
    let start = Instant::now();
    let mut timers = Timers::new(&rules, start);
    timers.stalled(&rules, start);
    timers.stalled(&rules, start + seconds(2));
    assert_eq!(timers.poll_timeout(), Some(start + seconds(3)));
    timers.unstalled();
    assert_eq!(timers.poll_timeout(), None);
    timers.stalled(&rules, start + seconds(2));
    assert_eq!(due(&mut timers, start + seconds(4)), None);
    let timeout = Due::Timeout(TimeoutKind::WriteStall);
    assert_eq!(due(&mut timers, start + seconds(5)), Some(timeout));
}

#[test]
fn deadlines_that_are_too_far_away_are_never_reached() {
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::MAX)
        .auto_ping_timeout(Duration::MAX)
        .close_handshake_timeout(Duration::MAX);
    let now = Instant::now();
    let rules = Rules::server(&options);
    let mut timers = Timers::new(&rules, now);
    let far = now + Duration::from_secs(1_000_000_000);
    assert!(timers.poll_timeout().is_some_and(|at| at > far));
    timers.closing(&rules, State::CloseReceived, now);
    assert!(timers.poll_timeout().is_none_or(|at| at > far));
}
