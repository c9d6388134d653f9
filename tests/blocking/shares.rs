//! What the connections of a blocking server share: places, memory, and the proxies that they come from.

use crate::octets::{BINARY, Masks, TEXT, frame, request};
use crate::peer::Echo;
use crate::raw::{Raw, ask, until};
use motorway::blocking::Server;
use motorway::{CloseCause, Error, ServerOptions};
use std::thread;
use std::time::{Duration, Instant};

fn options() -> ServerOptions {
    ServerOptions::default()
}

#[test]
fn of_those_who_say_nothing_the_oldest_make_room() {
    let options = options().open_handshake_timeout(Duration::from_secs(600));
    let echo = Echo::start(options.max_handshaking(3));
    let start = Instant::now();
    let mut silent: Vec<_> = (0..3).map(|_| Raw::dial(echo.address())).collect();
    Raw::open(echo.address(), "").assert_echoes();
    assert!(start.elapsed() >= Duration::from_secs(1), "too soon");
    assert_eq!(silent[0].rest(), b"");
    // Those who have their request in do not count.
    let mut open: Vec<_> = (0..5).map(|_| Raw::open(echo.address(), "")).collect();
    open.iter_mut().for_each(Raw::assert_echoes);
    // One that has sent its request is let in, however old it is.
    assert!(silent[2].write(request("")));
    assert_eq!(crate::octets::status(&silent[2].head()), 101);
}

/// Only a newcomer is made room for.
#[test]
fn who_is_slow_is_put_out_for_nobody() {
    let echo = Echo::start(options().max_handshaking(1));
    let mut slow = Raw::dial(echo.address());
    thread::sleep(Duration::from_millis(2500));
    assert!(slow.write(request("")));
    assert_eq!(crate::octets::status(&slow.head()), 101);
}

#[test]
fn a_server_that_is_full_of_silence_stops() {
    let options = options().open_handshake_timeout(Duration::from_secs(2));
    let echo = Echo::start(options.max_handshaking(1));
    let _silent: Vec<_> = (0..5).map(|_| Raw::dial(echo.address())).collect();
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    drop(echo);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn who_holds_the_most_gives_it_up() {
    let echo = Echo::start(options().memory_budget(2560 << 10));
    let (large, small) = (vec![0; 2 << 20], vec![0; 1 << 20]);
    let large = frame(BINARY, &large, Masks::Yes);
    let small = frame(BINARY, &small, Masks::Yes);
    let mut raws: Vec<_> = (0..2).map(|_| Raw::open(echo.address(), "")).collect();
    let open: Vec<_> = raws.iter().map(|_| echo.opened.recv().unwrap()).collect();
    // One alone may hold as much, time and again.
    for _ in 0..3 {
        assert!(raws[0].write(&small));
        assert_eq!(raws[0].frame().unwrap().payload.len(), 1 << 20);
    }
    // The most of one that does not end; it says nothing more, and is told nevertheless.
    raws[0].write(&large[..1536 << 10]);
    thread::sleep(Duration::from_millis(500));
    raws[1].write(&small[..700 << 10]);
    assert_eq!(raws[0].code(), 1013);
    let ended = || {
        open.iter()
            .filter_map(motorway::blocking::WebSocket::close_info)
    };
    drop(raws.remove(0));
    until("it has ended", || ended().count() == 1);
    let cause = ended().next().unwrap().cause;
    assert!(matches!(cause, CloseCause::MemoryBudget), "{cause}");
    raws[0].write(&small[700 << 10..]);
    assert_eq!(raws[0].frame().unwrap().payload.len(), 1 << 20);
}

/// What waits for a peer that does not read is held, too.
#[test]
fn who_does_not_read_what_it_asked_for_gives_it_up() {
    let echo = Echo::start(options().memory_budget(16 << 20));
    let message = frame(BINARY, &vec![0; 12 << 20], Masks::Yes);
    let mut slow = Raw::open(echo.address(), "");
    let ws = echo.opened.recv().unwrap();
    assert!(slow.write(&message));
    thread::sleep(Duration::from_millis(300));
    assert!(ws.close_info().is_none());
    let mut quick = Raw::open(echo.address(), "");
    assert!(quick.write(frame(BINARY, &vec![0; 5 << 20], Masks::Yes)));
    until("it has ended", || ws.close_info().is_some());
    let cause = ws.close_info().unwrap().cause;
    assert!(matches!(cause, CloseCause::MemoryBudget), "{cause}");
    assert_eq!(quick.frame().unwrap().payload.len(), 5 << 20);
}

#[test]
fn the_peer_is_who_the_trusted_proxies_say() {
    let (one, two) = (
        options().trust_x_forwarded_for(1),
        options().trust_forwarded(1),
    );
    let lines = "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
    for options in [one, two] {
        let echo = Echo::start(options);
        let mut raw = Raw::open(echo.address(), lines);
        raw.assert_echoes();
        let peer = echo.opened.recv().unwrap().peer().to_string();
        assert!(peer.contains("192.0.2.1"), "{peer}");
    }
    let echo = Echo::start(options());
    let _raw = Raw::open(echo.address(), lines);
    let peer = echo.opened.recv().unwrap().peer().to_string();
    assert!(peer.contains("127.0.0.1"), "{peer}");
}

#[test]
fn proxies_that_are_trusted_say_who_the_peer_is() {
    let echo = Echo::start(options().proxy_protocol(["127.0.0.1"]));
    let header = "PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n";
    // In pieces, and with the request and a message at its end.
    let mut raw = Raw::dial(echo.address());
    raw.write(&header[..20]);
    thread::sleep(Duration::from_millis(50));
    let text = frame(TEXT, b"early", Masks::Yes);
    raw.write([&header.as_bytes()[20..], request("").as_bytes(), &text].concat());
    assert_eq!(crate::octets::status(&raw.head()), 101);
    assert_eq!(raw.frame().unwrap().payload, b"early");
    let peer = echo.opened.recv().unwrap().peer().to_string();
    assert_eq!(peer, "tcp4:192.0.2.1:50000");
    // From these it has to come.
    let (status, answer) = ask(echo.address(), request(""));
    assert_ne!(status, 101, "{answer}");
    // From all others there is none.
    let echo = Echo::start(options().proxy_protocol(["192.0.2.7"]));
    assert_eq!(ask(echo.address(), request("")).0, 101);
    assert_ne!(ask(echo.address(), header.to_owned() + &request("")).0, 101);
}

/// The address is listened on by then.
#[test]
fn an_address_that_is_bound_cannot_be_shared_any_more() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let Err(Error::Options(error)) = server.options(options().reuse_port(true)) else {
        panic!("accepted");
    };
    assert_eq!(error.option(), "reuse_port");
    let server = Server::bind("127.0.0.1:0").unwrap();
    assert!(server.options(options().backlog(1)).is_ok());
}
