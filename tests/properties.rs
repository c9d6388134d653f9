//! What holds for every message and every cut of the octets: proptest looks for one for which it does not,
//! and makes it small.
//!
//! What it has found is kept in `tests/properties.regressions` and tried first. `PROPTEST_CASES=10000`
//! looks longer.

#![cfg(test)]

use bytes::BytesMut;
use motorway::connection::{
    Connection, DeflateSettings, Event, Happening, MessageKind, Receive, Role, Rules,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::extension::deflate::codec::{Deflater, DeflaterConfig, Inflater, InflaterConfig};
use motorway::frame::{Header, MaskingKey, Opcode, Rsv, mask};
use motorway::handshake::{HeadLimits, HeadReader};
use motorway::utf8::Utf8Validator;
use motorway::{
    ClientOptions, CloseCause, CloseFrame, DeflateOptions, Message, ProtocolError, ServerOptions,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence::Direct;
use std::time::Instant;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(Direct("tests/properties.regressions"))),
        ..ProptestConfig::default()
    }
}

/// What one end may do, and see the other end do.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// Around the lengths at which a frame is written differently, and some in between.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..40_usize,
        4 => 120..132_usize,
        1 => 65_530..65_540_usize,
        1 => 0..20_000_usize,
    ]
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    // What repeats is compressed; what does not grows.
    prop_oneof![
        vec(any::<u8>(), 0..200),
        (vec(any::<u8>(), 1..9), length()).prop_map(|(piece, length)| piece
            .into_iter()
            .cycle()
            .take(length)
            .collect()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let cycle = |(text, length): (String, usize)| text.chars().cycle().take(length).collect();
    prop_oneof![
        any::<String>(),
        (
            vec(any::<char>(), 1..5).prop_map(String::from_iter),
            length()
        )
            .prop_map(cycle),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        3 => text().prop_map(Told::Text),
        3 => octets().prop_map(Told::Binary),
        1 => vec(any::<u8>(), 0..=125).prop_map(Told::Ping),
        1 => vec(any::<u8>(), 0..=125).prop_map(Told::Pong),
    ]
}

fn close() -> impl Strategy<Value = Told> {
    let code = prop_oneof![1000..=1003_u16, 1007..=1014_u16, 3000..=4999_u16];
    let reason =
        any::<String>().prop_map(|text| CloseFrame::new(1000, text).fitting_reason().to_owned());
    (code, reason).prop_map(|(code, reason)| Told::Close(code, reason))
}

fn parameters() -> impl Strategy<Value = DeflateSettings> {
    let flags = (any::<bool>(), any::<bool>());
    let options = (0..=9_u8, 1..=9_u8, prop_oneof![Just(0_usize), 1..300_usize]);
    let bits = (9..=15_u8, 8..=15_u8);
    (flags, bits, options).prop_map(
        |(flags, bits, (level, memory, threshold))| DeflateSettings {
            parameters: DeflateParameters {
                server_no_context_takeover: flags.0,
                client_no_context_takeover: flags.1,
                server_max_window_bits: bits.0,
                client_max_window_bits: bits.1,
            },
            options: DeflateOptions::default()
                .level(level)
                .mem_level(memory)
                .threshold(threshold),
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn pieces() -> impl Strategy<Value = Receive> {
    prop_oneof![
        Just(Receive::Messages),
        Just(Receive::Frames),
        Just(Receive::Stream)
    ]
}

/// How a stream of octets is cut: these lengths, again and again.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(
        prop_oneof![1..20_usize, 1..5_000_usize, Just(1 << 20)],
        1..6,
    )
}

fn cut<'a>(octets: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let (mut rest, mut cuts) = (octets, cuts.iter().cycle());
    std::iter::from_fn(move || {
        let at = (*cuts.next()?).min(rest.len());
        let (piece, after) = rest.split_at(at);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// One end, with fragments of at most this size.
fn end(role: Role, deflate: Option<&DeflateSettings>, fragment: Option<u64>) -> Connection {
    let rules = match role {
        Role::Server => Rules::server(&ServerOptions::default().auto_fragment_size(fragment)),
        Role::Client => Rules::client(&ClientOptions::default().auto_fragment_size(fragment)),
    };
    let mut key = 0_u32;
    let keys = move || {
        key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        MaskingKey::new(key.to_be_bytes())
    };
    Connection::new(rules, deflate, Box::new(keys), Instant::now())
}

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// What an end is told in the pieces that it asked for, put together to messages; and what was wrong.
fn receive(
    connection: Connection,
    pieces: Receive,
    chunks: impl Iterator<Item = impl AsRef<[u8]>>,
) -> (Vec<Told>, Option<ProtocolError>) {
    let now = Instant::now();
    let mut connection = connection.in_pieces(pieces);
    let (mut told, mut begun) = (Vec::new(), None);
    let mut fault = None;
    let mut drain = |connection: &mut Connection| {
        while let Some(happening) = connection.poll_event() {
            match happening {
                Happening::Event(event) => told.extend(note(event, &mut begun)),
                Happening::Closed(info) => {
                    fault = match info.cause {
                        CloseCause::Protocol(error) => Some(error),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
    };
    for chunk in chunks {
        connection.receive(&mut BytesMut::from(chunk.as_ref()), now);
        drain(&mut connection);
    }
    connection.receive_eof(now);
    drain(&mut connection);
    (told, fault)
}

type Begun = Option<(MessageKind, Vec<u8>)>;

fn note(event: Event<'static>, begun: &mut Begun) -> Option<Told> {
    match event {
        Event::Message(Message::Text(text)) => Some(Told::Text(text.as_str().to_owned())),
        Event::Message(Message::Binary(data)) => Some(Told::Binary(data.to_vec())),
        Event::MessageBegin(kind) => {
            *begun = Some((kind, Vec::new()));
            None
        }
        Event::Frame(payload) | Event::FrameData(payload) => {
            begun.as_mut().unwrap().1.extend_from_slice(&payload);
            None
        }
        Event::MessageEnd => Some(match begun.take().unwrap() {
            (MessageKind::Text, text) => Told::Text(String::from_utf8(text).unwrap()),
            (MessageKind::Binary, data) => Told::Binary(data),
        }),
        Event::Ping(payload) => Some(Told::Ping(payload.to_vec())),
        Event::Pong(payload) => Some(Told::Pong(payload.to_vec())),
        Event::Close(Some(frame)) => {
            Some(Told::Close(frame.code.as_u16(), frame.reason.into_owned()))
        }
        _ => None,
    }
}

/// Does all of it, and returns what goes over the wire.
fn sent(connection: &mut Connection, doings: &[Told]) -> Vec<u8> {
    let mut wire = Vec::new();
    for doing in doings {
        let done = match doing {
            Told::Text(text) => connection.send(text),
            Told::Binary(data) => connection.send(&data[..]),
            Told::Ping(payload) => connection.ping(payload),
            Told::Pong(payload) => connection.pong(payload),
            Told::Close(code, reason) => {
                connection.close(CloseFrame::new(*code, reason.clone()), Instant::now())
            }
        };
        done.unwrap();
        wire.extend(connection.poll_output().into_iter().flatten());
    }
    wire
}

/// A frame, valid or not, on which both ends of the segmentation test agree.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0xc1]),
        1 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => any::<String>().prop_map(String::into_bytes),
        1 => Just(vec![0x03, 0xe8]),
        1 => vec(any::<u8>(), 0..140),
    ];
    (first, payload, any::<Option<[u8; 4]>>()).prop_map(|(first, mut payload, key)| {
        let masked = if key.is_some() { 0x80 } else { 0 };
        let mut octets = vec![first];
        match u8::try_from(payload.len()) {
            Ok(length @ ..=125) => octets.push(masked | length),
            _ => {
                octets.push(masked | 126);
                octets.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        octets.extend(key.iter().flatten());
        mask::apply(MaskingKey::new(key.unwrap_or_default()), 0, &mut payload);
        octets.extend(payload);
        octets
    })
}

proptest! {
    #![proptest_config(config())]

    /// §5: what one end sends is what the other is told, in whatever frames and pieces it comes.
    #[test]
    fn messages_round_trip(
        role in role(),
        deflate in prop::option::of(parameters()),
        fragment in prop::option::of(1..3_000_u64),
        mut doings in vec(told(), 0..8),
        close in prop::option::of(close()),
        pieces in pieces(),
        cuts in cuts(),
    ) {
        doings.extend(close);
        let wire = sent(&mut end(role, deflate.as_ref(), fragment), &doings);
        let peer = end(other(role), deflate.as_ref(), None);
        let (told, fault) = receive(peer, pieces, cut(&wire, &cuts));
        prop_assert_eq!(fault, None);
        prop_assert!(told == doings, "{told:?} are not {doings:?}");
    }

    /// Where the octets are cut changes nothing, be they valid or not.
    #[test]
    fn cuts_change_nothing(
        role in role(),
        frames in vec(frame(), 0..8),
        pieces in pieces(),
        cuts in cuts(),
    ) {
        let wire = frames.concat();
        let whole = receive(end(role, None, None), Receive::Messages, [&wire].into_iter());
        let same = receive(end(role, None, None), pieces, cut(&wire, &cuts));
        prop_assert_eq!(&same, &whole);
        let same = receive(end(role, None, None), pieces, wire.chunks(1));
        prop_assert_eq!(&same, &whole);
    }

    /// §5.2: a header is decoded to what was encoded, in 2 to 14 octets, of which none is too many.
    #[test]
    fn headers_round_trip(
        fin in any::<bool>(),
        is_compressed in any::<bool>(),
        opcode in prop::sample::select(vec![
            Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong,
        ]),
        key in any::<Option<[u8; 4]>>(),
        length in prop_oneof![0..300_u64, 65_000..66_000_u64, 0..1_u64 << 63],
    ) {
        let is_control = opcode.is_control();
        let header = Header {
            fin: fin || is_control,
            rsv: if is_compressed { Rsv::RSV1 } else { Rsv::NONE },
            opcode,
            mask: key.map(MaskingKey::new),
            length: if is_control { length % 126 } else { length },
        };
        let octets = header.encode();
        let extended = match header.length {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        prop_assert_eq!(octets.len(), 2 + extended + if key.is_some() { 4 } else { 0 });
        prop_assert_eq!(Header::decode(&octets), Ok(Some((header, octets.len()))));
        prop_assert_eq!(Header::decode(&octets[..octets.len() - 1]), Ok(None));
    }

    /// §5.3: octet i is combined with octet i modulo 4 of the key, in whatever pieces, and back again.
    #[test]
    fn masks_round_trip(key in any::<[u8; 4]>(), data in vec(any::<u8>(), 0..400), cuts in cuts()) {
        let plain = data.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key);
        let plain: Vec<_> = plain.collect();
        let (mut masked, mut offset) = (Vec::new(), 0);
        for piece in cut(&data, &cuts) {
            let mut piece = piece.to_vec();
            mask::apply(MaskingKey::new(key), offset, &mut piece);
            offset += piece.len() as u64;
            masked.extend(piece);
        }
        prop_assert_eq!(&masked, &plain);
        mask::apply(MaskingKey::new(key), 0, &mut masked);
        prop_assert_eq!(masked, data);
    }

    /// RFC 7692 §7.2: what is compressed comes out again, one message after the other.
    #[test]
    fn compression_round_trips(
        messages in vec(octets(), 1..5),
        bits in 9..=15_u8,
        level in 0..=9_u8,
        context_takeover in any::<bool>(),
        cuts in cuts(),
    ) {
        let mut deflater = Deflater::new(DeflaterConfig {
            context_takeover,
            window_bits: bits,
            level,
            ..DeflaterConfig::default()
        }).unwrap();
        let mut inflater = Inflater::new(InflaterConfig { context_takeover });
        for message in messages {
            let (mut compressed, mut out) = (BytesMut::new(), BytesMut::new());
            for part in cut(&message, &cuts) {
                deflater.compress(part, &mut compressed).unwrap();
            }
            deflater.finish(&mut compressed);
            let limit = Some(message.len() as u64);
            for piece in cut(&compressed, &cuts) {
                inflater.inflate(piece, &mut out, limit).unwrap();
            }
            inflater.finish().unwrap();
            prop_assert!(out == message);
        }
    }

    /// §8.1: the verdict on text is that of the standard library, wherever it is cut.
    #[test]
    fn text_is_judged_alike(
        mut data in any::<String>().prop_map(String::into_bytes),
        faults in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in cuts(),
    ) {
        for (at, octet) in faults {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = octet;
            }
        }
        let mut validator = Utf8Validator::new();
        let is_valid = cut(&data, &cuts).all(|piece| validator.validate(piece).is_ok());
        let is_valid = is_valid && validator.finish().is_ok();
        prop_assert_eq!(is_valid, std::str::from_utf8(&data).is_ok());
    }

    /// RFC 9112 §2: a head is found where it ends, wherever it is cut.
    #[test]
    fn heads_round_trip(
        target in "/[a-z0-9/?=&%.-]{0,40}",
        fields in vec(("[A-Za-z][A-Za-z0-9-]{0,20}", "([!-~]([ !-~]{0,30}[!-~])?)?"), 0..10),
        behind in vec(any::<u8>(), 0..20),
        cuts in cuts(),
    ) {
        let lines = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!("GET {target} HTTP/1.1\r\n{}\r\n", lines.collect::<String>());
        let octets = [head.as_bytes(), &behind].concat();
        let mut reader = HeadReader::new(HeadLimits::default());
        let (mut end, mut found) = (0, None);
        for piece in cut(&octets, &cuts) {
            end += piece.len();
            found = reader.request(&octets[..end]).unwrap();
            prop_assert_eq!(found.is_some(), end >= head.len());
            if found.is_some() {
                break;
            }
        }
        let (read, length) = found.unwrap();
        prop_assert_eq!((read.target(), length), (target.as_str(), head.len()));
        prop_assert_eq!(read.headers().len(), fields.len());
        for (name, value) in &fields {
            let mut values = read.headers().get_all(name).iter();
            prop_assert!(values.any(|it| it.as_bytes() == value.as_bytes()));
        }
    }
}
