//! What is read while a callback waits.
//!
//! The octets are kept for the receiver, and scanned for control frames, which do not wait for
//! their turn.

use crate::close::CloseFrame;
use crate::connection::{Ahead, Receiver, Scanner};

/// Octets read ahead of the receiver, and how much of their content was dealt with already.
#[derive(Debug)]
pub(super) struct Lookahead {
    scanner: Scanner,
    octets: Vec<u8>,
    /// Pings and pongs that were dealt with, and that the receiver is still to meet.
    handled: usize,
    /// The peer's close frame, if it waits behind messages that are not delivered yet.
    pub(super) held_close: Option<Option<CloseFrame>>,
    /// No more is read: a close frame was seen.
    pub(super) finished: bool,
}

impl Lookahead {
    /// Begins behind what the receiver was given last, of which `rest` is left; returns the control
    /// frames in that rest, too.
    pub(super) fn new(receiver: &Receiver, rest: &[u8]) -> (Box<Self>, Vec<Ahead>) {
        let scanner = Scanner::new(receiver);
        let mut lookahead = Box::new(Self {
            scanner,
            octets: Vec::new(),
            handled: 0,
            held_close: None,
            finished: false,
        });
        let seen = lookahead.scan(rest);
        (lookahead, seen)
    }

    /// Takes octets that were read, and returns the control frames in them.
    pub(super) fn push(&mut self, octets: &[u8]) -> Vec<Ahead> {
        self.octets.extend_from_slice(octets);
        self.scan(octets)
    }

    fn scan(&mut self, mut octets: &[u8]) -> Vec<Ahead> {
        let mut seen = Vec::new();
        while let Some(ahead) = self.scanner.next(&mut octets) {
            match ahead {
                Ahead::Close(_) => self.finished = true,
                Ahead::Ping(_) | Ahead::Pong(_) => self.handled += 1,
            }
            seen.push(ahead);
        }
        seen
    }

    /// Tells whether messages wait before the point that was scanned to.
    pub(super) fn has_seen_data(&self) -> bool {
        self.scanner.has_seen_data()
    }

    /// Returns how many octets are kept.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Takes the octets, for the receiver.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.octets)
    }

    /// Tells whether the ping or pong that the receiver has just met was dealt with already.
    pub(super) fn was_handled(&mut self) -> bool {
        match self.handled.checked_sub(1) {
            Some(left) => {
                self.handled = left;
                true
            }
            None => false,
        }
    }
}
