//! The short way and the long way of receiving: whatever comes, in whatever pieces, both tell the same.

#![cfg(test)]

use motorway::connection::{Event, Receiver, Rules};
use motorway::frame::mask::{self, MaskingKey};
use motorway::{ClientOptions, Message, ProtocolError, ServerOptions};

/// A small generator of numbers, the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn key(&mut self) -> [u8; 4] {
        std::array::from_fn(|_| self.below(256).to_le_bytes()[0])
    }
}

fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut wire = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..=125) => wire.push(mask | short.to_le_bytes()[0]),
        Ok(length) => {
            wire.push(mask | 126);
            wire.extend(length.to_be_bytes());
        }
        Err(_) => {
            wire.push(mask | 127);
            wire.extend((payload.len() as u64).to_be_bytes());
        }
    }
    wire.extend(key.iter().flatten());
    let start = wire.len();
    wire.extend(payload);
    let key = MaskingKey::new(key.unwrap_or_default());
    mask::apply(key, 0, &mut wire[start..]);
    wire
}

type Outcome = (Vec<Event<'static>>, Result<(), ProtocolError>);

fn receive_all(receiver: &mut Receiver, mut input: &mut [u8], try_short: bool) -> Outcome {
    let mut events = Vec::new();
    loop {
        if try_short {
            match receiver.receive_short(input) {
                Ok((message, after)) => {
                    events.push(Event::Message(message.into_owned()));
                    input = after;
                    continue;
                }
                Err(unchanged) => input = unchanged,
            }
        }
        match receiver.receive(input) {
            Ok((Some(event), after)) => {
                events.push(event.into_owned());
                input = after;
            }
            Ok((None, _)) => return (events, Ok(())),
            Err(error) => return (events, Err(error)),
        }
    }
}

/// The largest message, just above what opens the short way.
const MOST: u64 = 65_600;
const FRAGMENTS: u64 = 12;
/// The largest frame that opens the short way; one less closes it.
const SHORT: u64 = 65_535;

/// The rules of an endpoint with the short way open, or closed by a limit that no frame here meets.
fn receiver(is_server: bool, max_frame: u64) -> Receiver {
    let rules = match is_server {
        true => Rules::server(
            &ServerOptions::default()
                .max_message_payload_size(MOST)
                .max_fragments(FRAGMENTS)
                .max_frame_payload_size(max_frame),
        ),
        false => Rules::client(
            &ClientOptions::default()
                .max_message_payload_size(MOST)
                .max_fragments(FRAGMENTS)
                .max_frame_payload_size(max_frame),
        ),
    };
    Receiver::new(rules.into(), None)
}

/// Octets of which most are text, cut anywhere; now and then they are not.
fn payload(numbers: &mut Numbers, length: usize) -> Vec<u8> {
    let letter = numbers.one_of(&["x", "x", "é", "€", "🦀", "aé€🦀"]);
    let mut octets: Vec<u8> = letter.bytes().cycle().take(length).collect();
    if length > 0 && numbers.below(12) == 0 {
        octets[numbers.below(length)] = numbers.one_of(&[0x80, 0xc0, 0xed, 0xf5, 0xff]);
    }
    octets
}

/// A message in fragments, with what may come between them and what may not.
fn message(numbers: &mut Numbers, is_server: bool) -> Vec<u8> {
    let most = usize::try_from(MOST).unwrap();
    let count = numbers.one_of(&[1, 2, 3, 5, 11, 12, 13]);
    let length = numbers.one_of(&[
        0,
        1,
        3,
        7,
        8,
        9,
        31,
        33,
        125,
        126,
        700,
        9000,
        most,
        most,
        most + 1,
    ]);
    let whole = payload(numbers, length);
    let mut wire = Vec::new();
    let mut left = &whole[..];
    for place in 0..count {
        let is_last = place + 1 == count;
        let most_here = left.len().min(60_000);
        let size = match is_last {
            true => left.len(),
            false => numbers.one_of(&[most_here, most_here / 2, most_here.min(1), 0]),
        };
        let (piece, after) = left.split_at(size.min(65_534));
        left = after;
        let fin = if is_last { 0x80 } else { 0 };
        let opcode = match place {
            0 => numbers.one_of(&[1, 1, 1, 2]),
            _ => 0,
        };
        // One frame in a hundred is masked as it must not be.
        let is_masked = is_server != (numbers.below(100) == 0);
        let key = is_masked.then(|| numbers.key());
        wire.extend(frame(fin | opcode, key, piece));
        if numbers.below(9) == 0 {
            let key = is_server.then(|| numbers.key());
            wire.extend(frame(
                numbers.one_of(&[0x89, 0x8a, 0x89, 0x89, 0x81, 0x40]),
                key,
                b"hi",
            ));
        }
    }
    wire
}

#[test]
fn both_ways_tell_the_same_of_fragments_and_limits() {
    let (mut whole, mut failed) = (0, Vec::new());
    for seed in 0..500 {
        let mut numbers = Numbers(seed);
        let is_server = numbers.below(2) == 0;
        let mut short = receiver(is_server, SHORT);
        let mut long = receiver(is_server, SHORT - 1);
        let wire: Vec<u8> = (0..3)
            .flat_map(|_| message(&mut numbers, is_server))
            .collect();
        // All at once, in a few pieces, or in many.
        let most = numbers.one_of(&[usize::MAX, 40_000, 4_000, 300]);
        let (mut rest, mut seen) = (&wire[..], [Vec::new(), Vec::new()]);
        let mut error = [None, None];
        while !rest.is_empty() {
            let cut = 1 + numbers.below(rest.len().min(most));
            let (piece, after) = rest.split_at(if most == usize::MAX { rest.len() } else { cut });
            rest = after;
            for (way, receiver) in [&mut short, &mut long].into_iter().enumerate() {
                let (events, result) = receive_all(receiver, &mut piece.to_vec(), way == 0);
                seen[way].extend(events);
                error[way] = error[way].or(result.err());
            }
            assert_eq!(seen[0], seen[1], "seed {seed}");
            assert_eq!(error[0], error[1], "seed {seed}");
        }
        for event in &seen[0] {
            if let Event::Message(message) = event {
                whole += 1;
                if let Message::Text(text) = message {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok(), "seed {seed}");
                }
            }
        }
        failed.extend(error[0].map(|error| std::mem::discriminant(&error)));
    }
    // What it is about does occur: messages, and errors of several kinds.
    failed.sort_by_key(|kind| format!("{kind:?}"));
    failed.dedup();
    assert!(whole > 200 && failed.len() >= 6, "{whole} {failed:?}");
}

#[test]
fn an_octet_that_is_not_ascii_is_seen_wherever_it_stands() {
    let mut numbers = Numbers(1);
    let receiver = receiver(true, SHORT);
    for length in 0..140 {
        let text = vec![b'a'; length];
        let mut wire = frame(0x81, Some(numbers.key()), &text);
        let (message, rest) = receiver.receive_short(&mut wire).unwrap();
        assert_eq!((message.as_bytes(), rest.len()), (&text[..], 0));
        for place in 0..length {
            let mut wrong = text.clone();
            wrong[place] = 0x80;
            let before = frame(0x81, Some(numbers.key()), &wrong);
            let mut wire = before.clone();
            let back = receiver.receive_short(&mut wire).unwrap_err();
            assert_eq!(back, before, "length {length} place {place}");
        }
    }
}
