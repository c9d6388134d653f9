//! What another implementation makes of the same octets.

use motorway::connection::Role;
use std::io::{Cursor, Read, Result, Write};
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// Something that arrived, in words that all implementations share.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

/// Lets tungstenite read what is sent to an end of this role, until it ends or something is wrong.
pub fn tungstenite(role: Role, octets: &[u8]) -> Vec<Told> {
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(1 << 10)
        .max_message_size(Some(1 << 17))
        .max_frame_size(Some(1 << 17));
    let mut socket = WebSocket::from_raw_socket(Wire(Cursor::new(octets)), role, Some(config));
    let mut told = Vec::new();
    while let Ok(message) = socket.read() {
        told.push(match message {
            Message::Text(text) => Told::Text(text.as_bytes().to_vec()),
            Message::Binary(octets) => Told::Binary(octets.to_vec()),
            Message::Ping(payload) => Told::Ping(payload.to_vec()),
            Message::Pong(payload) => Told::Pong(payload.to_vec()),
            Message::Close(close) => {
                let close = close.map(|it| (it.code.into(), it.reason.to_string()));
                told.push(Told::Close(close));
                break;
            }
            Message::Frame(_) => unreachable!("it is never read"),
        });
    }
    told
}

/// Octets to be read; what is written goes nowhere.
struct Wire<'a>(Cursor<&'a [u8]>);

impl Read for Wire<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        self.0.read(room)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        Ok(octets.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
