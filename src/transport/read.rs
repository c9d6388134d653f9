//! Reading: for the receiver, or ahead of it while a callback waits.

use super::io::{Io, Notice, Stream, Turn, add, now};
use super::lookahead::Lookahead;
use super::pool::{Lease, SizeClass};
use super::shared::Half;
use crate::connection::Ahead;
use bytes::BufMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio_util::io::poll_read_buf;

impl<S: Stream> Io<S> {
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(Turn::Ended));
        };
        if let Some((room, most)) = self.receiver.direct() {
            let length = ready!(poll_read_buf(
                Pin::new(stream),
                context,
                &mut room.limit(most)
            ))?;
            // The next read begins with a header, and perhaps with a small message.
            self.class = SizeClass::default();
            if length == 0 {
                self.end_of_stream();
                return Poll::Ready(Ok(Turn::Ended));
            }
            self.received(length);
            if let Err(error) = self.receiver.appended(length) {
                self.fail(error);
            }
            return Poll::Ready(Ok(Turn::Input(Lease::default())));
        }
        let mut lease = Lease::new(self.class);
        let mut buffer = ReadBuf::new(lease.space());
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        if length == 0 {
            self.end_of_stream();
            return Poll::Ready(Ok(Turn::Ended));
        }
        self.class.adapt(length);
        self.received(length);
        Poll::Ready(Ok(Turn::Input(lease.filled(length))))
    }

    pub(super) fn received(&mut self, length: usize) {
        add(&self.ws.0.traffic.octets_received, length as u64);
        if self.timers.watches_traffic() {
            self.timers.received(now());
        }
    }

    /// Tells whether more may be read while a callback waits; stops the clocks if not.
    pub(super) fn may_read_ahead(&mut self, rest: &[u8]) -> bool {
        let kept = self.ahead.as_ref().map_or(0, |ahead| ahead.len());
        let finished = self.ahead.as_ref().is_some_and(|ahead| ahead.finished);
        if finished || self.receiver.is_finished() {
            return false;
        }
        if rest.len() + kept >= RECEIVE_WINDOW {
            self.timers.pause(now());
            return false;
        }
        self.timers.resume(now());
        true
    }

    pub(super) fn poll_read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        let mut lease = Lease::new(self.class);
        let mut buffer = ReadBuf::new(lease.space());
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        let lease = lease.filled(length);
        if length > 0 {
            self.received(length);
            self.read_ahead(&lease);
        }
        Poll::Ready(Ok(length))
    }

    /// Keeps octets for the receiver, and deals with the control frames among them.
    pub(super) fn read_ahead(&mut self, octets: &[u8]) {
        let receiver = &self.receiver;
        let ahead = self
            .ahead
            .get_or_insert_with(|| Lookahead::new(receiver, &[]).0);
        let seen = ahead.push(octets);
        self.handle_ahead(seen);
    }

    pub(super) fn handle_ahead(&mut self, seen: Vec<Ahead>) {
        for ahead in seen {
            match ahead {
                Ahead::Ping(payload) => self.answer_ping(payload),
                Ahead::Pong(payload) => self.handle_pong(&payload),
                Ahead::Close(frame) => self.hold_close(frame),
            }
        }
    }

    /// Tells whether the control frame that the receiver has met was dealt with ahead of its turn.
    pub(super) fn was_handled(&mut self) -> bool {
        self.ahead.as_mut().is_some_and(|ahead| ahead.was_handled())
    }

    pub(super) fn answer_ping(&mut self, payload: Vec<u8>) {
        if !self.auto_pong {
            return;
        }
        self.ws.0.update(|half| half.answer_ping(payload));
    }

    pub(super) fn handle_pong(&mut self, payload: &[u8]) {
        if let Some(time) = self.timers.pong(payload, now()) {
            self.notices.push(Notice::AutoPong(time));
        }
        self.ws.0.lock().answer_pings(payload);
    }
}

impl Half {
    /// Answers a ping: at once if nothing waits before the answer, else with one answer to the
    /// newest ping (RFC 6455 §5.5.3), so that a peer that reads nothing costs no memory.
    fn answer_ping(&mut self, payload: Vec<u8>) {
        if self.buffered() > PONG_BACKLOG {
            self.pong = Some(payload);
            return;
        }
        self.pong = None;
        // Not sent once the connection is closing, and then not needed.
        let _ = self.sender.pong(&payload, &mut self.output);
    }

    /// Tells those whose ping is answered by a pong with this payload.
    fn answer_pings(&mut self, payload: &[u8]) {
        let Some(last) = self.pings.iter().position(|ping| ping.payload == payload) else {
            return;
        };
        for ping in self.pings.drain(..=last) {
            // Nobody may be waiting for it any more.
            let _ = ping.answer.send(ping.sent.elapsed());
        }
    }
}

/// How many octets are read ahead while a callback waits.
const RECEIVE_WINDOW: usize = 256 << 10;
/// Above how many unwritten octets pings are answered by the newest only.
const PONG_BACKLOG: usize = 4 << 10;
