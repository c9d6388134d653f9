//! The protocol as a state machine, without sockets, tasks, clocks or randomness.
//!
//! Covers what follows the opening handshake: RFC 6455 §5 to §8 and RFC 7692 §6 and §7.2. The
//! receiving half decodes from a slice that the caller owns, the sending half encodes into a buffer
//! that the caller owns. [`Connection`] puts both together for those who drive one by hand; the
//! driver of this crate uses the halves.
//!
//! # How to drive
//!
//! 1. Make a [`Connection`] once the opening handshake is done.
//! 2. Give it what arrives: [`receive`](Connection::receive), or
//!    [`receive_eof`](Connection::receive_eof) when the peer has closed its side of the stream.
//! 3. Take the events out with [`poll_event`](Connection::poll_event) until there is none; give
//!    commands ([`send`](Connection::send), [`ping`](Connection::ping),
//!    [`close`](Connection::close)) as you like. Pings are answered, and close frames too, without
//!    your doing. Each event is decoded when it is asked for, so that an answer to a message goes
//!    out before whatever a later frame leads to, such as the end of the connection.
//! 4. Write all of [`poll_output`](Connection::poll_output) to the stream. When
//!    [`shuts_down`](Connection::shuts_down) says so, shut the stream down for writing.
//! 5. Wait for octets, unless [`is_throttled`](Connection::is_throttled) says that there were enough,
//!    or until [`poll_timeout`](Connection::poll_timeout), and then call
//!    [`handle_timeout`](Connection::handle_timeout). Go back to 2.
//! 6. [`Happening::Closed`] is the last event: drop the stream.
//!
//! ```
//! use bytes::BytesMut;
//! use motorway::connection::{Connection, Event, Happening, Rules};
//! use motorway::{ClientOptions, Message, ServerOptions};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let key = || [1, 2, 3, 4].into();
//! let mut client = Connection::new(Rules::client(&ClientOptions::default()), None, Box::new(key), now);
//! let mut server = Connection::new(Rules::server(&ServerOptions::default()), None, Box::new(key), now);
//!
//! client.send("hello")?;
//! let mut wire = client.poll_output().expect("a frame");
//! server.receive(&mut wire, now);
//! let Some(Happening::Event(Event::Message(message))) = server.poll_event() else { panic!() };
//! assert_eq!(message, Message::from("hello"));
//! # Ok::<(), motorway::connection::SendError>(())
//! ```

mod assemble;
mod budget;
mod closing;
mod compressed;
mod counts;
mod error;
mod inflate;
mod keepalive;
mod lane;
mod limits;
mod outgoing;
mod output;
mod partial;
mod prepared;
mod receive;
mod references;
mod rules;
mod scan;
mod send;
mod short;
mod state;
mod watch;

pub use assemble::MessageKind;
pub use closing::{CloseCause, CloseInfo, Endpoint};
pub use error::{ProtocolError, SendError};
#[cfg(feature = "tokio")]
pub(crate) use inflate::Squeeze;
pub use inflate::{DeflateSettings, Part};
pub use keepalive::{Due, TimeoutKind, Timers};
pub use outgoing::{check_size, write_message};
pub use output::Output;
pub use prepared::PreparedMessage;
pub use receive::{Event, Receive, Receiver};
pub use rules::{AutoPing, IncomingMask, Role, Rules};
pub use scan::{Ahead, Scanner};
pub use send::{Compress, MaskingKeys, Sender};
#[cfg(feature = "tokio")]
pub(crate) use short::Short;
pub use short::ShortSend;
pub use state::State;
pub use watch::Progress;

use crate::close::CloseFrame;
use crate::message::{Message, Payload};
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After how many events the limits are looked at within what has arrived.
const TURN: u8 = 32;
/// With more pongs than this to be written, in octets, pings are answered by the newest only.
const PONG_BACKLOG: usize = 4 << 10;
/// What is said to a peer that sends more than `rate_limit` allows.
pub(crate) const TOO_MUCH: &str = "sent more than allowed";

/// One end of an open connection, to be driven by hand. See [how to drive](self#how-to-drive).
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    timers: Timers,
    output: Output,
    /// What has arrived and is not decoded yet, and when the last of it arrived.
    input: BytesMut,
    arrived: Instant,
    /// Whether the receiver may have an event to give, be it without further input.
    is_decoding: bool,
    /// Whether the peer has closed its side of the stream behind that.
    has_ended: bool,
    happenings: VecDeque<Happening>,
    progress: Progress,
    /// How many events came since the limits were looked at.
    turn: u8,
    /// What the caller holds: read ahead, and taken out to be written.
    held: (usize, usize),
    /// How many octets of pongs wait to be taken out, and the one that is to follow them.
    pongs: usize,
    newest_pong: Option<Payload<'static>>,
    closed: bool,
}

/// What [`Connection::poll_event`] reports.
#[derive(Clone, Debug)]
pub enum Happening {
    /// Something arrived.
    Event(Event<'static>),
    /// An automatic ping was answered after this time.
    AutoPong(Duration),
    /// The connection has ended; nothing comes after this.
    Closed(Box<CloseInfo>),
}

impl Connection {
    /// Makes one end of a connection that opens at `now`.
    #[must_use]
    pub fn new(
        rules: Rules,
        deflate: Option<&DeflateSettings>,
        keys: MaskingKeys,
        now: Instant,
    ) -> Self {
        let rules = Arc::new(rules);
        Self {
            timers: Timers::new(&rules, now),
            receiver: Receiver::new(Arc::clone(&rules), deflate),
            sender: Sender::new(rules, deflate, keys),
            output: Output::default(),
            input: BytesMut::new(),
            arrived: now,
            is_decoding: false,
            has_ended: false,
            happenings: VecDeque::new(),
            progress: Progress::default(),
            turn: 0,
            held: (0, 0),
            pongs: 0,
            newest_pong: None,
            closed: false,
        }
    }

    /// Chooses the pieces in which data are received; to be called before anything is.
    #[must_use]
    pub fn in_pieces(mut self, receive: Receive) -> Self {
        self.receiver = self.receiver.in_pieces(receive);
        self
    }

    /// Takes all of `input`, which arrived at `now`; [`poll_event`](Self::poll_event) decodes it. A
    /// bad peer is an outcome, not an error of the caller: it shows in the output and in the events.
    pub fn receive(&mut self, input: &mut BytesMut, now: Instant) {
        self.timers.received(now);
        self.progress.octets_received += input.len() as u64;
        self.arrived = now;
        self.is_decoding = true;
        match self.receiver.is_finished() {
            true => input.clear(),
            false => self.input.unsplit(input.split()),
        }
    }

    /// Decodes what has arrived, up to the next event.
    fn decode(&mut self) {
        let before = self.input.len();
        match self.receiver.receive(&mut self.input) {
            Ok((None, _)) => {
                // Whoever waits for more is not to keep room for what was there before.
                self.input = BytesMut::new();
                self.is_decoding = false;
                self.watch(self.arrived);
            }
            Ok((Some(event), rest)) => {
                let taken = before - rest.len();
                let event = event.into_owned();
                self.input.advance(taken);
                self.handle(event, self.arrived);
            }
            Err(error) => {
                self.input = BytesMut::new();
                self.is_decoding = false;
                self.fail(error, self.arrived);
            }
        }
    }

    fn handle(&mut self, event: Event<'static>, now: Instant) {
        match &event {
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {
                self.progress.controls_received += 1;
            }
            Event::Message(_) | Event::MessageEnd => self.progress.messages_received += 1,
            _ => {}
        }
        match &event {
            Event::Ping(payload) => self.answer(payload.clone().into_owned()),
            Event::Pong(payload) => {
                if let Some(time) = self.timers.pong(payload, now) {
                    self.happenings.push_back(Happening::AutoPong(time));
                }
            }
            Event::Close(frame) => {
                self.sender.receive_close(frame.clone(), &mut self.output);
                self.closing(now);
            }
            _ => {}
        }
        self.happenings.push_back(Happening::Event(event));
        self.turn = self.turn.saturating_add(1);
        if self.turn >= TURN {
            self.watch(now);
        }
    }

    /// Answers a ping. While much waits to be written, only the newest is answered (RFC 6455
    /// §5.5.3), so that a peer that reads nothing costs no memory.
    fn answer(&mut self, payload: Payload<'static>) {
        if self.pongs > PONG_BACKLOG {
            self.newest_pong = Some(payload);
            return;
        }
        let before = self.output.len();
        // Not sent once the connection is closing, and then not needed.
        let _ = self.sender.pong(&payload, &mut self.output);
        self.pongs += self.output.len() - before;
    }

    fn fail(&mut self, error: ProtocolError, now: Instant) {
        let frame = CloseFrame::new(error.close_code(), error.to_string());
        self.fail_with(frame, CloseCause::Protocol(error), now);
    }

    fn fail_with(&mut self, frame: CloseFrame, cause: CloseCause, now: Instant) {
        self.sender
            .fail(Some(frame), cause.clone(), &mut self.output);
        self.closing(now);
        if self.receiver.rules().fail_by_drop {
            self.end(cause);
        }
    }

    fn closing(&mut self, now: Instant) {
        let rules = Arc::clone(self.receiver.rules());
        self.timers.closing(&rules, self.sender.state(), now);
    }

    /// Takes note that the peer has closed its side of the stream, behind what was received.
    pub fn receive_eof(&mut self, _now: Instant) {
        self.has_ended = true;
    }

    fn handle_eof(&mut self) {
        self.end(match self.sender.state() {
            State::Complete => CloseCause::Peer,
            _ => CloseCause::Dropped,
        });
    }

    /// Takes nothing more from the peer.
    fn finish(&mut self) {
        self.receiver.finish();
        self.input = BytesMut::new();
    }

    /// Ends the connection at once, for something that its octets do not tell: the stream failed,
    /// or it is to be dropped. [`Happening::Closed`] follows; a second call changes nothing.
    pub fn end(&mut self, cause: CloseCause) {
        if !std::mem::replace(&mut self.closed, true) {
            self.finish();
            let mut info = self.sender.end(cause);
            info.unsent_octets = self.output.len();
            self.output = Output::default();
            self.happenings.push_back(Happening::Closed(Box::new(info)));
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or the message is too large; nothing is sent then.
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), SendError> {
        self.sender.send(message.into(), &mut self.output)
    }

    /// Sends a message without compressing it, whatever was agreed upon: for what is compressed
    /// already.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn send_uncompressed<'a>(
        &mut self,
        message: impl Into<Message<'a>>,
    ) -> Result<(), SendError> {
        let output = &mut self.output;
        self.sender
            .send_with(message.into(), Compress::Never, output)
    }

    /// Sends a ping.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or the payload has more than 125 octets.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload, &mut self.output)
    }

    /// Sends a pong that nobody asked for.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or the payload has more than 125 octets.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.pong(payload, &mut self.output)
    }

    /// Begins the closing handshake at `now`.
    ///
    /// # Errors
    ///
    /// Fails if the close code must not be sent.
    pub fn close(&mut self, frame: CloseFrame, now: Instant) -> Result<(), SendError> {
        self.close_because(frame, CloseCause::Local, now)
    }

    /// Begins the closing handshake at `now`, for a reason other than a call of `close`.
    ///
    /// # Errors
    ///
    /// Fails if the close code must not be sent.
    pub fn close_because(
        &mut self,
        frame: CloseFrame,
        cause: CloseCause,
        now: Instant,
    ) -> Result<(), SendError> {
        self.sender
            .close_because(Some(frame), cause, &mut self.output)?;
        self.closing(now);
        Ok(())
    }

    /// Returns how many octets wait for [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.output.len()
    }

    /// Takes the octets to be written to the stream.
    pub fn poll_output(&mut self) -> Option<BytesMut> {
        if self.output.is_empty() {
            return None;
        }
        let octets = self.output.split();
        self.pongs = 0;
        if let Some(payload) = self.newest_pong.take() {
            self.answer(payload);
        }
        Some(octets)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.poll_timeout().filter(|_| !self.closed)
    }

    /// Takes the next event; `None` once all that has arrived is decoded.
    pub fn poll_event(&mut self) -> Option<Happening> {
        while self.happenings.is_empty() && !self.closed {
            match (self.is_decoding, self.has_ended) {
                (true, _) => self.decode(),
                (false, true) => self.handle_eof(),
                (false, false) => break,
            }
        }
        self.happenings.pop_front()
    }

    /// Returns how far the closing handshake has come.
    #[must_use]
    pub fn state(&self) -> State {
        self.sender.state()
    }

    /// Tells whether the stream is to be shut down for writing once the output is written.
    ///
    /// RFC 6455 §7.1.1: the server closes TCP first, so that it is the server that waits in
    /// `TIME_WAIT`; whoever fails the connection does too.
    #[must_use]
    pub fn shuts_down(&self) -> bool {
        match self.sender.state() {
            State::Failed => true,
            State::Complete => self.receiver.rules().role == Role::Server,
            _ => false,
        }
    }
}
