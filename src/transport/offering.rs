//! Messages for connections that nobody waits for.

use super::shared::Half;
use super::waiters::{Waiting, Wish};
use super::{WebSocket, unsaid};
use crate::connection::{PreparedMessage, SendError};
use std::future::poll_fn;
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
        unsaid::tell(self, &queued, prepared);
        queued
    }

    /// Wakes this once when the connection may take another message, or none ever will be taken; it
    /// may be woken too early. `false` if that is so already.
    pub(crate) fn wake_at_room(&self, waker: Waker, above: usize) -> bool {
        let mut half = self.0.lock();
        if half.has_room_below(above) {
            return false;
        }
        half.waiters.wake(Wish::Room, waker);
        true
    }

    /// Waits until [`offer`](Self::offer) with the same bound would be taken, or none ever will be.
    pub(crate) async fn room_below(&self, above: usize) {
        let mut waiting = Waiting::<false>::new(self);
        poll_fn(|context| waiting.poll(context, |half| half.has_room_below(above))).await;
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
    /// Tells whether those who wait for room below this are to try again.
    fn has_room_below(&self, above: usize) -> bool {
        let is_open = self.sender.state().is_open();
        !is_open || (self.held() <= above && !self.keeps_back() && !self.sender.is_busy())
    }

    /// Checks that no more than this is buffered.
    fn check_room_below(&mut self, above: usize) -> Result<(), SendError> {
        self.check_room()?;
        let buffered = self.held();
        // Nor may it overtake what waits for another reason.
        match (buffered > above || self.keeps_back()) && self.sender.state().is_open() {
            true => Err(SendError::Full { buffered }),
            false => Ok(()),
        }
    }
}
