//! The scanner that looks ahead sees the control frames that the receiver is going to meet.

#![cfg(test)]

use crate::engine::{Random, close_body, frame, masked};
use motorway::connection::{Ahead, Event, Receive, Receiver, Rules, Scanner};
use motorway::{CloseFrame, ServerOptions};

fn receiver() -> Receiver {
    Receiver::new(Rules::server(&ServerOptions::default()).into(), None)
}

/// What the receiver makes of the octets, control frames only.
fn received(receiver: &mut Receiver, octets: &[u8]) -> Vec<Ahead> {
    let mut octets = octets.to_vec();
    let mut rest = &mut octets[..];
    let mut seen = Vec::new();
    while let (Some(event), after) = receiver.receive(rest).expect("valid octets") {
        rest = after;
        match event {
            Event::Ping(payload) => seen.push(Ahead::Ping(payload.to_vec())),
            Event::Pong(payload) => seen.push(Ahead::Pong(payload.to_vec())),
            Event::Close(close) => seen.push(Ahead::Close(close)),
            _ => {}
        }
    }
    seen
}

fn scanned(scanner: &mut Scanner, chunks: &[&[u8]]) -> Vec<Ahead> {
    let mut seen = Vec::new();
    for chunk in chunks {
        let mut input = *chunk;
        while let Some(ahead) = scanner.next(&mut input) {
            seen.push(ahead);
        }
        assert!(input.is_empty(), "all of it was looked at");
    }
    seen
}

fn sample() -> Vec<u8> {
    let frames = [
        frame(0x89, b"first"),
        frame(0x02, b"data \x89\x80\x88"),
        frame(0x8a, b""),
        frame(0x00, b""),
        frame(0x89, &[7; 125]),
        frame(0x80, &[b'.'; 130]),
        frame(0x82, &[0x89; 200]),
        frame(0x89, b""),
        frame(0x88, &close_body(1001, "away")),
        frame(0x89, b"after the close frame"),
    ];
    let mut key = 0;
    let mask = |frame: &Vec<u8>| {
        key += 1;
        masked(frame, [key, 2 * key, 3, 0xff])
    };
    frames.iter().flat_map(mask).collect()
}

#[test]
fn control_frames_are_seen_in_their_order_up_to_the_close_frame() {
    let seen = scanned(&mut Scanner::new(&receiver()), &[&sample()]);
    let close = CloseFrame::new(1001, "away");
    let expected = [
        Ahead::Ping(b"first".to_vec()),
        Ahead::Pong(Vec::new()),
        Ahead::Ping(vec![7; 125]),
        Ahead::Ping(Vec::new()),
        Ahead::Close(Some(close)),
    ];
    assert_eq!(seen, expected);
}

// The receiver has taken everything up to `at`; the scanner begins there.
#[test]
fn scanner_agrees_with_the_receiver_wherever_it_begins() {
    let octets = sample();
    for receive in [Receive::Messages, Receive::Frames, Receive::Stream] {
        for at in 0..=octets.len() {
            let mut receiver = receiver().in_pieces(receive);
            received(&mut receiver, &octets[..at]);
            let (mut at_once, mut by_octets) = (Scanner::new(&receiver), Scanner::new(&receiver));
            let rest = &octets[at..];
            let seen = scanned(&mut at_once, &[rest]);
            let chunks: Vec<_> = rest.chunks(1).collect();
            assert_eq!(scanned(&mut by_octets, &chunks), seen, "from {at}");
            assert_eq!(received(&mut receiver, rest), seen, "from {at}");
        }
    }
}

// The receiver stands behind an event, with the rest of a read still to come.
#[test]
fn scanner_agrees_with_the_receiver_between_two_events() {
    let octets = sample();
    for receive in [Receive::Messages, Receive::Frames, Receive::Stream] {
        for stops in 0..20 {
            let mut receiver = receiver().in_pieces(receive);
            let mut taken = octets.clone();
            let mut rest = &mut taken[..];
            for _ in 0..stops {
                rest = receiver.receive(rest).expect("valid octets").1;
            }
            let rest = rest.to_vec();
            let seen = scanned(&mut Scanner::new(&receiver), &[&rest]);
            assert_eq!(received(&mut receiver, &rest), seen, "after {stops} events");
        }
    }
}

#[test]
fn chunks_make_no_difference() {
    let octets = sample();
    let expected = scanned(&mut Scanner::new(&receiver()), &[&octets]);
    let mut random = Random(5);
    for _ in 0..200 {
        let mut rest = &octets[..];
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((1 + random.below(60)).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        assert_eq!(scanned(&mut Scanner::new(&receiver()), &chunks), expected);
    }
}

#[test]
fn data_is_noticed() {
    let mut scanner = Scanner::new(&receiver());
    scanned(&mut scanner, &[&masked(b"\x89\x00", [0; 4])]);
    assert!(!scanner.has_data_in(6));
    scanned(&mut scanner, &[&masked(b"\x82\x01a", [0; 4])]);
    assert!(scanner.has_data_in(7) && scanner.has_data_in(13));
    assert!(!scanner.has_data_in(0), "the receiver has it");
    scanned(&mut scanner, &[&masked(b"\x89\x00", [0; 4])]);
    assert!(scanner.has_data_in(7));
    assert!(!scanner.has_data_in(6), "only the ping waits");
}

// What the receiver is going to fail at ends what is seen ahead of it.
#[test]
fn nothing_is_seen_behind_what_fails_the_connection() {
    for bad in [
        &b"\x83\x80\x00\x00\x00\x00"[..],
        b"\x89\xfe\x00\x7e\x00\x00\x00\x00",
        b"\x89\x00",
        b"\x81\x01a",
        b"\xc9\x80\x00\x00\x00\x00",
        b"\xa2\x80\x00\x00\x00\x00",
        b"\x88\x81\x00\x00\x00\x00a",
    ] {
        let octets = [
            &masked(b"\x89\x01p", [1; 4])[..],
            bad,
            &masked(b"\x89\x00", [0; 4]),
        ]
        .concat();
        let seen = scanned(&mut Scanner::new(&receiver()), &[&octets]);
        assert_eq!(seen, [Ahead::Ping(b"p".to_vec())], "{bad:x?}");
    }
}
