//! A peer that writes and reads octets by hand, each within a minute.

use crate::octets::{Came, Masks, decode, frame, request, status};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < MINUTE, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    taken: usize,
}

impl Raw {
    pub(crate) fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(MINUTE)).unwrap();
        stream.set_write_timeout(Some(MINUTE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (buffer, taken) = (Vec::new(), 0);
        Self {
            stream,
            buffer,
            taken,
        }
    }

    pub(crate) fn dial(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).unwrap())
    }

    /// Opens a connection with these lines in the request, of which the kernel holds little.
    pub(crate) fn open(address: SocketAddr, lines: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut raw = Self::on(socket.into());
        assert!(raw.write(request(lines)));
        let head = raw.head();
        assert_eq!(status(&head), 101, "{head}");
        raw
    }

    /// Writes; tells whether the other end took it all.
    pub(crate) fn write(&mut self, octets: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(octets.as_ref()).is_ok()
    }

    /// Sends a frame as a client.
    pub(crate) fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) -> bool {
        self.write(frame(first, payload.as_ref(), Masks::Yes))
    }

    fn fill(&mut self) -> bool {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let mut octets = [0; 16 << 10];
        let read = self.stream.read(&mut octets);
        self.buffer.extend(&octets[..*read.as_ref().unwrap_or(&0)]);
        matches!(read, Ok(1..))
    }

    /// Reads a head of HTTP; what there is of it if the stream ends before it does.
    pub(crate) fn head(&mut self) -> String {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&rest[..end + 4]).into_owned();
                self.taken += end + 4;
                return head;
            }
            if !self.fill() {
                let rest = std::mem::take(&mut self.buffer);
                return String::from_utf8_lossy(&rest).into_owned();
            }
        }
    }

    /// Reads a frame; `None` at the end of the stream, and where none comes.
    pub(crate) fn frame(&mut self) -> Option<Came> {
        loop {
            if let Some((came, length)) = decode(&self.buffer[self.taken..]) {
                self.taken += length;
                return Some(came);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads frames up to a close frame; returns its code.
    pub(crate) fn code(&mut self) -> u16 {
        while let Some(came) = self.frame() {
            if came.first == crate::octets::CLOSE {
                return came.code();
            }
        }
        0
    }

    /// Reads all that comes until the stream ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// A message comes back.
    pub(crate) fn assert_echoes(&mut self) {
        assert!(self.send(crate::octets::TEXT, "still there?"));
        let came = self.frame().expect("an echo");
        assert_eq!(came.payload, b"still there?");
    }
}

/// Sends a request; returns the status of the answer and all that comes until it closes; 101 at once
/// where it opens.
pub(crate) fn ask(address: SocketAddr, octets: impl AsRef<[u8]>) -> (u16, String) {
    let mut raw = Raw::dial(address);
    raw.write(octets);
    let mut head = raw.head();
    if status(&head) != 101 {
        head.push_str(&String::from_utf8_lossy(&raw.rest()));
    }
    (status(&head), head)
}

const MINUTE: Duration = Duration::from_secs(60);
