//! The sending half: fragments, parts, prepared messages, payloads kept by reference.

#![cfg(test)]

use crate::engine::{Engine, Random, binary, frame, frames, text};
use bytes::{Buf, Bytes};
use motorway::connection::{Compress, Output, Part, PreparedMessage, Rules, Sender, write_message};
use motorway::frame::MaskingKey;
use motorway::{
    ClientOptions, CloseCode, CloseFrame, Message, MessageKind, SendError, ServerOptions,
};
use std::io::IoSlice;

fn server(change: impl FnOnce(&mut Rules)) -> Sender {
    let mut rules = Rules::server(&ServerOptions::default());
    change(&mut rules);
    Sender::new(rules.into(), None, Box::new(|| [0; 4].into()))
}

fn client() -> Sender {
    let rules = Rules::client(&ClientOptions::default());
    Sender::new(
        rules.into(),
        None,
        Box::new(|| [0x37, 0xfa, 0x21, 0x3d].into()),
    )
}

fn sent<'a>(sender: &mut Sender, message: impl Into<Message<'a>>) -> Vec<Vec<u8>> {
    let mut out = Output::default();
    sender.send(message.into(), &mut out).unwrap();
    frames(&out.split(), false)
}

// Autobahn's `autoFragmentSize`; §5.4.
#[test]
fn fragments_are_as_large_as_allowed_and_the_last_one_is_never_empty() {
    for size in [1, 2, 3, 4, 5, 100] {
        for length in 0..=12 {
            let message: Vec<u8> = (0..length).collect();
            let mut sender = server(|rules| rules.fragment_size = size as u64);
            let sent = sent(&mut sender, &message[..]);
            let pieces: Vec<_> = message.chunks(size).collect();
            assert_eq!(sent.len(), pieces.len().max(1), "{length} octets in {size}");
            for (at, (sent, piece)) in sent.iter().zip(&pieces).enumerate() {
                let opcode = if at == 0 { 0x02 } else { 0x00 };
                let fin = if at + 1 == pieces.len() { 0x80 } else { 0x00 };
                assert_eq!(*sent, frame(fin | opcode, piece));
            }
            let sent: Vec<_> = sent.iter().map(|frame| &frame[..]).collect();
            Engine::new().run(&sent).sees(&[binary(&message)]);
        }
    }
}

#[test]
fn parts_become_frames_and_control_frames_go_between() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    sender.begin(MessageKind::Text, Compress::Auto).unwrap();
    sender.part("Hel".into(), Part::More, &mut out).unwrap();
    sender.ping(b"p", &mut out).unwrap();
    sender.part("".into(), Part::More, &mut out).unwrap();
    assert_eq!(sender.send("other".into(), &mut out), Err(SendError::Busy));
    assert_eq!(
        sender.begin(MessageKind::Text, Compress::Auto),
        Err(SendError::Busy)
    );
    sender.part("lo".into(), Part::Last, &mut out).unwrap();
    sender.send("next".into(), &mut out).unwrap();
    let expected = b"\x01\x03Hel\x89\x01p\x00\x00\x80\x02lo\x81\x04next";
    assert_eq!(out.split(), expected[..]);
}

#[test]
fn message_of_one_part_is_one_frame() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    sender.begin(MessageKind::Binary, Compress::Auto).unwrap();
    sender.part("".into(), Part::Last, &mut out).unwrap();
    assert_eq!(out.split(), b"\x82\x00"[..]);
}

#[test]
fn part_needs_a_message_that_was_begun() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    assert!(sender.part("a".into(), Part::Last, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn part_above_the_limit_is_not_sent_and_the_message_goes_on() {
    let mut sender = server(|rules| rules.max_message = 5);
    let mut out = Output::default();
    sender.begin(MessageKind::Binary, Compress::Auto).unwrap();
    sender.part("abc".into(), Part::More, &mut out).unwrap();
    let error = SendError::MessageTooLarge { size: 6, limit: 5 };
    assert_eq!(sender.part("def".into(), Part::More, &mut out), Err(error));
    sender.part("de".into(), Part::Last, &mut out).unwrap();
    assert_eq!(out.split(), b"\x02\x03abc\x80\x02de"[..]);
}

// §5.5.1: no data frames after the close frame, not even the rest of a message.
#[test]
fn parts_end_with_the_close_frame() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    sender.begin(MessageKind::Binary, Compress::Auto).unwrap();
    sender.part("a".into(), Part::More, &mut out).unwrap();
    sender
        .close(Some(CloseFrame::new(CloseCode::NORMAL, "")), &mut out)
        .unwrap();
    assert_eq!(
        sender.part("b".into(), Part::Last, &mut out),
        Err(SendError::Closed)
    );
    assert_eq!(out.split(), b"\x02\x01a\x88\x02\x03\xe8"[..]);
}

// §5.5: at most 125 octets.
#[test]
fn control_payload_above_125_octets_is_not_sent() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    let error = Err(SendError::ControlPayloadTooLong { size: 126 });
    assert_eq!(sender.ping(&[0; 126], &mut out), error);
    assert_eq!(sender.pong(&[0; 126], &mut out), error);
    assert!(out.is_empty());
    sender.ping(&[0; 125], &mut out).unwrap();
    assert_eq!(out.len(), 127);
}

#[test]
fn close_without_a_code_has_an_empty_body() {
    let mut sender = server(|_| {});
    let mut out = Output::default();
    sender.close(None, &mut out).unwrap();
    assert_eq!(out.split(), b"\x88\x00"[..]);
}

#[test]
fn prepared_message_is_what_would_have_been_sent() {
    let messages = [
        Message::from("Hello"),
        Message::from(""),
        Message::from(vec![3; 70_000]),
        Message::UncheckedText(b"\xff".into()),
    ];
    let makers: [&dyn Fn() -> Sender; 3] = [
        &|| server(|_| {}),
        &|| server(|rules| rules.fragment_size = 2),
        &client,
    ];
    for message in &messages {
        let prepared = PreparedMessage::new(message);
        assert_eq!(prepared.message(), message);
        for make in makers {
            let (mut first, mut second) = (Output::default(), Output::default());
            make().send_prepared(&prepared, &mut first).unwrap();
            make().send(message.borrowed(), &mut second).unwrap();
            assert!(first.split() == second.split());
        }
    }
}

#[test]
fn prepared_message_obeys_limits_and_state() {
    let prepared = PreparedMessage::new("Hello");
    let mut out = Output::default();
    let mut small = server(|rules| rules.max_message = 4);
    let error = Err(SendError::MessageTooLarge { size: 5, limit: 4 });
    assert_eq!(small.send_prepared(&prepared, &mut out), error);
    let mut closing = server(|_| {});
    closing.close(None, &mut out).unwrap();
    out.clear();
    assert_eq!(
        closing.send_prepared(&prepared, &mut out),
        Err(SendError::Closed)
    );
    let mut busy = server(|_| {});
    busy.begin(MessageKind::Text, Compress::Auto).unwrap();
    assert_eq!(
        busy.send_prepared(&prepared, &mut out),
        Err(SendError::Busy)
    );
    assert!(out.is_empty());
}

// Large owned payloads are kept by reference; on the wire nobody can tell.
#[test]
fn owned_and_borrowed_payloads_make_the_same_octets() {
    let payload = Random(1).octets(100_000);
    for mut sender in [
        server(|_| {}),
        client(),
        server(|rules| rules.fragment_size = 40_000),
    ] {
        let mut octets = Vec::new();
        let shared = Bytes::from(payload.clone());
        for message in [
            Message::from(&payload[..]),
            Message::from(payload.clone()),
            Message::from(shared.clone()),
        ] {
            let mut out = Output::default();
            sender.send(message, &mut out).unwrap();
            sender.ping(b"between", &mut out).unwrap();
            octets.push(out.split());
        }
        assert!(octets[0] == octets[1] && octets[1] == octets[2]);
        assert!(shared == payload, "a shared payload is not masked in place");
    }
}

#[test]
fn large_owned_payload_leaves_by_reference() {
    let payload = Bytes::from(vec![1; 1 << 20]);
    let mut out = Output::default();
    server(|_| {})
        .send(Message::from(payload.clone()), &mut out)
        .unwrap();
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(out.chunks_vectored(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());
}

#[test]
fn plain_message_is_written_as_the_sender_writes_it() {
    let rules = Rules::client(&ClientOptions::default());
    let mut out = Output::default();
    let mut key = || MaskingKey::from([0x37, 0xfa, 0x21, 0x3d]);
    assert!(client().is_plain());
    write_message(&rules, &mut key, "Hello".into(), &mut out);
    assert_eq!(
        out.split(),
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]
    );
    let mut closing = client();
    closing.close(None, &mut out).unwrap();
    assert!(!closing.is_plain());
}

#[test]
fn unchecked_text_is_sent_as_text() {
    let mut sender = server(|_| {});
    let sent = sent(&mut sender, Message::UncheckedText(b"abc".into()));
    assert_eq!(sent, [b"\x81\x03abc"]);
    Engine::new().run(&[&sent[0]]).sees(&[text("abc")]);
}
