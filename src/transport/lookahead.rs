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
    /// How many octets of pings and pongs were kept.
    control_octets: usize,
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
            control_octets: 0,
            held_close: None,
            finished: false,
        });
        let seen = lookahead.scan(rest, false);
        (lookahead, seen)
    }

    /// Takes octets that were read, and returns the control frames in them.
    pub(super) fn push(&mut self, octets: &[u8]) -> Vec<Ahead> {
        self.scan(octets, true)
    }

    fn scan(&mut self, octets: &[u8], keeps: bool) -> Vec<Ahead> {
        let mut seen = Vec::new();
        let mut rest = octets;
        loop {
            let before = rest;
            let ahead = self.scanner.next(&mut rest);
            if keeps {
                let taken = before.get(..before.len() - rest.len());
                self.octets.extend_from_slice(taken.unwrap_or_default());
            }
            match &ahead {
                None => return seen,
                Some(Ahead::Close(_)) => self.finished = true,
                Some(Ahead::Ping(_) | Ahead::Pong(_)) => self.note_control(),
            }
            seen.extend(ahead);
        }
    }

    /// Takes note of a ping or pong that is dealt with; forgets it where a callback waits for so
    /// long that they would fill the window, and the peer would not be heard any more.
    fn note_control(&mut self) {
        let length = self.scanner.control_length();
        let Some(start) = self.octets.len().checked_sub(length) else {
            self.handled += 1;
            return;
        };
        if self.control_octets + length > CONTROL_OCTETS {
            self.octets.truncate(start);
            self.scanner.forget_control();
            return;
        }
        self.control_octets += length;
        self.handled += 1;
    }

    /// Tells whether data wait before the point that was scanned to; `rest` octets that are not kept
    /// here wait for the receiver, too.
    pub(super) fn has_data(&self, rest: usize) -> bool {
        self.scanner.has_data_in((rest + self.octets.len()) as u64)
    }

    /// Returns how many octets are kept.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Takes the octets, for the receiver.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.control_octets = 0;
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

/// How many octets of pings and pongs are kept for the callbacks that are to be told of them.
const CONTROL_OCTETS: usize = 16 << 10;
