//! Publications that wait until a connection has room.

use crate::connection::PreparedMessage;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Publications in the order in which they are to go out.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// The numbers of those that have a key; what waits is numbered in its order.
    places: HashMap<Key, u64>,
    /// The number of the first.
    first: u64,
    octets: usize,
    /// How many were dropped that nobody was told of so far.
    untold: usize,
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
    pub(super) key: Option<Key>,
}

/// Topic and key, where a later publication with the same takes the place of an earlier one.
pub(super) type Key = (Arc<str>, Arc<str>);

impl Waiting {
    fn cost(&self) -> usize {
        cost(&self.message)
    }
}

impl Backlog {
    /// Tells whether another message may wait where this is all that may; one has room, however large
    /// it is.
    pub(super) fn fits(&self, message: &PreparedMessage, most: usize) -> bool {
        self.waiting.is_empty() || self.octets + cost(message) <= most
    }

    /// Lets a message wait; returns how many had to give way to it, or to one before it.
    pub(super) fn push(&mut self, new: Waiting, most: usize) -> usize {
        let mut dropped = std::mem::take(&mut self.untold);
        self.octets += new.cost();
        match self.place(new.key.as_ref()) {
            Some(place) => {
                let old = std::mem::replace(place, new);
                self.octets -= old.cost();
                dropped += 1;
            }
            None => {
                let number = self.first.wrapping_add(self.waiting.len() as u64);
                self.note(new.key.as_ref(), number);
                self.waiting.push_back(new);
            }
        }
        // The last one stays, however large it is.
        while self.octets > most && self.waiting.len() > 1 {
            self.pop();
            dropped += 1;
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
        let first = self.pop()?;
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
            if self.place(first.key.as_ref()).is_some() {
                self.untold += 1;
            } else {
                self.first = self.first.wrapping_sub(1);
                self.note(first.key.as_ref(), self.first);
                self.octets += first.cost();
                self.waiting.push_front(first);
            }
        }
        std::mem::take(&mut self.again)
    }

    /// Forgets everything; returns how many waited.
    pub(super) fn clear(&mut self) -> usize {
        self.octets = 0;
        self.places = HashMap::new();
        std::mem::take(&mut self.waiting).len() + std::mem::take(&mut self.untold)
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.first = self.first.wrapping_add(1);
        self.octets -= first.cost();
        if let Some(key) = &first.key {
            self.places.remove(key);
        }
        Some(first)
    }

    /// Finds what waits with this key.
    fn place(&mut self, key: Option<&Key>) -> Option<&mut Waiting> {
        let number = *self.places.get(key?)?;
        let place = usize::try_from(number.wrapping_sub(self.first)).ok()?;
        self.waiting.get_mut(place)
    }

    fn note(&mut self, key: Option<&Key>, number: u64) {
        if let Some(key) = key {
            self.places.insert(key.clone(), number);
        }
    }
}

/// What a message counts for: its frame, and its place in here, which is more where it is short.
fn cost(message: &PreparedMessage) -> usize {
    message.frame().len() + PLACE
}

/// How many octets a place takes.
const PLACE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(text: &str, key: Option<&str>) -> Waiting {
        Waiting {
            message: PreparedMessage::new(text),
            key: key.map(|key| ("topic".into(), key.into())),
        }
    }

    /// Takes out all there is.
    fn drained(backlog: &mut Backlog) -> Vec<String> {
        let taken = std::iter::from_fn(|| {
            let first = backlog.take()?;
            backlog.give_back(None);
            first.message.message().as_text().map(str::to_owned)
        });
        taken.collect()
    }

    #[test]
    fn the_last_of_a_key_takes_the_place_of_the_one_before() {
        let mut backlog = Backlog::default();
        for (text, key, dropped) in [
            ("a1", Some("a"), 0),
            ("-", None, 0),
            ("b1", Some("b"), 0),
            ("a2", Some("a"), 1),
            ("b2", Some("b"), 1),
        ] {
            assert_eq!(backlog.push(waiting(text, key), 1 << 10), dropped);
        }
        let first = backlog.take().unwrap();
        assert!(!backlog.give_back(Some(first)));
        assert_eq!(backlog.push(waiting("a3", Some("a")), 1 << 10), 1);
        assert_eq!(drained(&mut backlog), ["a3", "-", "b2"]);
        assert_eq!(backlog.push(waiting("a4", Some("a")), 1 << 10), 0);
        assert_eq!(drained(&mut backlog), ["a4"]);
        assert_eq!((backlog.octets, backlog.places.len()), (0, 0));
    }

    #[test]
    fn what_is_given_back_too_late_counts_as_dropped() {
        let mut backlog = Backlog::default();
        backlog.push(waiting("a1", Some("a")), 1 << 10);
        let first = backlog.take().unwrap();
        assert_eq!(backlog.push(waiting("a2", Some("a")), 1 << 10), 0);
        backlog.give_back(Some(first));
        assert_eq!(backlog.push(waiting("b1", Some("b")), 1 << 10), 1);
        assert_eq!(drained(&mut backlog), ["a2", "b1"]);
    }

    #[test]
    fn short_messages_count_for_more_than_their_octets() {
        let mut backlog = Backlog::default();
        for number in 0..100_000 {
            backlog.push(waiting("x", Some(&number.to_string())), 256 << 10);
        }
        let most = (256 << 10) / PLACE;
        assert!(backlog.waiting.len() <= most, "{}", backlog.waiting.len());
        assert_eq!(backlog.places.len(), backlog.waiting.len());
        assert!(!backlog.fits(&PreparedMessage::new("x"), 256 << 10));
    }
}
