//! What a receiver has counted, for the counters of its driver.

#[cfg(feature = "tokio")]
use super::inflate::Squeeze;
use super::{MessageKind, Receiver};

impl Receiver {
    /// Returns how many frames of messages came after their first, and what compression did.
    #[cfg(feature = "tokio")]
    pub(crate) fn counts(&self) -> (u64, Squeeze) {
        let inflation = self.message.inflation.as_ref();
        let squeeze = inflation.map(|inflation| inflation.squeeze);
        (self.message.continuations, squeeze.unwrap_or_default())
    }

    /// Returns how much memory the message takes that has begun.
    pub(crate) fn held(&self) -> usize {
        self.message.capacity()
    }

    /// Returns how many octets of the message that has begun have arrived, as they were sent.
    pub(crate) fn arrived(&self) -> u64 {
        self.message.announced().saturating_sub(self.frame.missing)
    }

    /// Returns the kind of the message that has begun, if one has.
    pub(crate) fn under_way(&self) -> Option<MessageKind> {
        self.message.kind
    }
}
