//! Messages for connections that nobody waits for.

use super::WebSocket;
use super::shared::Half;
use super::waiters::Wish;
use crate::connection::{PreparedMessage, SendError};
use std::task::Waker;

impl WebSocket {
    /// Queues a prepared message, if no more octets than `above` are buffered; never waits.
    pub(crate) fn offer(&self, prepared: &PreparedMessage, above: usize) -> Result<(), SendError> {
        let queued = self.0.command(|half| {
            half.check_room_below(above)?;
            half.sender.send_prepared(prepared, &mut half.output)?;
            half.messages_sent += 1;
            Ok(())
        });
        self.0.tell_queued(&queued, Some(prepared.message()));
        queued
    }

    /// Wakes this once when the connection may take another message, or none ever will be taken; it
    /// may be woken too early. `false` if that is so already.
    pub(crate) fn wake_at_room(&self, waker: Waker, above: usize) -> bool {
        let mut half = self.0.lock();
        let is_open = half.sender.state().is_open();
        if !is_open || (half.buffered() <= above && !half.sender.is_busy()) {
            return false;
        }
        half.waiters.wake(Wish::Room, waker);
        true
    }

    /// Wakes this at the end of the connection; at once if it has ended.
    pub(crate) fn wake_at_end(&self, waker: Waker) {
        let mut half = self.0.lock();
        if self.0.closed.get().is_none() {
            half.waiters.wake(Wish::End, waker);
            return;
        }
        drop(half);
        waker.wake();
    }
}

impl Half {
    /// Checks that no more than this is buffered.
    fn check_room_below(&mut self, above: usize) -> Result<(), SendError> {
        self.check_room()?;
        let buffered = self.buffered();
        match buffered > above && self.sender.state().is_open() {
            true => Err(SendError::Full { buffered }),
            false => Ok(()),
        }
    }
}
