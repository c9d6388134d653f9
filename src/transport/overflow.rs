//! What a connection does with messages while more is to be written than may be.

use super::WebSocket;
use super::backlog::{Backlog, Parcel};
use super::shared::{Half, Shared};
use super::waiters::{Waiting, Wish};
use crate::close::CloseFrame;
use crate::connection::{
    CloseCause, Compress, MessageKind, PreparedMessage, SendError, check_size,
};
use crate::error::Result;
use crate::options::OverflowPolicy;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};

impl WebSocket {
    /// Sets what becomes of messages of this connection for which there is no room, in the place of
    /// what the option `overflow_policy` says; see [`OverflowPolicy`].
    ///
    /// Comes into effect at once, for those that wait in `send`, too. What waits already is sent, in its
    /// order.
    ///
    /// ```
    /// # fn example(ws: &motorway::WebSocket) -> Result<(), motorway::SendError> {
    /// use motorway::OverflowPolicy;
    ///
    /// ws.set_overflow_policy(OverflowPolicy::DropNewest)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::InvalidCloseCode`] if it would close with a code that must not be sent.
    pub fn set_overflow_policy(&self, policy: OverflowPolicy) -> Result<(), SendError> {
        if let Some(code) = policy.unsendable_code() {
            let code = code.as_u16();
            return Err(SendError::InvalidCloseCode { code });
        }
        let waiting = self.0.command(|half| {
            match &mut half.backlog {
                Some(backlog) => backlog.policy = policy,
                None => half.backlog = Backlog::of(policy),
            }
            half.waiters.take(Wish::Room)
        });
        waiting.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Sends a prepared message once there is room, or does with it what the policy says.
    pub(super) async fn queue_prepared(&self, prepared: &PreparedMessage) -> Result<()> {
        let mut waiting = Waiting::<false>::new(self);
        let parcel = Parcel::Prepared(prepared);
        poll_fn(|context| {
            loop {
                match self.0.put(parcel) {
                    Err(error @ (SendError::Full { .. } | SendError::Busy)) => {
                        if let Some(done) = ready!(waiting.poll_refused(context, parcel, error)) {
                            return Poll::Ready(done);
                        }
                    }
                    result => return Poll::Ready(result),
                }
            }
        })
        .await?;
        Ok(())
    }
}

impl Waiting<'_, false> {
    /// Goes on with a message that was not queued: waits, or, if the driver had a turn to make room and
    /// did not, does what the policy says and returns what came of it. `None` to try again.
    #[cold]
    pub(super) fn poll_refused(
        &mut self,
        context: &Context<'_>,
        parcel: Parcel<'_>,
        error: SendError,
    ) -> Poll<Option<Result<(), SendError>>> {
        if self.has_waited()
            && matches!(error, SendError::Full { .. })
            && let Some(done) = self.ws.0.overflow(parcel)
        {
            return Poll::Ready(Some(done));
        }
        let mut waits = true;
        let polled = self.poll(context, |half| {
            waits = half.policy() == OverflowPolicy::Wait || half.has_room();
            half.may_send()
        });
        if polled.is_pending() && !waits {
            context.waker().wake_by_ref();
        }
        polled.map(|()| None)
    }
}

impl Shared {
    /// Queues a message.
    pub(super) fn put(&self, parcel: Parcel<'_>) -> Result<(), SendError> {
        let queued = self.command(|half| half.put(parcel));
        self.tell_queued(&queued, Some(parcel.message()));
        queued
    }

    /// Drops what has left the backlog, without the lock: payloads may have owners of their own, who do
    /// what they like when they are dropped.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_spent(&self) {
        let mut half = self.lock();
        let spent = half.backlog.as_mut().map(|backlog| backlog.take_spent());
        drop(half);
        drop(spent);
    }

    /// Does with a message for which there is no room what the policy says; `None` if that is to wait.
    #[cold]
    fn overflow(&self, parcel: Parcel<'_>) -> Option<Result<(), SendError>> {
        let (outcome, dropped) = self.command(|half| {
            let before = half.dropped();
            let outcome = match half.put(parcel) {
                Err(full @ SendError::Full { .. }) => half.overflow(parcel, full),
                Err(SendError::Busy) => Outcome::Waits,
                Err(error) => Outcome::Refused(error),
                Ok(()) => Outcome::Queued,
            };
            (outcome, half.dropped() - before)
        });
        if outcome == Outcome::Queued {
            self.tell_queued(&Ok(()), Some(parcel.message()));
        }
        if dropped > 0 {
            self.tell_dropped(dropped);
        }
        match outcome {
            Outcome::Waits => None,
            Outcome::Queued | Outcome::Dropped => Some(Ok(())),
            Outcome::Refused(error) => Some(Err(error)),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Waits,
    Queued,
    Dropped,
    Refused(SendError),
}

impl Half {
    pub(super) fn policy(&self) -> OverflowPolicy {
        let backlog = self.backlog.as_ref();
        backlog.map_or(OverflowPolicy::Wait, |backlog| backlog.policy)
    }

    /// Returns how many messages were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.backlog.as_ref().map_or(0, |backlog| backlog.dropped)
    }

    /// Tells whether messages wait that nothing may overtake.
    pub(super) fn keeps_back(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.waits())
    }

    /// Tells whether messages may be framed as they come, however many.
    #[inline]
    pub(super) fn keeps_no_order(&self) -> bool {
        self.backlog
            .as_ref()
            .is_none_or(|backlog| backlog.is_idle())
    }

    /// Returns how many octets are framed and not written.
    pub(super) fn framed(&self) -> usize {
        self.output.len() + self.in_flight
    }

    /// Returns how many octets wait to be written.
    pub(super) fn buffered(&self) -> usize {
        self.framed() + self.backlog.as_ref().map_or(0, |backlog| backlog.octets())
    }

    /// Returns the same with what it takes to hold them, which is what is bounded.
    pub(super) fn held(&self) -> usize {
        self.framed() + self.backlog.as_ref().map_or(0, |backlog| backlog.weight())
    }

    /// Queues a message, behind those that wait.
    #[inline(never)]
    pub(super) fn put(&mut self, parcel: Parcel<'_>) -> Result<(), SendError> {
        self.check_room()?;
        let (low, framed) = (self.sender.rules().send_low_water, self.framed());
        if let Some(backlog) = &mut self.backlog
            && self.sender.state().is_open()
            && !backlog.is_idle()
            && (backlog.waits() || framed > low)
        {
            check_size(self.sender.rules(), parcel.len() as u64)?;
            backlog.push(parcel);
            return Ok(());
        }
        parcel.send(&mut self.sender, &mut self.output)?;
        self.messages_sent += 1;
        Ok(())
    }

    /// Does what the policy says with a message for which there is no room.
    fn overflow(&mut self, parcel: Parcel<'_>, full: SendError) -> Outcome {
        if let Err(error) = check_size(self.sender.rules(), parcel.len() as u64) {
            return Outcome::Refused(error);
        }
        match self.policy() {
            OverflowPolicy::Wait => return Outcome::Waits,
            OverflowPolicy::Error => return Outcome::Refused(full),
            OverflowPolicy::Close(code) => {
                let frame = CloseFrame::new(code, "reads too slowly");
                // The code was looked at when the policy was set.
                let _ = self.close_because(Some(frame), CloseCause::Overflow);
                return Outcome::Refused(SendError::Closed);
            }
            OverflowPolicy::DropNewest | OverflowPolicy::DropOldest => {}
        }
        let drops_oldest = self.policy() == OverflowPolicy::DropOldest;
        while drops_oldest && !self.has_room() && self.drop_oldest() {}
        match &mut self.backlog {
            Some(backlog) if drops_oldest => {
                backlog.push(parcel);
                Outcome::Queued
            }
            Some(backlog) => {
                backlog.dropped += 1;
                Outcome::Dropped
            }
            None => Outcome::Waits,
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let backlog = self.backlog.as_mut();
        backlog.is_some_and(|backlog| backlog.drop_oldest())
    }

    /// Frames what waits, as far as not much more is on its way than `send_low_water`; tells whether
    /// anything has left, which is to be dropped by [`Shared::drop_spent`].
    #[inline]
    pub(super) fn release(&mut self) -> bool {
        self.backlog.is_some() && self.release_below(self.sender.rules().send_low_water)
    }

    #[cold]
    #[inline(never)]
    fn release_below(&mut self, mark: usize) -> bool {
        self.frame_waiting(mark);
        let backlog = self.backlog.as_ref();
        backlog.is_some_and(|backlog| backlog.has_spent())
    }

    fn frame_waiting(&mut self, mark: usize) {
        while self.sender.state().is_open() && !self.sender.is_busy() && self.framed() <= mark {
            let (sender, output) = (&mut self.sender, &mut self.output);
            let backlog = self.backlog.as_mut();
            if !backlog.is_some_and(|backlog| backlog.send_oldest(sender, output)) {
                return;
            }
            self.messages_sent += 1;
        }
    }

    /// Takes out those who wait for room if a message in parts may go on, for which what waits whole
    /// behind it does not count.
    #[cold]
    pub(super) fn take_hopeful(&mut self) -> Vec<Waker> {
        match self.sender.is_busy() && self.framed() <= self.sender.rules().send_low_water {
            true => self.waiters.take(Wish::Room),
            false => Vec::new(),
        }
    }

    /// Checks that there is room for a part of a message. What waits whole does not count: it waits for
    /// the end of the message.
    pub(super) fn check_room_for_part(&mut self) -> Result<(), SendError> {
        if self.has_room_for_part() {
            return Ok(());
        }
        self.was_full = true;
        let buffered = self.framed();
        Err(SendError::Full { buffered })
    }

    pub(super) fn has_room_for_part(&self) -> bool {
        !self.sender.state().is_open() || self.framed() <= self.sender.rules().send_high_water
    }

    /// Begins a message that is sent in parts, behind all that waits.
    pub(super) fn begin(&mut self, kind: MessageKind, compress: Compress) -> Result<(), SendError> {
        if self.keeps_back() {
            let buffered = self.buffered();
            return Err(SendError::Full { buffered });
        }
        self.sender.begin(kind, compress)
    }

    /// Tells whether those who wait to begin such a message are to try again.
    pub(super) fn may_begin(&self) -> bool {
        self.may_send() && !self.keeps_back()
    }

    /// Frames all that waits, since a close frame is to go out behind it.
    fn frame_all(&mut self) {
        if self.backlog.is_some() && self.sender.state().is_open() {
            self.frame_waiting(usize::MAX);
            // Behind a message that was begun and will not be finished, nothing can be sent.
            if let Some(backlog) = &mut self.backlog {
                backlog.give_up();
            }
        }
    }

    /// Begins the closing handshake, behind all that was queued.
    pub(super) fn close_because(
        &mut self,
        frame: Option<CloseFrame>,
        cause: CloseCause,
    ) -> Result<(), SendError> {
        // With a code that must not be sent nothing closes.
        if frame.as_ref().is_none_or(|frame| frame.code.is_sendable()) {
            self.frame_all();
        }
        self.sender.close_because(frame, cause, &mut self.output)
    }

    /// Takes note of the peer's close frame, and answers it behind all that was queued.
    pub(super) fn receive_close(&mut self, frame: Option<CloseFrame>) {
        self.frame_all();
        self.sender.receive_close(frame, &mut self.output);
    }

    /// Fails the connection: what was queued goes out, then the close frame; nothing more is received.
    pub(super) fn fail(&mut self, frame: CloseFrame, cause: CloseCause) {
        self.is_deaf = true;
        self.frame_all();
        self.sender.fail(Some(frame), cause, &mut self.output);
    }
}
