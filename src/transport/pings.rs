//! Pings whose pongs are waited for.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The pings that the application waits for, and automatic ones behind them, oldest first.
///
/// Few connections have any, and the others carry only the room for a pointer.
#[derive(Debug, Default)]
pub(super) struct Pings(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    pings: VecDeque<PendingPing>,
}

/// A ping that the application waits for, or an automatic one behind it.
#[derive(Debug)]
pub(super) struct PendingPing {
    payload: Vec<u8>,
    pub(super) sent: Instant,
    /// `None` for an automatic ping.
    pub(super) answer: Option<oneshot::Sender<Duration>>,
}

impl PendingPing {
    /// Tells whether anybody still waits for it.
    fn is_awaited(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| !answer.is_closed())
    }
}

impl Pings {
    /// Takes note of a ping that was sent. An automatic one matters only behind others: the peer may
    /// answer it alone, which answers those before it (RFC 6455 §5.5.3).
    pub(super) fn sent(&mut self, payload: Vec<u8>, answer: Option<oneshot::Sender<Duration>>) {
        if let Some(Queue { pings }) = self.0.as_deref_mut() {
            // Nobody waits for these any more, nor for one before them that their pong would answer.
            while pings.front().is_some_and(|ping| !ping.is_awaited()) {
                pings.pop_front();
            }
        }
        self.forget_empty();
        if answer.is_none() && self.0.is_none() {
            return;
        }
        let Queue { pings } = &mut **self.0.get_or_insert_default();
        let oldest = pings.iter().position(|ping| ping.answer.is_none());
        if let (true, Some(oldest)) = (pings.len() >= MOST, oldest) {
            pings.remove(oldest);
        }
        pings.push_back(PendingPing {
            payload,
            sent: Instant::now(),
            answer,
        });
    }

    /// Takes out the pings that are answered by a pong with this payload.
    pub(super) fn take_answered(&mut self, payload: &[u8]) -> Vec<PendingPing> {
        let Some(Queue { pings }) = self.0.as_deref_mut() else {
            return Vec::new();
        };
        let last = pings.iter().position(|ping| ping.payload == payload);
        let answered = last.map_or_else(Vec::new, |last| pings.drain(..=last).collect());
        self.forget_empty();
        answered
    }

    fn forget_empty(&mut self) {
        self.0.take_if(|queue| queue.pings.is_empty());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.pings.len())
    }
}

/// From how many pings on that wait for their answers the oldest automatic one is forgotten.
const MOST: usize = 64;
