//! The limits of what a connection may take, on blocking sockets: also where something comes all the while.

use crate::octets::{BINARY, Masks, PING, TEXT, frame};
use crate::peer::{Echo, pair, server_pair};
use crate::raw::{Raw, until};
use motorway::blocking::Received;
use motorway::{ClientOptions, CloseCause, CloseCode, RateLimit, ServerOptions, TimeoutKind};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

fn options() -> ServerOptions {
    ServerOptions::default()
}

/// Opens a connection and sends these octets time and again until it ends; returns the code that it is
/// closed with.
fn code_under(options: ServerOptions, first: &[u8], octets: Vec<u8>, pause: Duration) -> u16 {
    let echo = Echo::start(options);
    let mut raw = Raw::open(echo.address(), "");
    raw.write(first);
    let mut writer = raw.stream.try_clone().unwrap();
    let flooding = thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) && writer.write_all(&octets).is_ok() {
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
    });
    let code = raw.code();
    drop(raw);
    drop(echo);
    flooding.join().unwrap();
    code
}

#[test]
fn silence_is_ended_by_idle_timeout_max_lifetime_and_message_timeout() {
    let part = frame(BINARY, &[0; 100], Masks::Yes);
    for (options, octets, code) in [
        (options().idle_timeout(SHORT), &b""[..], 1001),
        (options().max_lifetime(SHORT), b"", 1012),
        (options().message_timeout(SHORT), &part[..50], 1008),
    ] {
        let echo = Echo::start(options);
        let mut raw = Raw::open(echo.address(), "");
        raw.write(octets);
        assert_eq!(raw.code(), code);
    }
}

/// A peer that always has something to say: all that comes would have to be read before it is judged, and
/// there is no end of it.
#[test]
fn messages_without_end_do_not_put_off_the_end_of_a_life() {
    let (mut ws, mut peer) = server_pair(options().max_lifetime(SHORT));
    let octets = frame(TEXT, b"x", Masks::Yes).repeat(10_000);
    let flooding = thread::spawn(move || while peer.write_all(&octets).is_ok() {});
    let start = Instant::now();
    // Slower than they come, so that there are always more.
    while ws.close_info().is_none() && ws.recv().is_ok_and(|message| message.is_some()) {
        assert!(start.elapsed() < Duration::from_secs(10), "no end");
        if ws.handle().is_open() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    ws.handle().abort();
    let cause = ws.close_info().unwrap().cause;
    assert!(matches!(cause, CloseCause::Timeout(_)), "{cause}");
    drop(ws);
    flooding.join().unwrap();
}

#[test]
fn pings_without_end_do_not_put_off_idle_timeout() {
    let octets = frame(PING, b"x", Masks::Yes).repeat(20_000);
    let code = code_under(options().idle_timeout(SHORT), b"", octets, Duration::ZERO);
    assert_eq!(code, 1001);
}

#[test]
fn octets_that_trickle_do_not_put_off_message_timeout() {
    let message = frame(BINARY, &[0; 60_000], Masks::Yes);
    let (options, pause) = (options().message_timeout(SHORT), Duration::from_millis(1));
    let code = code_under(options, &message[..100], vec![0], pause);
    assert_eq!(code, 1008);
}

#[test]
fn pings_that_trickle_are_no_answer_to_an_automatic_one() {
    let options = options()
        .auto_ping_interval(SHORT)
        .auto_ping_timeout(SHORT)
        .auto_ping_restart_on_any_traffic(false);
    let echo = Echo::start(options);
    let mut raw = Raw::open(echo.address(), "");
    let ws = echo.opened.recv().unwrap();
    let start = Instant::now();
    while ws.close_info().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "no end");
        raw.send(PING, "");
        thread::sleep(Duration::from_millis(1));
    }
    let cause = ws.close_info().unwrap().cause;
    assert!(matches!(cause, CloseCause::Timeout(TimeoutKind::AutoPing)));
}

#[test]
fn who_sends_more_is_read_more_slowly_and_nothing_is_lost() {
    let pause = RateLimit::pause;
    for (limit, message) in [
        (pause().messages(100), frame(TEXT, b"x", Masks::Yes)),
        (
            pause().octets(100_000),
            frame(BINARY, &[0; 994], Masks::Yes),
        ),
    ] {
        let (mut ws, mut peer) = server_pair(options().rate_limit(limit));
        let start = Instant::now();
        peer.write_all(&message.repeat(300)).unwrap();
        for _ in 0..300 {
            assert!(ws.recv().unwrap().is_some());
        }
        // 100 of them at once, 100 a second, and what one turn lets through.
        let taken = start.elapsed();
        assert!(taken > Duration::from_millis(900), "{taken:?}");
    }
    // Control frames have a rate, too.
    let (mut ws, mut peer) = server_pair(options().rate_limit(pause().control_frames(100)));
    let start = Instant::now();
    peer.write_all(&frame(PING, b"", Masks::Yes).repeat(300))
        .unwrap();
    peer.write_all(&frame(TEXT, b"x", Masks::Yes)).unwrap();
    assert_eq!(ws.recv().unwrap(), Some("x".into()));
    assert!(start.elapsed() > Duration::from_millis(900));
}

#[test]
fn calls_keep_to_their_time_while_reading_pauses() {
    let limit = RateLimit::pause().messages(1);
    let (mut ws, mut peer) = server_pair(options().rate_limit(limit).auto_ping_interval(SHORT));
    peer.write_all(&frame(TEXT, b"x", Masks::Yes).repeat(100))
        .unwrap();
    let mut received = 0;
    while let Received::Message(_) = ws.recv_timeout(Duration::from_millis(200)).unwrap() {
        received += 1;
        assert!(received < 100, "nothing pauses");
    }
    // Sending is not what pauses.
    ws.send("y").unwrap();
    let start = Instant::now();
    let handle = ws.handle().clone();
    let closing = thread::spawn(move || handle.close(CloseCode::NORMAL, "").unwrap());
    peer.write_all(&frame(crate::octets::CLOSE, &[3, 232], Masks::Yes))
        .unwrap();
    drop(peer);
    closing.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_abort_is_heard_while_reading_pauses() {
    let (mut ws, mut peer) = server_pair(options().rate_limit(RateLimit::pause().messages(1)));
    peer.write_all(&frame(TEXT, b"x", Masks::Yes).repeat(100))
        .unwrap();
    while let Received::Message(_) = ws.recv_timeout(Duration::from_millis(200)).unwrap() {}
    let handle = ws.handle().clone();
    let aborting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        handle.abort();
    });
    // Nothing else would end this before a message a second had come for all of them.
    let start = Instant::now();
    while let Ok(Some(_)) = ws.recv() {}
    aborting.join().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert!(ws.close_info().is_some());
}

#[test]
fn who_sends_more_than_a_strict_limit_is_failed_with_1008() {
    let limit = RateLimit::close().messages(10);
    let echo = Echo::start(options().rate_limit(limit));
    let mut raw = Raw::open(echo.address(), "");
    raw.write(frame(TEXT, b"x", Masks::Yes).repeat(1000));
    assert_eq!(raw.code(), 1008);
    let ws = echo.opened.recv().unwrap();
    until("it has ended", || ws.close_info().is_some());
    let cause = ws.close_info().unwrap().cause;
    assert!(matches!(cause, CloseCause::RateLimit), "{cause}");
}

/// What is read ahead while something else is waited for.
#[test]
fn no_more_is_read_ahead_than_the_window() {
    for window in [0, 10_000] {
        let options = ClientOptions::default().receive_window(window);
        let (mut ws, mut peer) = pair(options);
        for _ in 0..40 {
            peer.write_all(&frame(BINARY, &[0; 1000], Masks::No))
                .unwrap();
        }
        let Err(motorway::Error::ReadAheadFull { octets }) = ws.ping("") else {
            panic!("answered");
        };
        assert!((window..=window + 1100).contains(&octets), "{octets}");
        for _ in 0..40 {
            assert_eq!(ws.recv().unwrap().unwrap().len(), 1000);
        }
        let info = thread::spawn(move || ws.close(CloseCode::NORMAL, "").unwrap());
        peer.write_all(b"\x88\x02\x03\xe8").unwrap();
        drop(peer);
        info.join().unwrap();
    }
}

#[test]
fn a_public_server_on_threads_serves() {
    let echo = Echo::start(ServerOptions::public_server());
    let mut raw = Raw::open(echo.address(), "");
    (0..100).for_each(|_| raw.assert_echoes());
    raw.send(BINARY, vec![0; (1 << 20) + 1]);
    assert_eq!(raw.code(), 1009);
}
