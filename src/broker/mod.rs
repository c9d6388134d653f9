//! Message brokers, which join the hubs of several processes.

#[cfg(any(feature = "nats", feature = "redis"))]
mod address;
mod error;
#[cfg(any(feature = "nats", feature = "redis"))]
mod inbox;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::{RedisBroker, RedisBrokerBuilder, RedisChannels};
pub use error::BrokerError;
#[cfg(feature = "nats")]
pub use nats::{NatsBroker, NatsBrokerBuilder};

use bytes::Bytes;
use std::sync::Arc;

/// A message broker that joins the hubs of several processes; see
/// [`Hub::with_broker`](crate::Hub::with_broker).
///
/// Channels are names that hubs give: `topic/lobby`, `presence/lobby`, `everyone`, of up to 300
/// octets of any characters. A broker writes them in its own alphabet, so that different names stay
/// different.
///
/// Every queue in here is to be bounded: a broker that cannot keep up fails or tells
/// [`BrokerEvent::Lagged`].
///
/// # What is published
///
/// Nodes publish messages, and anybody else may in any language:
///
/// | first octet | then | is |
/// |---|---|---|
/// | `0x01` | the payload, in UTF-8 | a text message |
/// | `0x02` | the payload | a binary message |
/// | `0x11` | 16 octets, the node, and the payload in UTF-8 | a text message |
/// | `0x12` | 16 octets, the node, and the payload | a binary message |
///
/// The node is a number that each hub draws when it is made; a hub takes no notice of what has its
/// own. What is none of these is logged and left out. With `NatsBroker` (feature `nats`) the topic
/// `lobby` is the subject `motorway.topic.lobby`, with `RedisBroker` (feature `redis`) the channel
/// `motorway:topic/lobby`, sharded in a cluster; their pages tell how other characters are written.
///
/// ```
/// use motorway::{Broker, BrokerError, BrokerEvent, Bytes, Hub};
///
/// /// Reaches nobody.
/// struct Alone;
///
/// impl Broker for Alone {
///     async fn publish(&self, _: &str, _: Bytes) -> Result<(), BrokerError> {
///         Ok(())
///     }
///
///     async fn subscribe(&self, _: &str) -> Result<(), BrokerError> {
///         Ok(())
///     }
///
///     async fn unsubscribe(&self, _: &str) -> Result<(), BrokerError> {
///         Ok(())
///     }
///
///     async fn next(&self) -> BrokerEvent {
///         std::future::pending().await
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let hub = Hub::with_broker(Alone);
/// hub.publish("lobby", "only for those here").await?;
/// # Ok::<_, motorway::Error>(()) })?; Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub trait Broker: Send + Sync + 'static {
    /// Gives a payload to the broker, for all who have subscribed to the channel; whether this node
    /// gets its own back does not matter.
    ///
    /// Called one at a time, besides the others. Returns once the broker's client has taken the payload; need not wait
    /// for an acknowledgement. Not called between [`BrokerEvent::Lost`] and
    /// [`BrokerEvent::Restored`].
    fn publish(
        &self,
        channel: &str,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Subscribes to a channel; does nothing if that was done. Called for every channel again after
    /// [`BrokerEvent::Restored`]; one that fails is tried again.
    ///
    /// This and [`unsubscribe`](Self::unsubscribe) are called for up to 64 channels at the same time,
    /// in tasks of their own, but never twice at once for the same channel.
    fn subscribe(&self, channel: &str) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Ends a subscription; does nothing if there is none.
    fn unsubscribe(&self, channel: &str) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Waits for what comes next. Called over and over by one task.
    ///
    /// # Cancel safety
    ///
    /// Must lose nothing when it is dropped.
    fn next(&self) -> impl Future<Output = BrokerEvent> + Send;
}

/// What comes from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerEvent {
    /// Somebody has published to a channel that was subscribed to.
    Message {
        /// The channel.
        channel: Arc<str>,
        /// What was published.
        payload: Bytes,
    },
    /// The connection to the broker is lost.
    Lost,
    /// Some channels are lost and others are not, as when one of several servers is away. Publishing
    /// and subscribing go on; what cannot be published is counted by [`Lagged`](Self::Lagged).
    PartlyLost,
    /// The connection to the broker is there again, all of it.
    Restored,
    /// So many messages were lost, since they came faster than they were received, or since nobody
    /// took them; up to so many, where the broker does not know what has become of them.
    Lagged(u64),
}

/// How a hub fares with its broker; see [`Hub::on_broker`](crate::Hub::on_broker).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerState {
    /// The connection to the broker is lost: members on this node get what is published here, and
    /// nothing else.
    Lost,
    /// The connection to a part of the broker is lost, such as to one of the servers of a cluster:
    /// some topics are as if all were [`Lost`](Self::Lost), the others as ever.
    PartlyLost,
    /// The connection to the broker is there again, all of it, and so are the subscriptions.
    Restored,
    /// So many messages to or from other nodes were lost since this was told last.
    Lagged(u64),
}
