//! Publications that wait until a connection has room.

use crate::connection::PreparedMessage;
use std::collections::VecDeque;
use std::sync::Arc;

/// Publications in the order in which they are to go out.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    octets: usize,
    /// Somebody has taken the first out and offers it to the connection.
    is_being_emptied: bool,
    /// Somebody else wanted to do so meanwhile.
    again: bool,
    /// The connection is asked to wake somebody who empties this, so that nobody else need try.
    awaits_room: bool,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: PreparedMessage,
    /// Topic and key, where a later publication with the same takes the place of this one.
    pub(super) key: Option<(Arc<str>, Arc<str>)>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.message.frame().len()
    }
}

impl Backlog {
    /// Tells whether another message may wait where this is all that may.
    pub(super) fn fits(&self, message: &PreparedMessage, most: usize) -> bool {
        self.octets + message.frame().len() <= most
    }

    /// Lets a message wait; returns how many had to give way to it.
    pub(super) fn push(&mut self, new: Waiting, most: usize) -> usize {
        self.octets += new.len();
        let same = new.key.as_ref().and_then(|key| {
            let mut waiting = self.waiting.iter_mut();
            waiting.find(|waiting| waiting.key.as_ref() == Some(key))
        });
        let mut dropped = 0;
        match same {
            Some(place) => {
                self.octets -= place.len();
                *place = new;
                dropped += 1;
            }
            None => self.waiting.push_back(new),
        }
        // The last one stays, however large it is.
        while self.octets > most && self.waiting.len() > 1 {
            if let Some(oldest) = self.waiting.pop_front() {
                self.octets -= oldest.len();
                dropped += 1;
            }
        }
        dropped
    }

    /// Takes the first out, to be offered to the connection; one at a time.
    pub(super) fn take(&mut self) -> Option<Waiting> {
        if self.awaits_room {
            return None;
        }
        if self.is_being_emptied {
            self.again = true;
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.octets -= first.len();
        self.is_being_emptied = true;
        Some(first)
    }

    /// Tells whether somebody empties this, now or later.
    pub(super) fn is_cared_for(&self) -> bool {
        self.is_being_emptied || self.awaits_room
    }

    /// Takes note whether the connection is asked to wake somebody.
    pub(super) fn await_room(&mut self, awaits: bool) {
        self.awaits_room = awaits;
    }

    /// Takes back what the connection did not take; tells whether it is to be tried again.
    pub(super) fn give_back(&mut self, first: Option<Waiting>) -> bool {
        self.is_being_emptied = false;
        if let Some(first) = first {
            // A newer one of its key may have come meanwhile.
            let is_stale = first.key.is_some()
                && (self.waiting.iter()).any(|waiting| waiting.key == first.key);
            if !is_stale {
                self.octets += first.len();
                self.waiting.push_front(first);
            }
        }
        std::mem::take(&mut self.again)
    }

    /// Forgets everything; returns how many waited.
    pub(super) fn clear(&mut self) -> usize {
        self.octets = 0;
        std::mem::take(&mut self.waiting).len()
    }
}
