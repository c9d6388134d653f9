//! Reading: for the receiver, or ahead of it while a callback waits.

use super::io::{Io, Stream, Turn, add, now};
use super::lookahead::Lookahead;
use super::pool::{Lease, SizeClass};
use super::shared::Why;
use crate::connection::Ahead;
use crate::observe::Direction;
use bytes::BufMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::task::coop::poll_proceed;
use tokio_util::io::poll_read_buf;

impl<S: Stream> Io<S> {
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(Turn::Ended));
        };
        if let Some((mut room, most)) = self.receiver.direct() {
            let reading = poll_read_buf(Pin::new(stream), context, &mut (&mut room).limit(most));
            if !room.is_empty() {
                self.received(&room);
            }
            let appended = self.receiver.appended(room);
            let length = ready!(reading)?;
            // The next read begins with a header, and perhaps with a small message.
            self.class = SizeClass::AFTER_LARGE;
            if length == 0 {
                self.end_of_stream();
                return Poll::Ready(Ok(Turn::Ended));
            }
            if let Err(error) = appended {
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
        let lease = lease.filled(length);
        self.received(&lease);
        Poll::Ready(Ok(Turn::Input(lease)))
    }

    pub(super) fn received(&mut self, octets: &[u8]) {
        add(&self.ws.0.traffic.octets_received, octets.len() as u64);
        if let Some(observation) = self.ws.0.observation() {
            observation.moved(Direction::Received, octets);
        }
        if self.timers.watches_traffic() {
            self.timers.received(now());
        }
    }

    /// Tells how much more may be read while a callback waits, which has left `rest` octets; stops
    /// the clocks if nothing.
    pub(super) fn window(&mut self, context: &mut Context<'_>, rest: usize) -> usize {
        let kept = self.ahead.as_ref().map_or(0, |ahead| ahead.len());
        let finished = self.ahead.as_ref().is_some_and(|ahead| ahead.finished);
        if finished || self.receiver.is_finished() || self.stream.is_none() {
            return 0;
        }
        let window = match self.timers.is_throttled() {
            true => 0,
            false => (self.receiver.rules().receive_window).saturating_sub(rest + kept),
        };
        match window {
            0 => self.timers.pause(now()),
            _ => self.resume_timers(context),
        }
        window
    }

    pub(super) fn poll_read_ahead(
        &mut self,
        context: &mut Context<'_>,
        window: usize,
        rest: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        let turn = ready!(poll_proceed(context));
        let mut lease = Lease::new(self.class);
        let space = lease.space();
        let room = space.len().min(window);
        let mut buffer = ReadBuf::new(space.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        turn.made_progress();
        let length = buffer.filled().len();
        let lease = lease.filled(length);
        if length > 0 {
            self.received(&lease);
            self.read_ahead(&lease, rest);
        }
        Poll::Ready(Ok(length))
    }

    /// Keeps octets for the receiver, and deals with the control frames among them.
    fn read_ahead(&mut self, octets: &[u8], rest: usize) {
        let receiver = &self.receiver;
        let ahead = self
            .ahead
            .get_or_insert_with(|| Lookahead::new(receiver, &[]).0);
        let seen = ahead.push(octets);
        self.handle_ahead(seen, rest);
    }

    /// Deals with control frames ahead of their turn; `rest` octets wait for the receiver besides those
    /// that were read ahead.
    pub(super) fn handle_ahead(&mut self, seen: Vec<Ahead>, rest: usize) {
        for ahead in seen {
            if !matches!(ahead, Ahead::Close(_)) {
                add(&self.ws.0.traffic.controls_received, 1);
            }
            match ahead {
                Ahead::Ping(payload) => self.answer_ping(&payload),
                Ahead::Pong(payload) => self.handle_pong(&payload),
                Ahead::Close(frame) => self.hold_close(frame, rest),
            }
        }
    }

    /// Tells whether the control frame that the receiver has met was dealt with ahead of its turn.
    pub(super) fn was_handled(&mut self) -> bool {
        self.ahead.as_mut().is_some_and(|ahead| ahead.was_handled())
    }

    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if self.auto_pong {
            // Not sent once the connection is closing, and then not needed.
            let _ = self
                .ws
                .0
                .update(|half| half.send_pong(payload, Why::Answer));
        }
    }

    pub(super) fn handle_pong(&mut self, payload: &[u8]) {
        if let Some(time) = self.timers.pong(payload, now()) {
            self.notices.auto_pong = Some(time);
            self.ws.0.tell_pong(time);
        }
        let answered = self.ws.0.lock().pings.take_answered(payload);
        for ping in answered {
            let Some(answer) = ping.answer else {
                continue;
            };
            let time = ping.sent.elapsed();
            self.ws.0.tell_pong(time);
            // Nobody may be waiting for it any more.
            let _ = answer.send(time);
        }
    }
}
