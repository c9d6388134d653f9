//! Which channels of a broker are to be looked at again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Channels that somebody here has come to be interested in, or is no more.
///
/// As large as the interest is at one time, however often it changes while the broker does not
/// answer: a channel that the broker has never heard of is forgotten when nobody wants it any more.
#[derive(Debug, Default)]
pub(super) struct Interest {
    channels: Mutex<Channels>,
    has_changed: Notify,
}

#[derive(Debug, Default)]
struct Channels {
    changed: HashSet<Arc<str>>,
    /// Those that the broker may have a subscription for.
    known: HashSet<Arc<str>>,
}

impl Interest {
    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a channel that has got its first listener here or has lost its last.
    pub(super) fn change(&self, channel: Arc<str>, is_wanted: impl FnOnce() -> bool) {
        let mut channels = self.channels();
        // Asked under the lock, so that who says last is right.
        if is_wanted() || channels.known.contains(&channel) {
            channels.changed.insert(channel);
            self.has_changed.notify_one();
        } else {
            channels.changed.remove(&channel);
        }
    }

    /// Takes note of channels that are to be looked at again in any case.
    pub(super) fn again(&self, again: impl IntoIterator<Item = Arc<str>>) {
        self.channels().changed.extend(again);
        self.has_changed.notify_one();
    }

    pub(super) fn take(&self) -> HashSet<Arc<str>> {
        std::mem::take(&mut self.channels().changed)
    }

    /// Waits until something changes.
    pub(super) async fn changed(&self) {
        self.has_changed.notified().await;
    }

    /// Takes note that the broker may hear of a channel from now on.
    pub(super) fn following(&self, channel: &Arc<str>) {
        self.channels().known.insert(Arc::clone(channel));
    }

    /// Takes note that the broker has forgotten a channel.
    pub(super) fn unsubscribed(&self, channel: &Arc<str>) {
        self.channels().known.remove(channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_never_heard_of_is_forgotten() {
        let interest = Interest::default();
        for number in 0..1000 {
            let channel: Arc<str> = number.to_string().into();
            interest.change(Arc::clone(&channel), || true);
            assert_eq!(interest.channels().changed.len(), 1);
            interest.change(channel, || false);
        }
        assert!(interest.take().is_empty());
    }

    #[test]
    fn what_the_broker_has_heard_of_is_taken_back() {
        let interest = Interest::default();
        let channel: Arc<str> = "a".into();
        interest.change(Arc::clone(&channel), || true);
        assert_eq!(interest.take().len(), 1);
        interest.following(&channel);
        interest.change(Arc::clone(&channel), || false);
        assert_eq!(interest.take().len(), 1);
        interest.unsubscribed(&channel);
        interest.change(Arc::clone(&channel), || false);
        assert!(interest.take().is_empty());
    }
}
