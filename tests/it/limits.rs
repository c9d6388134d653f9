//! Limits on what is received and sent; section 9 of the suite, RFC 6455 §7.4.1 and §10.4.

#![cfg(test)]

use crate::engine::{Engine, binary, frame, masked, settings, text};
use bytes::BytesMut;
use motorway::connection::{
    Compress, Event, Output, Part, Receive, Receiver, Role, Rules, Sender, State,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::extension::deflate::codec::{Deflater, DeflaterConfig};
use motorway::{Message, MessageKind, ProtocolError, SendError, ServerOptions};
use std::time::Instant;

fn too_large(limit: u64) -> ProtocolError {
    ProtocolError::MessageTooLarge { limit }
}

#[test]
fn frame_limit_is_inclusive() {
    let engine = Engine::new().rules(|rules| rules.max_frame = 10);
    let whole = frame(0x82, &[1; 10]);
    engine
        .run(&[&whole])
        .sees(&[binary(&[1; 10])])
        .answers(&[&whole]);
    let outcome = engine.run(&[b"\x81\x01a", &frame(0x82, &[1; 11])]);
    let error = outcome.fails_after(&[text("a")], 1009);
    assert_eq!(
        error,
        ProtocolError::FrameTooLarge {
            size: 11,
            limit: 10
        }
    );
    let outcome = engine.run(&[&frame(0x02, &[1; 10]), &frame(0x80, &[1; 11])]);
    assert_eq!(
        outcome.fails(1009),
        ProtocolError::FrameTooLarge {
            size: 11,
            limit: 10
        }
    );
}

// The header is enough: no octet of the payload has come.
#[test]
fn frames_and_messages_are_refused_at_the_header() {
    let header = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
    let size = 65536;
    let engine = Engine::new().rules(|rules| rules.max_frame = 65535);
    assert_eq!(
        engine.run(&[header]).fails(1009),
        ProtocolError::FrameTooLarge { size, limit: 65535 }
    );
    let engine = Engine::new().rules(|rules| rules.max_message = 65535);
    assert_eq!(engine.run(&[header]).fails(1009), too_large(65535));
    let huge = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
    assert!(matches!(
        Engine::new().run(&[huge]).fails(1009),
        ProtocolError::FrameTooLarge { .. }
    ));
}

#[test]
fn message_limit_is_inclusive_and_counts_all_fragments() {
    let engine = Engine::new().rules(|rules| rules.max_message = 10);
    for cut in 0..=10 {
        let fragments = [frame(0x02, &[1; 10][..cut]), frame(0x80, &[1; 10][cut..])];
        engine
            .run(&[&fragments[0], &fragments[1]])
            .sees(&[binary(&[1; 10])]);
        let longer = [frame(0x02, &[1; 11][..cut]), frame(0x80, &[1; 11][cut..])];
        let outcome = engine.run(&[&longer[0], &longer[1]]);
        assert_eq!(outcome.fails(1009), too_large(10));
    }
    // Each message has the limit to itself, and control frames do not count.
    let whole = frame(0x82, &[1; 10]);
    engine
        .run(&[&whole, &whole])
        .sees(&[binary(&[1; 10]), binary(&[1; 10])]);
    engine.run(&[&frame(0x8a, &[1; 100])]);
}

#[test]
fn message_limit_holds_in_pieces_too() {
    for receive in [Receive::Frames, Receive::Stream] {
        let engine = Engine::new()
            .rules(|rules| rules.max_message = 10)
            .receive(receive);
        let outcome = engine.run(&[&frame(0x02, &[1; 6]), &frame(0x80, &[1; 5])]);
        assert_eq!(
            (outcome.state, outcome.error),
            (State::Failed, Some(too_large(10)))
        );
    }
}

#[test]
fn empty_fragments_count() {
    let engine = Engine::new().rules(|rules| rules.max_fragments = 4);
    engine
        .run(&[b"\x01\x00", b"\x00\x00", b"\x00\x00", b"\x80\x00"])
        .sees(&[text("")]);
    let outcome = engine.run(&[
        b"\x01\x00",
        b"\x00\x00",
        b"\x00\x00",
        b"\x00\x00",
        b"\x80\x00",
    ]);
    assert_eq!(
        outcome.fails(1009),
        ProtocolError::TooManyFragments { limit: 4 }
    );
    let message: [&[u8]; 3] = [b"\x01\x00", b"\x00\x00", b"\x80\x00"];
    engine.run(&message.repeat(2)).sees(&[text(""), text("")]);
}

// 9.3.1 and 9.4.1 send 4 MiB in fragments of 64 octets.
#[test]
fn four_mib_in_65536_fragments_pass_by_default() {
    let rules = Rules::server(&ServerOptions::default());
    let mut receiver = Receiver::new(rules.into(), None);
    let mut fragment = |first: u8| {
        let mut octets = masked(&frame(first, &[b'x'; 64]), [1, 2, 3, 4]);
        match receiver.receive(&mut octets).unwrap() {
            (Some(Event::Message(message)), []) => Some(message.into_owned()),
            (None, []) => None,
            other => panic!("{other:?}"),
        }
    };
    assert!(fragment(0x01).is_none());
    for _ in 0..65534 {
        assert!(fragment(0x00).is_none());
    }
    let message = fragment(0x80).expect("the message");
    assert!(message.as_text().is_some_and(|text| text.len() == 4 << 20));
}

fn deflated(message: &[u8], config: DeflaterConfig) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut deflater = Deflater::new(config).unwrap();
    deflater.compress(message, &mut out).unwrap();
    deflater.finish(&mut out);
    out.to_vec()
}

#[test]
fn message_limit_is_measured_inflated() {
    let engine = Engine::new()
        .deflate()
        .rules(|rules| rules.max_message = 1000);
    let fits = deflated(&[b'a'; 1000], DeflaterConfig::default());
    let longer = deflated(&[b'a'; 1001], DeflaterConfig::default());
    assert_eq!(
        engine.run(&[&frame(0xc1, &fits)]).messages(),
        [Message::from("a".repeat(1000))]
    );
    assert_eq!(
        engine.run(&[&frame(0xc1, &longer)]).fails(1009),
        too_large(1000)
    );
    let (start, end) = longer.split_at(3);
    let outcome = engine.run(&[&frame(0x41, start), &frame(0x80, end)]);
    assert_eq!(outcome.fails(1009), too_large(1000));
}

#[test]
fn bomb_is_stopped_at_the_limit() {
    let engine = Engine::new()
        .deflate()
        .rules(|rules| rules.max_message = 1 << 16);
    let bomb = frame(
        0xc2,
        &deflated(&vec![0; 4 << 20], DeflaterConfig::default()),
    );
    assert_eq!(engine.run(&[&bomb]).fails(1009), too_large(1 << 16));
}

// Blocks that inflate to nothing: each has the end of a block in it and nothing else.
#[test]
fn compressed_message_that_inflates_to_nothing_is_bounded() {
    let limit = 10_000;
    let engine = Engine::new()
        .deflate()
        .rules(|rules| rules.max_message = limit);
    let blocks = |octets: usize| [0x03, 0x00].repeat(octets / 2);
    let outcome = engine.run(&[&frame(0xc2, &blocks(20_000))]);
    assert_eq!(outcome.fails(1009), too_large(limit));
    let parts = [frame(0x42, &blocks(9_000)), frame(0x80, &blocks(9_000))];
    let outcome = engine.run(&[&parts[0], &parts[1]]);
    assert_eq!(outcome.fails(1009), too_large(limit));
}

// A compressor makes noise longer; the limit is on what it was before.
#[test]
fn noise_as_long_as_the_limit_passes_compressed() {
    let mut random = crate::engine::Random(11);
    for length in [0, 1, 16, 1000, 100_000] {
        for mem_level in [1, 8] {
            let message = random.octets(length);
            let config = DeflaterConfig {
                mem_level,
                ..DeflaterConfig::default()
            };
            let compressed = deflated(&message, config);
            let engine = Engine::new()
                .deflate()
                .rules(|rules| rules.max_message = length as u64);
            let mut connection = engine.connection(Role::Client);
            connection.receive(&mut frame(0xc2, &compressed)[..].into(), Instant::now());
            assert!(
                connection.poll_event().is_some(),
                "length {length}, memory {mem_level}"
            );
            assert_eq!(
                connection.state(),
                State::Open,
                "length {length}, memory {mem_level}"
            );
        }
    }
}

#[test]
fn message_as_long_as_the_limit_passes_in_small_compressed_parts() {
    let limit = 100;
    let engine = Engine::new()
        .deflate()
        .rules(|rules| rules.max_message = limit);
    let rules = Rules::server(&ServerOptions::default());
    let deflate = settings(DeflateParameters::default());
    let mut sender = Sender::new(rules.into(), Some(&deflate), Box::new(|| [0; 4].into()));
    let mut out = Output::default();
    sender.begin(MessageKind::Binary, Compress::Auto).unwrap();
    let message = crate::engine::Random(5).octets(100);
    for (at, octet) in message.iter().enumerate() {
        let part = if at == 99 { Part::Last } else { Part::More };
        sender.part((&[*octet]).into(), part, &mut out).unwrap();
    }
    let octets = out.split();
    let sent = crate::engine::frames(&octets, false);
    let sent: Vec<_> = sent.iter().map(|frame| &frame[..]).collect();
    assert_eq!(engine.run(&sent).messages(), [Message::from(message)]);
}

#[test]
fn message_above_the_limit_is_not_sent_and_leaves_the_compressor_alone() {
    let mut rules = Rules::server(&ServerOptions::default());
    rules.max_message = 20;
    let deflate = settings(DeflateParameters::default());
    let sender = || {
        Sender::new(
            rules.clone().into(),
            Some(&deflate),
            Box::new(|| [0; 4].into()),
        )
    };
    let (mut tried, mut plain) = (sender(), sender());
    let (mut first, mut second) = (Output::default(), Output::default());
    for text in ["Hello Hello Hello", "Hello Hello Hello again"] {
        let sent = tried.send(text.into(), &mut first);
        match text.len() {
            ..=20 => plain.send(text.into(), &mut second).unwrap(),
            size => {
                let size = size as u64;
                assert_eq!(sent, Err(SendError::MessageTooLarge { size, limit: 20 }));
            }
        }
    }
    tried.send("Hello".into(), &mut first).unwrap();
    plain.send("Hello".into(), &mut second).unwrap();
    assert_eq!(first.split(), second.split());
}
