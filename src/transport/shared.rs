//! What the handle and the driver of one connection share.
//!
//! The receiving half belongs to the driver alone; this is the sending half with its queue. It is
//! locked for moments, never across a system call or an await.

use super::backlog::{Backlog, Parcel};
use super::cork;
use super::pings::Pings;
use super::random;
use super::waiters::{Waiters, Wish};
use crate::close::CloseFrame;
use crate::connection::{
    CloseCause, CloseInfo, Compress, Output, Rules, SendError, Sender, ShortSend, check_size,
    write_message,
};
use crate::message::Message;
use crate::observe::{Observation, Stats};
use crate::peer::Peer;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

/// Above how many unwritten octets pings are answered by the newest only.
const PONG_BACKLOG: usize = 4 << 10;

/// The shared part of one connection.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) facts: Facts,
    pub(super) rules: Arc<Rules>,
    flags: AtomicU8,
    short: ShortSend,
    pub(super) traffic: Traffic,
    pub(super) closed: OnceLock<Box<CloseInfo>>,
    half: Mutex<Half>,
}

/// What the opening handshake said about a connection, and what looks at it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The number of the connection; not 0.
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    pub(crate) path: Box<str>,
    pub(crate) subprotocol: Option<Box<str>>,
    /// How many octets of heads were received and sent.
    pub(crate) opening: (u32, u32),
    pub(crate) observation: Option<Box<Observation>>,
}

impl Facts {
    /// How many octets of heads there were; more than fit are as good as those.
    pub(crate) fn heads((received, sent): (usize, usize)) -> (u32, u32) {
        let octets = |octets| u32::try_from(octets).unwrap_or(u32::MAX);
        (octets(received), octets(sent))
    }
}

/// Counters that only the driver writes.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) octets_received: AtomicU64,
    pub(super) messages_received: AtomicU64,
    pub(super) octets_sent: AtomicU64,
    pub(super) messages_corked: AtomicU64,
    pub(super) message_octets_received: AtomicU64,
    pub(super) controls_received: AtomicU64,
    pub(super) continuations_received: AtomicU64,
    pub(super) inflated: (AtomicU64, AtomicU64),
    pub(super) frames_sent: AtomicU64,
    pub(super) payload_sent: AtomicU64,
    pub(super) deflated: (AtomicU64, AtomicU64),
}

/// The sending half and everything that waits for it.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) sender: Sender,
    pub(super) output: Output,
    /// What the driver is writing at this moment.
    pub(super) in_flight: usize,
    /// What is done where there is no room, and what waits for that; nothing where that is to wait.
    pub(super) backlog: Option<Box<Backlog>>,
    /// Pongs that wait until an earlier one is written, the newest of each kind.
    pub(super) held: Option<Box<HeldPongs>>,
    /// How many octets are to be written until the last pong is.
    pub(super) pong_after: usize,
    /// How many octets are to be written until the last automatic ping is.
    pub(super) ping_after: usize,
    pub(super) driver: Option<Waker>,
    /// Those who wait to send, and those who wait for the end.
    pub(super) waiters: Waiters,
    pub(super) pings: Pings,
    pub(super) messages_sent: u64,
    /// What was counted when the counters were reset.
    pub(super) baseline: Option<Box<Stats>>,
    /// The high-water mark was reached, and the low one has not been since.
    pub(super) was_full: bool,
    /// The connection has failed or was dropped: nothing more is received.
    pub(super) is_deaf: bool,
    pub(super) order: Option<Order>,
}

/// The newest answer to a ping, and the newest pong that the application sent.
#[derive(Debug, Default)]
pub(super) struct HeldPongs {
    answer: Option<Vec<u8>>,
    own: Option<Vec<u8>>,
}

/// Why a pong is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Answer,
    Own,
}

/// What the driver is told to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Drop the connection.
    Abort,
    /// Drop the connection once what the stream takes at once is written.
    Leave,
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
        let backlog = Backlog::of(rules.overflow);
        let shared = Self {
            facts,
            short: ShortSend::new(&rules),
            rules,
            flags: AtomicU8::new(0),
            traffic: Traffic::default(),
            closed: OnceLock::new(),
            half: Mutex::new(Half {
                sender,
                output: Output::default(),
                in_flight: 0,
                backlog,
                held: None,
                pong_after: 0,
                ping_after: 0,
                driver: None,
                waiters: Waiters::default(),
                pings: Pings::default(),
                messages_sent: 0,
                baseline: None,
                was_full: false,
                is_deaf: false,
                order: None,
            }),
        };
        shared.publish(&shared.lock());
        shared
    }

    /// Returns what looks at the connection, if anything does.
    #[inline]
    pub(crate) fn observation(&self) -> Option<&Observation> {
        self.facts.observation.as_deref()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Half> {
        // Nothing that runs under the lock leaves it half changed if it panics.
        self.half.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what the lock guards visible to those who do not take it; tells whether that is news
    /// for the driver.
    pub(super) fn publish(&self, half: &Half) -> bool {
        let open = half.sender.state().is_open();
        // Whoever wants to hear of each message is told on the other path.
        let heard = self.observation().is_some_and(Observation::wants_messages);
        let plain = if half.sender.is_plain() && !heard && half.keeps_no_order() {
            PLAIN
        } else {
            0
        };
        let closing = if open { 0 } else { CLOSING };
        let work = if half.has_work() { WORK } else { 0 };
        let deaf = if half.is_deaf || half.order.is_some() {
            DEAF
        } else {
            0
        };
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

    /// Queues a short message in the cork; tells whether that was possible. If not, nothing was
    /// done.
    #[inline(always)]
    pub(super) fn queue_short(&self, message: &Message<'_>) -> bool {
        self.flags.load(Ordering::Acquire) == PLAIN
            && cork::with(self.facts.id, |output| {
                output.len() <= self.rules.send_high_water
                    && self.short.write(message, random::masking_key, output)
            })
    }

    /// Queues a message, in the cork where that is possible.
    #[inline]
    pub(super) fn queue<'a>(&self, message: Message<'a>) -> Result<(), Refused<'a>> {
        if self.flags.load(Ordering::Acquire) != PLAIN {
            return self.queue_locked(message);
        }
        check_size(&self.rules, message.len() as u64).map_err(Refused::Never)?;
        let mut message = Some(message);
        cork::with(self.facts.id, |output| {
            if output.len() > self.rules.send_high_water {
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
        if let Some((corked, messages)) = cork::split(self.facts.id) {
            self.update(|half| {
                half.queue_first(corked);
                half.messages_sent += messages;
            });
        }
    }

    /// Queues a message that is not to be compressed.
    pub(super) fn queue_uncompressed<'a>(&self, message: Message<'a>) -> Result<(), Refused<'a>> {
        match self.flags.load(Ordering::Acquire) {
            PLAIN => self.queue(message),
            _ => self.queue_with(message, Compress::Never),
        }
    }

    #[cold]
    fn queue_locked<'a>(&self, message: Message<'a>) -> Result<(), Refused<'a>> {
        self.queue_with(message, Compress::Auto)
    }

    fn queue_with<'a>(&self, message: Message<'a>, compress: Compress) -> Result<(), Refused<'a>> {
        let queued = self.command(|half| match half.backlog {
            None => {
                half.check_room()?;
                let (sender, output) = (&mut half.sender, &mut half.output);
                sender.send_with(message.borrowed(), compress, output)?;
                half.messages_sent += 1;
                Ok(())
            }
            Some(_) => half.put(Parcel::Message(&message, compress)),
        });
        self.tell_queued(&queued, Some(&message));
        match queued {
            Ok(()) => Ok(()),
            Err(error @ (SendError::Full { .. } | SendError::Busy)) => {
                Err(Refused::Later(message, error))
            }
            Err(error) => Err(Refused::Never(error)),
        }
    }

    /// Does something with the sending half and lets the driver know.
    pub(super) fn command<R>(&self, command: impl FnOnce(&mut Half) -> R) -> R {
        let mut half = self.lock();
        let result = command(&mut half);
        let has_spent = half.release();
        let waiting = half.take_disappointed();
        let driver = self.publish_to_driver(&half);
        // Woken without the lock, since whatever is woken may want it.
        drop(half);
        waiting.into_iter().for_each(Waker::wake);
        if let Some(driver) = driver {
            driver.wake();
        }
        if has_spent {
            self.drop_spent();
        }
        result
    }

    /// Does something with the sending half on behalf of the driver, which needs no waking.
    pub(super) fn update<R>(&self, update: impl FnOnce(&mut Half) -> R) -> R {
        let mut half = self.lock();
        let result = update(&mut half);
        let has_spent = half.release();
        let waiting = half.take_disappointed();
        self.publish(&half);
        drop(half);
        waiting.into_iter().for_each(Waker::wake);
        if has_spent {
            self.drop_spent();
        }
        result
    }

    /// Publishes what has changed; returns the driver to be woken if it does not know already that
    /// there is work: it looks again, under the lock, before it takes the sign away.
    fn publish_to_driver(&self, half: &Half) -> Option<Waker> {
        // Where memory is counted, the driver has to hear of all that is buffered.
        let news = self.publish(half) || half.order.is_some() || self.rules.budget.is_some();
        match news {
            true => half.driver.clone(),
            false => None,
        }
    }

    /// Wakes those who wait for room.
    pub(super) fn wake_senders(&self) {
        let waiting = self.lock().waiters.take(Wish::Room);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn order(&self, order: Order) {
        self.command(|half| half.order = half.order.max(Some(order)));
    }

    pub(super) fn close(
        &self,
        frame: Option<CloseFrame>,
        cause: CloseCause,
    ) -> Result<(), SendError> {
        self.command(|half| half.close_because(frame, cause))
    }
}

impl Half {
    fn has_work(&self) -> bool {
        !self.output.is_empty() || self.held.is_some() || self.order.is_some()
    }

    /// Checks that no more is buffered than may be.
    pub(super) fn check_room(&mut self) -> Result<(), SendError> {
        let buffered = self.held();
        if buffered > self.sender.rules().send_high_water && self.sender.state().is_open() {
            self.was_full = true;
            return Err(SendError::Full { buffered });
        }
        Ok(())
    }

    /// Tells whether those who wait for room are to try again.
    pub(super) fn has_room(&self) -> bool {
        !self.sender.state().is_open() || self.held() <= self.sender.rules().send_high_water
    }

    /// Tells the same for those who also wait for the end of a message that is sent in parts.
    pub(super) fn may_send(&self) -> bool {
        self.has_room() && !(self.sender.is_busy() && self.sender.state().is_open())
    }

    /// Tells whether nothing is buffered, or nobody is told of it any more.
    pub(super) fn is_written(&self) -> bool {
        !self.sender.state().is_open() || self.buffered() == 0
    }

    /// Sends a pong; while an earlier one waits behind more than a little, only the newest is kept
    /// (RFC 6455 §5.5.3), so that a peer that reads nothing costs no memory.
    pub(super) fn send_pong(&mut self, payload: &[u8], why: Why) -> Result<(), SendError> {
        if self.pong_after > PONG_BACKLOG {
            self.sender.check_control(payload)?;
            let held = self.held.get_or_insert_default();
            let slot = match why {
                Why::Answer => &mut held.answer,
                Why::Own => &mut held.own,
            };
            *slot = Some(payload.to_vec());
            return Ok(());
        }
        self.sender.pong(payload, &mut self.output)?;
        if why == Why::Answer
            && let Some(held) = &mut self.held
        {
            // This one answers the ping before it, too.
            held.answer = None;
        }
        self.pong_after = self.framed();
        Ok(())
    }

    /// Sends the pongs that waited if the one before them is written, or nearly so.
    pub(super) fn release_pongs(&mut self) {
        if self.pong_after > PONG_BACKLOG {
            return;
        }
        let Some(held) = self.held.take() else {
            return;
        };
        for (payload, why) in [(held.answer, Why::Answer), (held.own, Why::Own)] {
            if let Some(payload) = payload {
                // Not sent once the connection is closing, and then not needed.
                let _ = self.send_pong(&payload, why);
            }
        }
    }

    /// Takes note that so many octets of the queue were written; tells whether the last automatic
    /// ping was among them or still waits.
    pub(super) fn wrote(&mut self, octets: usize) -> bool {
        let moved_ping = self.ping_after > 0 && octets > 0;
        self.pong_after = self.pong_after.saturating_sub(octets);
        self.ping_after = self.ping_after.saturating_sub(octets);
        moved_ping
    }

    /// Queues what is to go out before all that is queued.
    pub(super) fn queue_first(&mut self, mut first: Output) {
        for after in [&mut self.pong_after, &mut self.ping_after] {
            if *after > 0 {
                *after += first.len();
            }
        }
        first.append(std::mem::take(&mut self.output));
        self.output = first;
    }

    /// Takes out those who wait to send in vain, since the connection closes.
    fn take_disappointed(&mut self) -> Vec<Waker> {
        match self.sender.state().is_open() {
            true => Vec::new(),
            false => self.waiters.take(Wish::Room),
        }
    }
}
