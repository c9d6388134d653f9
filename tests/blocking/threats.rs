//! What peers may try against ends on threads: each test has the name of a threat, and looks from
//! outside, with octets over the loopback against ends in default options.

use crate::apart::Process;
use crate::bomb::zeros;
use crate::octets::{
    BINARY, DEFLATE, FIN, Masks, PING, PONG, RSV1, TEXT, frame, request, response, status,
};
use crate::raw::{Raw, until};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Sends these octets time and again, `total` of them, and reads nothing.
fn flood(raw: &mut Raw, octets: &[u8], total: usize) {
    for _ in 0..total / octets.len() {
        assert!(raw.write(octets), "pings are read");
    }
}

/// Pings, enough to fill a write.
fn pings(masks: Masks) -> Vec<u8> {
    frame(PING, &[b'x'; 125], masks).repeat((256 << 10) / 131)
}

/// Reads to a pong with this payload; returns how many there were.
fn pongs_until(raw: &mut Raw, payload: &[u8], masked: Masks) -> usize {
    for count in 1.. {
        let came = raw.frame().expect("a pong to the last ping");
        assert_eq!(came.first, PONG);
        assert_eq!(came.key.is_some(), masked == Masks::Yes);
        if came.payload == payload {
            return count;
        }
    }
    0
}

const FLOOD: usize = 16 << 20;

/// Unread pings (RFC 6455 §5.5.3: only the latest need be answered).
#[test]
fn an_unread_ping_flood_costs_a_blocking_server_one_pending_pong() {
    let server = Process::server();
    let mut raw = Raw::open(server.address(), "");
    flood(&mut raw, &pings(Masks::Yes), 4 << 20);
    let before = server.memory();
    flood(&mut raw, &pings(Masks::Yes), FLOOD);
    assert!(raw.send(PING, "the last"));
    let pongs = pongs_until(&mut raw, b"the last", Masks::No);
    assert!(pongs < 120_000, "{pongs} pongs");
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

#[test]
fn an_unread_ping_flood_costs_a_blocking_client_one_pending_pong() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Process::client(&format!("ws://{}", listener.local_addr().unwrap()));
    let mut raw = Raw::on(listener.accept().unwrap().0);
    let head = raw.head();
    raw.write(response(&head, ""));
    client.find("open");
    flood(&mut raw, &pings(Masks::No), 4 << 20);
    let before = client.memory();
    flood(&mut raw, &pings(Masks::No), FLOOD);
    raw.write(frame(PING, b"the last", Masks::No));
    pongs_until(&mut raw, b"the last", Masks::Yes);
    let grown = client.peak().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

/// Octets that a slow reader asks for, and is not given at once: nothing is read then beyond a window.
#[test]
fn slow_readers_are_bounded_and_slow_down_nobody_else() {
    for size in [1 << 20, 100] {
        let (server, readers) = (Process::server(), 10);
        let address = server.address();
        let mut raws: Vec<_> = (0..readers).map(|_| Raw::open(address, "")).collect();
        let before = server.memory();
        let octets = frame(BINARY, &vec![b'x'; size], Masks::Yes).repeat((64 << 10) / size + 1);
        thread::scope(|scope| {
            for raw in &mut raws {
                let short = Some(Duration::from_millis(500));
                raw.stream.set_write_timeout(short).unwrap();
                scope.spawn(|| {
                    // Nothing is taken any more once the echoes stand still.
                    let taken = (0..(32 << 20) / octets.len()).all(|_| raw.write(&octets));
                    assert!(!taken, "32 MiB were taken");
                });
            }
        });
        // A message as it came, and as it goes out, in the engine and on its way; what was read ahead; and
        // the stack of a thread, which is used the more.
        let each = 768 + 4 * size / 1024;
        let grown = server.peak().saturating_sub(before);
        assert!(grown < (8 << 10) + readers * each, "{size}: {grown} KiB");
        Raw::open(address, "").assert_echoes();
    }
}

/// Buffers that were needed once: not kept by those who idle.
#[test]
fn blocking_ends_give_capacity_back_after_a_large_message() {
    let server = Process::server();
    let address = server.address();
    let large = frame(BINARY, &vec![b'x'; 1 << 20], Masks::Yes);
    let mut echo = |raw: &mut Raw| {
        raw.write(&large);
        assert_eq!(raw.frame().unwrap().payload.len(), 1 << 20);
    };
    let mut raws: Vec<_> = (0..40).map(|_| Raw::open(address, "")).collect();
    raws.iter_mut().for_each(Raw::assert_echoes);
    echo(&mut raws[0]);
    let before = server.memory();
    raws.iter_mut().skip(1).for_each(&mut echo);
    // What is freed in small pieces may stay with the allocator.
    let kept = || server.memory().saturating_sub(before);
    until("32 KiB and less are kept by each", || kept() < 40 * 32);
}

/// A header that announces more than may come (CVE-2022-35922): refused, and nothing is allocated.
#[test]
fn blocking_servers_refuse_lengths_at_the_header() {
    let server = Process::server();
    let address = server.address();
    let before = server.asked_for();
    for (length, code) in [
        ((16_u64 << 20) + 1, 1009),
        (u64::from(u32::MAX), 1009),
        (i64::MAX as u64, 1009),
        (u64::MAX, 1002),
    ] {
        let mut raw = Raw::open(address, "");
        raw.write([&[BINARY, 0xff][..], &length.to_be_bytes(), &[0; 14]].concat());
        assert_eq!(raw.code(), code, "{length}");
    }
    // One that may come costs what has come of it.
    let mut raws: Vec<_> = (0..20).map(|_| Raw::open(address, "")).collect();
    for raw in &mut raws {
        let length = (16_u64 << 20).to_be_bytes();
        raw.write([&[BINARY, 0xff][..], &length, &[0; 1000]].concat());
    }
    raws.iter_mut().for_each(|raw| {
        raw.send(PING, "");
    });
    let grown = server.asked_for().saturating_sub(before);
    // Address space for stacks of 2 MiB is among it; 20 messages would be 320 MiB.
    assert!(grown < 200 << 10, "{grown} KiB");
}

/// A message without end in small fragments: limits for its octets and for its frames.
#[test]
fn blocking_servers_cut_off_continuations_without_end() {
    for (payload, most) in [(&b""[..], 131_072), (&[b'x'; 64 << 10], 1024)] {
        let server = Process::server();
        let mut raw = Raw::open(server.address(), "");
        let before = server.memory();
        raw.send(BINARY & !FIN, payload);
        let block = frame(0, payload, Masks::Yes).repeat(64);
        let mut sent = 1;
        while sent < most + 64 && raw.write(&block) {
            sent += 64;
        }
        assert_eq!(raw.code(), 1009);
        assert!(sent >= most, "{sent} frames of {}", payload.len());
        let kept = payload.len() * most / 1024;
        let grown = server.peak().saturating_sub(before);
        assert!(grown < 2 * kept + 4096, "{grown} KiB for {kept}");
    }
}

/// A bomb that passes the check of compressed octets: stopped while it is inflated, with 1009.
#[test]
fn blocking_servers_stop_a_bomb_at_the_limit() {
    let server = Process::deflating_server();
    let mut raw = Raw::open(server.address(), DEFLATE);
    let before = server.memory();
    // 640 KiB for 100 MiB, where 1 MiB is allowed.
    raw.send(BINARY | RSV1, zeros(400_000));
    assert_eq!(raw.code(), 1009);
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more");
}

/// EMFILE on accept: the loop neither ends nor spins, and goes on once there are descriptors again.
#[test]
fn emfile_neither_spins_nor_ends_a_blocking_server() {
    let server = Process::server_with(48);
    let address = server.address();
    let held: Vec<_> = (0..80)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    until("all descriptors are taken", || server.descriptors() >= 48);
    let before = server.processor();
    thread::sleep(Duration::from_millis(2500));
    let taken = server.processor() - before;
    assert!(taken < Duration::from_millis(250), "{taken:?}");
    drop(held);
    let mut raw = Raw::dial(address);
    raw.write(request(""));
    assert_eq!(status(&raw.head()), 101);
    until("they come back", || server.descriptors() < 20);
}

/// Half of something, and then the end of the stream, by those who keep their own side open.
#[test]
fn the_end_of_a_stream_does_not_spin_a_blocking_server() {
    let server = Process::server();
    let address = server.address();
    let idle = server.descriptors();
    let (open, text) = (request(""), frame(TEXT, b"hello", Masks::Yes));
    let mut raws = Vec::new();
    for octets in [
        Vec::new(),
        open.as_bytes()[..30].to_vec(),
        open.clone().into_bytes(),
        [open.as_bytes(), &text[..1]].concat(),
        [open.as_bytes(), &text[..8]].concat(),
        [open.as_bytes(), &frame(TEXT & !FIN, b"hello", Masks::Yes)].concat(),
    ] {
        let mut raw = Raw::dial(address);
        raw.write(octets);
        raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
        raws.push(raw);
    }
    until("all are gone", || server.descriptors() <= idle);
    let before = server.processor();
    thread::sleep(Duration::from_millis(500));
    let taken = server.processor() - before;
    assert!(taken < Duration::from_millis(200), "{taken:?}");
}

/// Slowloris of a server: a head octet by octet does not renew the time of a client.
#[test]
fn slowloris_of_a_server_does_not_renew_the_time_of_a_blocking_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let mut raw = Raw::on(listener.accept().unwrap().0);
        for octet in b"HTTP/1.1 102 P\r\n\r\n".iter().cycle().take(1000) {
            if !raw.write([*octet]) {
                return;
            }
            thread::sleep(Duration::from_millis(30));
        }
    });
    let options = motorway::ClientOptions::default();
    let options = options.open_handshake_timeout(Duration::from_millis(300));
    let connector = motorway::blocking::Connector::new(url).unwrap();
    let start = Instant::now();
    connector.options(options).connect().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    serving.join().unwrap();
}
