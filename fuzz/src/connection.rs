//! Whole connections: any chunks give the same events, and what is sent is valid.

use bytes::BytesMut;
use motorway::connection::{
    Connection, DeflateSettings, Event, Happening, Receive, Receiver, Role, Rules,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::frame::MaskingKey;
use motorway::{ClientOptions, CloseCause, DeflateOptions, Message, ServerOptions};
use std::sync::Arc;
use std::time::Instant;

/// What the first octets of the input choose.
struct Choice {
    role: Role,
    receive: Receive,
    deflates: bool,
    chunk: usize,
}

/// Receives the same octets whole and in chunks, echoes what arrives, and lets the other end read
/// what is sent.
pub fn connection(data: &[u8]) {
    let [flags, chunk, data @ ..] = data else {
        return;
    };
    let choice = Choice {
        role: if flags & 1 == 0 {
            Role::Server
        } else {
            Role::Client
        },
        receive: match flags >> 1 & 3 {
            0 => Receive::Frames,
            1 => Receive::Stream,
            _ => Receive::Messages,
        },
        deflates: flags & 8 != 0,
        chunk: usize::from(*chunk).max(1),
    };
    let whole = run(&choice, data, usize::MAX);
    let pieces = run(&choice, data, choice.chunk);
    assert_eq!(whole.0, pieces.0, "events");
    check_output(&choice, whole.1);
    check_output(&choice, pieces.1);
}

fn rules(role: Role) -> Rules {
    match role {
        Role::Server => Rules::server(&ServerOptions::default().max_message_payload_size(1 << 16)),
        Role::Client => Rules::client(&ClientOptions::default().max_message_payload_size(1 << 16)),
    }
}

fn settings() -> DeflateSettings {
    DeflateSettings {
        parameters: DeflateParameters::default(),
        options: DeflateOptions::default().level(1).threshold(0),
    }
}

/// Runs one end to the end of its input; returns what happened, and what it sent.
fn run(choice: &Choice, data: &[u8], chunk: usize) -> (Vec<String>, Vec<u8>) {
    let now = Instant::now();
    let settings = settings();
    let deflate = choice.deflates.then_some(&settings);
    let keys = Box::new(|| MaskingKey::new([1, 2, 3, 4]));
    let mut connection =
        Connection::new(rules(choice.role), deflate, keys, now).in_pieces(choice.receive);
    let mut record = Record {
        deflates: choice.deflates,
        ..Record::default()
    };
    let mut sent = Vec::new();
    for chunk in data.chunks(chunk) {
        connection.receive(&mut BytesMut::from(chunk), now);
        while let Some(happening) = connection.poll_event() {
            record.note(&mut connection, happening);
        }
        while let Some(output) = connection.poll_output() {
            sent.extend_from_slice(&output);
        }
    }
    connection.receive_eof(now);
    while let Some(happening) = connection.poll_event() {
        record.note(&mut connection, happening);
    }
    (record.happened, sent)
}

/// What happened, with the pieces of a frame put together.
#[derive(Default)]
struct Record {
    deflates: bool,
    happened: Vec<String>,
    streamed: Vec<u8>,
}

impl Record {
    /// Writes down what happened; echoes messages.
    fn note(&mut self, connection: &mut Connection, happening: Happening) {
        match happening {
            Happening::Event(Event::FrameData(data)) => self.streamed.extend_from_slice(&data),
            Happening::Event(event) => {
                if let Event::Message(message) = &event {
                    // Fails once the connection is closing.
                    let _ = connection.send(Message::clone(message));
                }
                if !self.streamed.is_empty() {
                    let data = std::mem::take(&mut self.streamed);
                    self.happened.push(format!("data {data:?}"));
                }
                self.happened.push(format!("{event:?}"));
            }
            Happening::Closed(info) => {
                // How much of a frame was seen before a violation depends on the chunks.
                self.streamed.clear();
                let cause = match info.cause {
                    CloseCause::Timeout(_) => panic!("no time passes"),
                    // Of several faults in one compressed frame, chunks decide which is met first.
                    CloseCause::Protocol(_) if self.deflates => "fault".to_owned(),
                    cause => format!("{cause:?}"),
                };
                let (code, clean) = (info.code, info.was_clean);
                self.happened.push(format!("{code:?} {cause} {clean}"));
            }
            _ => {}
        }
    }
}

/// The other end accepts every octet that was sent.
fn check_output(choice: &Choice, mut sent: Vec<u8>) {
    let role = match choice.role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let settings = settings();
    let deflate = choice.deflates.then_some(&settings);
    let mut receiver = Receiver::new(Arc::new(rules(role)), deflate);
    let mut rest: &mut [u8] = &mut sent;
    while let (Some(_), after) = receiver.receive(rest).expect("what is sent is valid") {
        rest = after;
    }
}
