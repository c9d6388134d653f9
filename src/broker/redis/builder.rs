//! What a broker by Redis is made from.

use super::link::{Commands, Terms};
use super::links::Links;
use super::server::{Greeting, Servers};
use super::slots::Slots;
use super::{OUTGOING, ROOM, RedisBroker};
use crate::broker::{BrokerError, address};
use redis::{ErrorKind, RedisError, RedisResult};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::channel;
use tokio::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Which channels of Redis carry the messages; see [`RedisBrokerBuilder::channels`].
///
/// Whoever is to hear each other has to use the same: what is published to plain channels does not
/// come by sharded ones, nor the other way round.
///
/// ```no_run
/// use motorway::{RedisBroker, RedisChannels};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// // A cluster whose other programs publish with `PUBLISH`.
/// let builder = RedisBroker::builder().channels(RedisChannels::Plain);
/// let broker = builder.connect("redis://one:6379,redis://two:6379").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisChannels {
    /// Sharded ones if the server belongs to a cluster and is of version 7 or later, plain ones
    /// otherwise. The default.
    #[default]
    Detect,
    /// Those of `PUBLISH` and `SUBSCRIBE`. In a cluster each server passes each message on to all
    /// others.
    Plain,
    /// Those of `SPUBLISH` and `SSUBSCRIBE`, which Redis has since version 7. In a cluster each is at
    /// the one server, and its replicas, that have the slot of its name.
    Sharded,
}

/// What a [`RedisBroker`] is made from.
///
/// ```no_run
/// use motorway::{Hub, RedisBroker};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = RedisBroker::builder().prefix("shop").connect("redis://localhost").await?;
/// let hub = Hub::with_broker(broker);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RedisBrokerBuilder {
    prefix: String,
    ping_interval: Duration,
    channels: RedisChannels,
}

impl RedisBrokerBuilder {
    pub(super) fn new() -> Self {
        Self {
            prefix: "motorway".to_owned(),
            ping_interval: Duration::from_secs(10),
            channels: RedisChannels::default(),
        }
    }

    /// Sets what all channels begin with, up to a colon, for hubs that share a server with others; any
    /// characters. Default: `motorway`.
    ///
    /// In braces, such as `{shop}`, it puts all channels into one slot of a cluster, and so to one
    /// server.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how often the server is asked whether it is there, and how long any answer of it may take;
    /// both together are how long a loss remains unnoticed at most. At least 10 ms. Default: 10 s.
    ///
    /// As often a server of a cluster is asked who has which slots.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets which channels are used. Default: [`RedisChannels::Detect`].
    #[must_use]
    pub fn channels(mut self, channels: RedisChannels) -> Self {
        self.channels = channels;
        self
    }

    /// Connects; see [`RedisBroker::connect`].
    ///
    /// # Errors
    ///
    /// As there, and if the server has no sharded channels, but is to use them.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has made no broker.
    pub async fn connect(self, url: impl AsRef<str>) -> Result<RedisBroker, BrokerError> {
        let urls = url.as_ref();
        let links = self.links(urls).await;
        let failed = |error| BrokerError::connect(address::named(urls), error);
        let links = Arc::new(links.map_err(failed)?);
        let (outgoing, queue) = channel(OUTGOING);
        let tasks = [
            tokio::spawn(Arc::clone(&links).keep()),
            tokio::spawn(Arc::clone(&links).publish(queue)),
        ];
        Ok(RedisBroker {
            links,
            outgoing,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            _tasks: tasks.map(AbortOnDropHandle::new),
        })
    }

    async fn links(&self, urls: &str) -> RedisResult<Links> {
        let servers = Servers::new(urls, self.ping_interval)?;
        let (mut connection, host) = servers.open_any(&servers.config()).await?;
        let greeting = Greeting::ask(&mut connection).await?;
        let commands = self.commands(&greeting)?;
        let slots = match commands {
            Commands::Sharded if greeting.is_cluster => {
                Some(Slots::parse(Slots::ask(&mut connection).await?, &host)?)
            }
            Commands::Sharded | Commands::Plain => None,
        };
        let terms = Terms {
            commands,
            prefix: format!("{}:", self.prefix).into(),
            ping_interval: self.ping_interval,
            inbox: Arc::default(),
            disturbed: Arc::default(),
        };
        let links = Links::new(servers, terms, slots);
        // Every hub has this one, so that its server is in use in any case.
        let first = links.slots().owner(&links.name("everyone"));
        let first = first.ok_or_else(|| refused("the cluster has slots without a server", ""))?;
        links.connect(&first).await?;
        Ok(links)
    }

    fn commands(&self, greeting: &Greeting) -> RedisResult<Commands> {
        match (self.channels, greeting.has_shard_channels()) {
            (RedisChannels::Sharded, false) => Err(refused(
                "sharded channels need Redis 7 or later",
                &greeting.version,
            )),
            (RedisChannels::Sharded, true) => Ok(Commands::Sharded),
            (RedisChannels::Detect, true) if greeting.is_cluster => Ok(Commands::Sharded),
            (RedisChannels::Detect | RedisChannels::Plain, _) => Ok(Commands::Plain),
        }
    }
}

fn refused(why: &'static str, detail: &str) -> RedisError {
    let kind = ErrorKind::InvalidClientConfig;
    match detail {
        "" => (kind, why).into(),
        detail => (kind, why, detail.to_owned()).into(),
    }
}
