//! What was received and waits for its reader.

use crate::error::HandlerResult;
use crate::message::Message;
use crate::transport::Hold;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::timeout;

/// The messages between the driver of a connection and the one who reads them.
///
/// Bounded in octets: above [`ROOM`] the driver waits as it does for a callback, so it reads ahead up
/// to its window, goes on with control frames, and TCP holds the peer back.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message<'static>>,
    octets: usize,
    /// Nothing more will come.
    has_ended: bool,
    /// Nobody will read; what comes is discarded.
    is_unread: bool,
    /// The stream was dropped, and the task of the connection is to see to it.
    is_abandoned: bool,
    /// The reader has taken messages, so it handles them until it comes back.
    has_taken: bool,
    /// The driver waits for the reader to come back.
    is_awaited: bool,
    reader: Option<Waker>,
    /// The task of the connection.
    task: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock leaves it half changed if it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; waits for room.
    pub(crate) fn push(&self, message: Message<'_>) -> impl Future<Output = HandlerResult> + Send {
        let mut message = Some(message);
        poll_fn(move |context| self.poll_push(context, &mut message).map(Ok))
    }

    fn poll_push(&self, context: &Context<'_>, message: &mut Option<Message<'_>>) -> Poll<()> {
        let mut state = self.lock();
        if state.is_unread {
            return Poll::Ready(());
        }
        if state.octets > ROOM {
            state.keep(context.waker());
            return Poll::Pending;
        }
        if let Some(message) = message.take() {
            state.octets += message.len() + size_of::<Message<'static>>();
            state.messages.push_back(message.into_owned());
        }
        let reader = state.reader.take();
        // Woken without the lock, since whatever is woken may want it.
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(())
    }

    /// Takes all messages out, into a queue that is empty; returns whether there were any, `false` at
    /// the end.
    pub(super) fn poll_take(
        &self,
        context: &Context<'_>,
        into: &mut VecDeque<Message<'static>>,
    ) -> Poll<bool> {
        let mut state = self.lock();
        if state.messages.is_empty() {
            if state.has_ended || state.is_unread {
                return Poll::Ready(false);
            }
            if !matches!(&state.reader, Some(known) if known.will_wake(context.waker())) {
                state.reader = Some(context.waker().clone());
            }
            let task = state.task.clone().filter(|_| state.is_awaited);
            drop(state);
            task.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        }
        if into.capacity() > KEPT {
            *into = VecDeque::new();
        }
        std::mem::swap(&mut state.messages, into);
        state.has_taken = true;
        let was_full = std::mem::take(&mut state.octets) > ROOM;
        let task = state.task.clone().filter(|_| was_full);
        drop(state);
        task.into_iter().for_each(Waker::wake);
        Poll::Ready(true)
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Says that nobody will read any more.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.is_unread = true;
        let messages = std::mem::take(&mut state.messages);
        let wakers = [state.reader.take(), state.task.clone()];
        drop(state);
        drop(messages);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Says that the stream was dropped.
    pub(super) fn abandon(&self) {
        self.lock().is_abandoned = true;
        self.discard();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    /// Remembers the task of the connection, to be woken when its reader does something.
    pub(crate) fn keep_task(&self, waker: &Waker) {
        self.lock().keep(waker);
    }
}

impl Hold for Inbox {
    fn catch_up(&self) -> Pin<Box<dyn Future<Output = HandlerResult> + Send + '_>> {
        let coming_back = poll_fn(|context| {
            let mut state = self.lock();
            if state.is_caught_up() {
                return Poll::Ready(());
            }
            state.is_awaited = true;
            state.keep(context.waker());
            Poll::Pending
        });
        Box::pin(async move {
            // One that reads no more, but sends, is not to delay the close for long.
            let _ = timeout(PATIENCE, coming_back).await;
            Ok(())
        })
    }
}

impl State {
    /// Tells whether the reader has handled everything that it was given, and waits for more.
    fn is_caught_up(&self) -> bool {
        let is_idle = self.reader.is_some() || !self.has_taken;
        self.is_unread || (self.messages.is_empty() && is_idle)
    }

    fn keep(&mut self, waker: &Waker) {
        if !matches!(&self.task, Some(known) if known.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }
}

/// The driver waits while more octets than this wait for the reader, who may have as many again.
const ROOM: usize = 32 << 10;
/// How long the peer's close frame waits for a reader who handles messages that came before it.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most places of a queue that is kept when it is empty.
const KEPT: usize = 64;
