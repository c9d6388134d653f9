//! The opening handshake, on the side of the client.

use crate::stream::{Connector, Stream};
use crate::{Offer, Plan};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use table::{Result, wire};

/// What the server has agreed to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Agreed {
    pub(crate) deflate: bool,
    /// What the client sends is compressed message by message.
    pub(crate) client_starts_anew: bool,
    /// What the server sends is.
    pub(crate) server_starts_anew: bool,
}

/// A request, and the key in it.
pub(crate) fn request(plan: &Plan, number: usize) -> (String, String) {
    let mut key = [7; 16];
    key[..8].copy_from_slice(
        &(number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes(),
    );
    let key = STANDARD.encode(key);
    let extensions = match plan.deflate {
        Offer::None => "",
        Offer::Takeover => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        Offer::NoTakeover => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
        }
    };
    let request = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n",
        plan.port
    );
    (request, key)
}

/// Opens connection `number`, and waits for it.
pub(crate) fn open(connector: &Connector<'_>, number: usize) -> Result<(Stream, Agreed)> {
    let mut stream = connector.connect(number)?;
    if connector.plan.raw {
        return Ok((stream, Agreed::default()));
    }
    let (request, key) = request(connector.plan, number);
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 || head.len() > 16_384 {
            return Err("the opening handshake has no end".into());
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&head);
    if !head.starts_with("HTTP/1.1 101") {
        let line = head.lines().next().unwrap_or_default();
        return Err(format!("the opening handshake was answered with {line:?}").into());
    }
    if wire::field(&head, "sec-websocket-accept") != Some(&wire::accept_key(&key)) {
        return Err("Sec-WebSocket-Accept is wrong".into());
    }
    let extension = wire::field(&head, "sec-websocket-extensions").unwrap_or_default();
    let agreed = Agreed {
        deflate: extension.contains("permessage-deflate"),
        client_starts_anew: extension.contains("client_no_context_takeover"),
        server_starts_anew: extension.contains("server_no_context_takeover"),
    };
    Ok((stream, agreed))
}

/// Opens as many connections as the plan says.
pub(crate) fn open_all(connector: &Connector<'_>, connections: usize) -> Result<Vec<Stream>> {
    (0..connections)
        .map(|number| Ok(open(connector, number)?.0))
        .collect()
}
