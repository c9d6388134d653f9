//! The opening handshake on a blocking stream: reads one head, writes one head, in time.

use super::transport::{Transport, is_pause};
use crate::connection::TimeoutKind;
use crate::error::{Error, Result};
use crate::handshake::client::BodyReader;
use crate::handshake::{HandshakeError, ProxyHeader};
use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// A stream whose opening handshake is under way.
pub(super) struct Shaking {
    pub(super) transport: Box<dyn Transport>,
    pub(super) deadline: Option<Instant>,
}

/// A head, its octets, and what came after it.
pub(super) struct Head<T> {
    pub(super) head: T,
    pub(super) octets: Vec<u8>,
    pub(super) early: Vec<u8>,
}

impl Shaking {
    /// Reads until `parse` finds a head and says how long it is.
    pub(super) fn read_head<T>(
        &self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, HandshakeError>,
    ) -> Result<Head<T>> {
        let mut octets = Vec::new();
        let mut buffer = [0; FIRST_READ];
        loop {
            let count = in_time(self.deadline, |time| self.transport.read(&mut buffer, time))?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            octets.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if let Some((head, length)) = parse(&octets)? {
                let early = octets.split_off(length);
                return Ok(Head {
                    head,
                    octets,
                    early,
                });
            }
        }
    }

    /// Reads what a proxy says first: octet by octet, since what comes behind may be TLS's.
    pub(super) fn read_proxy_header(&self) -> Result<ProxyHeader> {
        let (mut octets, mut octet) = (Vec::new(), [0]);
        loop {
            let read = in_time(self.deadline, |time| self.transport.read(&mut octet, time))?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            octets.extend(octet);
            if let Some((header, _)) = ProxyHeader::parse(&octets)? {
                return Ok(header);
            }
        }
    }

    /// Reads the body of a refusal as far as it comes in time.
    pub(super) fn read_body(&self, body: &mut BodyReader) {
        let mut buffer = [0; FIRST_READ];
        while !body.is_done() {
            match in_time(self.deadline, |time| self.transport.read(&mut buffer, time)) {
                Ok(0) => return body.receive_eof(),
                Ok(count) => body.receive(buffer.get(..count).unwrap_or_default()),
                Err(_) => return,
            }
        }
    }

    pub(super) fn write_all(&self, mut octets: &[u8]) -> Result<()> {
        while !octets.is_empty() {
            let count = in_time(self.deadline, |time| self.transport.write(octets, time))?;
            octets = octets.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends a last response and closes the stream; whether the client reads it is up to the client.
    pub(super) fn answer(mut self, response: &[u8]) {
        self.deadline = super::websocket::after(LAST_RESPONSE);
        let told =
            self.write_all(response).is_ok() && self.transport.shut_down(Shutdown::Write).is_ok();
        // An octet that was not read would turn the response into a reset.
        let mut forgotten = [0; FIRST_READ];
        while told
            && let Ok(1..) = in_time(self.deadline, |time| {
                self.transport.read(&mut forgotten, time)
            })
        {}
        let _ = self.transport.shut_down(Shutdown::Both);
    }
}

/// Tries something until the deadline of the opening handshake.
pub(super) fn in_time<T>(
    deadline: Option<Instant>,
    mut attempt: impl FnMut(Option<Duration>) -> io::Result<T>,
) -> Result<T> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        }
        match attempt(left) {
            Err(error) if is_pause(&error) => {}
            done => return Ok(done?),
        }
    }
}

/// How many octets are read at once; most heads fit.
const FIRST_READ: usize = 4 << 10;
/// How long a client that is refused may take to read the response.
const LAST_RESPONSE: Duration = Duration::from_secs(1);
