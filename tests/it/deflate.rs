//! RFC 7692 on the level of messages; sections 12 and 13 of the suite.

#![cfg(test)]

use crate::engine::{Engine, Random, binary, closed, frame, frames, ping, settings, text};
use bytes::BytesMut;
use motorway::connection::{
    Compress, Connection, DeflateSettings, Event, Happening, Output, Part, Receive, Role, Rules,
    Sender, State,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::{ClientOptions, DeflateOptions, Message, MessageKind, ProtocolError, ServerOptions};
use std::time::Instant;

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

fn sender(settings: &DeflateSettings) -> Sender {
    let rules = Rules::server(&ServerOptions::default());
    Sender::new(rules.into(), Some(settings), Box::new(|| [0; 4].into()))
}

fn sent(sender: &mut Sender, message: &str) -> Vec<u8> {
    let mut out = Output::default();
    sender.send(message.into(), &mut out).unwrap();
    out.split().to_vec()
}

// RFC 7692 §7.2.3.1, §7.2.3.2: received and sent.
#[test]
fn hello_of_the_rfc_is_received_and_sent() {
    let first = frame(0xc1, HELLO);
    let outcome = Engine::new().deflate().run(&[&first]);
    outcome.sees(&[text("Hello")]).answers(&[&first]);
    let (start, end) = HELLO.split_at(3);
    let outcome = Engine::new()
        .deflate()
        .run(&[&frame(0x41, start), &frame(0x80, end)]);
    outcome.sees(&[text("Hello")]).answers(&[&first]);
}

#[test]
fn window_is_taken_over_from_message_to_message() {
    let both = [frame(0xc1, HELLO), frame(0xc1, HELLO_AGAIN)];
    let outcome = Engine::new().deflate().run(&[&both[0], &both[1]]);
    outcome
        .sees(&[text("Hello"), text("Hello")])
        .answers(&[&both[0], &both[1]]);
}

// RFC 7692 §7.1.1: each side may be told to forget its window; the other one keeps its own.
#[test]
fn window_is_forgotten_by_the_side_that_agreed_to() {
    let first = frame(0xc1, HELLO);
    for (server, client) in [(true, false), (false, true), (true, true), (false, false)] {
        let agreed = settings(DeflateParameters {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            ..DeflateParameters::default()
        });
        for (role, sends_fresh) in [(Role::Server, server), (Role::Client, client)] {
            let engine = Engine::new().deflate_with(agreed.clone());
            let mut connection = engine.connection(role);
            connection.send("Hello").unwrap();
            connection.send("Hello").unwrap();
            let sent = frames(&connection.poll_output().unwrap(), role == Role::Client);
            let second = if sends_fresh { HELLO } else { HELLO_AGAIN };
            assert_eq!(sent, [first.clone(), frame(0xc1, second)]);
        }
        for (role, peer_fresh) in [(Role::Server, client), (Role::Client, server)] {
            let engine = Engine::new().deflate_with(agreed.clone());
            let mut connection = engine.connection(role);
            let second = frame(0xc1, HELLO_AGAIN);
            receive(&mut connection, role, &first);
            receive(&mut connection, role, &second);
            // What refers to a window that was forgotten is corrupt.
            assert_eq!(connection.state() == State::Failed, peer_fresh);
        }
    }
}

fn receive(connection: &mut Connection, role: Role, frame: &[u8]) -> Vec<Happening> {
    let octets = match role {
        Role::Server => crate::engine::masked(frame, [1, 2, 3, 4]),
        Role::Client => frame.to_vec(),
    };
    connection.receive(&mut BytesMut::from(&octets[..]), Instant::now());
    std::iter::from_fn(|| connection.poll_event()).collect()
}

// RFC 7692 §7.2.3.3 to §7.2.3.6, and blocks in any order.
#[test]
fn every_kind_of_block_is_inflated() {
    for (payload, expected) in [
        (
            &b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"[..],
            "Hello",
        ),
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            "Hello",
        ),
        (b"\x00", ""),
        (b"\x02\x00", ""),
    ] {
        let outcome = Engine::new().deflate().run(&[&frame(0xc1, payload)]);
        assert_eq!(
            outcome.messages(),
            [Message::from(expected)],
            "{payload:x?}"
        );
    }
}

// RFC 7692 §7.2.3.6: an empty message is a single zero.
#[test]
fn empty_message_is_sent_as_one_zero() {
    let outcome = Engine::new()
        .deflate()
        .run(&[b"\xc1\x01\x00", b"\xc2\x01\x00", b"\x81\x00"]);
    outcome.sees(&[text(""), binary(b""), text("")]).answers(&[
        b"\xc1\x01\x00",
        b"\xc2\x01\x00",
        b"\xc1\x01\x00",
    ]);
}

// RFC 7692 §6: a peer may leave any message uncompressed.
#[test]
fn uncompressed_messages_stand_between_compressed_ones() {
    let outcome = Engine::new().deflate().run(&[
        &frame(0xc1, HELLO),
        b"\x81\x05plain",
        &frame(0xc1, HELLO_AGAIN),
    ]);
    outcome.sees(&[text("Hello"), text("plain"), text("Hello")]);
}

// RFC 7692 §6.1: "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames and
// non-first fragments of a data message."
#[test]
fn rsv1_is_refused_on_continuations_and_control_frames() {
    let bits = ProtocolError::ReservedBits { bits: 0x40 };
    for start in [&frame(0x41, &HELLO[..3]), &b"\x01\x01a".to_vec()] {
        let outcome = Engine::new()
            .deflate()
            .run(&[start, &frame(0xc0, &HELLO[3..])]);
        assert_eq!(outcome.fails(1002), bits);
    }
    for control in [&b"\xc8\x02\x03\xe8"[..], b"\xc9\x00", b"\xca\x00"] {
        let outcome = Engine::new().deflate().run(&[control]);
        assert_eq!(outcome.fails(1002), bits);
    }
}

#[test]
fn other_reserved_bits_are_refused_with_and_without_deflate() {
    for rsv in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
        let outcome = Engine::new().deflate().run(&[&frame(0x81 | rsv, HELLO)]);
        assert_eq!(
            outcome.fails(1002),
            ProtocolError::ReservedBits { bits: rsv }
        );
    }
    let outcome = Engine::new().run(&[&frame(0xc1, HELLO)]);
    assert_eq!(
        outcome.fails(1002),
        ProtocolError::ReservedBits { bits: 0x40 }
    );
}

#[test]
fn control_frames_stand_between_compressed_fragments() {
    let outcome = Engine::new().deflate().run(&[
        &frame(0x41, &HELLO[..1]),
        b"\x89\x01p",
        b"\x00\x00",
        &frame(0x00, &HELLO[1..4]),
        b"\x8a\x00",
        &frame(0x00, &HELLO[4..]),
        b"\x80\x00",
    ]);
    assert_eq!(outcome.events.first(), Some(&ping(b"p")));
    assert_eq!(outcome.events.last(), Some(&text("Hello")));
    assert_eq!(outcome.output, [b"\x8a\x01p".to_vec(), frame(0xc1, HELLO)]);
    let outcome = Engine::new()
        .deflate()
        .run(&[&frame(0x41, HELLO), b"\x88\x02\x03\xe8"]);
    assert_eq!(outcome.events, [closed(1000, "")]);
}

#[test]
fn corrupt_and_cut_data_fail_with_1007() {
    for payload in [
        &b"\xff\xff\xff\xff"[..],
        b"\x07",
        b"\xf2\x48\xcd",
        HELLO_AGAIN,
        b"\x00\x05\x00\xfa\xffHel",
        b"\x00\x05\x00\x00\x00Hello\x00",
    ] {
        let outcome = Engine::new().deflate().run(&[&frame(0xc1, payload)]);
        assert_eq!(
            outcome.fails(1007),
            ProtocolError::CorruptDeflate,
            "{payload:x?}"
        );
    }
}

// §8.1 holds for what was inflated.
#[test]
fn inflated_text_has_to_be_utf8() {
    let stored = |octets: &[u8]| {
        let length = u8::try_from(octets.len()).unwrap();
        [&[0, length, 0, !length, 0xff], octets, &[0]].concat()
    };
    let outcome = Engine::new()
        .deflate()
        .run(&[&frame(0xc1, &stored("é".as_bytes()))]);
    outcome.sees(&[text("é")]);
    for invalid in [&b"\xed\xa0\x80"[..], b"ab\xff", b"cut \xc3"] {
        let outcome = Engine::new()
            .deflate()
            .run(&[&frame(0xc1, &stored(invalid))]);
        assert_eq!(outcome.fails(1007), ProtocolError::InvalidUtf8);
        let whole = frame(0xc2, &stored(invalid));
        Engine::new()
            .deflate()
            .run(&[&whole])
            .sees(&[binary(invalid)]);
    }
    // At the first impossible octet, with the message and the frame still incomplete.
    let stored = stored(b"\xed\xa0.....");
    let outcome = Engine::new().deflate().run(&[&frame(0x41, &stored)[..9]]);
    assert_eq!(outcome.fails(1007), ProtocolError::InvalidUtf8);
}

/// Text that compresses well over short and long distances, and octets that do not compress.
fn samples() -> Vec<Vec<u8>> {
    let mut random = Random(3);
    let lengths = [
        0, 1, 2, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 40000, 65536, 131_072,
    ];
    let words = ["motorway ", "lane ", "exit ", "0123", "{\"id\":"];
    let mut samples: Vec<Vec<u8>> = Vec::new();
    for length in lengths {
        let mut text = Vec::new();
        while text.len() < length {
            text.extend_from_slice(words[random.below(words.len())].as_bytes());
        }
        text.truncate(length);
        samples.push(text);
        samples.push(random.octets(length.min(9000)));
    }
    samples
}

// RFC 7692 §7.1.2: windows of 9 to 15 bits; 13.3 to 13.6 of the suite.
#[test]
fn messages_survive_every_window_and_takeover() {
    let samples = samples();
    for bits in 9..=15 {
        for forgets in [false, true] {
            let agreed = settings(DeflateParameters {
                server_no_context_takeover: forgets,
                client_no_context_takeover: forgets,
                server_max_window_bits: bits,
                client_max_window_bits: bits,
            });
            let engine = Engine::new().deflate_with(agreed);
            let mut ends = [
                engine.connection(Role::Client),
                engine.connection(Role::Server),
            ];
            for sample in &samples {
                for from in [0, 1] {
                    ends[from].send(&sample[..]).unwrap();
                    let mut wire = ends[from].poll_output().unwrap();
                    assert_eq!(wire[0], 0xc2);
                    let to = &mut ends[1 - from];
                    to.receive(&mut wire, Instant::now());
                    let Some(Happening::Event(event)) = to.poll_event() else {
                        panic!("{bits} bits, {} octets", sample.len());
                    };
                    assert!(
                        event == binary(sample),
                        "{bits} bits, {} octets",
                        sample.len()
                    );
                    assert!(to.poll_event().is_none());
                }
            }
        }
    }
}

/// Whether a compressor with that window refers back over `distance` octets, by what it makes of
/// noise that comes again.
fn repeats_are_found(bits: u8, distance: usize) -> bool {
    let agreed = settings(DeflateParameters {
        server_max_window_bits: bits,
        ..DeflateParameters::default()
    });
    let noise = Random(99).octets(distance);
    let message = [&noise[..], &noise[..64]].concat();
    let mut out = Output::default();
    sender(&agreed)
        .send((&message[..]).into(), &mut out)
        .unwrap();
    out.len() < message.len()
}

#[test]
fn agreed_window_is_not_exceeded() {
    for bits in 9..15 {
        let window = 1 << bits;
        // zlib keeps 262 octets of the window to itself.
        assert!(repeats_are_found(bits, window - 270), "{bits} bits");
        assert!(!repeats_are_found(bits, window + 300), "{bits} bits");
    }
}

// RFC 7692 §7.1.2.2 allows a server to ask for 8 bits, with which zlib cannot compress.
#[test]
fn client_with_8_bits_sends_plain_and_still_inflates() {
    let agreed = settings(DeflateParameters {
        client_max_window_bits: 8,
        ..DeflateParameters::default()
    });
    let engine = Engine::new().deflate_with(agreed);
    let mut client = engine.connection(Role::Client);
    client.send("Hello").unwrap();
    assert_eq!(
        frames(&client.poll_output().unwrap(), true),
        [b"\x81\x05Hello"]
    );
    let events = receive(&mut client, Role::Client, &frame(0xc1, HELLO));
    assert!(matches!(&events[..], [Happening::Event(event)] if *event == text("Hello")));
    let mut server = engine.connection(Role::Server);
    server.send("Hello").unwrap();
    assert_eq!(server.poll_output().unwrap(), frame(0xc1, HELLO)[..]);
}

#[test]
fn messages_below_the_threshold_go_out_plain() {
    let mut options = settings(DeflateParameters::default());
    options.options = DeflateOptions::default().threshold(5);
    let mut sender = sender(&options);
    assert_eq!(sent(&mut sender, "Hell"), b"\x81\x04Hell");
    assert_eq!(sent(&mut sender, "Hello"), frame(0xc1, HELLO));
    assert_eq!(sent(&mut sender, ""), b"\x81\x00");
    // What went out plain is not in the window.
    assert_eq!(sent(&mut sender, "Hello"), frame(0xc1, HELLO_AGAIN));
}

#[test]
fn message_that_is_not_to_be_compressed_leaves_the_window_alone() {
    let mut sender = sender(&settings(DeflateParameters::default()));
    assert_eq!(sent(&mut sender, "Hello"), frame(0xc1, HELLO));
    let mut out = Output::default();
    sender
        .send_with("secret".into(), Compress::Never, &mut out)
        .unwrap();
    assert_eq!(out.split(), b"\x81\x06secret"[..]);
    assert_eq!(sent(&mut sender, "Hello"), frame(0xc1, HELLO_AGAIN));
}

// RFC 7692 §6.1: RSV1 on the first fragment only; §7.2.1: the tail is cut from the last one only.
#[test]
fn fragments_of_a_compressed_message_make_one_stream() {
    let mut fragmented = Rules::server(&ServerOptions::default());
    fragmented.fragment_size = 3;
    let deflate = settings(DeflateParameters::default());
    let mut cut = Sender::new(
        fragmented.into(),
        Some(&deflate),
        Box::new(|| [0; 4].into()),
    );
    let expected = [
        frame(0x41, &HELLO[..3]),
        frame(0x00, &HELLO[3..6]),
        frame(0x80, &HELLO[6..]),
    ];
    assert_eq!(sent(&mut cut, "Hello"), expected.concat());

    let mut sender = sender(&deflate);
    let mut out = Output::default();
    sender.begin(MessageKind::Text, Compress::Auto).unwrap();
    for (part, last) in [
        ("Hel", Part::More),
        ("", Part::More),
        ("lo", Part::More),
        ("", Part::Last),
    ] {
        sender.part(part.into(), last, &mut out).unwrap();
    }
    sender.send("Hello".into(), &mut out).unwrap();
    let wire = frames(&out.split(), false);
    let first: Vec<u8> = wire.iter().map(|frame| frame[0]).collect();
    assert_eq!(first, [0x41, 0x00, 0x00, 0x80, 0xc1]);
    let wire: Vec<_> = wire.iter().map(|frame| &frame[..]).collect();
    Engine::new()
        .deflate()
        .run(&wire)
        .sees(&[text("Hello"), text("Hello")]);
}

#[test]
fn empty_message_in_parts_is_inflated_again() {
    for parts in [1, 2, 3] {
        let mut sender = sender(&settings(DeflateParameters::default()));
        let mut out = Output::default();
        sender.begin(MessageKind::Binary, Compress::Auto).unwrap();
        for part in 1..=parts {
            let last = if part == parts {
                Part::Last
            } else {
                Part::More
            };
            sender.part((&[]).into(), last, &mut out).unwrap();
        }
        sender.send("Hello".into(), &mut out).unwrap();
        let wire = frames(&out.split(), false);
        let wire: Vec<_> = wire.iter().map(|frame| &frame[..]).collect();
        Engine::new()
            .deflate()
            .run(&wire)
            .sees(&[binary(b""), text("Hello")]);
    }
}

#[test]
fn compressed_messages_are_received_in_pieces() {
    let expected = |data: fn(&'static [u8]) -> Event<'static>| data(b"Hello");
    let engine = Engine::new().deflate().receive(Receive::Frames);
    engine.run(&[&frame(0xc1, HELLO)]).sees(&[
        Event::MessageBegin(MessageKind::Text),
        expected(|octets| Event::Frame(octets.into())),
        Event::MessageEnd,
    ]);
    let engine = Engine::new().deflate().receive(Receive::Stream);
    engine.run(&[&frame(0xc1, HELLO)]).sees(&[
        Event::MessageBegin(MessageKind::Text),
        Event::FrameBegin { length: 7 },
        expected(|octets| Event::FrameData(octets.into())),
        Event::FrameEnd,
        Event::MessageEnd,
    ]);
}

#[test]
fn client_rules_do_not_change_what_is_compressed() {
    let rules = Rules::client(&ClientOptions::default());
    let deflate = settings(DeflateParameters::default());
    let mut client = Sender::new(
        rules.into(),
        Some(&deflate),
        Box::new(|| [7, 7, 7, 7].into()),
    );
    let octets = sent(&mut client, "Hello");
    assert_eq!(frames(&octets, true), [frame(0xc1, HELLO)]);
}
