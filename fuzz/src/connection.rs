//! Whole connections, in both roles: against themselves in other pieces, and against tungstenite.

use super::peers::{Told, tungstenite};
use bytes::BytesMut;
use motorway::connection::{
    Ahead, Connection, DeflateSettings, Event, Happening, MessageKind, Receive, Receiver, Role,
    Rules, Scanner,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::frame::MaskingKey;
use motorway::{
    ClientOptions, CloseCause, CloseFrame, DeflateOptions, Message, ProtocolError, ServerOptions,
};
use std::sync::Arc;
use std::time::Instant;

/// What the first octets of the input choose.
#[derive(Clone, Copy)]
struct Choice {
    role: Role,
    deflates: bool,
    forgets: bool,
    fragments: bool,
    is_small: bool,
}

/// The same octets tell the same in whatever chunks they come, and whether messages, frames or octets
/// are asked for. What is sent is what was to be sent, and the other end reads it. Another
/// implementation is told the same messages.
pub fn connection(data: &[u8]) {
    let [flags, chunk, data @ ..] = data else {
        return;
    };
    let choice = Choice {
        role: match flags & 1 {
            0 => Role::Server,
            _ => Role::Client,
        },
        deflates: flags & 8 != 0,
        forgets: flags & 16 != 0,
        fragments: flags & 32 != 0,
        is_small: flags & 64 != 0,
    };
    let receive = match flags >> 1 & 3 {
        0 => Receive::Frames,
        1 => Receive::Stream,
        _ => Receive::Messages,
    };
    let chunk = usize::from(*chunk).max(1);
    let whole = run(choice, (receive, usize::MAX), data);
    let pieces = run(choice, (receive, chunk), data);
    assert_eq!(whole.happened, pieces.happened, "events");
    check_same(choice, &whole, &pieces);
    let messages = run(choice, (Receive::Messages, chunk), data);
    check_same(choice, &whole, &messages);
    check_output(choice, &whole);
    check_output(choice, &messages);
    if !choice.deflates {
        let theirs = tungstenite(choice.role, data);
        // It is more lenient, so what it says behind a fault does not count.
        let same = theirs.get(..whole.told.len());
        assert_eq!(same, Some(&whole.told[..]), "{:?}", whole.fault);
        assert!(whole.fault.is_some() || theirs == whole.told, "{theirs:?}");
    }
    check_ways(choice, data);
}

fn rules(role: Role, choice: Choice) -> Rules {
    let (frame, message, fragments) = match choice.is_small {
        true => (40, 100, 3),
        false => (1 << 16, 1 << 16, 1 << 10),
    };
    let size = choice.fragments.then_some(7);
    match role {
        Role::Server => Rules::server(
            &ServerOptions::default()
                .max_frame_payload_size(frame)
                .max_message_payload_size(message)
                .max_fragments(fragments)
                .auto_fragment_size(size),
        ),
        Role::Client => Rules::client(
            &ClientOptions::default()
                .max_frame_payload_size(frame)
                .max_message_payload_size(message)
                .max_fragments(fragments)
                .auto_fragment_size(size),
        ),
    }
}

fn settings(choice: Choice) -> Option<DeflateSettings> {
    choice.deflates.then(|| DeflateSettings {
        parameters: DeflateParameters {
            server_no_context_takeover: choice.forgets,
            client_no_context_takeover: choice.forgets,
            ..DeflateParameters::default()
        },
        options: DeflateOptions::default().level(1).threshold(0),
    })
}

/// Runs one end to the end of its input.
fn run(choice: Choice, (receive, chunk): (Receive, usize), data: &[u8]) -> Record {
    let now = Instant::now();
    let keys = Box::new(|| MaskingKey::new([1, 2, 3, 4]));
    let rules = rules(choice.role, choice);
    let deflate = settings(choice);
    let mut connection = Connection::new(rules, deflate.as_ref(), keys, now).in_pieces(receive);
    let mut record = Record::default();
    for chunk in data.chunks(chunk) {
        connection.receive(&mut BytesMut::from(chunk), now);
        record.drain(&mut connection);
    }
    connection.receive_eof(now);
    record.drain(&mut connection);
    assert!(record.has_ended, "an end of the stream ends the connection");
    record
}

/// What happened.
#[derive(Default)]
struct Record {
    /// Every event, with the pieces of a frame put together.
    happened: Vec<Event<'static>>,
    /// The messages and control frames, with the pieces of a message put together.
    told: Vec<Told>,
    fault: Option<ProtocolError>,
    was_clean: bool,
    has_ended: bool,
    sent: Vec<u8>,
    kind: Option<MessageKind>,
    frame: Vec<u8>,
    message: Vec<u8>,
}

impl Record {
    fn drain(&mut self, connection: &mut Connection) {
        while let Some(happening) = connection.poll_event() {
            assert!(!self.has_ended, "nothing comes behind the end");
            match happening {
                Happening::Event(event) => self.note(connection, event),
                Happening::Closed(info) => {
                    self.has_ended = true;
                    self.was_clean = info.was_clean;
                    assert_eq!(info.unsent_octets, 0, "all was taken");
                    match info.cause {
                        CloseCause::Protocol(error) => self.fault = Some(error),
                        CloseCause::Timeout(_) => panic!("no time passes"),
                        _ => {}
                    }
                }
                _ => {}
            }
            self.write(connection);
        }
        // A fault is told to the peer, and to us once the stream ends.
        self.write(connection);
    }

    fn write(&mut self, connection: &mut Connection) {
        while let Some(output) = connection.poll_output() {
            self.sent.extend_from_slice(&output);
        }
        assert_eq!(connection.buffered(), 0);
    }

    /// Writes down what happened; echoes messages.
    fn note(&mut self, connection: &mut Connection, event: Event<'static>) {
        let told = match &event {
            Event::Message(Message::Text(text)) => Some(Told::Text(text.as_bytes().to_vec())),
            Event::Message(Message::Binary(data)) => Some(Told::Binary(data.to_vec())),
            Event::Ping(payload) => Some(Told::Ping(payload.to_vec())),
            Event::Pong(payload) => Some(Told::Pong(payload.to_vec())),
            Event::Close(frame) => Some(close(frame.as_ref())),
            Event::MessageBegin(kind) => {
                assert!(self.kind.replace(*kind).is_none(), "messages do not mix");
                None
            }
            Event::Frame(payload) => {
                self.message.extend_from_slice(payload);
                None
            }
            Event::FrameData(payload) => {
                self.message.extend_from_slice(payload);
                self.frame.extend_from_slice(payload);
                None
            }
            Event::MessageEnd => {
                let message = std::mem::take(&mut self.message);
                match self.kind.take().expect("it has begun") {
                    MessageKind::Text => Some(Told::Text(message)),
                    MessageKind::Binary => Some(Told::Binary(message)),
                }
            }
            _ => None,
        };
        // How a frame is cut depends on how it came.
        if matches!(event, Event::FrameEnd) {
            let frame = std::mem::take(&mut self.frame);
            self.happened.push(Event::FrameData(frame.into()));
        }
        if !matches!(event, Event::FrameData(_)) {
            self.happened.push(event);
        }
        match &told {
            Some(Told::Text(text)) => {
                let text = std::str::from_utf8(text).expect("text is UTF-8");
                connection.send(text).expect("it is open");
            }
            Some(Told::Binary(data)) => connection.send(&data[..]).expect("it is open"),
            _ => {}
        }
        self.told.extend(told);
    }
}

fn close(frame: Option<&CloseFrame>) -> Told {
    Told::Close(frame.map(|it| (it.code.as_u16(), it.reason.to_string())))
}

/// However the octets came, the same messages are told, and the same is answered.
fn check_same(choice: Choice, one: &Record, other: &Record) {
    assert_eq!(one.told, other.told);
    assert_eq!(one.was_clean, other.was_clean);
    // Of several faults in one compressed frame, chunks decide which is met first.
    if choice.deflates && one.fault.is_some() {
        assert!(other.fault.is_some());
        return;
    }
    assert_eq!(one.fault, other.fault);
    assert_eq!(one.sent, other.sent);
}

/// The other end reads what was to be sent, and so does another implementation.
fn check_output(choice: Choice, record: &Record) {
    let role = match choice.role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let mut expected = Vec::new();
    for told in &record.told {
        match told {
            Told::Ping(payload) => expected.push(Told::Pong(payload.clone())),
            Told::Pong(_) => {}
            // A close frame is answered with its own code and reason.
            message => expected.push(message.clone()),
        }
    }
    if let Some(fault) = record.fault {
        let code = fault.close_code().as_u16();
        expected.push(Told::Close(Some((code, fault.to_string()))));
    }
    // Its limits are those of messages; what is sent in fragments may have more of them.
    let limits = Choice {
        is_small: false,
        ..choice
    };
    let deflate = settings(choice);
    let mut receiver = Receiver::new(Arc::new(rules(role, limits)), deflate.as_ref());
    let (told, fault) = receive(&mut receiver, &record.sent);
    assert_eq!(fault, None, "what is sent is valid");
    assert_eq!(told, expected);
    if !choice.deflates {
        assert_eq!(tungstenite(role, &record.sent), expected);
    }
}

/// Takes everything in at once, the long way.
fn receive(receiver: &mut Receiver, octets: &[u8]) -> (Vec<Told>, Option<ProtocolError>) {
    let mut octets = octets.to_vec();
    let (mut rest, mut told) = (&mut octets[..], Vec::new());
    loop {
        match receiver.receive(rest) {
            Ok((Some(event), after)) => {
                rest = after;
                told.push(tell(&event));
            }
            Ok((None, _)) => return (told, None),
            Err(fault) => return (told, Some(fault)),
        }
    }
}

fn tell(event: &Event<'_>) -> Told {
    match event {
        Event::Message(Message::Text(text)) => Told::Text(text.as_bytes().to_vec()),
        Event::Message(Message::Binary(data)) => Told::Binary(data.to_vec()),
        Event::Ping(payload) => Told::Ping(payload.to_vec()),
        Event::Pong(payload) => Told::Pong(payload.to_vec()),
        Event::Close(frame) => close(frame.as_ref()),
        other => panic!("{other:?} when messages are asked for"),
    }
}

/// The short way tells what the long one does, and a scanner sees the control frames that are to come.
fn check_ways(choice: Choice, data: &[u8]) {
    let rules = Arc::new(rules(choice.role, choice));
    let deflate = settings(choice);
    let new = || Receiver::new(Arc::clone(&rules), deflate.as_ref());
    let (long, fault) = receive(&mut new(), data);

    let (mut receiver, mut octets) = (new(), data.to_vec());
    let (mut rest, mut short) = (&mut octets[..], Vec::new());
    let same = loop {
        match receiver.receive_short(rest) {
            Ok((message, after)) => {
                short.push(tell(&Event::Message(message)));
                rest = after;
                continue;
            }
            Err(unchanged) => rest = unchanged,
        }
        match receiver.receive(rest) {
            Ok((Some(event), after)) => {
                short.push(tell(&event));
                rest = after;
            }
            Ok((None, _)) => break None,
            Err(fault) => break Some(fault),
        }
    };
    assert_eq!((&short, same), (&long, fault));

    let (mut scanner, mut rest, mut seen) = (Scanner::new(&new()), data, Vec::new());
    while let Some(ahead) = scanner.next(&mut rest) {
        seen.push(match ahead {
            Ahead::Ping(payload) => Told::Ping(payload),
            Ahead::Pong(payload) => Told::Pong(payload),
            Ahead::Close(frame) => close(frame.as_ref()),
        });
    }
    let is_control = |it: &&Told| !matches!(it, Told::Text(_) | Told::Binary(_));
    let control: Vec<_> = long.iter().filter(is_control).cloned().collect();
    // What is wrong with data it leaves to the receiver.
    assert_eq!(seen.get(..control.len()), Some(&control[..]));
    assert!(fault.is_some() || seen == control);
}
