//! Messages that are compressed once, for connections that agreed on different things
//! (RFC 7692 §7.1, §7.2).

#![cfg(test)]

use crate::engine::{Random, frame, frames, settings};
use bytes::{Buf, BytesMut};
use flate2::{Decompress, FlushDecompress};
use motorway::connection::{
    Compress, Connection, DeflateSettings, Event, Happening, Output, Part, PreparedMessage, Role,
    Rules, Sender,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::{
    ClientOptions, DeflateOptions, DeflateStrategy, Message, MessageKind, SendError, ServerOptions,
};
use std::sync::{Arc, Barrier};
use std::time::Instant;

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

/// What both ends agreed on.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    role: Role,
    bits: u8,
    forgets: bool,
    /// 0 to 9, and a few that are tuned otherwise.
    level: u8,
    threshold: usize,
    fragment: u64,
}

impl Agreed {
    fn server(bits: u8, forgets: bool) -> Self {
        Self {
            role: Role::Server,
            bits,
            forgets,
            level: 6,
            threshold: 0,
            fragment: u64::MAX,
        }
    }

    fn settings(&self) -> DeflateSettings {
        // The other direction has other settings.
        let mut parameters = DeflateParameters {
            server_no_context_takeover: !self.forgets,
            client_no_context_takeover: !self.forgets,
            ..DeflateParameters::default()
        };
        match self.role {
            Role::Server => {
                parameters.server_no_context_takeover = self.forgets;
                parameters.server_max_window_bits = self.bits;
            }
            Role::Client => {
                parameters.client_no_context_takeover = self.forgets;
                parameters.client_max_window_bits = self.bits;
            }
        }
        let mut options = DeflateOptions::default().threshold(self.threshold);
        options = match self.level {
            level @ 0..=9 => options.level(level),
            10 => options.mem_level(1),
            _ => options.strategy(DeflateStrategy::HuffmanOnly),
        };
        DeflateSettings {
            parameters,
            options,
        }
    }

    fn sender(&self) -> Sender {
        let mut rules = match self.role {
            Role::Server => Rules::server(&ServerOptions::default()),
            Role::Client => Rules::client(&ClientOptions::default()),
        };
        rules.fragment_size = self.fragment;
        let keys = Box::new(|| [0x37, 0xfa, 0x21, 0x3d].into());
        Sender::new(rules.into(), Some(&self.settings()), keys)
    }
}

/// One connection, seen by its own end and by two peers: our own, and a bare inflater.
struct World {
    agreed: Agreed,
    sender: Sender,
    output: Output,
    peer: Connection,
    zlib: Decompress,
}

impl World {
    fn new(agreed: Agreed) -> Self {
        let rules = match agreed.role {
            Role::Server => Rules::client(&ClientOptions::default()),
            Role::Client => Rules::server(&ServerOptions::default()),
        };
        let (settings, keys) = (agreed.settings(), Box::new(|| [0; 4].into()));
        Self {
            sender: agreed.sender(),
            output: Output::default(),
            peer: Connection::new(rules, Some(&settings), keys, Instant::now()),
            zlib: Decompress::new_with_window_bits(false, agreed.bits),
            agreed,
        }
    }

    fn prepared(&mut self, prepared: &PreparedMessage) -> Vec<Vec<u8>> {
        let sent = self.sender.send_prepared(prepared, &mut self.output);
        sent.unwrap();
        self.arrives(prepared.message())
    }

    fn own(&mut self, message: &Message<'_>) -> Vec<Vec<u8>> {
        let sent = self.sender.send(message.borrowed(), &mut self.output);
        sent.unwrap();
        self.arrives(message)
    }

    fn parts(&mut self, message: &Message<'_>, compress: Compress) {
        let kind = match message.is_binary() {
            true => MessageKind::Binary,
            false => MessageKind::Text,
        };
        let (start, end) = message.as_bytes().split_at(message.len() / 2);
        let (sender, output) = (&mut self.sender, &mut self.output);
        sender.begin(kind, compress).unwrap();
        sender.part(start.into(), Part::More, output).unwrap();
        let busy = sender.send_prepared(&PreparedMessage::new(JSON.repeat(9)), output);
        assert_eq!(busy, Err(SendError::Busy));
        sender.part(end.into(), Part::Last, output).unwrap();
        self.arrives(message);
    }

    /// Asserts that one message went out, and that both peers see it; returns its frames.
    #[track_caller]
    fn arrives(&mut self, message: &Message<'_>) -> Vec<Vec<u8>> {
        let octets = self.output.split();
        let frames = frames(&octets, self.agreed.role == Role::Client);
        assert_eq!(
            self.inflated(&frames),
            message.as_bytes(),
            "{:?}",
            self.agreed
        );
        let mut octets = BytesMut::from(&octets[..]);
        self.peer.receive(&mut octets, Instant::now());
        match self.peer.poll_event() {
            Some(Happening::Event(Event::Message(got))) => assert_eq!(got, *message),
            other => panic!("{other:?}, {:?}", self.agreed),
        }
        assert!(self.peer.poll_event().is_none());
        frames
    }

    /// What zlib makes of the frames of a message.
    fn inflated(&mut self, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut input: Vec<u8> = frames.iter().flat_map(|it| payload(it)).copied().collect();
        if frames[0][0] & 0x40 == 0 {
            return input;
        }
        input.extend([0, 0, 0xff, 0xff]);
        if self.agreed.forgets {
            self.zlib.reset(false);
        }
        let mut out = Vec::with_capacity(1 << 18);
        let (before, length) = (self.zlib.total_in(), input.len() as u64);
        let inflated = (self.zlib).decompress_vec(&input, &mut out, FlushDecompress::Sync);
        inflated.unwrap_or_else(|error| panic!("{error}, {:?}", self.agreed));
        assert_eq!(self.zlib.total_in() - before, length);
        out
    }
}

fn payload(frame: &[u8]) -> &[u8] {
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

const JSON: &str = r#"{"symbol":"EURUSD","price":1.0873,"size":200},"#;

/// Text that repeats after so many octets, and not before.
fn repeats_after(distance: usize) -> String {
    let mut random = Random(7);
    let block: String = (0..distance)
        .map(|_| char::from(b'0' + u8::try_from(random.below(75)).unwrap()))
        .collect();
    block.repeat(2)
}

/// Messages of every kind.
fn messages() -> Vec<Message<'static>> {
    let mut all: Vec<Message<'static>> = vec!["".into(), "Hi".into(), "Hello".into()];
    all.extend([3, 20, 100].map(|times| JSON.repeat(times).into()));
    all.extend([300, 20_000, 33_000].map(|distance| repeats_after(distance).into()));
    all.extend([50, 3000].map(|length| Random(3).octets(length).into()));
    all.push(vec![7; 70_000].into());
    all
}

// B9: whatever is agreed on, and whatever goes before and after.
#[test]
fn shared_frames_and_own_messages_inflate_in_any_order() {
    let messages = messages();
    let mut prepared: Vec<_> = messages.iter().map(PreparedMessage::new).collect();
    let never: Vec<_> = (prepared.iter().cloned())
        .map(PreparedMessage::uncompressed)
        .collect();
    prepared.extend(never);
    let mut random = Random(11);
    let mut worlds = Vec::new();
    for bits in 9..=15 {
        for forgets in [false, true] {
            for role in [Role::Server, Role::Client] {
                let agreed = Agreed {
                    role,
                    level: [6, 1, 0, 9, 10, 11][random.below(6)],
                    threshold: [0, 0, 200][random.below(3)],
                    fragment: [u64::MAX, u64::MAX, 1000][random.below(3)],
                    ..Agreed::server(bits, forgets)
                };
                worlds.push(World::new(agreed));
                worlds.push(World::new(Agreed {
                    role,
                    ..Agreed::server(bits, forgets)
                }));
            }
        }
    }
    for _ in 0..10 {
        for world in &mut worlds {
            let message = &messages[random.below(messages.len())];
            match random.below(8) {
                0..4 => drop(world.prepared(&prepared[random.below(prepared.len())])),
                4 | 5 => drop(world.own(message)),
                6 => world.parts(message, Compress::Auto),
                _ => world.parts(message, Compress::Never),
            }
        }
    }
}

// RFC 7692 §7.2.3.2: the second "Hello" refers to the first, unless something else was between that
// our compressor has not seen.
#[test]
fn own_messages_refer_to_own_messages_until_a_shared_frame_comes_between() {
    let mut world = World::new(Agreed::server(15, false));
    let (hello, hello_again) = ([frame(0xc1, HELLO)], [frame(0xc1, HELLO_AGAIN)]);
    assert_eq!(world.own(&"Hello".into()), hello);
    assert_eq!(world.own(&"Hello".into()), hello_again);
    let shared = PreparedMessage::new(JSON.repeat(10));
    assert_eq!(world.prepared(&shared)[0][0], 0xc1);
    world.prepared(&shared);
    assert_eq!(world.own(&"Hello".into()), hello);
    assert_eq!(world.own(&"Hello".into()), hello_again);
    // What goes out as it is is in nobody's window.
    for plain in [
        PreparedMessage::new(Random(1).octets(500)),
        PreparedMessage::new(""),
        shared.uncompressed(),
    ] {
        assert_eq!(world.prepared(&plain)[0][0] & 0xf0, 0x80);
        let third = world.own(&"Hello".into());
        assert!(payload(&third[0]).len() < HELLO.len(), "{third:x?}");
    }
}

#[test]
fn a_subscriber_gets_the_same_octets_with_takeover_and_without() {
    let prepared = PreparedMessage::new(JSON.repeat(10));
    let mut worlds = [false, true].map(|forgets| World::new(Agreed::server(15, forgets)));
    for _ in 0..3 {
        let [takeover, without] = worlds.each_mut().map(|world| world.prepared(&prepared));
        assert_eq!(takeover, without);
        assert!(takeover[0].len() < 100);
    }
}

/// Where the octets are in which an output begins; large frames are kept by reference.
fn place(agreed: Agreed, prepared: &PreparedMessage) -> *const u8 {
    let mut output = Output::default();
    agreed
        .sender()
        .send_prepared(prepared, &mut output)
        .unwrap();
    output.chunk().as_ptr()
}

fn hexadecimal(length: usize) -> String {
    let digits = Random(5).octets(length / 2).into_iter();
    digits.map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn connections_that_compress_alike_share_one_frame() {
    let prepared = PreparedMessage::new(hexadecimal(100_000));
    let first = place(Agreed::server(15, true), &prepared);
    assert_eq!(place(Agreed::server(15, false), &prepared), first);
    assert_eq!(place(Agreed::server(15, true), &prepared.clone()), first);
    for other in [
        Agreed::server(12, true),
        Agreed {
            level: 1,
            ..Agreed::server(15, true)
        },
    ] {
        let place_of_it = place(other, &prepared);
        assert_ne!(place_of_it, first);
        assert_eq!(place(other, &prepared), place_of_it);
    }
    assert_eq!(place(Agreed::server(15, false), &prepared), first);
}

// RFC 7692 §7.1.2.1: a peer that has a small window gets what fits it, and others lose nothing by it.
#[test]
fn windows_are_no_larger_than_agreed_on_and_no_smaller_than_useful() {
    let prepared = PreparedMessage::new(repeats_after(20_000));
    let mut sizes = (9..=15).map(|bits| {
        let mut world = World::new(Agreed::server(bits, true));
        world.prepared(&prepared)[0].len()
    });
    let sizes: [usize; 7] = std::array::from_fn(|_| sizes.next().unwrap());
    assert!(sizes[6] * 3 < sizes[0] * 2, "{sizes:?}");
    // Who can hold all of a message shares it with all who can.
    let short = PreparedMessage::new(repeats_after(255));
    let mut sent = (9..=15).map(|bits| World::new(Agreed::server(bits, true)).prepared(&short));
    let first = sent.next().unwrap();
    assert!(first[0].len() < 300, "{}", first[0].len());
    assert!(sent.all(|sent| sent == first));
}

#[test]
fn more_ways_to_compress_than_are_kept_are_served_too() {
    let prepared = PreparedMessage::new(repeats_after(20_000));
    let ways = (0..5).flat_map(|level| [9, 12, 15].map(|bits| (level, bits)));
    let mut worlds: Vec<_> = ways
        .map(|(level, bits)| Agreed {
            level,
            ..Agreed::server(bits, level % 2 == 0)
        })
        .map(World::new)
        .collect();
    for _ in 0..2 {
        for world in &mut worlds {
            world.own(&"Hello".into());
            world.prepared(&prepared);
            world.own(&"Hello".into());
        }
    }
}

#[test]
fn threads_that_come_at_once_share_one_frame() {
    let (threads, rounds) = (4, 20);
    let prepared: Vec<_> = (0..rounds)
        .map(|_| PreparedMessage::new(hexadecimal(50_000)))
        .collect();
    let barrier = Barrier::new(threads);
    let places: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let run = || {
            let places = prepared.iter().map(|prepared| {
                barrier.wait();
                place(Agreed::server(15, false), prepared) as usize
            });
            places.collect()
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(places.iter().all(|seen| *seen == places[0]));
}

// The limit is one of messages, not of what compression makes of them.
#[test]
fn limits_and_states_hold_for_shared_frames() {
    let prepared = PreparedMessage::new(JSON.repeat(10));
    let size = prepared.message().len() as u64;
    let mut rules = Rules::server(&ServerOptions::default());
    rules.max_message = size - 1;
    let settings = settings(DeflateParameters::default());
    let keys = Box::new(|| [0; 4].into());
    let mut sender = Sender::new(Arc::new(rules), Some(&settings), keys);
    let mut output = Output::default();
    let limit = size - 1;
    assert_eq!(
        sender.send_prepared(&prepared, &mut output),
        Err(SendError::MessageTooLarge { size, limit })
    );
    sender.close(None, &mut output).unwrap();
    output.clear();
    assert_eq!(
        sender.send_prepared(&prepared, &mut output),
        Err(SendError::Closed)
    );
    assert!(output.is_empty());
}

#[test]
fn messages_below_the_threshold_go_out_as_they_are() {
    let agreed = Agreed {
        threshold: 100,
        ..Agreed::server(15, false)
    };
    for (length, rsv1) in [(99, 0), (100, 0x40)] {
        let mut world = World::new(agreed);
        let frames = world.prepared(&PreparedMessage::new("a".repeat(length)));
        assert_eq!(frames[0][0] & 0x40, rsv1);
    }
}

// RFC 7692 §6.1: RSV1 on the first fragment alone.
#[test]
fn shared_payloads_are_cut_and_masked_for_each() {
    let prepared = PreparedMessage::new(repeats_after(5000));
    let mut whole = World::new(Agreed::server(15, true));
    let whole = whole.prepared(&prepared);
    for role in [Role::Server, Role::Client] {
        let mut world = World::new(Agreed {
            role,
            fragment: 1000,
            ..Agreed::server(15, true)
        });
        let frames = world.prepared(&prepared);
        let first: Vec<_> = frames.iter().map(|frame| frame[0]).collect();
        assert_eq!((first[0], first[1]), (0x41, 0x00));
        assert_eq!(*first.last().unwrap(), 0x80);
        let joined: Vec<u8> = frames.iter().flat_map(|it| payload(it)).copied().collect();
        assert_eq!(joined, payload(&whole[0]));
    }
}
