//! RFC 6455 §8.1 in messages; section 6 of the suite.

#![cfg(test)]

use crate::engine::{Engine, frame, masked, text};
use bytes::BytesMut;
use motorway::connection::{Role, State};
use motorway::{Message, ProtocolError};
use std::time::Instant;

/// The suite's 6.2 and 6.5 to 6.22: sequences around every boundary of RFC 3629.
const VALID: &[&str] = &[
    "",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\0",
    "\u{80}",
    "\u{800}",
    "\u{10000}",
    "\u{7f}",
    "\u{7ff}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}\u{1fffe}\u{10fffe}",
];

/// The suite's 6.3, 6.4 and 6.6 to 6.21: impossible octets, overlong forms, surrogates, code points
/// above U+10FFFF, sequences that break off.
const INVALID: &[&[u8]] = &[
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65\x64\x69\x74\x65\x64",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xbf",
    b"\x80\xbf\x80\xbf\x80\xbf\x80\xbe",
    b"\xc0\x20\xc1\x20\xc2\x20\xc3\x20",
    b"\xe0\x20\xe1\x20\xe2\x20\xe3\x20",
    b"\xf0\x20\xf1\x20\xf2\x20\xf3\x20",
    b"\xc0",
    b"\xe0\x80",
    b"\xf0\x80\x80",
    b"\xdf",
    b"\xef\xbf",
    b"\xf7\xbf\xbf",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80",
    b"\xe0\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xae\x80",
    b"\xed\xaf\xbf",
    b"\xed\xb0\x80",
    b"\xed\xbe\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xed\xaf\xbf\xed\xbf\xbf",
];

/// The index of the first octet that makes `text` impossible, by what std says of its prefixes.
fn first_impossible(text: &[u8]) -> Option<usize> {
    (0..text.len()).find(|&at| {
        std::str::from_utf8(&text[..=at]).is_err_and(|error| error.error_len().is_some())
    })
}

#[test]
fn valid_text_is_echoed_in_one_frame_and_cut_anywhere() {
    for valid in VALID {
        let octets = valid.as_bytes();
        let whole = frame(0x81, octets);
        Engine::new()
            .run(&[&whole])
            .sees(&[text(valid)])
            .answers(&[&whole]);
        for cut in 0..=octets.len() {
            let fragments = [frame(0x01, &octets[..cut]), frame(0x80, &octets[cut..])];
            let outcome = Engine::new().run(&[&fragments[0], &fragments[1]]);
            outcome.sees(&[text(valid)]).answers(&[&whole]);
        }
    }
}

// §8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is
// not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_."
#[test]
fn invalid_text_fails_in_one_frame_and_cut_anywhere() {
    for invalid in INVALID {
        let whole = frame(0x81, invalid);
        let outcome = Engine::new().run(&[b"\x81\x05first", &whole]);
        let error = outcome.fails_after(&[text("first")], 1007);
        assert_eq!(error, ProtocolError::InvalidUtf8);
        for cut in 0..=invalid.len() {
            let fragments = [frame(0x01, &invalid[..cut]), frame(0x80, &invalid[cut..])];
            let outcome = Engine::new().run(&[&fragments[0], &fragments[1]]);
            assert_eq!(outcome.fails(1007), ProtocolError::InvalidUtf8);
        }
    }
}

/// Feeds octets one by one; returns how many it takes until the connection fails.
fn octets_until_failure(octets: &[u8]) -> Option<usize> {
    let mut connection = Engine::new().connection(Role::Server);
    octets.iter().position(|octet| {
        connection.receive(&mut BytesMut::from(&[*octet][..]), Instant::now());
        while connection.poll_event().is_some() {}
        connection.state() == State::Failed
    })
}

// 6.4.3 and 6.4.4: fail at the first impossible octet of a frame that is still incomplete.
#[test]
fn failure_comes_with_the_first_impossible_octet() {
    for invalid in INVALID {
        let Some(at) = first_impossible(invalid) else {
            continue;
        };
        let padded = [&b"padding: \xe2\x82\xac "[..], invalid, &[b'.'; 300]].concat();
        let octets = masked(&frame(0x81, &padded), [0xa5, 1, 2, 0xff]);
        let header = octets.len() - padded.len();
        assert_eq!(
            octets_until_failure(&octets),
            Some(header + 13 + at),
            "{invalid:x?}"
        );
    }
}

// 6.4.1 and 6.4.2: the same where fragments are whole and the message is not.
#[test]
fn failure_comes_before_the_message_ends() {
    for invalid in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"[..],
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90",
    ] {
        let outcome =
            Engine::new().run(&[&frame(0x01, &invalid[..12]), &frame(0x00, &invalid[12..])]);
        assert_eq!(outcome.fails(1007), ProtocolError::InvalidUtf8);
    }
}

#[test]
fn sequence_that_may_still_become_valid_is_waited_for() {
    for start in [
        &b"\xf4"[..],
        b"\xf4\x8f",
        b"\xf4\x8f\xbf",
        b"\xed\x9f",
        b"\xc2",
    ] {
        Engine::new().run(&[&frame(0x01, start)]).sees(&[]);
        let cut = &frame(0x81, &[start, b"\x80\x80\x80"].concat())[..2 + start.len()];
        Engine::new().run(&[cut]).sees(&[]);
    }
}

#[test]
fn control_frames_do_not_disturb_a_cut_sequence() {
    let outcome = Engine::new().run(&[b"\x01\x01\xc3", b"\x89\x01\xff", b"\x80\x01\xa9"]);
    assert_eq!(outcome.events.last(), Some(&text("é")));
}

#[test]
fn sequence_must_not_go_on_in_the_next_message() {
    let outcome = Engine::new().run(&[b"\x81\x01\xc3", b"\x81\x01\xa9"]);
    assert_eq!(outcome.fails(1007), ProtocolError::InvalidUtf8);
}

#[test]
fn binary_messages_may_be_anything() {
    for invalid in INVALID {
        let whole = frame(0x82, invalid);
        Engine::new().run(&[&whole]).answers(&[&whole]);
    }
}

#[test]
fn unchecked_text_says_so() {
    let unchecked = Engine::new().rules(|rules| rules.validate_utf8 = false);
    for invalid in INVALID {
        let fragments = [frame(0x01, &invalid[..1]), frame(0x80, &invalid[1..])];
        for frames in [vec![frame(0x81, invalid)], fragments.to_vec()] {
            let frames: Vec<_> = frames.iter().map(|frame| &frame[..]).collect();
            let expected = Message::UncheckedText(invalid.to_vec().into());
            assert_eq!(unchecked.run(&frames).messages(), [expected]);
        }
    }
}
