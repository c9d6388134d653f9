//! What is told to those who look at a connection, and what its counters say.

use super::cork;
use super::shared::{Half, Shared};
use super::{Stats, WebSocket};
use crate::connection::{MessageKind, SendError};
use crate::message::Message;
use crate::observe::{Moment, Observed, Timings};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

impl WebSocket {
    /// Returns what went over the connection so far, since the counters were reset if they were.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let half = self.0.lock();
        let baseline = half.baseline.as_deref().copied();
        self.count_all(&half) - baseline.unwrap_or_default()
    }

    /// Returns what [`stats`](Self::stats) does, and counts from zero again. The counters of the
    /// factory and of the server go on.
    ///
    /// ```
    /// # fn example(ws: &motorway::WebSocket) {
    /// println!("in the last minute: {}", ws.reset_stats());
    /// # }
    /// ```
    pub fn reset_stats(&self) -> Stats {
        let mut half = self.0.lock();
        // Counted under the lock, so that nothing goes to two who reset at once, or to nobody.
        let total = self.count_all(&half);
        let before = half.baseline.replace(Box::new(total));
        total - before.map_or_else(Stats::default, |before| *before)
    }

    /// Returns what went over the connection, whether its counters were reset or not.
    pub(crate) fn total_stats(&self) -> Stats {
        self.count_all(&self.0.lock())
    }

    fn count_all(&self, half: &Half) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let traffic = &self.0.traffic;
        let messages_received = count(&traffic.messages_received);
        let message_octets_received = count(&traffic.message_octets_received);
        let payload_octets_sent = count(&traffic.payload_sent);
        let exchange = |octets: u64, from: &AtomicU64, to: &AtomicU64| {
            (octets + count(to)).saturating_sub(count(from))
        };
        let (inflated, deflated) = (&traffic.inflated, &traffic.deflated);
        let opening = self.0.facts.opening;
        Stats {
            octets_received: count(&traffic.octets_received),
            octets_sent: count(&traffic.octets_sent),
            payload_octets_received: exchange(message_octets_received, &inflated.0, &inflated.1),
            payload_octets_sent,
            message_octets_received,
            message_octets_sent: exchange(payload_octets_sent, &deflated.1, &deflated.0),
            frames_received: messages_received
                + count(&traffic.continuations_received)
                + count(&traffic.controls_received),
            frames_sent: count(&traffic.frames_sent),
            messages_received,
            messages_sent: count(&traffic.messages_corked)
                + half.messages_sent
                + cork::messages(self.0.facts.id),
            messages_dropped: half.dropped(),
            opening_octets_received: u64::from(opening.0),
            opening_octets_sent: u64::from(opening.1),
        }
    }

    /// Returns when things happened last; `None` without the option `track_timings`.
    #[must_use]
    pub fn timings(&self) -> Option<Timings> {
        self.0.observation()?.timings()
    }

    pub(crate) fn tell_opened(&self) {
        if let Some(observation) = self.0.observation() {
            observation.tell(|observer| observer.opened(&self.0.observed()));
        }
    }

    /// Tells of the end; the connection has ended.
    pub(super) fn tell_closed(&self) {
        if let Some(observation) = self.0.observation()
            && let Some(info) = self.close_info()
        {
            let (observed, stats) = (self.0.observed(), self.total_stats());
            observation.tell(|observer| observer.closed(&observed, info, &stats));
        }
    }
}

impl Shared {
    fn observed(&self) -> Observed<'_> {
        Observed::new(
            (self.facts.id, &self.facts.peer),
            &self.facts.path,
            self.facts.subprotocol.as_deref(),
        )
    }

    /// Tells what came of queueing a message; nothing of one that waits for its turn only.
    pub(super) fn tell_queued(
        &self,
        queued: &Result<(), SendError>,
        message: Option<&Message<'_>>,
    ) {
        let Some(observation) = self.observation() else {
            return;
        };
        match (queued, message) {
            (Ok(()), Some(message)) => self.tell_sent(kind_of(message), message.len() as u64),
            (Err(SendError::Full { buffered }), _) => {
                let buffered = *buffered as u64;
                observation.tell(|observer| observer.full(&self.observed(), buffered));
            }
            _ => {}
        }
    }

    /// Tells of messages that were dropped.
    pub(super) fn tell_dropped(&self, messages: u64) {
        if let Some(observation) = self.observation() {
            observation.tell(|observer| observer.dropped(&self.observed(), messages));
        }
    }

    pub(super) fn tell_sent(&self, kind: MessageKind, octets: u64) {
        if let Some(observation) = self.observation() {
            observation.track(Moment::SendMessage);
            observation.tell(|observer| observer.sent(&self.observed(), kind, octets));
        }
    }

    /// Tells of a message that has come whole, or of the end of one that came in pieces.
    #[cold]
    pub(super) fn tell_received(&self, whole: Option<&Message<'_>>) {
        if let Some(observation) = self.observation() {
            let whole = whole.map(|message| (kind_of(message), message.len() as u64));
            observation.message_ends(&self.observed(), whole);
        }
    }

    pub(super) fn tell_pong(&self, time: Duration) {
        if let Some(observation) = self.observation() {
            observation.tell(|observer| observer.pong(&self.observed(), time));
        }
    }
}

fn kind_of(message: &Message<'_>) -> MessageKind {
    match message.is_binary() {
        true => MessageKind::Binary,
        false => MessageKind::Text,
    }
}
