//! What has come from a broker and waits for the hub.

use super::BrokerEvent;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A bounded queue of events; what does not fit is counted in its place.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    has_come: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<BrokerEvent>,
    messages: usize,
    octets: usize,
}

impl Inbox {
    /// Takes a message, or counts it as lost if too much waits already.
    pub(super) fn message(&self, channel: &Arc<str>, payload: Bytes) {
        let mut waiting = self.waiting();
        let octets = waiting.octets.saturating_add(payload.len());
        // One message has room, however large it is.
        let fits = waiting.messages == 0 || (waiting.messages < MESSAGES && octets <= OCTETS);
        if !fits {
            drop(waiting);
            return self.lose(1);
        }
        waiting.messages += 1;
        waiting.octets = octets;
        waiting.events.push_back(BrokerEvent::Message {
            channel: Arc::clone(channel),
            payload,
        });
        self.has_come.notify_one();
    }

    /// Counts lost messages.
    pub(super) fn lose(&self, messages: u64) {
        if messages == 0 {
            return;
        }
        let mut waiting = self.waiting();
        match waiting.events.back_mut() {
            Some(BrokerEvent::Lagged(lost)) => *lost = lost.saturating_add(messages),
            _ => waiting.events.push_back(BrokerEvent::Lagged(messages)),
        }
        self.has_come.notify_one();
    }

    /// Tells that the connection is lost.
    pub(super) fn lost(&self) {
        self.lost_as(BrokerEvent::Lost);
    }

    /// Tells that a part of the connection is lost.
    #[cfg(feature = "redis")]
    pub(super) fn partly_lost(&self) {
        self.lost_as(BrokerEvent::PartlyLost);
    }

    fn lost_as(&self, loss: BrokerEvent) {
        let mut waiting = self.waiting();
        // What nobody has heard of yet is as if it had never been.
        while waiting.events.back().is_some_and(is_of_the_connection) {
            waiting.events.pop_back();
        }
        waiting.events.push_back(loss);
        self.has_come.notify_one();
    }

    /// Tells that the connection is there again, after a loss.
    pub(super) fn restored(&self) {
        let mut waiting = self.waiting();
        if waiting.events.back() != Some(&BrokerEvent::Restored) {
            waiting.events.push_back(BrokerEvent::Restored);
        }
        self.has_come.notify_one();
    }

    /// Waits for the next event. Loses nothing when it is dropped.
    pub(super) async fn next(&self) -> BrokerEvent {
        loop {
            if let Some(event) = self.waiting().take() {
                return event;
            }
            self.has_come.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<BrokerEvent> {
        let event = self.events.pop_front()?;
        if let BrokerEvent::Message { payload, .. } = &event {
            self.messages -= 1;
            self.octets -= payload.len();
        }
        Some(event)
    }
}

fn is_of_the_connection(event: &BrokerEvent) -> bool {
    use BrokerEvent::{Lost, PartlyLost, Restored};
    matches!(event, Lost | PartlyLost | Restored)
}

/// How many messages wait, and how many octets.
const MESSAGES: usize = 16 << 10;
const OCTETS: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(inbox: &Inbox) -> Vec<BrokerEvent> {
        let mut waiting = inbox.waiting();
        std::iter::from_fn(|| waiting.take()).collect()
    }

    #[test]
    fn what_does_not_fit_is_counted_in_its_place() {
        let (inbox, channel) = (Inbox::default(), Arc::from("a"));
        for _ in 0..MESSAGES + 3 {
            inbox.message(&channel, Bytes::from_static(b"x"));
        }
        assert!(matches!(
            inbox.waiting().take(),
            Some(BrokerEvent::Message { .. })
        ));
        inbox.message(&channel, Bytes::from_static(b"last"));
        let events = drained(&inbox);
        assert_eq!(events.len(), MESSAGES + 1);
        assert_eq!(events[MESSAGES - 1], BrokerEvent::Lagged(3));
        let last = BrokerEvent::Message {
            channel,
            payload: Bytes::from_static(b"last"),
        };
        assert_eq!(events[MESSAGES], last);
    }

    #[test]
    fn octets_are_bounded_and_one_message_has_room() {
        let (inbox, channel) = (Inbox::default(), Arc::from("a"));
        inbox.message(&channel, Bytes::from(vec![0; OCTETS + 1]));
        inbox.message(&channel, Bytes::from_static(b"x"));
        let events = drained(&inbox);
        assert!(matches!(events[0], BrokerEvent::Message { .. }));
        assert_eq!(events[1..], [BrokerEvent::Lagged(1)]);
        let waiting = inbox.waiting();
        assert_eq!((waiting.messages, waiting.octets), (0, 0));
    }

    #[test]
    fn losses_that_nobody_has_heard_of_are_one() {
        let inbox = Inbox::default();
        for _ in 0..1000 {
            inbox.lost();
            inbox.restored();
        }
        inbox.lost();
        inbox.lost();
        assert_eq!(drained(&inbox), [BrokerEvent::Lost]);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn the_last_of_what_nobody_has_heard_of_is_told() {
        let inbox = Inbox::default();
        inbox.lost();
        inbox.partly_lost();
        inbox.restored();
        inbox.restored();
        let heard = [BrokerEvent::PartlyLost, BrokerEvent::Restored];
        assert_eq!(drained(&inbox), heard);
        inbox.partly_lost();
        inbox.lose(1);
        inbox.lost();
        let heard = [
            BrokerEvent::PartlyLost,
            BrokerEvent::Lagged(1),
            BrokerEvent::Lost,
        ];
        assert_eq!(drained(&inbox), heard);
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let inbox = Arc::new(Inbox::default());
        for number in 1..100 {
            let waiting = Arc::clone(&inbox);
            let task = tokio::spawn(async move { waiting.next().await });
            tokio::task::yield_now().await;
            inbox.lose(number);
            // Woken, and ended before it has taken the event or after: it has it, or the next has.
            task.abort();
            let taken = match task.await {
                Ok(event) => event,
                Err(_) => inbox.next().await,
            };
            assert_eq!(taken, BrokerEvent::Lagged(number));
        }
    }
}
