//! Messages in the engine alone: received, echoed, masked and put together.

use super::{Case, Fallible};
use bytes::Buf;
use motorway::connection::{Event, Output, Receiver, Rules, Sender, ShortSend};
use motorway::frame::MaskingKey;
use motorway::{ClientOptions, Message, ServerOptions};
use std::hint::black_box;
use std::sync::Arc;

pub(crate) const CASES: &[Case] = &[
    case("short/text-16", |rounds| short(rounds, &text(16))),
    case("short/text-64", |rounds| short(rounds, &text(64))),
    case("short/text-125", |rounds| short(rounds, &text(125))),
    case("short/binary-1024", |rounds| short(rounds, &binary())),
    case("full/text-16", |rounds| full(rounds, &text(16))),
    case("full/text-64", |rounds| full(rounds, &text(64))),
    case("full/text-125", |rounds| full(rounds, &text(125))),
    case("full/binary-1024", |rounds| full(rounds, &binary())),
    case("client/short-64", |rounds| send_short(rounds, &text(64))),
    case("client/full-64", |rounds| send_full(rounds, &text(64))),
    Case {
        name: "fragments/64x64",
        unit: ("message", 1),
        rounds: 300,
        run: fragments,
    },
];

const fn case(name: &'static str, run: fn(u32) -> Fallible<()>) -> Case {
    Case {
        name,
        unit: ("message", MESSAGES),
        rounds: 200,
        run,
    }
}

/// Receives and echoes small messages the short way.
fn short(rounds: u32, message: &Message<'_>) -> Fallible<()> {
    let rules = Arc::new(Rules::server(&ServerOptions::default()));
    let send = ShortSend::new(&rules);
    let receiver = Receiver::new(rules, None);
    let mut out = Output::default();
    repeat(rounds, &frames(message, None)?, |mut rest| {
        while !rest.is_empty() {
            let taken = receiver.receive_short(rest);
            let (message, after) = taken.map_err(|_| "not taken the short way")?;
            if !send.write(&message, || KEY, &mut out) {
                return Err("not sent the short way".into());
            }
            rest = after;
        }
        black_box(&out);
        out.clear();
        Ok(())
    })
}

/// Receives and echoes messages the way that takes them all.
fn full(rounds: u32, message: &Message<'_>) -> Fallible<()> {
    let rules = Arc::new(Rules::server(&ServerOptions::default()));
    let mut receiver = Receiver::new(Arc::clone(&rules), None);
    let mut sender = Sender::new(rules, None, Box::new(|| KEY));
    let mut out = Output::default();
    repeat(rounds, &frames(message, None)?, |mut rest| {
        while let (Some(event), after) = receiver.receive(rest)? {
            if let Event::Message(message) = event {
                sender.send(message, &mut out)?;
            }
            rest = after;
        }
        black_box(&out);
        out.clear();
        Ok(())
    })
}

/// Masks and sends messages of a client the short way.
fn send_short(rounds: u32, message: &Message<'_>) -> Fallible<()> {
    let send = ShortSend::new(&Rules::client(&ClientOptions::default()));
    let mut out = Output::default();
    for _ in 0..rounds {
        for _ in 0..MESSAGES {
            if !send.write(black_box(message), || KEY, &mut out) {
                return Err("not sent the short way".into());
            }
        }
        black_box(&out);
        out.clear();
    }
    Ok(())
}

/// Masks and sends messages of a client the way that takes them all.
fn send_full(rounds: u32, message: &Message<'_>) -> Fallible<()> {
    let rules = Arc::new(Rules::client(&ClientOptions::default()));
    let mut sender = Sender::new(rules, None, Box::new(|| KEY));
    let mut out = Output::default();
    for _ in 0..rounds {
        for _ in 0..MESSAGES {
            sender.send(black_box(message).borrowed(), &mut out)?;
        }
        black_box(&out);
        out.clear();
    }
    Ok(())
}

/// Puts a message of 4 KiB together from its fragments.
fn fragments(rounds: u32) -> Fallible<()> {
    let rules = Arc::new(Rules::server(&ServerOptions::default()));
    let mut receiver = Receiver::new(rules, None);
    let sent = frames(&text(64 * 64), Some(64))?;
    let whole = sent.len() / MESSAGES as usize;
    repeat(
        rounds,
        sent.get(..whole).unwrap_or_default(),
        |input| match receiver.receive(input)? {
            (Some(Event::Message(message)), []) if message.len() == 64 * 64 => {
                black_box(message);
                Ok(())
            }
            _ => Err("not one message".into()),
        },
    )
}

/// Receives the same octets so many times.
fn repeat(
    rounds: u32,
    sent: &[u8],
    mut receive: impl FnMut(&mut [u8]) -> Fallible<()>,
) -> Fallible<()> {
    let mut input = vec![0; sent.len()];
    for _ in 0..rounds {
        // What is received is unmasked where it lies.
        input.copy_from_slice(black_box(sent));
        receive(black_box(&mut input))?;
    }
    Ok(())
}

/// Returns what a client sends: a message, so many times, in fragments of a size.
pub(crate) fn frames(message: &Message<'_>, fragment: Option<u64>) -> Fallible<Vec<u8>> {
    let options = ClientOptions::default().auto_fragment_size(fragment);
    let rules = Arc::new(Rules::client(&options));
    let mut sender = Sender::new(rules, None, Box::new(|| KEY));
    let mut sent = Output::default();
    for _ in 0..MESSAGES {
        sender.send(message.clone(), &mut sent)?;
    }
    Ok(sent.copy_to_bytes(sent.remaining()).into())
}

/// Text of so many octets.
pub(crate) fn text(octets: usize) -> Message<'static> {
    let json = r#"{"id":7,"name":"motorway","tags":["a","b"]},"#;
    let text: String = json.chars().cycle().take(octets).collect();
    text.into()
}

fn binary() -> Message<'static> {
    vec![0xa5_u8; 1024].into()
}

/// How many messages are received from one read.
pub(crate) const MESSAGES: u32 = 256;
const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
