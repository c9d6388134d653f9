//! What is published, and what came of it.

use crate::connection::PreparedMessage;
use crate::message::{Message, Payload, Text};
use bytes::Bytes;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A message to be published: framed once, and compressed once for all that can share it.
///
/// Made of whatever makes a message.
///
/// ```
/// use motorway::{Hub, Publication};
///
/// # async fn example(hub: &Hub) -> motorway::Result<()> {
/// hub.publish("prices", "everything new").await?;
/// hub.publish("prices", Publication::new("1.0873").key("EURUSD")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Publication {
    pub(super) message: PreparedMessage,
    pub(super) key: Option<Arc<str>>,
}

impl Publication {
    /// Prepares a message.
    #[must_use]
    pub fn new<'a>(message: impl Into<Message<'a>>) -> Self {
        PreparedMessage::new(message).into()
    }

    /// Sets the key by which a connection that conflates keeps only the last: see
    /// [`Overflow::conflate`](super::Overflow::conflate). Without one it is the topic.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Keeps the message from being compressed, on whichever connection.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.message = self.message.uncompressed();
        self
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message<'static> {
        self.message.message()
    }
}

impl From<PreparedMessage> for Publication {
    fn from(message: PreparedMessage) -> Self {
        Self { message, key: None }
    }
}

macro_rules! from_message {
    ($($kind:ty),+) => {$(
        impl<'a> From<$kind> for Publication {
            fn from(message: $kind) -> Self {
                Self::new(message)
            }
        }
    )+};
}

from_message!(Message<'a>, Text<'a>, Payload<'a>, &'a str, &'a [u8]);

macro_rules! from_owned {
    ($($kind:ty),+) => {$(
        impl From<$kind> for Publication {
            fn from(message: $kind) -> Self {
                Self::new(message)
            }
        }
    )+};
}

from_owned!(String, Vec<u8>, Bytes);

/// What came of a publication on this node; what goes to other nodes is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many connections it was queued for.
    pub sent: usize,
    /// How many were left out since they were closing, or since they were the one excepted.
    pub skipped: usize,
    /// How many publications, this one or earlier ones, were dropped for connections that do not keep
    /// up, those of connections that are closed for it included.
    pub dropped: usize,
}

impl AddAssign for Published {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.skipped += other.skipped;
        self.dropped += other.dropped;
    }
}

/// What came of all publications so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    sent: AtomicU64,
    skipped: AtomicU64,
    dropped: AtomicU64,
}

impl Totals {
    pub(super) fn add(&self, published: Published) -> Published {
        for (total, number) in [
            (&self.sent, published.sent),
            (&self.skipped, published.skipped),
            (&self.dropped, published.dropped),
        ] {
            if number > 0 {
                total.fetch_add(number as u64, Ordering::Relaxed);
            }
        }
        published
    }

    pub(super) fn sum(&self) -> Published {
        let load = |total: &AtomicU64| {
            let total = total.load(Ordering::Relaxed);
            usize::try_from(total).unwrap_or(usize::MAX)
        };
        Published {
            sent: load(&self.sent),
            skipped: load(&self.skipped),
            dropped: load(&self.dropped),
        }
    }
}
