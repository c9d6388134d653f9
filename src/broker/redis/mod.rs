//! A broker by servers of Redis: one, or those of a cluster.
//!
//! The crate `redis` has a client for clusters; this one drives plain connections of its instead. That
//! client keeps what is pushed, and what is to be sent, in queues without bounds, forgets subscriptions
//! that a server ends since a slot has moved, does not tell when they are there again after a loss, and
//! may send again what has arrived.

mod builder;
mod link;
mod links;
mod mending;
mod publishing;
mod server;
mod slots;

pub use builder::{RedisBrokerBuilder, RedisChannels};

use super::{Broker, BrokerError, BrokerEvent};
use bytes::Bytes;
use links::Links;
use publishing::Outgoing;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio_util::task::AbortOnDropHandle;

/// Joins hubs by a server of Redis 6 or later, or of what speaks its protocol RESP3, such as Valkey;
/// or by a cluster of them.
///
/// ```no_run
/// use motorway::{Hub, RedisBroker};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::with_broker(RedisBroker::connect("redis://localhost:6379").await?);
/// hub.publish("lobby", "for the lobby on every node").await?;
/// # Ok(()) }
/// ```
///
/// # Channels
///
/// | hub | channel |
/// |---|---|
/// | topic `lobby` | `motorway:topic/lobby` |
/// | topic `50 % off` | `motorway:topic/50 % off` |
/// | who is present in `lobby` | `motorway:presence/lobby` |
/// | [`broadcast`](crate::Hub::broadcast) | `motorway:everyone` |
///
/// Nothing is escaped: channels of Redis are octets. Anybody may publish there, see [`Broker`]; in a
/// cluster of Redis 7 these are sharded channels, of the same names:
///
/// ```text
/// $ printf '\001Dinner is served' | redis-cli -x publish motorway:topic/lobby
/// $ printf '\001Dinner is served' | redis-cli -c -x spublish motorway:topic/lobby
/// ```
///
/// # Clusters
///
/// A server of Redis 7 or Valkey that belongs to a cluster is found out by its answer to `HELLO`.
/// Then all goes by sharded publish and subscribe: a channel is at the master that has its slot, and
/// the others have no work with it. There are two connections to each master in use, which are those
/// of the topics in use. Slots that move are followed, and replicas that are promoted are found: by
/// `MOVED`, by `SUNSUBSCRIBE` of the server, and by asking for all slots once in a
/// [`ping_interval`](RedisBrokerBuilder::ping_interval).
///
/// With Redis 6, or [if asked to](RedisBrokerBuilder::channels), plain publish and subscribe is used
/// in clusters too. Any of the servers will do then, also different ones for different nodes: each
/// passes everything on to all others. A node with plain channels and one with sharded ones do not
/// hear each other.
///
/// What everybody gets by [`broadcast`](crate::Hub::broadcast) goes by the one master that has
/// `motorway:everyone`. A topic in braces shares the slot of others: `{game 7}/moves` and
/// `{game 7}/chat` are at one server.
///
/// # What is lost, and when
///
/// A connection that breaks, or does not answer a [ping](RedisBrokerBuilder::ping_interval), is made
/// anew for as long as the broker is kept, after 100 ms and then up to 5 s; the subscriptions are
/// there again before [`BrokerEvent::Restored`] is told. What the server had not sent before, or has
/// taken from others until then, is lost without being counted: Redis keeps nothing. What is published meanwhile is counted, and so is
/// what nobody has acknowledged when the connection breaks, though it may have arrived.
///
/// Of a cluster, the other masters go on when one is lost: [`BrokerEvent::PartlyLost`] is told, what
/// is published to channels of the lost one is counted, and what is published to others arrives. It is
/// told as well when slots move, since what is published between the move and the new subscription is
/// lost. [`BrokerEvent::Restored`] follows when every channel is subscribed to again, and
/// [`BrokerEvent::Lost`] is told when there is no connection at all. A master that hangs holds up what
/// is published to the others, once, for as long as an answer may take.
///
/// Up to 16,384 messages or 64 MiB wait for the hub; what does not fit is counted by
/// [`BrokerEvent::Lagged`].
pub struct RedisBroker {
    links: Arc<Links>,
    outgoing: Sender<Outgoing>,
    /// How many octets the outgoing messages may have together.
    room: Arc<Semaphore>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl RedisBroker {
    /// Connects to a server: `redis://localhost:6379`, `redis://user:password@host`,
    /// `redis+unix:///run/redis.sock`.
    ///
    /// Several addresses of one cluster, separated by commas, are tried in their order, now and
    /// whenever no other server of it is left to be asked: `redis://one:6379,redis://two:6379`. User,
    /// password and TLS of the first are those for servers that the cluster names.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached or does not accept us within 5 s, or none of several does
    /// within 5 s each; the error names the addresses without user and password. Once connected, it
    /// stays so by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has made no broker.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, BrokerError> {
        Self::builder().connect(url).await
    }

    /// Makes a broker with a prefix of its own.
    #[must_use]
    pub fn builder() -> RedisBrokerBuilder {
        RedisBrokerBuilder::new()
    }
}

impl Broker for RedisBroker {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), BrokerError> {
        let octets = u32::try_from(payload.len()).unwrap_or(u32::MAX).min(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(octets).await;
        let outgoing = Outgoing {
            name: self.links.name(channel),
            payload,
            _room: room.map_err(BrokerError::failed)?,
        };
        let sent = self.outgoing.send(outgoing).await;
        sent.map_err(|_| BrokerError::failed("its task has ended"))
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        let name = self.links.name(channel);
        let subscribing = self.links.subscribe(&name);
        subscribing.await.map_err(BrokerError::failed)
    }

    async fn unsubscribe(&self, channel: &str) -> Result<(), BrokerError> {
        let name = self.links.name(channel);
        let unsubscribing = self.links.unsubscribe(&name);
        unsubscribing.await.map_err(BrokerError::failed)
    }

    async fn next(&self) -> BrokerEvent {
        self.links.terms.inbox.next().await
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker")
            .field("prefix", &self.links.terms.prefix)
            .field("commands", &self.links.terms.commands)
            .finish_non_exhaustive()
    }
}

/// How many messages wait to be published, and how many octets; one has room, however large it is.
const OUTGOING: usize = 1024;
const ROOM: u32 = 16 << 20;
