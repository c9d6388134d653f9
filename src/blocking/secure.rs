//! TLS on a blocking stream: rustls directly over the socket, without a runtime and without threads.
//!
//! One thread reads while another writes. Neither holds the lock of the TLS connection while it waits
//! for the socket: under it octets are only encrypted and decrypted.

use super::opening::in_time;
use super::transport::{Transport, is_pause};
use crate::error::Result;
use crate::tls::TlsError;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::Connection;

/// TLS on a stream.
///
/// Locks are taken in the order of the fields; the reader holds the first one, the writer the second.
pub(super) struct Tls {
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    connection: Mutex<Connection>,
    /// Whether `close_notify` is to be sent, or was.
    closing: AtomicBool,
    below: Box<dyn Transport>,
}

/// What was read from the socket and not yet decrypted.
#[derive(Default)]
struct Incoming {
    octets: Vec<u8>,
    start: usize,
    has_ended: bool,
}

/// What was encrypted and not yet written to the socket.
#[derive(Default)]
struct Outgoing {
    octets: Vec<u8>,
    start: usize,
    /// How many octets of a write that did not end are among it, or were.
    taken: usize,
    /// How many octets the socket has taken in all; counts round.
    written: usize,
}

impl Tls {
    /// Makes the TLS handshake until the deadline. One that fails is told to the peer.
    pub(super) fn shake_hands(
        below: Box<dyn Transport>,
        connection: Connection,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        let tls = Self {
            incoming: Mutex::default(),
            outgoing: Mutex::default(),
            connection: Mutex::new(connection),
            closing: AtomicBool::new(false),
            below,
        };
        let failure = match tls.advance(deadline)? {
            Ok(()) => return Ok(tls),
            Err(error) => error,
        };
        tls.let_down();
        Err(TlsError::handshake(failure).into())
    }

    /// Takes the handshake to its end; what fails but for a lack of time is the inner result.
    fn advance(&self, deadline: Option<Instant>) -> Result<io::Result<()>> {
        let mut incoming = lock(&self.incoming);
        loop {
            // Each step has what is left of the time: octets that trickle in are not to renew it.
            let step = in_time(deadline, |time| match self.step(&mut incoming, time) {
                Err(error) if is_pause(&error) => Err(error),
                step => Ok(step),
            });
            match step? {
                Ok(true) => return Ok(Ok(())),
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Writes what is to be written, or else reads; tells whether the handshake is at its end.
    fn step(&self, incoming: &mut Incoming, time: Option<Duration>) -> io::Result<bool> {
        let mut outgoing = lock(&self.outgoing);
        if !outgoing.is_empty() || lock(&self.connection).wants_write() {
            self.flush(&mut outgoing, time)?;
            return Ok(false);
        }
        drop(outgoing);
        if !lock(&self.connection).is_handshaking() {
            return Ok(true);
        }
        self.receive(incoming, time)?;
        if incoming.has_ended {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut connection = lock(&self.connection);
        // What comes after the handshake is left to those who take the plain octets out.
        while !incoming.is_empty() && connection.is_handshaking() {
            incoming.decrypt(&mut connection)?;
        }
        Ok(false)
    }

    /// Says what was wrong with the handshake, and waits a little for the peer to read it.
    fn let_down(&self) {
        self.attend();
        let told = self.below.shut_down(Shutdown::Write).is_ok();
        let deadline = super::websocket::after(LAST_ALERT);
        // An octet that was not read would turn the alert into a reset.
        let mut forgotten = [0; 4 << 10];
        while told && let Ok(1..) = in_time(deadline, |time| self.below.read(&mut forgotten, time))
        {
        }
    }

    /// Calls `look` with the TLS connection.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&lock(&self.connection))
    }

    /// Waits for octets of the socket.
    fn receive(&self, incoming: &mut Incoming, time: Option<Duration>) -> io::Result<()> {
        incoming.octets.resize(READ, 0);
        incoming.start = 0;
        let read = self.below.read(&mut incoming.octets, time);
        incoming.octets.truncate(*read.as_ref().unwrap_or(&0));
        incoming.has_ended |= read? == 0;
        Ok(())
    }

    /// Takes out plain octets, if there are any without reading.
    fn take(&self, incoming: &mut Incoming, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut connection = lock(&self.connection);
        loop {
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Nothing is `close_notify`; an end without it fails.
                taken => return taken.map(Some),
            }
            if incoming.is_empty() && !incoming.has_ended {
                return Ok(None);
            }
            incoming.decrypt(&mut connection)?;
        }
    }

    /// Writes what is encrypted.
    fn flush(&self, outgoing: &mut Outgoing, time: Option<Duration>) -> io::Result<()> {
        let deadline = time.and_then(super::websocket::after);
        loop {
            if outgoing.is_empty() {
                outgoing.collect(&mut lock(&self.connection))?;
            }
            if outgoing.is_empty() {
                return Ok(());
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let count = self.below.write(outgoing.rest(), left)?;
            outgoing.start += count;
            outgoing.written = outgoing.written.wrapping_add(count);
        }
    }

    /// Writes what TLS has to say itself, if the socket takes it at once and no thread writes, which
    /// would do it then; and ends the direction after `close_notify`.
    fn attend(&self) {
        let Ok(mut outgoing) = self.outgoing.try_lock() else {
            return;
        };
        let flushed = self.flush(&mut outgoing, Some(Duration::ZERO)).is_ok();
        if flushed && self.closing.load(Ordering::SeqCst) {
            // Fails only on a socket that is gone already.
            let _ = self.below.shut_down(Shutdown::Write);
        }
    }

    fn has_to_attend(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || lock(&self.connection).wants_write()
    }
}

impl Transport for Tls {
    fn read(&self, buffer: &mut [u8], time: Option<Duration>) -> io::Result<usize> {
        let deadline = time.and_then(super::websocket::after);
        let mut left = time;
        let mut incoming = lock(&self.incoming);
        let mut late_reads = 0;
        loop {
            let taken = self.take(&mut incoming, buffer);
            if self.has_to_attend() {
                self.attend();
            }
            if let Some(count) = taken? {
                return Ok(count);
            }
            // What came was no whole record, or had nothing for the user. The socket is to be empty
            // before anyone says that nothing came in time.
            if left == Some(Duration::ZERO) {
                late_reads += 1;
            }
            if late_reads > MOST_LATE_READS {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.receive(&mut incoming, left)?;
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        }
    }

    fn is_emptied_by(&self, read: usize, room: usize) -> bool {
        let incoming = lock(&self.incoming);
        read < room && incoming.is_empty() && incoming.octets.len() < READ
    }

    fn write(&self, octets: &[u8], time: Option<Duration>) -> io::Result<usize> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.taken == 0 {
            outgoing.taken = lock(&self.connection).writer().write(octets)?;
            if outgoing.taken == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        let before = outgoing.written;
        match self.flush(&mut outgoing, time) {
            // A part of it has left, so that the peer does not stall.
            Err(error) if is_pause(&error) && outgoing.written != before => Ok(0),
            flushed => flushed.map(|()| std::mem::take(&mut outgoing.taken)),
        }
    }

    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        if !self.closing.swap(true, Ordering::SeqCst) {
            lock(&self.connection).send_close_notify();
        }
        // What the socket does not take at once leaves before the next read.
        self.attend();
        match how {
            Shutdown::Write => Ok(()),
            how => self.below.shut_down(how),
        }
    }
}

impl Incoming {
    fn is_empty(&self) -> bool {
        self.start >= self.octets.len()
    }

    /// Gives octets, or the end, to the TLS connection.
    fn decrypt(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mut rest = self.octets.get(self.start..).unwrap_or_default();
        self.start += connection.read_tls(&mut rest)?;
        let processed = connection.process_new_packets();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(())
    }
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.start >= self.octets.len()
    }

    fn rest(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// Takes out what is encrypted.
    fn collect(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.octets.clear();
        self.start = 0;
        while connection.wants_write() {
            connection.write_tls(&mut self.octets)?;
        }
        Ok(())
    }
}

/// Nothing under these locks is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many octets are read at once: a record of the largest size (RFC 8446 §5.2), and a little.
const READ: usize = 18 << 10;
/// How many reads of the socket may follow once time is up, each of which may take some milliseconds:
/// a peer that sends octet by octet is not to hold a call up.
const MOST_LATE_READS: usize = 2;
/// How long a peer may take to read why its handshake failed.
const LAST_ALERT: Duration = Duration::from_secs(1);
