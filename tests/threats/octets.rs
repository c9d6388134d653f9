//! Octets as peers send them: heads of the opening handshake, and frames.

/// The key of the example of RFC 6455 §1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An opening handshake with these lines besides.
pub(crate) fn request(lines: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}

/// Lines of the opening handshake, which ask for permessage-deflate or grant it.
pub(crate) const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// What accepts this request, with these lines besides.
pub(crate) fn response(request: &str, lines: &str) -> String {
    let key = field(request, "sec-websocket-key").expect("a key");
    let accept = motorway::handshake::accept_key(&key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

/// The value of a header in a head.
pub(crate) fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}

/// The status in a head; 0 where there is none.
pub(crate) fn status(head: &str) -> u16 {
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_default()
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const TEXT: u8 = FIN | 1;
pub(crate) const BINARY: u8 = FIN | 2;
pub(crate) const CLOSE: u8 = FIN | 8;
pub(crate) const PING: u8 = FIN | 9;
pub(crate) const PONG: u8 = FIN | 10;
pub(crate) const RSV1: u8 = 0x40;

/// A frame with this first octet, masked where a client sends it.
pub(crate) fn frame(first: u8, payload: &[u8], masks: Masks) -> Vec<u8> {
    let mask = if masks == Masks::Yes { 0x80 } else { 0 };
    let mut octets = vec![first];
    match payload.len() {
        length @ 0..126 => octets.push(mask | u8::try_from(length).unwrap()),
        length @ 126..0x1_0000 => {
            octets.push(mask | 126);
            octets.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            octets.push(mask | 127);
            octets.extend((length as u64).to_be_bytes());
        }
    }
    if masks == Masks::Yes {
        octets.extend(MASKING_KEY);
        let key = MASKING_KEY.iter().cycle();
        octets.extend(payload.iter().zip(key).map(|(octet, key)| octet ^ key));
    } else {
        octets.extend(payload);
    }
    octets
}

pub(crate) const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Whether frames are masked: those of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    Yes,
    No,
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    /// The code of a close frame; 0 for what is none.
    pub(crate) fn code(&self) -> u16 {
        match (self.first, self.payload.as_slice()) {
            (CLOSE, [high, low, ..]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }
}

/// Takes a frame from the start, and says how long it is.
pub(crate) fn decode(octets: &[u8]) -> Option<(Came, usize)> {
    let (first, second) = (*octets.first()?, *octets.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes(octets.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(octets.get(2..10)?.try_into().ok()?)).ok()?,
            10,
        ),
        length => (usize::from(length), 2),
    };
    let mut key = None;
    if second & 0x80 != 0 {
        key = Some(octets.get(at..at + 4)?.try_into().ok()?);
        at += 4;
    }
    let mut payload = octets.get(at..at + length)?.to_vec();
    if let Some(key) = key {
        let key: [u8; 4] = key;
        let key = key.iter().cycle();
        payload
            .iter_mut()
            .zip(key)
            .for_each(|(octet, key)| *octet ^= key);
    }
    Some((
        Came {
            first,
            key,
            payload,
        },
        at + length,
    ))
}
