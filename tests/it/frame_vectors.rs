//! RFC 6455 §5.2 and §5.7, and the framing of the suite's section 1.

#![cfg(test)]

use crate::engine::{Engine, binary, frame, masked, ping, pong, text};
use bytes::BytesMut;
use motorway::connection::{Happening, Role};
use motorway::frame::FrameError;
use motorway::{Message, ProtocolError};
use std::time::Instant;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn received(role: Role, octets: &[u8]) -> Vec<Happening> {
    let mut connection = Engine::new().connection(role);
    connection.receive(&mut BytesMut::from(octets), Instant::now());
    std::iter::from_fn(|| connection.poll_event()).collect()
}

// §5.7: "A single-frame unmasked text message".
#[test]
fn unmasked_text_in_a_single_frame() {
    let outcome = Engine::new().run(&[b"\x81\x05\x48\x65\x6c\x6c\x6f"]);
    outcome.sees(&[text("Hello")]);
}

// §5.7: "A single-frame masked text message".
#[test]
fn masked_text_in_a_single_frame() {
    let octets = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let [Happening::Event(event)] = &received(Role::Server, octets)[..] else {
        panic!("one event");
    };
    assert_eq!(*event, text("Hello"));
    assert_eq!(masked(b"\x81\x05Hello", KEY), octets);
}

// §5.7: "A fragmented unmasked text message".
#[test]
fn unmasked_text_in_fragments() {
    let outcome = Engine::new().run(&[b"\x01\x03\x48\x65\x6c", b"\x80\x02\x6c\x6f"]);
    outcome.sees(&[text("Hello")]);
}

// §5.7: "Unmasked Ping request and masked Ping response".
#[test]
fn ping_request_and_response() {
    let mut client = Engine::new().connection(Role::Client);
    client.receive(
        &mut BytesMut::from(&b"\x89\x05\x48\x65\x6c\x6c\x6f"[..]),
        Instant::now(),
    );
    assert!(
        matches!(client.poll_event(), Some(Happening::Event(event)) if event == ping(b"Hello"))
    );
    let response = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(client.poll_output().unwrap(), response[..]);
    let [Happening::Event(event)] = &received(Role::Server, response)[..] else {
        panic!("one event");
    };
    assert_eq!(*event, pong(b"Hello"));
}

// §5.7: "256 bytes binary message in a single unmasked frame", and 64 KiB.
#[test]
fn extended_lengths_in_16_and_64_bits() {
    for (header, length) in [
        (&b"\x82\x7e\x01\x00"[..], 256),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 65536),
    ] {
        let payload = vec![0xfe; length];
        let sent = [header, &payload].concat();
        assert_eq!(sent, frame(0x82, &payload));
        let outcome = Engine::new().run(&[&sent]);
        outcome.sees(&[binary(&payload)]).answers(&[&sent]);
    }
}

// Section 1 of the suite: the lengths around each change of the length field.
#[test]
fn messages_of_every_length_class_are_echoed() {
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536] {
        let octets = vec![b'*'; length];
        let sent = frame(0x81, &octets);
        let outcome = Engine::new().run(&[&sent]);
        assert_eq!(outcome.messages(), [Message::from("*".repeat(length))]);
        outcome.answers(&[&sent]);
        let sent = frame(0x82, &octets);
        Engine::new()
            .run(&[&sent])
            .sees(&[binary(&octets)])
            .answers(&[&sent]);
    }
}

// §5.2: "the minimal number of bytes MUST be used to encode the length"; "the most significant bit
// MUST be 0".
#[test]
fn lengths_that_are_not_minimal_fail_the_connection() {
    for (header, error) in [
        (
            &b"\x82\x7e\x00\x00"[..],
            FrameError::NonMinimalLength { length: 0 },
        ),
        (
            b"\x82\x7e\x00\x7d",
            FrameError::NonMinimalLength { length: 125 },
        ),
        (
            b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05",
            FrameError::NonMinimalLength { length: 5 },
        ),
        (
            b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
            FrameError::NonMinimalLength { length: 0xffff },
        ),
        (
            b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
            FrameError::LengthTooLarge { length: 1 << 63 },
        ),
    ] {
        let outcome = Engine::new().run(&[b"\x81\x01a", header]);
        assert_eq!(
            outcome.fails_after(&[text("a")], 1002),
            ProtocolError::Frame(error)
        );
    }
}

// §5.2: the header need not come at once, and what has come of it is no error.
#[test]
fn cut_frame_is_no_error() {
    for cut in 0..10 {
        let whole = frame(0x82, &[7; 300]);
        let outcome = Engine::new().run(&[&whole[..cut]]);
        outcome.sees(&[]).answers(&[]);
    }
}
