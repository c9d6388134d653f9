//! Messages received in pieces: whole frames, or octets as they arrive.

#![cfg(test)]

use crate::engine::{Engine, Random, binary, frame, masked, ping, settings};
use bytes::BytesMut;
use motorway::connection::{
    Compress, DeflateSettings, Event, Output, Part, Receive, Receiver, Role, Rules, Sender, State,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::{DeflateOptions, MessageKind, Payload, ProtocolError, ServerOptions};
use std::time::Instant;

const TEXT: Event<'static> = Event::MessageBegin(MessageKind::Text);
const BINARY: Event<'static> = Event::MessageBegin(MessageKind::Binary);
const END: Event<'static> = Event::MessageEnd;
const FRAME_END: Event<'static> = Event::FrameEnd;

fn whole(payload: &'static str) -> Event<'static> {
    Event::Frame(payload.into())
}

fn data(payload: &'static str) -> Event<'static> {
    Event::FrameData(payload.into())
}

fn begin(length: u64) -> Event<'static> {
    Event::FrameBegin { length }
}

#[test]
fn frames_come_between_the_beginning_and_the_end_of_their_message() {
    let engine = Engine::new().receive(Receive::Frames);
    engine
        .run(&[b"\x81\x05Hello"])
        .sees(&[TEXT, whole("Hello"), END]);
    engine
        .run(&[
            b"\x02\x03Hel",
            b"\x89\x01p",
            b"\x00\x00",
            b"\x80\x02lo",
            b"\x81\x00",
        ])
        .sees(&[
            BINARY,
            whole("Hel"),
            ping(b"p"),
            whole(""),
            whole("lo"),
            END,
            TEXT,
            whole(""),
            END,
        ])
        .answers(&[b"\x8a\x01p"]);
}

#[test]
fn octets_come_between_the_beginning_and_the_end_of_their_frame() {
    let engine = Engine::new().receive(Receive::Stream);
    engine
        .run(&[b"\x81\x05Hello"])
        .sees(&[TEXT, begin(5), data("Hello"), FRAME_END, END]);
    engine
        .run(&[b"\x02\x03Hel", b"\x89\x01p", b"\x00\x00", b"\x80\x02lo"])
        .sees(&[
            BINARY,
            begin(3),
            data("Hel"),
            FRAME_END,
            ping(b"p"),
            begin(0),
            FRAME_END,
            begin(2),
            data("lo"),
            FRAME_END,
            END,
        ])
        .answers(&[b"\x8a\x01p"]);
    engine
        .run(&[b"\x81\x00"])
        .sees(&[TEXT, begin(0), FRAME_END, END]);
}

#[test]
fn beginnings_come_before_any_octet_of_payload() {
    let engine = Engine::new().receive(Receive::Stream);
    engine
        .run(&[b"\x82\x7e\x01\x00"])
        .sees(&[BINARY, begin(256)]);
    let engine = Engine::new().receive(Receive::Frames);
    engine.run(&[b"\x82\x7e\x01\x00"]).sees(&[BINARY]);
}

// RFC 7692: the length of a frame is the one on the wire, its octets are inflated.
#[test]
fn frame_length_is_that_of_the_wire_and_octets_are_inflated() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let sent = [
        frame(0x41, &hello[..5]),
        b"\x89\x00".to_vec(),
        frame(0x80, &hello[5..]),
    ];
    let sent: Vec<_> = sent.iter().map(|frame| &frame[..]).collect();
    let outcome = Engine::new().deflate().receive(Receive::Stream).run(&sent);
    assert_eq!(outcome.events[..2], [TEXT, begin(5)]);
    let text = |pieces: &[Event<'static>]| {
        let octets = |event: &Event<'static>| match event {
            Event::FrameData(piece) | Event::Frame(piece) => piece.to_vec(),
            _ => Vec::new(),
        };
        pieces.iter().flat_map(octets).collect::<Vec<u8>>()
    };
    assert_eq!(text(&outcome.events), b"Hello");
    assert!(outcome.events.contains(&begin(2)) && outcome.events.contains(&ping(b"")));
    assert_eq!(outcome.events.last(), Some(&END));
    let outcome = Engine::new().deflate().receive(Receive::Frames).run(&sent);
    assert_eq!(text(&outcome.events), b"Hello");
    assert_eq!(outcome.events.last(), Some(&END));
}

// 6.4.*: fail fast, whatever the pieces are.
#[test]
fn text_is_checked_in_pieces() {
    for receive in [Receive::Frames, Receive::Stream] {
        let engine = Engine::new().receive(receive);
        for sent in [
            [&b"\x01\x01\xed"[..], b"\x00\x01\xa0"],
            [b"\x01\x01\xc3", b"\x80\x00"],
            [b"\x81\x01a", b"\x81\x03\xf4\x90."],
        ] {
            let mut connection = engine.connection(Role::Client);
            connection.receive(&mut BytesMut::from(&sent.concat()[..]), Instant::now());
            while connection.poll_event().is_some() {}
            assert_eq!(connection.state(), State::Failed);
            let close = connection.poll_output().unwrap();
            assert_eq!(crate::engine::frames(&close, true)[0][2..4], [0x03, 0xef]);
        }
        let valid: [&[u8]; 2] = [b"\x01\x01\xc3", b"\x80\x01\xa9"];
        assert_eq!(engine.run(&valid).events.last(), Some(&END));
    }
}

#[test]
fn fragment_limits_hold_in_pieces() {
    for receive in [Receive::Frames, Receive::Stream] {
        let engine = Engine::new().receive(receive).rules(|rules| {
            rules.max_fragments = 2;
            rules.max_frame = 10;
        });
        let outcome = engine.run(&[b"\x02\x00", b"\x00\x00", b"\x00\x00"]);
        assert_eq!(
            outcome.error,
            Some(ProtocolError::TooManyFragments { limit: 2 })
        );
        let outcome = engine.run(&[&frame(0x82, &[0; 11])]);
        let error = ProtocolError::FrameTooLarge {
            size: 11,
            limit: 10,
        };
        assert_eq!(outcome.error, Some(error));
    }
}

// One frame can make a thousand times its length; no piece may be that long.
#[test]
fn inflated_pieces_of_a_stream_stay_small() {
    let deflate = settings(DeflateParameters::default());
    let engine = Engine::new().deflate();
    let mut server = engine.connection(Role::Server);
    server.send(&vec![0; 8 << 20][..]).unwrap();
    let mut wire = server.poll_output().unwrap();
    let rules = Rules::client(&motorway::ClientOptions::default());
    let receiver = Receiver::new(rules.into(), Some(&deflate));
    let mut receiver = receiver.in_pieces(Receive::Stream);
    let (mut rest, mut total) = (&mut wire[..], 0);
    while let (Some(event), after) = receiver.receive(rest).unwrap() {
        rest = after;
        if let Event::FrameData(piece) = event {
            assert!(piece.len() <= 2 << 20, "{} octets", piece.len());
            total += piece.len();
        }
    }
    assert_eq!(total, 8 << 20);
}

/// Gives octets to the receiver as a driver does: straight into its buffer where it has one.
fn receive_direct(
    receiver: &mut Receiver,
    octets: &[u8],
    random: &mut Random,
) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let size = (1 + random.below(3000)).min(rest.len());
        let mut chunk = Vec::new();
        if let Some((mut buffer, most)) = receiver.direct() {
            assert!(most > 0);
            let size = size.min(most);
            buffer.extend_from_slice(&rest[..size]);
            receiver.appended(buffer).unwrap();
            rest = &rest[size..];
        } else {
            chunk = rest[..size].to_vec();
            rest = &rest[size..];
        }
        let mut input = &mut chunk[..];
        while let (Some(event), after) = receiver.receive(input).unwrap() {
            events.push(event.into_owned());
            input = after;
        }
    }
    events
}

#[test]
fn a_message_that_a_first_read_cuts_gets_the_room_that_it_needs() {
    let rules = Rules::server(&ServerOptions::default());
    let mut receiver = Receiver::new(rules.into(), None);
    let frame = [&b"\x82\xfe\x40\x00\0\0\0\0"[..], &[7; 16 << 10]].concat();
    let (first, rest) = frame.split_at(4 << 10);
    assert_eq!(receiver.receive(&mut first.to_vec()).unwrap().0, None);
    let (mut buffer, most) = receiver.direct().unwrap();
    // Not a few octets less, for which all of it would grow again.
    assert_eq!(most, rest.len());
    assert!(buffer.capacity() < rest.len() + 2048);
    buffer.extend_from_slice(rest);
    receiver.appended(buffer).unwrap();
    let (event, _) = receiver.receive(&mut []).unwrap();
    assert!(matches!(event, Some(Event::Message(message)) if message.len() == 16 << 10));
}

#[test]
fn reading_straight_into_the_message_makes_no_difference() {
    let mut random = Random(17);
    for round in 0..20 {
        let rules = Rules::server(&ServerOptions::default());
        let mut receiver = Receiver::new(rules.into(), None);
        let payload = random.octets(20_000 + round * 5000);
        let (start, end) = payload.split_at(random.below(payload.len()));
        let sent = [
            masked(&frame(0x02, start), [1, 2, 3, 4]),
            masked(b"\x89\x01p", [9, 9, 9, 9]),
            masked(&frame(0x80, end), [5, 6, 7, 8]),
            masked(&frame(0x82, &payload), [3, 1, 4, 1]),
        ];
        let events = receive_direct(&mut receiver, &sent.concat(), &mut random);
        assert_eq!(events.len(), 3);
        assert!(
            events == [ping(b"p"), binary(&payload), binary(&payload)],
            "round {round}"
        );
    }
}

#[test]
fn text_read_straight_into_the_message_fails_at_once() {
    let rules = Rules::client(&motorway::ClientOptions::default());
    let mut receiver = Receiver::new(rules.into(), None);
    let mut header = *b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
    assert!(receiver.direct().is_none());
    assert!(matches!(receiver.receive(&mut header), Ok((None, _))));
    let (mut buffer, most) = receiver.direct().expect("a large payload is missing");
    assert!((1..=65536).contains(&most));
    buffer.extend_from_slice("grüezi".as_bytes());
    receiver.appended(buffer).unwrap();
    let (mut buffer, _) = receiver.direct().unwrap();
    buffer.extend_from_slice(b"\xff");
    assert_eq!(receiver.appended(buffer), Err(ProtocolError::InvalidUtf8));
    assert!(receiver.is_finished());
    assert!(receiver.direct().is_none());
}

// No memory is taken on the word of a header.
#[test]
fn buffer_of_a_large_message_grows_with_what_has_arrived() {
    let rules = Rules::client(&motorway::ClientOptions::default());
    let mut receiver = Receiver::new(rules.into(), None);
    let mut header = *b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00";
    assert!(matches!(receiver.receive(&mut header), Ok((None, _))));
    let (mut buffer, most) = receiver.direct().expect("16 MiB are missing");
    assert!(most <= 2 << 10 && buffer.capacity() <= 2 << 10);
    let payload = Payload::from(vec![1; most]);
    buffer.extend_from_slice(&payload);
    receiver.appended(buffer).unwrap();
    let (buffer, more) = receiver.direct().unwrap();
    assert!(more > 0 && buffer.capacity() <= 4 * most);
}

// What was checked is out of reach of whoever reads into the room behind it.
#[test]
fn room_of_a_large_text_shows_nothing_of_it() {
    let rules = Rules::server(&ServerOptions::default());
    let mut receiver = Receiver::new(rules.into(), None);
    let octets = masked(&frame(0x81, &[b'a'; 8000]), [1, 2, 3, 4]);
    let mut first = octets[..1000].to_vec();
    assert!(receiver.receive(&mut first).unwrap().0.is_none());
    let (buffer, _) = receiver.direct().expect("a large payload is missing");
    assert!(buffer.is_empty());
    // Given back with another buffer's octets, they are checked like any.
    let foreign = bytes::BytesMut::from(&[0xff, 0xff][..]);
    assert_eq!(receiver.appended(foreign), Err(ProtocolError::InvalidUtf8));
}

/// A server that sends in parts, and a client that receives in pieces; both with compression.
struct Line {
    sender: Sender,
    receiver: Receiver,
    output: Output,
    /// How many octets of payload came out.
    received: u64,
    /// The most octets that were in the output, and the longest piece.
    peak: (usize, usize),
}

impl Line {
    fn new(receive: Receive, change: impl Fn(&mut Rules)) -> Self {
        let settings = DeflateSettings {
            options: DeflateOptions::default().level(1),
            ..settings(DeflateParameters::default())
        };
        let mut rules = Rules::server(&ServerOptions::default());
        change(&mut rules);
        // What the sender may send is not what is tested.
        rules.max_message = u64::MAX;
        let sender = Sender::new(rules.into(), Some(&settings), Box::new(|| [0; 4].into()));
        let mut rules = Rules::client(&motorway::ClientOptions::default());
        change(&mut rules);
        let receiver = Receiver::new(rules.into(), Some(&settings)).in_pieces(receive);
        Self {
            sender,
            receiver,
            output: Output::default(),
            received: 0,
            peak: (0, 0),
        }
    }

    fn begin(&mut self, kind: MessageKind, compress: Compress) {
        self.sender.begin(kind, compress).unwrap();
    }

    /// Sends a part, and lets the other end receive it a few octets at a time.
    fn part(&mut self, payload: &[u8], part: Part) -> Result<(), ProtocolError> {
        self.sender
            .part(payload.into(), part, &mut self.output)
            .unwrap();
        self.peak.0 = self.peak.0.max(self.output.len());
        let mut wire = self.output.split();
        for chunk in wire.chunks_mut(1009) {
            let mut rest = chunk;
            while let (Some(event), after) = self.receiver.receive(rest)? {
                if let Event::FrameData(piece) | Event::Frame(piece) = event {
                    self.received += piece.len() as u64;
                    self.peak.1 = self.peak.1.max(piece.len());
                }
                rest = after;
            }
        }
        Ok(())
    }
}

#[test]
fn a_huge_message_is_compressed_and_inflated_in_little_memory() {
    const PART: usize = 64 << 10;
    for total in [0, 1, 256 << 20_u64] {
        let unlimited = |rules: &mut Rules| {
            (rules.max_message, rules.max_fragments) = (u64::MAX, u64::MAX);
        };
        let mut line = Line::new(Receive::Stream, unlimited);
        let payload = vec![7; PART];
        line.begin(MessageKind::Binary, Compress::Auto);
        let mut left = total;
        while left > 0 {
            let size = left.min(PART as u64);
            line.part(&payload[..usize::try_from(size).unwrap()], Part::More)
                .unwrap();
            left -= size;
        }
        line.part(b"", Part::Last).unwrap();
        assert_eq!(line.received, total);
        let (output, piece) = line.peak;
        assert!(output < PART && piece <= 2 * PART, "{output} {piece}");
    }
}

// What cannot be compressed, in the other direction's terms: no more than a little on top.
#[test]
fn noise_is_streamed_in_little_memory() {
    let mut random = Random(3);
    for compress in [Compress::Auto, Compress::Never] {
        let mut line = Line::new(Receive::Stream, |_| {});
        line.begin(MessageKind::Binary, compress);
        for _ in 0..50 {
            line.part(&random.octets(40_000), Part::More).unwrap();
        }
        line.part(b"", Part::Last).unwrap();
        assert_eq!(line.received, 50 * 40_000);
        let (output, piece) = line.peak;
        assert!(output < 50_000 && piece < 50_000, "{output} {piece}");
    }
}

// §8.1: at the first octet that is wrong, whatever is still to come, and whatever compresses it.
#[test]
fn compressed_text_is_checked_in_pieces() {
    for receive in [Receive::Frames, Receive::Stream] {
        let mut line = Line::new(receive, |_| {});
        line.begin(MessageKind::Text, Compress::Auto);
        line.part("grüezi €".as_bytes(), Part::More).unwrap();
        // A character may be cut anywhere.
        line.part(b"\xe2\x82", Part::More).unwrap();
        line.part(b"\xac", Part::More).unwrap();
        let error = line.part(b"\xe2\x28", Part::More).unwrap_err();
        assert_eq!(error, ProtocolError::InvalidUtf8);
        assert!(line.receiver.is_finished());
        // One that is cut at the end is no character either.
        let mut line = Line::new(receive, |_| {});
        line.begin(MessageKind::Text, Compress::Auto);
        line.part(b"a\xe2\x82", Part::More).unwrap();
        let error = line.part(b"", Part::Last).unwrap_err();
        assert_eq!(error, ProtocolError::InvalidUtf8);
    }
}

#[test]
fn the_limit_of_a_message_is_about_its_running_total() {
    let limit = ProtocolError::MessageTooLarge { limit: 100_000 };
    for (receive, compress) in [
        (Receive::Stream, Compress::Auto),
        (Receive::Stream, Compress::Never),
        (Receive::Frames, Compress::Auto),
        (Receive::Frames, Compress::Never),
    ] {
        let mut line = Line::new(receive, |rules| rules.max_message = 100_000);
        for _ in 0..2 {
            // Exactly as large as it may be, twice: the count begins anew.
            line.begin(MessageKind::Binary, compress);
            line.part(&[7; 60_000], Part::More).unwrap();
            line.part(&[7; 40_000], Part::More).unwrap();
            line.part(b"", Part::Last).unwrap();
        }
        line.received = 0;
        line.begin(MessageKind::Binary, compress);
        line.part(&[7; 60_000], Part::More).unwrap();
        let error = line.part(&[7; 40_001], Part::More).unwrap_err();
        assert_eq!(error, limit, "{receive:?} {compress:?}");
        assert!(line.received <= 100_000);
    }
}
