//! What the threads of one connection share, and the rules by which they take turns.

use super::shared::Purpose;
use crate::close::CloseFrame;
use crate::connection::{
    CloseCause, CloseInfo, Compress, Connection, DeflateSettings, Event, Happening, Rules,
    SendError, State, TimeoutKind,
};
use crate::error::Error;
use crate::message::Message;
use crate::random::{masking_key, octets};
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of a connection, behind one lock that is never held across a system call.
pub(super) struct Core {
    connection: Connection,
    write_stall: Option<Duration>,
    /// When the connection has reached its age, and what is to be said then.
    lifetime: Option<(Instant, CloseFrame)>,
    /// How much may be read ahead, in octets.
    window: usize,
    has_budget: bool,
    /// How many octets are to be read at once: many only where many come.
    read_size: usize,
    /// Whether a thread is reading, and whether one is writing: at most one of each.
    pub(super) reading: bool,
    pub(super) writing: bool,
    /// Octets that a write did not take, or that one is busy with; they go before the connection's.
    pending: BytesMut,
    in_flight: usize,
    /// How many octets the socket has taken in all.
    written: u64,
    /// Since when it takes none.
    stalled: Option<Instant>,
    /// Why it takes none any more. What the peer had sent before can still be read.
    broken: Option<Arc<io::Error>>,
    /// Whether the connection may have an event to give.
    undecoded: bool,
    /// What was read ahead, while something else than a message was waited for.
    inbox: VecDeque<Message<'static>>,
    inbox_octets: usize,
    pings: Vec<Ping>,
    last_ping: u64,
    info: Option<CloseInfo>,
}

/// A ping that somebody waits for the answer of.
struct Ping {
    id: u64,
    payload: Vec<u8>,
    sent: Instant,
    answered: Option<Duration>,
}

/// The point up to which everything has to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

impl Core {
    pub(super) fn new(mut rules: Rules, deflate: Option<&DeflateSettings>, now: Instant) -> Self {
        // Kept to here: the engine would do so only when all is read that has come, which it may
        // never be. It has nothing to do with what the peer sends.
        let lifetime = rules.max_lifetime.take().and_then(|most| draw(most, now));
        let kind = TimeoutKind::Lifetime;
        let goodbye = CloseFrame::new(kind.close_code(rules.role), kind.to_string());
        Self {
            write_stall: rules.write_stall,
            lifetime: lifetime.map(|end| (end, goodbye)),
            window: rules.receive_window,
            has_budget: rules.budget.is_some(),
            read_size: LEAST_READ,
            connection: Connection::new(rules, deflate, Box::new(masking_key), now),
            reading: false,
            writing: false,
            pending: BytesMut::new(),
            in_flight: 0,
            written: 0,
            stalled: None,
            broken: None,
            // What came with the opening handshake.
            undecoded: true,
            inbox: VecDeque::new(),
            inbox_octets: 0,
            pings: Vec::new(),
            last_ping: 0,
            info: None,
        }
    }

    pub(super) fn info(&self) -> Option<&CloseInfo> {
        self.info.as_ref()
    }

    pub(super) fn is_open(&self) -> bool {
        self.info.is_none() && self.connection.state().is_open()
    }

    // Commands

    /// Encodes a message; returns the point at which it is written.
    pub(super) fn send(&mut self, message: Message<'_>, compress: Compress) -> Result<Mark, Error> {
        if let Some(error) = &self.broken {
            return Err(io_error(error));
        }
        match compress {
            Compress::Auto => self.connection.send(message)?,
            Compress::Never => self.connection.send_uncompressed(message)?,
        }
        Ok(self.mark())
    }

    pub(super) fn pong(&mut self, payload: &[u8]) -> Result<Mark, SendError> {
        self.connection.pong(payload)?;
        Ok(self.mark())
    }

    /// Encodes a ping; returns what to ask for its answer by.
    pub(super) fn ping(&mut self, payload: &[u8]) -> Result<u64, SendError> {
        self.connection.ping(payload)?;
        self.last_ping += 1;
        self.pings.push(Ping {
            id: self.last_ping,
            payload: payload.to_vec(),
            sent: Instant::now(),
            answered: None,
        });
        Ok(self.last_ping)
    }

    /// Takes the answer of a ping, if it has come.
    pub(super) fn answer(&mut self, id: u64) -> Option<Duration> {
        let ping = self.pings.iter().find(|ping| ping.id == id)?;
        let time = ping.answered?;
        self.forget_ping(id);
        Some(time)
    }

    pub(super) fn forget_ping(&mut self, id: u64) {
        self.pings.retain(|ping| ping.id != id);
    }

    pub(super) fn close(&mut self, frame: CloseFrame, cause: CloseCause) -> Result<(), SendError> {
        let now = Instant::now();
        self.connection.close_because(frame, cause, now)
    }

    /// Ends the connection without a closing handshake, or without the rest of it.
    pub(super) fn end(&mut self, cause: CloseCause) {
        self.connection.end(cause);
        // Whatever it was asked for before comes first, and the end is the last.
        while let Some(message) = self.poll_message() {
            self.store(message);
        }
    }

    // Messages

    /// Takes the next message that needs no reading. Later frames stay undecoded, so that an answer
    /// to this message goes out before whatever they lead to.
    pub(super) fn next_message(&mut self) -> Option<Message<'static>> {
        if let Some(message) = self.inbox.pop_front() {
            self.inbox_octets = self.inbox_octets.saturating_sub(cost(&message));
            if self.inbox.is_empty() {
                // Room for many small ones is not to be kept.
                self.inbox = VecDeque::new();
            }
            return Some(message);
        }
        self.poll_message()
    }

    /// Decodes what has come, for the sake of control frames; keeps the messages, up to the window.
    pub(super) fn read_ahead(&mut self) {
        while self.has_room()
            && let Some(message) = self.poll_message()
        {
            self.store(message);
        }
    }

    /// As [`read_ahead`](Self::read_ahead), but what does not fit the window is dropped.
    pub(super) fn read_away(&mut self) {
        self.read_ahead();
        while self.poll_message().is_some() {}
    }

    /// Returns how many octets wait to be received, if they fill the window and nobody receives.
    pub(super) fn full(&self) -> Option<usize> {
        (!self.has_room() && !self.reading).then_some(self.inbox_octets)
    }

    fn has_room(&self) -> bool {
        self.inbox_octets < self.window
    }

    fn store(&mut self, message: Message<'static>) {
        self.inbox_octets += cost(&message);
        self.inbox.push_back(message);
    }

    fn poll_message(&mut self) -> Option<Message<'static>> {
        loop {
            // What has come stays undecoded then.
            if self.is_throttled() {
                return None;
            }
            let Some(happening) = self.connection.poll_event() else {
                break;
            };
            match happening {
                Happening::Event(Event::Message(message)) => return Some(message),
                Happening::Event(Event::Pong(payload)) => self.answered(&payload),
                Happening::Closed(info) => self.closed(*info),
                Happening::Event(_) | Happening::AutoPong(_) => {}
            }
        }
        self.undecoded = false;
        None
    }

    pub(super) fn is_throttled(&mut self) -> bool {
        self.connection.is_throttled(Instant::now())
    }

    /// §5.5.3: a pong may answer the newest ping only, and stands for those before it then.
    fn answered(&mut self, payload: &[u8]) {
        let now = Instant::now();
        let found = self.pings.iter().rposition(|ping| ping.payload == payload);
        let count = found.map_or(0, |found| found + 1);
        for ping in self.pings.iter_mut().take(count) {
            ping.answered.get_or_insert(now - ping.sent);
        }
    }

    fn closed(&mut self, mut info: CloseInfo) {
        info.unsent_octets += self.pending.len() + self.in_flight;
        self.pending.clear();
        self.info.get_or_insert(info);
    }

    // Reading

    /// Tells whether to read, `for_messages` or just to hear of the peer meanwhile.
    pub(super) fn may_read(&mut self, purpose: Purpose) -> bool {
        // Once the connection is closing, its end is what is waited for, not the user.
        let is_closing = !self.connection.state().is_open();
        // Whoever receives takes what comes.
        let is_received = purpose == Purpose::Read && self.inbox.is_empty();
        let room = self.has_room() || is_received || is_closing;
        let free = !self.reading && !self.undecoded && self.info.is_none();
        room && free && !self.is_throttled()
    }

    /// Returns a buffer to read into.
    pub(super) fn read_size(&self) -> usize {
        self.read_size
    }

    /// Takes in what a read brought; `Ok` with nothing is the end of the stream.
    pub(super) fn received(&mut self, read: io::Result<BytesMut>) {
        let now = Instant::now();
        self.undecoded = true;
        if let Ok(octets) = &read {
            self.read_size = match octets.len() < self.read_size {
                true => LEAST_READ,
                false => MOST_READ,
            };
        }
        match (read, &self.broken) {
            (Ok(mut octets), _) if !octets.is_empty() => self.connection.receive(&mut octets, now),
            // The stream broke when it was written to; this is the end of what was left to read.
            (_, Some(error)) => self.end(CloseCause::Io(Arc::clone(error))),
            (Ok(_), None) => self.connection.receive_eof(now),
            // Reset or not, both close frames were exchanged.
            (Err(_), None) if self.connection.state().is_over() => self.connection.receive_eof(now),
            (Err(error), None) => self.end(CloseCause::Io(Arc::new(error))),
        }
    }

    // Writing

    /// Tells whether nothing is left to be written.
    pub(super) fn is_flushed(&self) -> bool {
        self.unwritten() == 0 || self.broken.is_some()
    }

    pub(super) fn is_written(&self, mark: Mark) -> bool {
        self.written >= mark.0
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    pub(super) fn may_write(&self) -> bool {
        !self.writing && !self.is_flushed() && self.info.is_none()
    }

    /// Takes out what is to be written next.
    pub(super) fn take_output(&mut self) -> BytesMut {
        if self.pending.is_empty() {
            self.pending = self.connection.poll_output().unwrap_or_default();
        }
        self.in_flight = self.pending.len();
        std::mem::take(&mut self.pending)
    }

    /// Takes back what [`take_output`](Self::take_output) gave, with what came of writing it.
    /// `None` says that nothing was taken in time. Tells whether there was progress.
    pub(super) fn wrote(&mut self, mut octets: BytesMut, wrote: io::Result<Option<usize>>) -> bool {
        self.in_flight = 0;
        match wrote {
            Ok(Some(count)) => {
                octets.advance(count.min(octets.len()));
                self.written += count as u64;
                self.stalled = None;
            }
            Ok(None) => {
                self.stalled.get_or_insert_with(Instant::now);
            }
            Err(error) => {
                self.broken = Some(Arc::new(error));
                self.stalled = None;
            }
        }
        // One that is empty has room for what it was.
        if self.info.is_none() && !octets.is_empty() {
            self.pending = octets;
        }
        self.stalled.is_none()
    }

    /// Tells whether the stream is to be shut down for writing: the connection wants it so, and all
    /// is written.
    pub(super) fn shuts_down(&self) -> bool {
        self.connection.shuts_down() && self.is_flushed()
    }

    fn mark(&self) -> Mark {
        Mark(self.written + self.unwritten() as u64)
    }

    fn unwritten(&self) -> usize {
        self.pending.len() + self.in_flight + self.connection.buffered()
    }

    // Deadlines

    /// Returns when something is due, or is to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stall = self.stall_deadline();
        let lifetime = self.lifetime.as_ref().map(|(end, _)| *end);
        let lifetime = lifetime.filter(|_| self.is_open());
        // Other connections have no way to say that they need what this one holds.
        let looks = self.has_budget && self.connection.holds() && self.is_open();
        let look = looks.then(|| Instant::now() + LOOK);
        [self.connection.poll_timeout(), stall, lifetime, look]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells whether a deadline has passed that the peer was to keep to.
    pub(super) fn is_overdue(&self) -> bool {
        let deadline = self.connection.poll_timeout();
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn stall_deadline(&self) -> Option<Instant> {
        self.stalled?.checked_add(self.write_stall?)
    }

    /// Does what is due, and tells whether anything was. Until all that has come is read
    /// (`drained`), a peer is not judged by what it has not sent: between calls nobody reads.
    pub(super) fn handle_timeout(&mut self, now: Instant, drained: bool) -> bool {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(self.stall_deadline()) && self.info.is_none() {
            self.end(CloseCause::Timeout(TimeoutKind::WriteStall));
            return true;
        }
        if self.is_open()
            && let Some((_, goodbye)) = self.lifetime.take_if(|(end, _)| *end <= now)
        {
            let cause = CloseCause::Timeout(TimeoutKind::Lifetime);
            // Fails for no code that is allowed.
            let _ = self.connection.close_because(goodbye, cause, now);
            self.undecoded = true;
            return true;
        }
        let unwritten = self.pending.len() + self.in_flight;
        if self.connection.hold(self.inbox_octets, unwritten, now) {
            self.undecoded = true;
            return true;
        }
        let judges = drained || self.connection.state() != State::Open;
        if !judges || !is_due(self.connection.poll_timeout()) {
            return false;
        }
        self.connection.handle_timeout(now);
        self.undecoded = true;
        true
    }

    // The end

    /// Returns what `recv` says at the end: nothing, if the connection was closed in order.
    pub(super) fn outcome(&self) -> Option<Result<(), Error>> {
        self.info.as_ref().map(|info| match info.was_clean {
            true => Ok(()),
            false => Err(Error::from_end(info)),
        })
    }

    /// Returns why nothing more can be written, if so.
    pub(super) fn write_failure(&self) -> Option<Error> {
        match (&self.info, &self.broken) {
            (_, Some(error)) => Some(io_error(error)),
            (Some(info), None) => Some(Error::from_end(info)),
            (None, None) => None,
        }
    }
}

fn io_error(error: &Arc<io::Error>) -> Error {
    io::Error::new(error.kind(), Arc::clone(error)).into()
}

/// What a message that waits counts for: empty ones take memory, too.
fn cost(message: &Message<'_>) -> usize {
    message.len() + size_of::<Message<'_>>()
}

/// Draws the end of a life: within its last tenth, so that those which came together do not come
/// back together.
fn draw(most: Duration, now: Instant) -> Option<Instant> {
    let part = f64::from(u32::from_be_bytes(octets())) / f64::from(u32::MAX);
    now.checked_add(most - (most / 10).mul_f64(part))
}

/// How many octets are read at once: at least, for connections that are many and have little to
/// say, and at most.
const LEAST_READ: usize = 4 << 10;
const MOST_READ: usize = 64 << 10;
/// How often a connection looks whether it is to give up what it holds.
const LOOK: Duration = Duration::from_millis(100);
