//! Messages that wait whole behind what is framed, where the oldest are to be dropped if need be.
//!
//! With context takeover each compressed message refers to those before it (RFC 7692 §7.1.1), so what
//! was compressed has to be sent. Hence what may yet be dropped waits as it is.

use crate::connection::{Compress, Output, PreparedMessage, SendError, Sender};
use crate::message::Message;
use crate::options::OverflowPolicy;
use std::collections::VecDeque;

/// The overflow policy of a connection that does not simply wait, and what waits under it.
#[derive(Debug)]
pub(super) struct Backlog {
    pub(super) policy: OverflowPolicy,
    waiting: VecDeque<Kept>,
    /// Of the messages that wait, without their places.
    octets: usize,
    /// How many messages were dropped so far.
    pub(super) dropped: u64,
    /// What has left, to be dropped once the lock of the connection is given back.
    spent: Vec<Kept>,
    /// What waits can never be sent: it is behind a message that will not end.
    is_lost: bool,
}

/// A message that is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parcel<'p> {
    Message(&'p Message<'p>, Compress),
    Prepared(&'p PreparedMessage),
}

/// A message that waits.
#[derive(Debug)]
pub(super) enum Kept {
    Message(Message<'static>, Compress),
    Prepared(PreparedMessage),
}

impl<'p> Parcel<'p> {
    pub(super) fn message(self) -> &'p Message<'p> {
        match self {
            Self::Message(message, _) => message,
            Self::Prepared(prepared) => prepared.message(),
        }
    }

    pub(super) fn len(self) -> usize {
        self.message().len()
    }

    /// Frames the message.
    pub(super) fn send(self, sender: &mut Sender, output: &mut Output) -> Result<(), SendError> {
        match self {
            // Not to be dropped here, under the lock of the connection.
            Self::Message(message, compress) => {
                sender.send_with(message.borrowed(), compress, output)
            }
            Self::Prepared(prepared) => sender.send_prepared(prepared, output),
        }
    }

    fn keep(self) -> Kept {
        match self {
            Self::Message(message, compress) => {
                Kept::Message(message.clone().into_owned(), compress)
            }
            Self::Prepared(prepared) => Kept::Prepared(prepared.clone()),
        }
    }
}

impl Kept {
    fn parcel(&self) -> Parcel<'_> {
        match self {
            Self::Message(message, compress) => Parcel::Message(message, *compress),
            Self::Prepared(prepared) => Parcel::Prepared(prepared),
        }
    }

    fn send(&self, sender: &mut Sender, output: &mut Output) -> Result<(), SendError> {
        match self {
            // A clone of an owned payload shares its octets.
            Self::Message(message, compress) => {
                sender.send_with(message.clone(), *compress, output)
            }
            Self::Prepared(prepared) => sender.send_prepared(prepared, output),
        }
    }
}

impl Backlog {
    /// Makes what a connection with this policy has; nothing, where that is to wait.
    pub(super) fn of(policy: OverflowPolicy) -> Option<Box<Self>> {
        (policy != OverflowPolicy::Wait).then(|| Box::new(Self::new(policy)))
    }

    pub(super) fn new(policy: OverflowPolicy) -> Self {
        Self {
            policy,
            waiting: VecDeque::new(),
            octets: 0,
            dropped: 0,
            spent: Vec::new(),
            is_lost: false,
        }
    }

    /// Tells whether messages wait that can still be sent.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() && !self.is_lost
    }

    /// Tells whether messages may be framed as they come, however many.
    pub(super) fn is_idle(&self) -> bool {
        self.policy != OverflowPolicy::DropOldest && !self.waits()
    }

    /// Returns how many octets wait.
    pub(super) fn octets(&self) -> usize {
        if self.is_lost { 0 } else { self.octets }
    }

    /// Returns how much what waits counts for: its places, too, which are more where it is short.
    pub(super) fn weight(&self) -> usize {
        match self.is_lost {
            true => 0,
            false => self.octets + PLACE * self.waiting.len(),
        }
    }

    /// Lets a message wait.
    pub(super) fn push(&mut self, parcel: Parcel<'_>) {
        self.octets += parcel.len();
        self.waiting.push_back(parcel.keep());
    }

    /// Drops the oldest message; tells whether there was one.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let oldest = self.pop();
        self.dropped += u64::from(oldest.is_some());
        self.spend(oldest)
    }

    /// Frames the oldest message; tells whether there was one.
    pub(super) fn send_oldest(&mut self, sender: &mut Sender, output: &mut Output) -> bool {
        let oldest = self.pop();
        if let Some(kept) = &oldest
            && kept.send(sender, output).is_err()
        {
            // Its size was looked at before, and whether there is a connection.
            self.dropped += 1;
        }
        self.spend(oldest)
    }

    /// Takes note that what waits will not be sent.
    pub(super) fn give_up(&mut self) {
        self.is_lost = !self.waiting.is_empty();
    }

    /// Tells whether anything has left.
    pub(super) fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// Takes out what has left.
    pub(super) fn take_spent(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.spent)
    }

    /// Takes out everything at the end of the connection, also what was given up; returns how many
    /// octets it has.
    pub(super) fn end(&mut self) -> (usize, Vec<Kept>) {
        let mut rest = self.take_spent();
        rest.extend(self.waiting.drain(..));
        (std::mem::take(&mut self.octets), rest)
    }

    fn pop(&mut self) -> Option<Kept> {
        let oldest = self.waiting.pop_front()?;
        self.octets -= oldest.parcel().len();
        if self.waiting.is_empty() {
            // The places of a burst are not kept.
            self.waiting = VecDeque::new();
        }
        Some(oldest)
    }

    fn spend(&mut self, kept: Option<Kept>) -> bool {
        let was = kept.is_some();
        self.spent.extend(kept);
        was
    }
}

/// How many octets a place takes.
const PLACE: usize = 64;
