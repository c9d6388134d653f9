//! The limits of a connection: where it is measured by them, and what follows.

use super::io::{Io, Stream, now};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, Due, Progress, TOO_MUCH, TimeoutKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// What the driver is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What has arrived is dealt with.
    Reading,
    /// A callback waits, or more of what has arrived is to be delivered.
    Working,
}

impl<S: Stream> Io<S> {
    /// Measures the connection by its limits; only for those that have any.
    #[cold]
    pub(super) fn watch(&mut self, stage: Stage) {
        let progress = self.progress(stage);
        if let Some(waker) = &self.waker {
            self.timers.woken_by(waker);
        }
        if let Some(due) = self.timers.progressed(&progress, now()) {
            self.obey(due);
        }
    }

    fn progress(&self, stage: Stage) -> Progress {
        let traffic = &self.ws.0.traffic;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let half = self.ws.0.lock();
        // What goes out slowly is data, too, but for the odd ping that waits alone.
        let unsent = half.held();
        let moved = match unsent > PING {
            true => count(&traffic.octets_sent),
            false => 0,
        };
        let sent = half.messages_sent + count(&traffic.messages_corked);
        drop(half);
        let kept = self.ahead.as_ref().map_or(0, |ahead| ahead.len());
        Progress {
            octets_received: count(&traffic.octets_received),
            messages_received: count(&traffic.messages_received),
            controls_received: count(&traffic.controls_received),
            buffered: (unsent + kept + self.receiver.held()) as u64,
            sent: sent + count(&traffic.payload_sent) + moved,
            is_partial: self.receiver.under_way().is_some(),
            partial_octets: self.receiver.arrived(),
            is_busy: stage == Stage::Working || kept > 0,
        }
    }

    pub(super) fn obey(&mut self, due: Due) {
        match due {
            Due::Ping(payload) => self.ws.0.command(|half| {
                // Not sent once the connection is closing, and then not needed.
                if half.sender.ping(&payload, &mut half.output).is_ok() {
                    half.pings.sent(payload, None);
                }
                half.ping_after = half.framed();
            }),
            Due::Timeout(kind) => self.abort(CloseCause::Timeout(kind)),
            Due::Close(kind) => {
                let (frame, cause) = (self.frame_of(kind), CloseCause::Timeout(kind));
                // Not if it is closing already.
                let _ = self.ws.0.close(Some(frame), cause);
            }
            Due::Fail(kind) => {
                let frame = self.frame_of(kind);
                self.give_up(frame, CloseCause::Timeout(kind));
            }
            // It has said already that it closes, and may go on to hold this for as long as that takes.
            Due::Shed if !self.ws.is_open() => self.abort(CloseCause::MemoryBudget),
            Due::Shed => {
                let frame = CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "short of memory");
                self.give_up(frame, CloseCause::MemoryBudget);
                // Behind so much the peer would see it too late, and this is what takes the memory.
                if self.ws.0.lock().buffered() > STUCK {
                    self.abort(CloseCause::MemoryBudget);
                }
            }
            Due::Exceeded => {
                let frame = CloseFrame::new(CloseCode::POLICY_VIOLATION, TOO_MUCH);
                self.give_up(frame, CloseCause::RateLimit);
            }
        }
    }

    /// Fails the connection and takes nothing more from the peer.
    fn give_up(&mut self, frame: CloseFrame, cause: CloseCause) {
        self.fail_with(frame, cause);
        self.receiver.finish();
        self.ahead = None;
        // What was to be written before this has been: the close frame needs another turn.
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn frame_of(&self, kind: TimeoutKind) -> CloseFrame {
        let code = kind.close_code(self.receiver.rules().role);
        CloseFrame::new(code, kind.to_string())
    }

    /// Waits in the middle of what one read has brought, if it was too much.
    #[cold]
    pub(super) fn poll_unthrottled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.drive(context, Stage::Working);
        if !self.timers.is_throttled() {
            return Poll::Ready(());
        }
        // A pong that has come is not read either. The clocks go on where reading does.
        self.timers.pause(now());
        Poll::Pending
    }
}

/// More than this waits only for a peer that does not read.
const STUCK: usize = 4 << 10;
/// The most octets of a ping on the wire.
const PING: usize = 2 + 4 + 125;
