//! What the handle and the driver of one connection share.
//!
//! The receiving half belongs to the driver alone; this is the sending half with its queue. It is
//! locked for moments, never across a system call or an await.

use super::cork;
use super::random;
use crate::close::CloseFrame;
use crate::connection::{
    CloseCause, CloseInfo, Output, Rules, SendError, Sender, State, check_size, write_message,
};
use crate::message::Message;
use crate::peer::Peer;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// `send` waits while more octets than this are buffered.
pub(crate) const HIGH_WATER: usize = 256 << 10;
/// Those who wait go on when no more octets than this are buffered.
pub(crate) const LOW_WATER: usize = 64 << 10;

/// The shared part of one connection.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) id: u64,
    pub(super) facts: Facts,
    pub(super) rules: Arc<Rules>,
    flags: AtomicU8,
    pub(super) traffic: Traffic,
    pub(super) closed: OnceLock<Box<CloseInfo>>,
    half: Mutex<Half>,
}

/// What the opening handshake said about a connection.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) peer: Peer,
    pub(crate) path: Box<str>,
    pub(crate) subprotocol: Option<Box<str>>,
}

/// Counters that only the driver writes.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) octets_received: AtomicU64,
    pub(super) messages_received: AtomicU64,
    pub(super) octets_sent: AtomicU64,
    pub(super) messages_corked: AtomicU64,
}

/// The sending half and everything that waits for it.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) sender: Sender,
    pub(super) output: Output,
    /// What the driver is writing at this moment.
    pub(super) in_flight: usize,
    /// The answer to the newest ping, while what was queued before it is not written.
    pub(super) pong: Option<Vec<u8>>,
    pub(super) driver: Option<Waker>,
    pub(super) waiters: Vec<Waker>,
    pub(super) pings: VecDeque<PendingPing>,
    pub(super) messages_sent: u64,
    /// The high-water mark was reached, and the low one has not been since.
    pub(super) was_full: bool,
    pub(super) order: Option<Order>,
}

/// A ping that the application waits for.
#[derive(Debug)]
pub(super) struct PendingPing {
    pub(super) payload: Vec<u8>,
    pub(super) sent: Instant,
    pub(super) answer: oneshot::Sender<Duration>,
}

/// What the driver is told to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Drop the connection.
    Abort,
    /// Drop the connection and whatever callback runs.
    Kill,
}

/// Why a message was not queued; gives it back where trying again later makes sense.
pub(super) enum Refused<'a> {
    Later(Message<'a>, SendError),
    Never(SendError),
}

/// Something waits for the driver: octets, or an order.
const WORK: u8 = 1;
/// Messages go out as they are: the connection is open, uncompressed, and no message is unfinished.
const PLAIN: u8 = 2;
/// The connection is closing or closed.
const CLOSING: u8 = 4;
/// The connection is to be dropped or has failed; nothing more is received.
const DEAF: u8 = 8;

impl Shared {
    pub(crate) fn new(facts: Facts, sender: Sender, rules: Arc<Rules>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let shared = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            facts,
            rules,
            flags: AtomicU8::new(0),
            traffic: Traffic::default(),
            closed: OnceLock::new(),
            half: Mutex::new(Half {
                sender,
                output: Output::default(),
                in_flight: 0,
                pong: None,
                driver: None,
                waiters: Vec::new(),
                pings: VecDeque::new(),
                messages_sent: 0,
                was_full: false,
                order: None,
            }),
        };
        shared.publish(&shared.lock());
        shared
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Half> {
        // Nothing that runs under the lock leaves it half changed if it panics.
        self.half.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what the lock guards visible to those who do not take it; tells whether that is news
    /// for the driver.
    pub(super) fn publish(&self, half: &Half) -> bool {
        let open = half.sender.state().is_open();
        let plain = if half.sender.is_plain() { PLAIN } else { 0 };
        let closing = if open { 0 } else { CLOSING };
        let work = if half.has_work() { WORK } else { 0 };
        let failed = half.order.is_some() || half.sender.state() == State::Failed;
        let deaf = if failed { DEAF } else { 0 };
        let flags = plain | closing | work | deaf;
        let before = self.flags.swap(flags, Ordering::AcqRel);
        (work | closing) & !before != 0
    }

    pub(super) fn has_work(&self) -> bool {
        self.flags.load(Ordering::Acquire) & WORK != 0
    }

    #[inline]
    pub(super) fn is_deaf(&self) -> bool {
        self.flags.load(Ordering::Acquire) & DEAF != 0
    }

    pub(super) fn is_closing(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CLOSING != 0
    }

    /// Queues a message, in the cork where that is possible.
    #[inline]
    pub(super) fn queue<'a>(&self, message: Message<'a>) -> Result<(), Refused<'a>> {
        if self.flags.load(Ordering::Acquire) != PLAIN {
            return self.queue_locked(message);
        }
        check_size(&self.rules, message.len() as u64).map_err(Refused::Never)?;
        let mut message = Some(message);
        cork::with(self.id, |output| {
            if output.len() > HIGH_WATER {
                return false;
            }
            if let Some(message) = message.take() {
                write_message(&self.rules, &mut random::masking_key, message, output);
            }
            true
        });
        match message {
            None => Ok(()),
            Some(message) => {
                self.share_cork();
                self.queue_locked(message)
            }
        }
    }

    /// Moves a full cork to the shared queue, where those who wait for room are woken.
    #[cold]
    fn share_cork(&self) {
        if let Some((mut corked, messages)) = cork::split(self.id) {
            self.update(|half| {
                // Nothing is corked while something is queued, so what is queued by now came later.
                corked.append(std::mem::take(&mut half.output));
                half.output = corked;
                half.messages_sent += messages;
            });
        }
    }

    #[cold]
    fn queue_locked<'a>(&self, message: Message<'a>) -> Result<(), Refused<'a>> {
        let mut half = self.lock();
        let buffered = half.buffered();
        if buffered > HIGH_WATER && half.sender.state().is_open() {
            half.was_full = true;
            return Err(Refused::Later(message, SendError::Full { buffered }));
        }
        let half = &mut *half;
        match half.sender.send(message.borrowed(), &mut half.output) {
            Ok(()) => {
                half.messages_sent += 1;
                self.wake_driver(half);
                Ok(())
            }
            Err(SendError::Busy) => Err(Refused::Later(message, SendError::Busy)),
            Err(error) => Err(Refused::Never(error)),
        }
    }

    /// Does something with the sending half and lets the driver know.
    pub(super) fn command<R>(&self, command: impl FnOnce(&mut Half) -> R) -> R {
        let mut half = self.lock();
        let result = command(&mut half);
        half.wake_waiters_if_closing();
        self.wake_driver(&half);
        result
    }

    /// Does something with the sending half on behalf of the driver, which needs no waking.
    pub(super) fn update<R>(&self, update: impl FnOnce(&mut Half) -> R) -> R {
        let mut half = self.lock();
        let result = update(&mut half);
        half.wake_waiters_if_closing();
        self.publish(&half);
        result
    }

    /// Publishes what has changed, and wakes the driver if it does not know already that there is
    /// work: it looks again, under the lock, before it takes the sign away.
    fn wake_driver(&self, half: &Half) {
        let news = self.publish(half) || half.order.is_some();
        if news && let Some(driver) = &half.driver {
            driver.wake_by_ref();
        }
    }

    pub(super) fn order(&self, order: Order) {
        self.command(|half| half.order = Some(order));
    }

    pub(super) fn close(
        &self,
        frame: Option<CloseFrame>,
        cause: CloseCause,
    ) -> Result<(), SendError> {
        self.command(|half| half.sender.close_because(frame, cause, &mut half.output))
    }
}

impl Half {
    fn has_work(&self) -> bool {
        !self.output.is_empty() || self.pong.is_some() || self.order.is_some()
    }

    pub(super) fn buffered(&self) -> usize {
        self.output.len() + self.in_flight
    }

    /// Remembers to wake this task when something has changed.
    pub(super) fn wait(&mut self, waker: &Waker) {
        if !self.waiters.iter().any(|waiter| waiter.will_wake(waker)) {
            self.waiters.push(waker.clone());
        }
    }

    /// Wakes those who wait to send, since they wait in vain.
    fn wake_waiters_if_closing(&mut self) {
        if !self.sender.state().is_open() {
            self.wake_waiters();
        }
    }

    pub(super) fn wake_waiters(&mut self) {
        self.waiters.drain(..).for_each(Waker::wake);
    }
}
