//! A peer that writes and reads frames by hand.

use motorway::frame::{self, Header, MaskingKey, Opcode, Rsv};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A frame as it was on the wire, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.payload[..self.payload.len().min(40)];
        let (fin, mask) = (self.fin, self.masked);
        write!(f, "{:?} fin={fin} mask={mask} ", self.opcode)?;
        write!(
            f,
            "{}:{:?}",
            self.payload.len(),
            String::from_utf8_lossy(start)
        )
    }
}

impl Wire {
    /// An unmasked frame, as servers send it.
    pub(crate) fn new(opcode: Opcode, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        Self {
            fin: true,
            rsv1: false,
            opcode,
            masked: false,
            payload,
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::new(Opcode::Text, text)
    }

    pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::new(Opcode::Ping, payload)
    }

    pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(Opcode::Pong, payload)
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        Self::new(Opcode::Close, close_body(code, reason))
    }

    pub(crate) fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    pub(crate) fn masked(mut self) -> Self {
        self.masked = true;
        self
    }

    /// The code of a close frame.
    pub(crate) fn code(&self) -> u16 {
        assert_eq!(self.opcode, Opcode::Close, "{self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }

    /// The octets of the frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mask = self
            .masked
            .then(|| MaskingKey::from([0x37, 0xfa, 0x21, 0x3d]));
        let rsv = if self.rsv1 { Rsv::RSV1 } else { Rsv::NONE };
        let header = Header {
            fin: self.fin,
            rsv,
            opcode: self.opcode,
            mask,
            length: self.payload.len() as u64,
        };
        let mut octets = header.encode().to_vec();
        let start = octets.len();
        octets.extend_from_slice(&self.payload);
        if let Some(key) = mask {
            frame::apply(key, 0, &mut octets[start..]);
        }
        octets
    }
}

pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The octets of these frames, masked.
pub(crate) fn masked(frames: &[Wire]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|frame| frame.clone().masked().encode())
        .collect()
}

/// A peer at one end of a stream.
pub(crate) struct Raw<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// Whether it masks what it sends, as clients do.
    masks: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn client(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            masks: true,
        }
    }

    pub(crate) fn server(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            masks: false,
        }
    }

    pub(crate) async fn write(&mut self, octets: impl AsRef<[u8]>) {
        within(self.stream.write_all(octets.as_ref()))
            .await
            .expect("stream takes octets");
    }

    /// The octets of a frame as this peer sends it.
    pub(crate) fn encode(&self, mut frame: Wire) -> Vec<u8> {
        frame.masked = self.masks;
        frame.encode()
    }

    pub(crate) async fn send(&mut self, frame: Wire) {
        self.write(self.encode(frame)).await;
    }

    /// Sends these frames with one write.
    pub(crate) async fn send_all(&mut self, frames: &[Wire]) {
        let frames = frames.iter().cloned();
        let octets: Vec<u8> = frames.flat_map(|frame| self.encode(frame)).collect();
        self.write(octets).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Wire::text(text)).await;
    }

    /// Sends the header of a frame of binary whose payload does not come yet.
    pub(crate) async fn begin(&mut self, length: u64) {
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: Opcode::Binary,
            mask: self.masks.then(|| MaskingKey::from([0; 4])),
            length,
        };
        self.write(header.encode().to_vec()).await;
    }

    /// Reads as many octets as they come.
    pub(crate) async fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill().await, "not enough octets: {:?}", self.buffer);
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads more; false at the end of the stream.
    async fn fill(&mut self) -> bool {
        matches!(
            within(self.stream.read_buf(&mut self.buffer)).await,
            Ok(1..)
        )
    }

    /// Reads a frame; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Wire> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "half a frame: {:?}", self.buffer);
                return None;
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Wire {
        self.next().await.expect("a frame")
    }

    fn take_frame(&mut self) -> Option<Wire> {
        let (header, length) = Header::decode(&self.buffer).expect("a valid frame")?;
        let end = length + usize::try_from(header.length).unwrap();
        if self.buffer.len() < end {
            return None;
        }
        let mut payload = self.buffer[length..end].to_vec();
        self.buffer.drain(..end);
        if let Some(key) = header.mask {
            frame::apply(key, 0, &mut payload);
        }
        Some(Wire {
            fin: header.fin,
            rsv1: header.rsv == Rsv::RSV1,
            opcode: header.opcode,
            masked: header.mask.is_some(),
            payload,
        })
    }

    /// Reads a head of HTTP.
    pub(crate) async fn head(&mut self) -> String {
        let head = self.try_head().await;
        head.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&self.buffer)))
    }

    /// Reads a head of HTTP; `None` if the stream ends before it does.
    pub(crate) async fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = self.buffer.drain(..end + 4).collect();
                return Some(String::from_utf8(head).expect("ascii"));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads up to so many octets and forgets them; returns how many there were.
    pub(crate) async fn some(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most];
        self.stream.read(&mut buffer).await.unwrap()
    }

    /// Reads all there is until the stream ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Tells whether nothing arrives for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        self.buffer.is_empty()
            && timeout(
                Duration::from_millis(20),
                self.stream.read_buf(&mut self.buffer),
            )
            .await
            .is_err()
    }

    /// Closes with 1000 and reads to the end.
    pub(crate) async fn say_goodbye(mut self) {
        self.send(Wire::close(1000, "")).await;
        while self.next().await.is_some() {}
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(600), future)
        .await
        .expect("it hangs")
}

/// Lets everything else run that can run now.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The key of the example of RFC 6455 §1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request with these headers besides those that are needed.
pub(crate) fn request(headers: &str) -> String {
    request_for("/", headers)
}

pub(crate) fn request_for(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// The answer of a server that accepts this request, with these headers besides.
pub(crate) fn response(request: &str, headers: &str) -> String {
    let key = header(request, "sec-websocket-key").expect("a key");
    let accept = motorway::handshake::accept_key(&key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    )
}

/// The value of a header in a head.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// The status of a response.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status")
}
