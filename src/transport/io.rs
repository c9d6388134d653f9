//! The stream of a connection and everything that happens on it between callbacks.

use super::WebSocket;
use super::lookahead::Lookahead;
use super::pool::{Lease, SizeClass};
use super::shared::{Half, Order};
use crate::close::CloseFrame;
use crate::connection::{Ahead, CloseCause, Due, ProtocolError, Receiver, Role, State, Timers};
use bytes::BufMut;
use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

/// A stream that a connection can run on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The driver's side of a connection without the user's part.
#[derive(Debug)]
pub(super) struct Io<S> {
    /// `None` once the connection has ended.
    pub(super) stream: Option<S>,
    pub(super) ws: WebSocket,
    pub(super) receiver: Receiver,
    pub(super) notices: VecDeque<Notice>,
    pub(super) corked: bool,
    /// Whether the application takes no more events, since a callback has failed.
    pub(super) deaf: bool,
    pub(super) auto_pong: bool,
    /// What came with the opening handshake.
    pub(super) early: Vec<u8>,
    /// Whether what was given to the stream may still sit in a buffer of its own.
    pub(super) unflushed: bool,
    killed: bool,
    /// Whether the stream was shut down for writing.
    shut_down: bool,
    class: SizeClass,
    pub(super) timers: Timers,
    timer: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
    ahead: Option<Box<Lookahead>>,
}

/// Something that a callback is to be told, apart from what arrives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    AutoPong(Duration),
    Drain,
}

/// What the driver can go on with.
pub(super) enum Turn {
    /// Octets to be received, none if they were read straight into a message.
    Input(Lease),
    /// There are notices.
    Notice,
    /// The connection has ended.
    Ended,
}

impl<S: Stream> Io<S> {
    pub(super) fn new(stream: S, ws: WebSocket, receiver: Receiver) -> Self {
        let timers = Timers::new(receiver.rules(), Instant::now().into_std());
        Self {
            stream: Some(stream),
            ws,
            receiver,
            notices: VecDeque::new(),
            corked: false,
            deaf: false,
            auto_pong: true,
            early: Vec::new(),
            unflushed: false,
            killed: false,
            shut_down: false,
            class: SizeClass::default(),
            timers,
            timer: None,
            waker: None,
            ahead: None,
        }
    }

    /// Waits for what the driver can go on with, while everything due is done.
    pub(super) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        self.drive(context);
        if let Some(ahead) = &mut self.ahead {
            if ahead.len() > 0 {
                return Poll::Ready(Turn::Input(ahead.take().into()));
            }
            self.ahead = None;
        }
        if self.stream.is_none() {
            return Poll::Ready(Turn::Ended);
        }
        if !self.notices.is_empty() {
            return Poll::Ready(Turn::Notice);
        }
        self.timers.resume(now());
        if self.receiver.is_finished() {
            // Not even the end of the stream matters before our own close frame is out: a peer that
            // has said all may have shut down its side of TCP, and read on.
            return Poll::Pending;
        }
        let turn = ready!(self.poll_read(context));
        Poll::Ready(turn.unwrap_or_else(|error| {
            self.end(CloseCause::Io(Arc::new(error)));
            Turn::Ended
        }))
    }

    /// Goes on with everything but the callback, which waits; `rest` is what it has left of the
    /// input. Returns whether the callback is to be dropped.
    pub(super) fn meanwhile(&mut self, context: &mut Context<'_>, rest: &[u8]) -> bool {
        self.drive(context);
        if self.ahead.is_none() && !rest.is_empty() && self.stream.is_some() {
            let (ahead, seen) = Lookahead::new(&self.receiver, rest);
            self.ahead = Some(ahead);
            self.handle_ahead(seen);
        }
        while self.stream.is_some() && self.may_read_ahead(rest) {
            match self.poll_read_ahead(context) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.end_of_stream(),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => self.end(CloseCause::Io(Arc::new(error))),
            }
        }
        // What was just seen may want an answer, or have set a deadline.
        let holds = self
            .ahead
            .as_ref()
            .is_some_and(|ahead| ahead.held_close.is_some());
        if holds || self.ws.0.has_work() || self.ws.0.is_closing() {
            self.drive(context);
        }
        self.killed
    }

    /// Does everything that is due but reading.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.register(context);
        self.flush(context);
        if self.ws.0.has_work() {
            self.obey_orders();
        }
        if self.stream.is_none() {
            return;
        }
        self.poll_timers(context);
        if self.stream.is_some() && self.ws.0.is_closing() {
            self.poll_closing(context);
        }
    }

    fn register(&mut self, context: &Context<'_>) {
        if self
            .waker
            .as_ref()
            .is_none_or(|waker| !waker.will_wake(context.waker()))
        {
            self.waker = Some(context.waker().clone());
            self.ws.0.lock().driver = self.waker.clone();
        }
    }

    fn obey_orders(&mut self) {
        let order = self.ws.0.lock().order.take();
        match order {
            Some(Order::Abort) => self.abort(CloseCause::Aborted),
            Some(Order::Kill) => {
                self.killed = true;
                self.abort(CloseCause::Shutdown);
            }
            None => {}
        }
    }

    fn poll_timers(&mut self, context: &mut Context<'_>) {
        while let Some(deadline) = self.timers.poll_timeout() {
            let deadline = Instant::from_std(deadline);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // A timer that fires too early costs one look; moving it later each time costs more.
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
            self.handle_timeout(context);
            match (&mut self.timer, self.timers.poll_timeout()) {
                (Some(timer), Some(next)) => timer.as_mut().reset(Instant::from_std(next)),
                (timer, _) => *timer = None,
            }
        }
        self.timer = None;
    }

    fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let due = self
            .timers
            .handle_timeout(now(), &mut super::websocket::random_payload);
        match due {
            Some(Due::Ping(payload)) => {
                // Not sent once the connection is closing, and then not needed.
                let _ = self
                    .ws
                    .0
                    .command(|half| half.sender.ping(&payload, &mut half.output));
            }
            Some(Due::Timeout(kind)) => {
                if let Some(frame) = self
                    .ahead
                    .as_mut()
                    .and_then(|ahead| ahead.held_close.take())
                {
                    self.receive_close(frame);
                    self.flush(context);
                }
                self.abort(CloseCause::Timeout(kind));
            }
            None => {}
        }
    }

    /// Takes the closing handshake further, and then the end of TCP.
    fn poll_closing(&mut self, context: &mut Context<'_>) {
        let (state, written) = {
            let half = self.ws.0.lock();
            (
                half.sender.state(),
                half.buffered() == 0 && half.pong.is_none(),
            )
        };
        // The server has no reason to drop TCP before our close frame is out.
        let reached = match state {
            State::Complete if !written || self.unflushed => State::CloseReceived,
            state => state,
        };
        self.timers
            .closing(&Arc::clone(self.receiver.rules()), reached, now());
        self.poll_timers(context);
        if state == State::Failed && self.receiver.rules().fail_by_drop {
            return self.abort(CloseCause::Local);
        }
        if !state.is_over() || !written || self.unflushed {
            return;
        }
        if state == State::Failed {
            self.receiver.finish();
        }
        // §7.1.1: the server closes TCP first; whoever fails a connection does so too.
        let first = self.receiver.rules().role == Role::Server || state == State::Failed;
        if let Some(stream) = &mut self.stream
            && first
            && !self.shut_down
        {
            match Pin::new(stream).poll_shutdown(context) {
                Poll::Ready(Ok(())) => self.shut_down = true,
                Poll::Ready(Err(_)) => return self.end(CloseCause::Local),
                Poll::Pending => return,
            }
        }
        self.poll_linger(context);
    }

    /// Reads and forgets until the peer closes, so that no unread octet turns our close frame into
    /// a reset.
    fn poll_linger(&mut self, context: &mut Context<'_>) {
        while let Some(stream) = &mut self.stream {
            let mut lease = Lease::new(SizeClass::default());
            let mut buffer = ReadBuf::new(lease.space());
            match Pin::new(stream).poll_read(context, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                // Reset or not, both close frames were exchanged.
                Poll::Ready(_) => self.end(CloseCause::Peer),
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
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
    fn may_read_ahead(&mut self, rest: &[u8]) -> bool {
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

    fn poll_read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
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

    fn handle_ahead(&mut self, seen: Vec<Ahead>) {
        for ahead in seen {
            match ahead {
                Ahead::Ping(payload) => self.answer_ping(payload),
                Ahead::Pong(payload) => self.handle_pong(&payload),
                Ahead::Close(frame) => self.hold_close(frame),
            }
        }
    }

    /// A close frame came while a callback waits. It is answered at once, unless messages wait
    /// before it whose answers would be lost; those get as long as a closing handshake may take.
    fn hold_close(&mut self, frame: Option<CloseFrame>) {
        let state = self.ws.0.lock().sender.state();
        match &mut self.ahead {
            Some(ahead) if ahead.has_seen_data() && state.is_open() => {
                ahead.held_close = Some(frame);
                let rules = Arc::clone(self.receiver.rules());
                self.timers.closing(&rules, State::CloseReceived, now());
            }
            _ => self.receive_close(frame),
        }
    }

    /// Takes note of the peer's close frame and answers it.
    pub(super) fn receive_close(&mut self, frame: Option<CloseFrame>) {
        self.ws
            .0
            .update(|half| half.sender.receive_close(frame, &mut half.output));
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
            self.notices.push_back(Notice::AutoPong(time));
        }
        self.ws.0.lock().answer_pings(payload);
    }

    /// Fails the connection because the peer broke the protocol.
    pub(super) fn fail(&mut self, error: ProtocolError) {
        let frame = CloseFrame::new(error.close_code(), error.to_string());
        self.fail_with(frame, CloseCause::Protocol(error));
    }

    /// Fails the connection: what was sent before goes out, then the close frame.
    pub(super) fn fail_with(&mut self, frame: CloseFrame, cause: CloseCause) {
        self.ws
            .0
            .update(|half| half.sender.fail(Some(frame), cause, &mut half.output));
    }

    fn end_of_stream(&mut self) {
        let state = self.ws.0.lock().sender.state();
        self.end(match state {
            State::Complete => CloseCause::Peer,
            _ => CloseCause::Dropped,
        });
    }

    /// Drops the stream at once; a TCP connection is reset.
    pub(super) fn abort(&mut self, cause: CloseCause) {
        let stream = self.stream.as_ref().map(|stream| stream as &dyn Any);
        if let Some(tcp) = stream.and_then(|stream| stream.downcast_ref::<TcpStream>()) {
            // Fails only on a socket that is gone already.
            let _ = tcp.set_zero_linger();
        }
        self.end(cause);
    }

    /// Ends the connection: the stream and the buffers are freed, and everyone who waits is told.
    pub(super) fn end(&mut self, cause: CloseCause) {
        if self.stream.take().is_none() {
            return;
        }
        let keeps_input = matches!(
            cause,
            CloseCause::Peer | CloseCause::Local | CloseCause::Dropped
        );
        if !keeps_input {
            self.ahead = None;
            self.receiver.finish();
        }
        self.timers = Timers::default();
        self.timer = None;
        let shared = &self.ws.0;
        let mut half = shared.lock();
        let unsent = half.buffered();
        let mut info = half.sender.end(cause);
        info.unsent_octets = unsent;
        half.output.clear();
        half.pong = None;
        half.pings.clear();
        // Set once: this runs only while there is a stream.
        let _ = shared.closed.set(Box::new(info));
        shared.publish(&half);
        half.wake_waiters();
    }
}

impl<S> Drop for Io<S> {
    fn drop(&mut self) {
        if self.ws.0.closed.get().is_none() {
            let mut half = self.ws.0.lock();
            let mut info = half.sender.end(CloseCause::Aborted);
            info.unsent_octets = half.buffered();
            half.output.clear();
            half.pong = None;
            let _ = self.ws.0.closed.set(Box::new(info));
            self.ws.0.publish(&half);
            half.pings.clear();
            half.wake_waiters();
        }
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

/// Adds to a counter that only one task writes.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// How many octets are read ahead while a callback waits.
const RECEIVE_WINDOW: usize = 256 << 10;
/// Above how many unwritten octets pings are answered by the newest only.
const PONG_BACKLOG: usize = 4 << 10;
