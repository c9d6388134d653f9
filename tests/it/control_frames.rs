//! RFC 6455 §5.5; sections 2, 3 and 4 of the suite.

#![cfg(test)]

use crate::engine::{Engine, frame, ping, pong, text};
use motorway::ProtocolError;
use motorway::frame::FrameError;

// §5.5.3: a pong "must have identical 'Application data'".
#[test]
fn ping_is_answered_with_the_same_payload() {
    let all: Vec<u8> = (0..125).map(|at| at * 2 + 1).collect();
    for payload in [
        &b""[..],
        b"Hello, world!",
        b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
        &all,
    ] {
        let outcome = Engine::new().run(&[&frame(0x89, payload)]);
        outcome
            .sees(&[ping(payload)])
            .answers(&[&frame(0x8a, payload)]);
    }
}

// §5.5: "All control frames MUST have a payload length of 125 bytes or less".
#[test]
fn control_frame_above_125_octets_fails() {
    for opcode in [0x88, 0x89, 0x8a] {
        for length in [126, 65536] {
            let outcome = Engine::new().run(&[&frame(opcode, &vec![0xfe; length])]);
            assert_eq!(
                outcome.fails(1002),
                ProtocolError::Frame(FrameError::ControlFrameTooLong)
            );
        }
    }
}

// §5.5: "MUST NOT be fragmented".
#[test]
fn fragmented_control_frame_fails() {
    for opcode in [0x08, 0x09, 0x0a] {
        let outcome = Engine::new().run(&[&frame(opcode, b""), b"\x80\x00"]);
        assert_eq!(
            outcome.fails(1002),
            ProtocolError::Frame(FrameError::FragmentedControlFrame)
        );
    }
}

// §5.5.3: "A Pong frame MAY be sent unsolicited".
#[test]
fn unsolicited_pong_is_not_answered() {
    for payload in [&b""[..], b"unsolicited pong payload"] {
        let outcome = Engine::new().run(&[&frame(0x8a, payload), b"\x89\x01p"]);
        outcome
            .sees(&[pong(payload), ping(b"p")])
            .answers(&[b"\x8a\x01p"]);
    }
}

#[test]
fn every_one_of_ten_pings_is_answered_in_order() {
    let payloads: Vec<Vec<u8>> = (0..10).map(|at| format!("payload-{at}").into()).collect();
    let pings: Vec<_> = payloads
        .iter()
        .map(|payload| frame(0x89, payload))
        .collect();
    let pongs: Vec<_> = payloads
        .iter()
        .map(|payload| frame(0x8a, payload))
        .collect();
    let outcome = Engine::new().run(&pings.iter().map(|f| &f[..]).collect::<Vec<_>>());
    let events: Vec<_> = payloads.iter().map(|payload| ping(payload)).collect();
    outcome.sees(&events);
    assert_eq!(outcome.output, pongs);
}

// §5.4: "Control frames MAY be injected in the middle of a fragmented message."
#[test]
fn control_frames_stand_between_fragments() {
    let outcome = Engine::new().run(&[
        b"\x01\x03Hel",
        b"\x89\x01a",
        b"\x00\x01l",
        b"\x8a\x01b",
        b"\x89\x00",
        b"\x80\x01o",
    ]);
    outcome
        .sees(&[ping(b"a"), pong(b"b"), ping(b""), text("Hello")])
        .answers(&[b"\x8a\x01a", b"\x8a\x00", b"\x81\x05Hello"]);
}

// §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
#[test]
fn reserved_bits_fail_the_connection_after_what_came_before() {
    for bits in 1..8_u8 {
        let rsv = bits << 4;
        for opcode in [0x81, 0x82, 0x88, 0x89, 0x8a] {
            let bad = frame(
                opcode | rsv,
                if opcode == 0x88 {
                    b"\x03\xe8"
                } else {
                    b"*****"
                },
            );
            let outcome = Engine::new().run(&[b"\x81\x05first", &bad, b"\x89\x05after"]);
            assert_eq!(
                outcome.fails_after(&[text("first")], 1002),
                ProtocolError::ReservedBits { bits: rsv }
            );
        }
        let outcome = Engine::new().run(&[b"\x01\x01a", &[0x80 | rsv, 0]]);
        assert_eq!(
            outcome.fails(1002),
            ProtocolError::ReservedBits { bits: rsv }
        );
    }
}

// §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
// Connection_."
#[test]
fn reserved_opcodes_fail_the_connection_after_what_came_before() {
    for opcode in (3..=7).chain(0xb..=0xf_u8) {
        for payload in [&b""[..], b"reserved opcode payload"] {
            let bad = frame(0x80 | opcode, payload);
            let outcome = Engine::new().run(&[b"\x81\x05first", &bad, b"\x89\x00"]);
            assert_eq!(
                outcome.fails_after(&[text("first")], 1002),
                ProtocolError::Frame(FrameError::ReservedOpcode { opcode })
            );
        }
    }
}
