//! Limits of a connection that is driven by hand, with time passed in; and which of them are refused.

#![cfg(test)]

use bytes::BytesMut;
use motorway::connection::{CloseCause, Connection, Happening, Rules, TimeoutKind};
use motorway::{ClientOptions, OverflowPolicy, RateLimit, ServerOptions};
use std::time::{Duration, Instant};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn server(options: &ServerOptions) -> (Connection, Instant) {
    let now = Instant::now();
    let keys = Box::new(|| [1, 2, 3, 4].into());
    let connection = Connection::new(Rules::server(options), None, keys, now);
    (connection, now)
}

/// Takes all events; returns why the connection ended, if it did.
fn drain(connection: &mut Connection) -> Option<CloseCause> {
    let mut cause = None;
    while let Some(happening) = connection.poll_event() {
        if let Happening::Closed(info) = happening {
            cause = Some(info.cause);
        }
    }
    cause
}

fn receive(connection: &mut Connection, octets: &[u8], now: Instant) {
    connection.receive(&mut BytesMut::from(octets), now);
    assert!(drain(connection).is_none());
}

/// Lets the connection sleep until something is due, and do that.
fn wake(connection: &mut Connection) -> Instant {
    let at = connection.poll_timeout().expect("something is due");
    connection.handle_timeout(at);
    at
}

const TEXT: &[u8] = b"\x81\x81\0\0\0\0a";
const PING: &[u8] = b"\x89\x80\0\0\0\0";

#[test]
fn one_without_data_is_closed_with_1001() {
    let (mut server, start) = server(&ServerOptions::default().idle_timeout(seconds(10)));
    receive(&mut server, TEXT, start + seconds(6));
    receive(&mut server, PING, start + seconds(12));
    server.poll_output().unwrap();
    assert_eq!(wake(&mut server), start + seconds(16));
    assert_eq!(server.poll_output().unwrap()[..4], *b"\x88\x16\x03\xe9");
    // The answer, and the end of TCP.
    let answer = b"\x88\x82\0\0\0\0\x03\xe9";
    server.receive(&mut BytesMut::from(&answer[..]), start + seconds(17));
    assert!(drain(&mut server).is_none());
    server.receive_eof(start + seconds(17));
    let cause = drain(&mut server);
    let idle = matches!(cause, Some(CloseCause::Timeout(TimeoutKind::Idle)));
    assert!(idle, "{cause:?}");
}

#[test]
fn a_life_ends_within_its_last_tenth() {
    let (mut server, start) = server(&ServerOptions::default().max_lifetime(seconds(100)));
    // It is then that the dice are thrown.
    assert_eq!(wake(&mut server), start + seconds(90));
    assert!(server.poll_output().is_none());
    let end = wake(&mut server);
    assert!(end > start + seconds(90) && end <= start + seconds(100));
    assert_eq!(server.poll_output().unwrap()[2..4], *b"\x03\xf4");
}

#[test]
fn a_message_that_does_not_arrive_fails_the_connection_with_1008() {
    let (mut server, start) = server(&ServerOptions::default().message_timeout(seconds(10)));
    assert_eq!(server.poll_timeout(), None);
    receive(&mut server, TEXT, start);
    assert_eq!(server.poll_timeout(), None);
    receive(&mut server, b"\x81\x82\0\0\0\0a", start + seconds(1));
    assert_eq!(wake(&mut server), start + seconds(11));
    assert_eq!(server.poll_output().unwrap()[2..4], *b"\x03\xf0");
    server.receive_eof(start + seconds(12));
    let cause = drain(&mut server);
    let late = matches!(cause, Some(CloseCause::Timeout(TimeoutKind::Message)));
    assert!(late, "{cause:?}");
}

#[test]
fn a_peer_that_sends_too_much_is_failed_with_1008() {
    let limit = RateLimit::close().messages(2);
    let (mut server, start) = server(&ServerOptions::default().rate_limit(limit));
    for _ in 0..2 {
        receive(&mut server, TEXT, start);
    }
    // Half a second gives one back.
    receive(&mut server, TEXT, start + Duration::from_millis(500));
    assert!(server.poll_output().is_none());
    receive(&mut server, TEXT, start + Duration::from_millis(900));
    assert_eq!(server.poll_output().unwrap()[2..4], *b"\x03\xf0");
}

#[test]
fn limits_outside_of_their_range_are_refused() {
    let new = ServerOptions::default;
    let (long, milli) = (seconds(367 * 86_400), Duration::from_millis(1));
    for (options, option) in [
        (new().idle_timeout(long), "idle_timeout"),
        (new().max_lifetime(long), "max_lifetime"),
        (new().message_timeout(long), "message_timeout"),
    ] {
        assert_eq!(options.validate().unwrap_err().option(), option);
    }
    for limit in [
        RateLimit::pause().messages(0),
        RateLimit::close().octets(0),
        RateLimit::close().control_frames(0),
        RateLimit::pause().messages(999).burst(milli),
        RateLimit::pause().burst(Duration::ZERO),
        RateLimit::pause().burst(seconds(3601)),
    ] {
        let error = new().rate_limit(limit).validate().unwrap_err();
        assert_eq!(error.option(), "rate_limit");
        let client = ClientOptions::default().rate_limit(limit);
        assert_eq!(client.validate().unwrap_err(), error);
    }
    for limit in [
        RateLimit::pause(),
        RateLimit::pause().messages(1000).burst(milli),
        RateLimit::close().octets(u64::MAX).burst(seconds(3600)),
    ] {
        new().rate_limit(limit).validate().unwrap();
    }
}

#[test]
fn what_is_for_the_public_is_valid_and_stricter() {
    let options = ServerOptions::public_server();
    options.validate().unwrap();
    let (public, usual) = (
        Rules::server(&options),
        Rules::server(&ServerOptions::default()),
    );
    assert!(public.max_message < usual.max_message && public.max_frame < usual.max_frame);
    assert!(public.max_fragments < usual.max_fragments);
    assert!(public.rate_limit.is_some() && public.auto_ping.is_some());
    assert!(public.message_timeout.is_some() && public.write_stall < usual.write_stall);
}

#[test]
fn marks_that_do_not_fit_each_other_are_refused() {
    let error = ServerOptions::default().send_high_water(1000).validate();
    assert_eq!(error.unwrap_err().option(), "send_low_water");
    let options = ClientOptions::default();
    options
        .send_high_water(0)
        .send_low_water(0)
        .validate()
        .unwrap();
}

// §7.4: those codes stand for what happened, or belong to nobody.
#[test]
fn a_policy_does_not_close_with_a_code_that_must_not_be_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let policy = OverflowPolicy::Close(code.into());
        let error = ServerOptions::default().overflow_policy(policy).validate();
        let error = error.unwrap_err();
        assert_eq!(error.option(), "overflow_policy");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
        let options = ClientOptions::default().overflow_policy(policy);
        assert!(options.validate().is_err());
    }
    for code in [1000, 1008, 1013, 3000, 4999] {
        let policy = OverflowPolicy::Close(code.into());
        let options = ServerOptions::default().overflow_policy(policy);
        assert!(options.validate().is_ok(), "{code}");
    }
    let rules = Rules::client(&ClientOptions::default());
    assert_eq!(rules.overflow, OverflowPolicy::Wait);
}
