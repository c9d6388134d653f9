//! Runs one end of a connection on what a peer sends: at once, octet by octet, in random chunks, as
//! a server and as a client. All of them have to come to the same.

#![cfg(test)]

use motorway::connection::{
    CloseCause, CloseInfo, Connection, DeflateSettings, Event, Happening, Receive, Role, Rules,
    State,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::{ClientOptions, CloseFrame, DeflateOptions, Message, ProtocolError, ServerOptions};
use std::time::Instant;

/// A seeded source of chance (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// Draws a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    pub(crate) fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A frame without a mask, with its length in the fewest octets (§5.2).
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![first];
    match payload.len() {
        length @ 0..=125 => octets.push(u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            octets.push(126);
            octets.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            octets.push(127);
            octets.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    octets.extend_from_slice(payload);
    octets
}

/// The body of a close frame (§5.5.1).
pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// How many octets come before the payload of a frame without a mask.
fn header_length(frame: &[u8]) -> usize {
    match frame.get(1).map(|second| second & 0x7f) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

/// Puts a mask on a frame that has none, whether it is whole and valid or not (§5.3).
pub(crate) fn masked(frame: &[u8], key: [u8; 4]) -> Vec<u8> {
    let (header, payload) = frame.split_at(header_length(frame).min(frame.len()));
    let mut octets = header.to_vec();
    if let Some(second) = octets.get_mut(1) {
        *second |= 0x80;
        octets.extend_from_slice(&key);
    }
    octets.extend(payload.iter().zip(key.iter().cycle()).map(|(o, k)| o ^ k));
    octets
}

/// Cuts valid octets into frames without masks; `is_masked` says whether all of them have one.
pub(crate) fn frames(octets: &[u8], is_masked: bool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        assert_eq!(rest[1] & 0x80 != 0, is_masked, "mask of {rest:x?}");
        let start = header_length(rest);
        let length = match start {
            2 => usize::from(rest[1] & 0x7f),
            4 => usize::from(u16::from_be_bytes([rest[2], rest[3]])),
            _ => usize::try_from(u64::from_be_bytes(rest[2..10].try_into().unwrap())).unwrap(),
        };
        let (header, mut after) = rest.split_at(start);
        let mut key = [0; 4];
        if is_masked {
            key.copy_from_slice(&after[..4]);
            after = &after[4..];
        }
        let mut frame = header.to_vec();
        frame[1] &= 0x7f;
        let payload = after[..length].iter().zip(key.iter().cycle());
        frame.extend(payload.map(|(octet, key)| octet ^ key));
        frames.push(frame);
        rest = &after[length..];
    }
    frames
}

/// One end of a connection that echoes every message, and what its rules are.
#[derive(Clone)]
pub(crate) struct Engine {
    server: Rules,
    client: Rules,
    deflate: Option<DeflateSettings>,
    receive: Receive,
}

/// What a run came to. Octets are without masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) output: Vec<Vec<u8>>,
    pub(crate) state: State,
    /// The rule that the peer broke.
    pub(crate) error: Option<ProtocolError>,
    /// What `CloseInfo` says after the peer has dropped TCP.
    info: String,
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Engine {
    pub(crate) fn new() -> Self {
        Self {
            server: Rules::server(&ServerOptions::default()),
            client: Rules::client(&ClientOptions::default()),
            deflate: None,
            receive: Receive::Messages,
        }
    }

    pub(crate) fn rules(mut self, change: impl Fn(&mut Rules)) -> Self {
        change(&mut self.server);
        change(&mut self.client);
        self
    }

    pub(crate) fn receive(mut self, receive: Receive) -> Self {
        self.receive = receive;
        self
    }

    pub(crate) fn deflate(mut self) -> Self {
        self.deflate = Some(settings(DeflateParameters::default()));
        self
    }

    pub(crate) fn deflate_with(mut self, settings: DeflateSettings) -> Self {
        self.deflate = Some(settings);
        self
    }

    pub(crate) fn connection(&self, role: Role) -> Connection {
        let rules = match role {
            Role::Server => self.server.clone(),
            Role::Client => self.client.clone(),
        };
        let keys = Box::new(|| KEY.into());
        Connection::new(rules, self.deflate.as_ref(), keys, Instant::now()).in_pieces(self.receive)
    }

    /// Feeds the frames in every way; all have to come to the same.
    #[track_caller]
    pub(crate) fn run(&self, frames: &[&[u8]]) -> Outcome {
        let mut whole = Chunks {
            size: usize::MAX,
            random: None,
        };
        let first = self.run_as(Role::Client, frames, &mut whole);
        for role in [Role::Client, Role::Server] {
            for (seed, size) in (1..).zip([usize::MAX, 1, 2, 7, 40, 2000]) {
                let mut random = Random(seed);
                let mut chunks = Chunks {
                    size,
                    random: (2..=2000).contains(&size).then_some(&mut random),
                };
                let outcome = self.run_as(role, frames, &mut chunks);
                assert_eq!(outcome, first, "as {role:?}, in chunks of {size}");
            }
        }
        first
    }

    fn run_as(&self, role: Role, frames: &[&[u8]], chunks: &mut Chunks<'_>) -> Outcome {
        let mut connection = self.connection(role);
        let mut outcome = Outcome::new();
        let octets: Vec<u8> = match role {
            Role::Client => frames.concat(),
            Role::Server => frames.iter().flat_map(|frame| masked(frame, KEY)).collect(),
        };
        let mut rest = &octets[..];
        let mut output = Vec::new();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunks.next().min(rest.len()));
            rest = after;
            connection.receive(&mut chunk.into(), Instant::now());
            outcome.drain(&mut connection);
            output.extend(connection.poll_output().into_iter().flatten());
        }
        outcome.output = crate::engine::frames(&output, role == Role::Client);
        outcome.state = connection.state();
        connection.receive_eof(Instant::now());
        outcome.drain(&mut connection);
        outcome
    }
}

impl Outcome {
    fn new() -> Self {
        Self {
            events: Vec::new(),
            output: Vec::new(),
            state: State::Open,
            error: None,
            info: String::new(),
        }
    }

    fn drain(&mut self, connection: &mut Connection) {
        while let Some(happening) = connection.poll_event() {
            match happening {
                Happening::Event(event) => {
                    if let Event::Message(message) = &event {
                        // Fails once the connection is closing, and then nobody waits for it.
                        let _ = connection.send(message);
                    }
                    self.push(event);
                }
                Happening::Closed(info) => self.close(&info),
                Happening::AutoPong(_) => unreachable!("no automatic ping was sent"),
            }
        }
    }

    /// Takes an event; pieces of one frame count as one, since chunks decide where they are cut.
    fn push(&mut self, event: Event<'static>) {
        if let Event::FrameData(piece) = &event
            && let Some(Event::FrameData(before)) = self.events.last_mut()
        {
            *before = [&before[..], &piece[..]].concat().into();
            return;
        }
        self.events.push(event);
    }

    fn close(&mut self, info: &CloseInfo) {
        assert!(self.info.is_empty(), "closed twice");
        self.info = format!("{info:?}");
        if let CloseCause::Protocol(error) = info.cause {
            self.error = Some(error);
        }
    }

    /// The messages among the events, all of which are expected to be nothing else.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<Message<'static>> {
        let message = |event: &Event<'static>| match event {
            Event::Message(message) => message.clone(),
            other => panic!("{other:?} is not a message"),
        };
        self.events.iter().map(message).collect()
    }

    /// Asserts that these frames came out and nothing else.
    #[track_caller]
    pub(crate) fn answers(&self, frames: &[&[u8]]) {
        assert_eq!(self.output, frames);
    }

    /// Asserts that the connection is open and saw these events.
    #[track_caller]
    pub(crate) fn sees(&self, events: &[Event<'static>]) -> &Self {
        assert_eq!((self.state, self.error), (State::Open, None));
        assert_eq!(self.events, events);
        self
    }

    /// Asserts that these events came first, were answered, and that then the connection failed
    /// with a close frame of this code (§7.1.7).
    #[track_caller]
    pub(crate) fn fails_after(&self, events: &[Event<'static>], code: u16) -> ProtocolError {
        assert_eq!(self.events, events);
        assert_eq!(self.state, State::Failed);
        let mut answers: Vec<_> = events.iter().filter_map(answer).collect();
        let error = self.error.expect("a broken rule");
        answers.push(frame(0x88, &close_body(code, &error.to_string())));
        assert_eq!(self.output, answers);
        assert_eq!(error.close_code().as_u16(), code);
        error
    }

    #[track_caller]
    pub(crate) fn fails(&self, code: u16) -> ProtocolError {
        self.fails_after(&[], code)
    }
}

/// What an endpoint that echoes answers to an event.
fn answer(event: &Event<'static>) -> Option<Vec<u8>> {
    match event {
        Event::Message(message) if message.is_binary() => Some(frame(0x82, message.as_bytes())),
        Event::Message(message) => Some(frame(0x81, message.as_bytes())),
        Event::Ping(payload) => Some(frame(0x8a, payload)),
        _ => None,
    }
}

/// Chunks of one size, or of a random size up to it.
struct Chunks<'a> {
    size: usize,
    random: Option<&'a mut Random>,
}

impl Chunks<'_> {
    fn next(&mut self) -> usize {
        let size = self.size;
        self.random
            .as_mut()
            .map_or(size, |random| 1 + random.below(size))
    }
}

pub(crate) fn settings(parameters: DeflateParameters) -> DeflateSettings {
    DeflateSettings {
        parameters,
        options: DeflateOptions::default(),
    }
}

pub(crate) fn text(text: &str) -> Event<'static> {
    Event::Message(Message::from(text).into_owned())
}

pub(crate) fn binary(octets: &[u8]) -> Event<'static> {
    Event::Message(Message::from(octets).into_owned())
}

pub(crate) fn ping(payload: &[u8]) -> Event<'static> {
    Event::Ping(payload.to_vec().into())
}

pub(crate) fn pong(payload: &[u8]) -> Event<'static> {
    Event::Pong(payload.to_vec().into())
}

pub(crate) fn closed(code: u16, reason: &'static str) -> Event<'static> {
    Event::Close(Some(CloseFrame::new(code, reason)))
}
