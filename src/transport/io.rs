//! The stream of a connection and everything that happens on it between callbacks.

use super::WebSocket;
use super::lookahead::Lookahead;
use super::pool::{Lease, SizeClass};
use super::shared::Order;
use super::watch::Stage;
use crate::connection::{CloseCause, Due, Receiver, Timers};
use crate::error::HandlerResult;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream that a connection can run on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// One who handles messages apart from the callbacks, and whose answers would be lost if the peer's
/// close frame behind them were answered at once.
pub(crate) trait Hold: std::fmt::Debug + Send + Sync {
    /// Waits until what has arrived is handled, but not for long.
    fn catch_up(&self) -> Pin<Box<dyn Future<Output = HandlerResult> + Send + '_>>;
}

/// The driver's side of a connection without the user's part.
#[derive(Debug)]
pub(super) struct Io<S> {
    /// `None` once the connection has ended.
    pub(super) stream: Option<S>,
    pub(super) ws: WebSocket,
    pub(super) receiver: Receiver,
    pub(super) notices: Notices,
    /// Counts events, to share the thread.
    events: u8,
    pub(super) corked: bool,
    /// Whether the application takes no more events, since a callback has failed.
    pub(super) deaf: bool,
    pub(super) auto_pong: bool,
    /// Who has to catch up before the peer's close frame is answered. Boxed, since few have one.
    pub(super) hold: Option<Box<Arc<dyn Hold>>>,
    /// Whether what was given to the stream may still sit in a buffer of its own.
    pub(super) unflushed: bool,
    killed: bool,
    /// Whether the stream was shut down for writing.
    pub(super) shut_down: bool,
    pub(super) class: SizeClass,
    pub(super) timers: Timers,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    pub(super) waker: Option<Waker>,
    pub(super) ahead: Option<Box<Lookahead>>,
}

/// What callbacks are to be told, apart from what arrives. While one waits, the newest counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notices {
    pub(super) auto_pong: Option<Duration>,
    pub(super) drained: bool,
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
            notices: Notices::default(),
            events: 0,
            corked: false,
            deaf: false,
            auto_pong: true,
            hold: None,
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
        self.drive(context, Stage::Reading);
        if let Some(ahead) = &mut self.ahead {
            if ahead.len() > 0 {
                return Poll::Ready(Turn::Input(ahead.take().into()));
            }
            self.ahead = None;
        }
        self.resume_timers(context);
        if self.stream.is_none() {
            return Poll::Ready(Turn::Ended);
        }
        if self.notices.any() && !self.deaf {
            return Poll::Ready(Turn::Notice);
        }
        if self.receiver.is_finished() {
            // Not even the end of the stream matters before our own close frame is out: a peer that
            // has said all may have shut down its side of TCP, and read on.
            return Poll::Pending;
        }
        if self.timers.is_throttled() {
            self.timers.pause(now());
            return Poll::Pending;
        }
        // One connection that always has something to do must not keep others from running.
        let proceed = ready!(poll_proceed(context));
        let turn = ready!(self.poll_read(context));
        proceed.made_progress();
        Poll::Ready(turn.unwrap_or_else(|error| {
            self.end(CloseCause::Io(Arc::new(error)));
            Turn::Ended
        }))
    }

    /// Goes on with everything but the callback, which waits; `rest` is what it has left of the
    /// input. Returns whether the callback is to be dropped.
    pub(super) fn meanwhile(&mut self, context: &mut Context<'_>, rest: &[u8]) -> bool {
        self.drive(context, Stage::Working);
        if self.ahead.is_none() && !rest.is_empty() && self.stream.is_some() {
            let (ahead, seen) = Lookahead::new(&self.receiver, rest);
            self.ahead = Some(ahead);
            self.handle_ahead(seen, rest.len());
        }
        loop {
            let window = self.window(context, rest.len());
            if window == 0 {
                break;
            }
            match self.poll_read_ahead(context, window, rest.len()) {
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
        // Nothing can be answered any more once this end closes, so there is nothing to wait for.
        if holds
            && self.ws.0.is_closing()
            && let Some(frame) = self
                .ahead
                .as_mut()
                .and_then(|ahead| ahead.held_close.take())
        {
            self.receive_close(frame);
        }
        if holds || self.ws.0.has_work() || self.ws.0.is_closing() {
            self.drive(context, Stage::Working);
        }
        self.killed
    }

    /// Lets the clocks go on if they stand; only then is the time asked for.
    pub(super) fn resume_timers(&mut self, context: &mut Context<'_>) {
        if self.timers.is_paused() {
            self.timers.resume(now());
            self.poll_timers(context);
        }
    }

    /// Counts an event; tells whether it is time to look whether others want to run.
    #[inline]
    pub(super) fn is_turn_over(&mut self) -> bool {
        self.events = self.events.wrapping_add(1);
        self.events.is_multiple_of(EVENTS)
    }

    /// Lets others run if this connection has had its share; what was sent goes out before.
    pub(super) fn poll_turn_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match poll_proceed(context) {
            Poll::Ready(proceed) => {
                proceed.made_progress();
                match self.timers.watches_progress() {
                    true => self.poll_unthrottled(context),
                    false => Poll::Ready(()),
                }
            }
            Poll::Pending => {
                self.drive(context, Stage::Working);
                Poll::Pending
            }
        }
    }

    /// Does everything that is due but reading.
    pub(super) fn drive(&mut self, context: &mut Context<'_>, stage: Stage) {
        self.register(context);
        self.flush(context);
        if self.ws.0.has_work() {
            self.obey_orders();
        }
        if self.stream.is_none() {
            return;
        }
        if self.timers.watches_progress() {
            self.watch(stage);
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
            // Dropped without the lock: it may be the last of its task.
            let old = self.ws.0.lock().driver.replace(context.waker().clone());
            drop(old);
        }
    }

    fn obey_orders(&mut self) {
        let order = self.ws.0.lock().order.take();
        match order {
            Some(Order::Abort) => self.abort(CloseCause::Aborted),
            // What was queued has been flushed before.
            Some(Order::Leave) => self.end(CloseCause::Aborted),
            Some(Order::Kill) => {
                self.killed = true;
                self.abort(CloseCause::Shutdown);
            }
            None => {}
        }
    }

    pub(super) fn poll_timers(&mut self, context: &mut Context<'_>) {
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
        let Some(due) = due else {
            return;
        };
        if matches!(due, Due::Timeout(_))
            && let Some(frame) = self
                .ahead
                .as_mut()
                .and_then(|ahead| ahead.held_close.take())
        {
            self.receive_close(frame);
            self.flush(context);
        }
        self.obey(due);
    }
}

impl Notices {
    pub(super) fn any(&self) -> bool {
        self.drained || self.auto_pong.is_some()
    }
}

/// How many events count as one operation of the runtime's cooperative scheduling.
const EVENTS: u8 = 32;

/// Adds to a counter that only one task writes.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// What the engine takes for the time, which a paused clock stops.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
