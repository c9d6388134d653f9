//! What a connection that is driven by hand does about its limits and deadlines.
//!
//! `keepalive` and `watch` say what is due; here it is done.

use super::{CloseCause, Connection, Due, TOO_MUCH};
use crate::close::{CloseCode, CloseFrame};
use std::time::Instant;

impl Connection {
    /// Measures the connection by its limits; tells whether something follows from it.
    pub(super) fn watch(&mut self, now: Instant) -> bool {
        if !self.timers.watches_progress() {
            return false;
        }
        let (ahead, unwritten) = self.held;
        let held = ahead + unwritten + self.input.len() + self.receiver.held() + self.output.len();
        self.turn = 0;
        self.progress.buffered = held as u64;
        self.progress.is_partial = self.receiver.under_way().is_some();
        self.progress.partial_octets = self.receiver.arrived();
        self.progress.is_busy = self.is_decoding;
        self.progress.sent += self.output.take_framed().payload;
        let due = self.timers.progressed(&self.progress, now);
        match self.timers.is_throttled() {
            true => self.timers.pause(now),
            false => self.timers.resume(now),
        }
        let is_due = due.is_some();
        self.obey(due, now);
        is_due
    }

    /// Tells whether nothing is to be read and no event to be polled for now: the peer has sent more
    /// than `rate_limit` allows, and waits until [`poll_timeout`](Self::poll_timeout).
    pub fn is_throttled(&mut self, now: Instant) -> bool {
        // The end is to be heard of at once.
        if self.closed {
            return false;
        }
        if self.timers.is_throttled() {
            self.watch(now);
        }
        self.timers.is_throttled()
    }

    /// Takes note of how many octets the caller holds for this connection: messages that were read
    /// ahead, and what is not written yet of [`poll_output`](Self::poll_output). They count for
    /// `memory_budget`. Tells whether there are events now.
    pub fn hold(&mut self, ahead: usize, unwritten: usize, now: Instant) -> bool {
        self.held = (ahead, unwritten);
        self.watch(now)
    }

    /// Tells whether anything counted for `memory_budget` when the limits were looked at last.
    #[cfg(feature = "blocking")]
    pub(crate) fn holds(&self) -> bool {
        self.progress.buffered > 0
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.watch(now);
        let sender = &mut self.sender;
        let due = self.timers.handle_timeout(now, &mut || sender.random());
        self.obey(due, now);
    }

    fn obey(&mut self, due: Option<Due>, now: Instant) {
        let role = self.receiver.rules().role;
        match due {
            Some(Due::Ping(payload)) => {
                // Fails only if the connection is closing, and then no ping is wanted.
                let _ = self.sender.ping(&payload, &mut self.output);
            }
            Some(Due::Timeout(kind)) => self.end(CloseCause::Timeout(kind)),
            Some(Due::Close(kind)) => {
                let frame = CloseFrame::new(kind.close_code(role), kind.to_string());
                // Fails only with a code that must not be sent.
                let _ = self.close_because(frame, CloseCause::Timeout(kind), now);
            }
            Some(Due::Fail(kind)) => {
                let frame = CloseFrame::new(kind.close_code(role), kind.to_string());
                self.finish();
                self.fail_with(frame, CloseCause::Timeout(kind), now);
            }
            Some(Due::Shed) => {
                let frame = CloseFrame::new(CloseCode::TRY_AGAIN_LATER, SHORT_OF_MEMORY);
                let unwritten = self.held.1 + self.output.len();
                self.finish();
                self.fail_with(frame, CloseCause::MemoryBudget, now);
                // Behind so much the peer would see it too late, and this is what takes the memory.
                if unwritten > STUCK {
                    self.end(CloseCause::MemoryBudget);
                }
            }
            Some(Due::Exceeded) => {
                let frame = CloseFrame::new(CloseCode::POLICY_VIOLATION, TOO_MUCH);
                self.finish();
                self.fail_with(frame, CloseCause::RateLimit, now);
            }
            None => {}
        }
    }
}

/// What is said to a peer whose connection is given up for `memory_budget`.
const SHORT_OF_MEMORY: &str = "short of memory";
/// More than this waits only for a peer that does not read.
const STUCK: usize = 4 << 10;
