//! The driver: the one place that calls user code.

use super::WebSocket;
use super::handler::Handler;
use super::io::{Hold, Io, Stream, Turn, add};
use super::pool::Lease;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, Event, Receiver, Short};
use crate::error::{Error, HandlerError, HandlerResult};
use crate::message::Message;
use crate::observe::Moment;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// A connection with its protocol instance, from the opening to the close.
pub(crate) struct Driver<S, H> {
    io: Io<S>,
    handler: H,
    /// What is being received, first what came with the opening handshake.
    input: Lease,
}

/// How a callback ended that did not end well.
enum Fault {
    Error(HandlerError),
    Panic,
    /// The server's deadline passed; the callback was dropped.
    Killed,
}

impl<S: Stream, H: Handler> Driver<S, H> {
    /// Makes the driver of a connection whose opening handshake is done; `early` came with it.
    pub(crate) fn new(
        stream: S,
        halves: (WebSocket, Receiver),
        handler: H,
        early: Vec<u8>,
    ) -> Self {
        let (ws, receiver) = halves;
        let mut io = Io::new(stream, ws, receiver.in_pieces(H::RECEIVE));
        io.auto_pong = H::AUTO_PONG;
        Self {
            io,
            handler,
            input: Lease::from(early),
        }
    }

    /// Returns the protocol instance.
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    /// Lets `hold` catch up before the peer's close frame is answered.
    pub(crate) fn hold_close(&mut self, hold: Arc<dyn Hold>) {
        self.io.hold = Some(Box::new(hold));
    }

    /// Runs a callback that comes before `on_open`; if it fails, only the end is told.
    pub(crate) async fn begin(&mut self, callback: impl AsyncFnOnce(&mut H) -> HandlerResult) {
        let callback = callback(&mut self.handler);
        self.io.call(pin!(callback), &self.input).await;
        self.io.uncork();
    }

    /// Runs the connection to its end.
    pub(crate) async fn run(&mut self) -> CloseInfo {
        let survived = {
            let mut serving = pin!(self.serve());
            // Callbacks are caught one by one; this is for a stream that panics, and for what a
            // callback holds if that panics when it is dropped.
            poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
                match polled {
                    Ok(poll) => poll.map(|()| true),
                    Err(_) => Poll::Ready(false),
                }
            })
            .await
        };
        if !survived {
            self.io.end(CloseCause::Panic);
        }
        Box::pin(say_goodbye(&mut self.io, &mut self.handler)).await
    }

    async fn serve(&mut self) {
        // Nothing is bound here that is not needed across an await: it would live in the future.
        let ws = self.io.ws.clone();
        if !self.input.is_empty() {
            self.io.received(&self.input);
        }
        if let Some(observation) = ws.0.observation() {
            observation.track(Moment::OnOpen);
        }
        if !self.io.deaf {
            let callback = self.handler.on_open(&ws);
            self.io.call(pin!(callback), &self.input).await;
        }
        loop {
            let mut rest: &mut [u8] = &mut self.input;
            loop {
                // Whatever the events are: pings and pieces take their time, too.
                if self.io.is_turn_over() {
                    poll_fn(|context| self.io.poll_turn_over(context)).await;
                }
                // Called back for at two places: brought together, each message would be moved to
                // where the other kind is.
                if let Some(found) = self.io.find_short(rest) {
                    let (message, after) = found.split(rest);
                    rest = after;
                    let callback = self.handler.on_message(&ws, message);
                    self.io.call(pin!(callback), rest).await;
                    continue;
                }
                let Some((event, after)) = self.io.next_event(rest) else {
                    break;
                };
                rest = after;
                match event {
                    Event::Message(message) => {
                        let callback = self.handler.on_message(&ws, message);
                        self.io.call(pin!(callback), rest).await;
                    }
                    event => deliver(&mut self.io, &mut self.handler, event, rest).await,
                }
            }
            drop(std::mem::take(&mut self.input));
            match poll_fn(|context| self.io.poll_turn(context)).await {
                Turn::Input(lease) => self.input = lease,
                Turn::Notice => {}
                Turn::Ended => break,
            }
            if self.io.notices.any() {
                notify(&mut self.io, &mut self.handler, &self.input).await;
            }
        }
    }
}

/// Calls back for anything but a whole message; `rest` is the input behind it.
///
/// A block, unlike an `async fn`, does not keep its arguments twice.
fn deliver<'a, S: Stream, H: Handler>(
    io: &'a mut Io<S>,
    handler: &'a mut H,
    event: Event<'a>,
    rest: &'a [u8],
) -> impl Future<Output = ()> + Send + 'a {
    let ws = io.ws.clone();
    async move {
        match event {
            Event::MessageBegin(kind) => {
                io.call(pin!(handler.on_message_begin(&ws, kind)), rest)
                    .await;
            }
            Event::FrameBegin { length } => {
                io.call(pin!(handler.on_message_frame_begin(&ws, length)), rest)
                    .await;
            }
            Event::FrameData(chunk) => {
                io.call(pin!(handler.on_message_frame_data(&ws, chunk)), rest)
                    .await;
            }
            Event::FrameEnd => io.call(pin!(handler.on_message_frame_end(&ws)), rest).await,
            Event::Frame(payload) => {
                io.call(pin!(handler.on_message_frame(&ws, payload)), rest)
                    .await;
            }
            Event::MessageEnd => io.call(pin!(handler.on_message_end(&ws)), rest).await,
            Event::Ping(payload) => io.call(pin!(handler.on_ping(&ws, &payload)), rest).await,
            Event::Pong(payload) => io.call(pin!(handler.on_pong(&ws, &payload)), rest).await,
            Event::Close(frame) => {
                if let Some(hold) = io.hold.take() {
                    // Boxed, so that those who have none do not carry the room for it.
                    Box::pin(catch_up(io, *hold, (frame, rest))).await;
                }
            }
            Event::Message(_) => {}
        }
    }
}

/// Answers the peer's close frame once `hold` has caught up.
async fn catch_up<S: Stream>(
    io: &mut Io<S>,
    hold: Arc<dyn Hold>,
    (frame, rest): (Option<CloseFrame>, &[u8]),
) {
    // Behind our own close frame nothing can be answered any more.
    if io.ws.is_open() {
        io.call(pin!(hold.catch_up()), rest).await;
    }
    io.receive_close(frame);
}

/// Calls back for what has happened apart from what arrives.
async fn notify<S: Stream, H: Handler>(io: &mut Io<S>, handler: &mut H, input: &[u8]) {
    let ws = io.ws.clone();
    if let Some(rtt) = io.notices.auto_pong.take()
        && !io.deaf
    {
        io.call(pin!(handler.on_auto_pong(&ws, rtt)), input).await;
    }
    if std::mem::take(&mut io.notices.drained) && !io.deaf {
        io.call(pin!(handler.on_drain(&ws)), input).await;
    }
}

/// Tells the protocol instance how the connection ended.
async fn say_goodbye<S: Stream, H: Handler>(io: &mut Io<S>, handler: &mut H) -> CloseInfo {
    let ws = io.ws.clone();
    let info = ws
        .close_info()
        .cloned()
        .unwrap_or_else(|| CloseInfo::never_opened("", crate::connection::Endpoint::Local));
    log_end(&ws, &info);
    io.deaf = false;
    if let CloseCause::Timeout(kind) = info.cause {
        io.call(pin!(handler.on_timeout(&ws, kind)), &[]).await;
    }
    if let Some(error) = Error::of_cause(&info.cause) {
        io.call(pin!(handler.on_error(&error)), &[]).await;
    }
    io.call(pin!(handler.on_close(info.clone())), &[]).await;
    io.uncork();
    info
}

fn log_end(ws: &WebSocket, info: &CloseInfo) {
    let _entered = ws.enter();
    let (connection, peer) = (ws.id(), ws.peer());
    match info.cause {
        CloseCause::Protocol(error) => {
            tracing::warn!(connection, %peer, code = info.local.as_ref().map(|frame| frame.code.as_u16()), %error, cause = ?error, "peer broke the protocol");
        }
        _ if info.was_clean => tracing::debug!(connection, %peer, %info, "connection closed"),
        _ => tracing::info!(connection, %peer, %info, "connection lost"),
    }
}

/// Polls a callback. The instance may be left in any state by a panic; after one it is only told the
/// end.
#[inline]
fn poll_user<F: Future>(
    callback: Pin<&mut F>,
    context: &mut Context<'_>,
) -> std::thread::Result<Poll<F::Output>> {
    catch_unwind(AssertUnwindSafe(|| callback.poll(context)))
}

/// The future of [`Io::call`].
struct Calling<'a, S, F> {
    io: &'a mut Io<S>,
    callback: Pin<&'a mut F>,
    rest: &'a [u8],
}

impl<S: Stream, F: Future<Output = HandlerResult>> Future for Calling<'_, S, F> {
    type Output = ();

    // Once for every message.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let polled = this
            .io
            .poll_callback(context, this.callback.as_mut(), this.rest);
        polled.map(|outcome| {
            if let Err(fault) = outcome {
                this.io.settle(fault);
            }
        })
    }
}

impl<S: Stream> Io<S> {
    /// Finds the message at the start of the input if it is one that asks for nothing but to be
    /// delivered.
    #[inline(always)]
    fn find_short(&mut self, input: &mut [u8]) -> Option<Short> {
        if self.deaf || self.ws.0.is_deaf() || self.ws.0.observation().is_some() {
            return None;
        }
        let found = self.receiver.find_short(input)?;
        let traffic = &self.ws.0.traffic;
        add(&traffic.messages_received, 1);
        add(&traffic.message_octets_received, found.len() as u64);
        Some(found)
    }

    /// Takes the next event out of the input, after doing the protocol's own part of it; fails the
    /// connection if the peer broke the protocol. Skips what the application has no ear for.
    fn next_event<'a>(&mut self, mut input: &'a mut [u8]) -> Option<(Event<'a>, &'a mut [u8])> {
        if self.ws.0.is_deaf() {
            return None;
        }
        loop {
            match self.receiver.receive(input) {
                Ok((Some(event), rest)) => {
                    self.take_note(&event);
                    if !self.deaf {
                        return Some((event, rest));
                    }
                    input = rest;
                }
                Ok((None, _)) => {
                    if let Some(observation) = self.ws.0.observation()
                        && let Some(kind) = self.receiver.under_way()
                    {
                        observation.message_begins(kind);
                    }
                    return None;
                }
                Err(error) => {
                    self.fail(error);
                    return None;
                }
            }
            if self.ws.0.is_deaf() {
                return None;
            }
        }
    }

    /// Counts a message that came whole.
    fn count_message(&self, message: &Message<'_>) {
        let traffic = &self.ws.0.traffic;
        add(&traffic.messages_received, 1);
        add(&traffic.message_octets_received, message.len() as u64);
        self.publish_counts();
        if self.ws.0.observation().is_some() {
            self.ws.0.tell_received(Some(message));
        }
    }

    /// Makes visible what the receiver has counted, at the ends of pieces.
    fn publish_counts(&self) {
        let traffic = &self.ws.0.traffic;
        let (continuations, squeeze) = self.receiver.counts();
        traffic
            .continuations_received
            .store(continuations, Ordering::Relaxed);
        traffic.inflated.0.store(squeeze.plain, Ordering::Relaxed);
        traffic
            .inflated
            .1
            .store(squeeze.compressed, Ordering::Relaxed);
    }

    /// Counts an event, and tells who looks on.
    fn count_event(&self, event: &Event<'_>) {
        let traffic = &self.ws.0.traffic;
        let observation = self.ws.0.observation();
        match event {
            Event::Message(message) => return self.count_message(message),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {
                return add(&traffic.controls_received, 1);
            }
            Event::MessageBegin(kind) => {
                if let Some(observation) = observation {
                    observation.message_begins(*kind);
                }
            }
            Event::FrameData(payload) | Event::Frame(payload) => {
                add(&traffic.message_octets_received, payload.len() as u64);
                if let Some(observation) = observation {
                    observation.piece(payload.len());
                }
            }
            Event::MessageEnd => {
                add(&traffic.messages_received, 1);
                self.ws.0.tell_received(None);
            }
            _ => {}
        }
        self.publish_counts();
    }

    fn take_note(&mut self, event: &Event<'_>) {
        if matches!(event, Event::Ping(_) | Event::Pong(_)) && self.was_handled() {
            return;
        }
        self.count_event(event);
        match event {
            Event::Ping(payload) => self.answer_ping(payload),
            Event::Pong(payload) => self.handle_pong(payload),
            // Answered after the wait.
            Event::Close(_) if self.hold.is_some() && !self.deaf => {}
            Event::Close(frame) => self.receive_close(frame.clone()),
            _ => {}
        }
    }

    /// Runs a callback to its end; what it sends is corked, and while it waits the connection goes
    /// on. `rest` is the input behind the event that the callback is about.
    #[inline]
    fn call<'a, F>(&'a mut self, callback: Pin<&'a mut F>, rest: &'a [u8]) -> Calling<'a, S, F> {
        Calling {
            io: self,
            callback,
            rest,
        }
    }

    #[inline(always)]
    fn poll_callback<F>(
        &mut self,
        context: &mut Context<'_>,
        callback: Pin<&mut F>,
        rest: &[u8],
    ) -> Poll<Result<(), Fault>>
    where
        F: Future<Output = HandlerResult>,
    {
        self.cork();
        let polled = match self.ws.0.observation() {
            None => poll_user(callback, context),
            Some(observation) => {
                let _entered = observation.enter();
                poll_user(callback, context)
            }
        };
        match polled {
            Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Fault::Error)),
            Err(_) => Poll::Ready(Err(Fault::Panic)),
            Ok(Poll::Pending) => match self.meanwhile(context, rest) {
                true => Poll::Ready(Err(Fault::Killed)),
                false => Poll::Pending,
            },
        }
    }

    #[cold]
    fn settle(&mut self, fault: Fault) {
        let ws = self.ws.clone();
        let _entered = ws.enter();
        let (connection, peer) = (self.ws.id(), self.ws.peer());
        self.deaf = true;
        match fault {
            Fault::Error(error) => {
                match error.source() {
                    Some(error) => tracing::error!(connection, %peer, error, "callback failed"),
                    None => tracing::debug!(connection, %peer, %error, "callback closes"),
                }
                self.close_because(error.close_frame().clone(), CloseCause::Handler);
            }
            Fault::Panic => {
                tracing::error!(connection, %peer, "callback panicked");
                let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "");
                self.close_because(frame, CloseCause::Panic);
            }
            Fault::Killed => {
                tracing::warn!(connection, %peer, "callback dropped at the deadline of the shutdown");
            }
        }
    }

    fn close_because(&mut self, frame: CloseFrame, cause: CloseCause) {
        // The code was checked when the frame was made.
        let _ = (self.ws.0).update(|half| half.close_because(Some(frame), cause));
    }
}
