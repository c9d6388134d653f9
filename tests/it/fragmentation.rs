//! RFC 6455 §5.4; section 5 of the suite.

#![cfg(test)]

use crate::engine::{Engine, binary, frame, ping, text};
use motorway::ProtocolError;

// §5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other
// than 0, followed by zero or more frames with the FIN bit clear and the opcode set to 0, and
// terminated by a single frame with the FIN bit set and an opcode of 0."
#[test]
fn message_is_put_together_wherever_it_is_cut() {
    let message = b"fragment1fragment2";
    for first in 0..=message.len() {
        for second in first..=message.len() {
            let outcome = Engine::new().run(&[
                &frame(0x01, &message[..first]),
                &frame(0x00, &message[first..second]),
                &frame(0x80, &message[second..]),
            ]);
            outcome
                .sees(&[text("fragment1fragment2")])
                .answers(&[&frame(0x81, message)]);
        }
    }
}

#[test]
fn empty_fragments_add_nothing() {
    let outcome = Engine::new().run(&[b"\x01\x00", b"\x00\x00", b"\x80\x00"]);
    outcome.sees(&[text("")]).answers(&[b"\x81\x00"]);
    let outcome = Engine::new().run(&[b"\x02\x00", b"\x00\x06middle", b"\x80\x00"]);
    outcome
        .sees(&[binary(b"middle")])
        .answers(&[b"\x82\x06middle"]);
}

#[test]
fn fragmented_messages_follow_each_other() {
    let outcome = Engine::new().run(&[
        b"\x01\x01a",
        b"\x80\x01b",
        b"\x02\x01c",
        b"\x80\x01d",
        b"\x81\x01e",
        b"\x01\x00",
        b"\x80\x01f",
    ]);
    outcome
        .sees(&[text("ab"), binary(b"cd"), text("e"), text("f")])
        .answers(&[b"\x81\x02ab", b"\x82\x02cd", b"\x81\x01e", b"\x81\x01f"]);
}

// Case 5.19: pings between the fragments are answered at once.
#[test]
fn pings_between_fragments_are_answered_before_the_message_ends() {
    let outcome = Engine::new().run(&[
        b"\x01\x09fragment1",
        b"\x00\x09fragment2",
        b"\x89\x0apongme 1!!",
        b"\x00\x09fragment3",
        b"\x00\x09fragment4",
        b"\x89\x0apongme 2!!",
    ]);
    outcome
        .sees(&[ping(b"pongme 1!!"), ping(b"pongme 2!!")])
        .answers(&[b"\x8a\x0apongme 1!!", b"\x8a\x0apongme 2!!"]);
}

// §5.4: nothing to continue. Cases 5.9 to 5.14.
#[test]
fn continuation_without_a_message_fails() {
    for first in [0x00, 0x80] {
        for payload in [&b""[..], b"non-continuation payload"] {
            let bad = frame(first, payload);
            let outcome = Engine::new().run(&[&bad, b"\x81\x0dHello, world!"]);
            assert_eq!(outcome.fails(1002), ProtocolError::UnexpectedContinuation);
        }
    }
}

// Case 5.15: the message before is echoed, the second continuation fails.
#[test]
fn continuation_after_the_end_of_a_message_fails_after_the_echo() {
    let outcome = Engine::new().run(&[
        b"\x01\x09fragment1",
        b"\x80\x09fragment2",
        b"\x00\x09fragment3",
        b"\x81\x09fragment4",
    ]);
    assert_eq!(
        outcome.fails_after(&[text("fragment1fragment2")], 1002),
        ProtocolError::UnexpectedContinuation
    );
}

// §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another".
#[test]
fn new_message_inside_of_a_fragmented_one_fails() {
    for first in [0x01, 0x02] {
        for second in [0x01, 0x02, 0x81, 0x82] {
            let outcome = Engine::new().run(&[&frame(first, b"begun"), &frame(second, b"other")]);
            assert_eq!(outcome.fails(1002), ProtocolError::ExpectedContinuation);
        }
    }
}

// §5.4: a control frame between them does not end a message.
#[test]
fn ping_does_not_end_a_fragmented_message() {
    let outcome = Engine::new().run(&[b"\x01\x01a", b"\x89\x00", b"\x81\x01b"]);
    assert_eq!(
        outcome.fails_after(&[ping(b"")], 1002),
        ProtocolError::ExpectedContinuation
    );
}
