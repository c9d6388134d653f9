//! A broker by a server of Redis.

use super::inbox::Inbox;
use super::{Broker, BrokerError, BrokerEvent, address};
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, Value,
};
use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex as PlainMutex, PoisonError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Joins hubs by a server of Redis 6 or later, or of what speaks its protocol RESP3, such as Valkey.
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
/// | [`broadcast`](crate::Hub::broadcast) | `motorway:everyone` |
///
/// Nothing is escaped: channels of Redis are octets. Anybody may publish there, see [`Broker`]:
///
/// ```text
/// $ printf '\001Dinner is served' | redis-cli -x publish motorway:topic/lobby
/// ```
///
/// Plain publish and subscribe, with one connection for each. In a cluster of Redis any of its servers
/// will do, also different ones for different nodes: the servers tell one another.
///
/// # What is lost, and when
///
/// A connection that breaks, or does not answer a [ping](RedisBrokerBuilder::ping_interval), is made
/// anew for as long as the broker is kept, after 100 ms and then up to 5 s; the subscriptions are
/// there again before [`BrokerEvent::Restored`] is told. What the server had not sent yet by then is
/// lost without being counted: Redis keeps nothing. What is published meanwhile is counted, and so is
/// what nobody has acknowledged when the connection breaks, though it may have arrived.
///
/// Up to 16,384 messages or 64 MiB wait for the hub; what does not fit is counted by
/// [`BrokerEvent::Lagged`].
pub struct RedisBroker {
    shared: Arc<Shared>,
    outgoing: Sender<Outgoing>,
    /// How many octets the outgoing messages may have together.
    room: Arc<Semaphore>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl RedisBroker {
    /// Connects to a server: `redis://localhost:6379`, `redis://user:password@host`,
    /// `redis+unix:///run/redis.sock`.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached or does not accept us within 5 s; the error names the
    /// address without user and password. Once connected, it stays so by itself.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, BrokerError> {
        Self::builder().connect(url).await
    }

    /// Makes a broker with a prefix of its own.
    #[must_use]
    pub fn builder() -> RedisBrokerBuilder {
        RedisBrokerBuilder {
            prefix: "motorway".to_owned(),
            ping_interval: Duration::from_secs(10),
        }
    }
}

impl Broker for RedisBroker {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), BrokerError> {
        let octets = u32::try_from(payload.len()).unwrap_or(u32::MAX).min(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(octets).await;
        let outgoing = Outgoing {
            channel: self.shared.name(channel),
            payload,
            _room: room.map_err(BrokerError::failed)?,
        };
        let sent = self.outgoing.send(outgoing).await;
        sent.map_err(|_| BrokerError::failed("its task has ended"))
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        let mut subscriptions = self.shared.subscriptions.lock().await;
        if subscriptions.channels.contains(channel) {
            return Ok(());
        }
        // Without connection, the next one subscribes to all there are.
        if let Some(connection) = &mut subscriptions.connection {
            let subscribing = connection.subscribe(self.shared.name(channel));
            subscribing.await.map_err(BrokerError::failed)?;
        }
        subscriptions.channels.insert(channel.to_owned());
        Ok(())
    }

    async fn unsubscribe(&self, channel: &str) -> Result<(), BrokerError> {
        let mut subscriptions = self.shared.subscriptions.lock().await;
        if !subscriptions.channels.contains(channel) {
            return Ok(());
        }
        if let Some(connection) = &mut subscriptions.connection {
            let unsubscribing = connection.unsubscribe(self.shared.name(channel));
            unsubscribing.await.map_err(BrokerError::failed)?;
        }
        subscriptions.channels.remove(channel);
        Ok(())
    }

    async fn next(&self) -> BrokerEvent {
        self.shared.inbox.next().await
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker")
            .field("prefix", &self.shared.prefix)
            .finish_non_exhaustive()
    }
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
}

impl RedisBrokerBuilder {
    /// Sets what all channels begin with, up to a colon, for hubs that share a server with others; any
    /// characters. Default: `motorway`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how often the server is asked whether it is there, and how long any answer of it may take;
    /// both together are how long a loss remains unnoticed at most. At least 10 ms. Default: 10 s.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Connects; see [`RedisBroker::connect`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect(self, url: impl AsRef<str>) -> Result<RedisBroker, BrokerError> {
        let url = url.as_ref();
        let failed = |error| BrokerError::connect(address::named(url), error);
        let shared = Arc::new(Shared {
            client: client(url).map_err(failed)?,
            prefix: self.prefix,
            ping_interval: self.ping_interval,
            inbox: Arc::default(),
            subscriptions: Mutex::default(),
            link: PlainMutex::default(),
        });
        let link = shared.connect().await.map_err(failed)?;
        let (outgoing, queue) = channel(OUTGOING);
        let (keeping, publishing) = (Arc::clone(&shared), Arc::clone(&shared));
        let tasks = [
            tokio::spawn(async move { keeping.keep(link).await }),
            tokio::spawn(async move { publishing.publish(queue).await }),
        ];
        Ok(RedisBroker {
            shared,
            outgoing,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            _tasks: tasks.map(AbortOnDropHandle::new),
        })
    }
}

fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone();
    // The only protocol whose messages come by a callback, and need no queue without bounds.
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// What is to be published.
struct Outgoing {
    channel: String,
    payload: Bytes,
    _room: OwnedSemaphorePermit,
}

/// What the broker and its tasks share.
struct Shared {
    client: Client,
    prefix: String,
    ping_interval: Duration,
    inbox: Arc<Inbox>,
    subscriptions: Mutex<Subscriptions>,
    /// The connections as long as they work.
    link: PlainMutex<Option<Link>>,
}

#[derive(Default)]
struct Subscriptions {
    channels: HashSet<String>,
    connection: Option<MultiplexedConnection>,
}

/// A pair of connections.
#[derive(Clone)]
struct Link {
    subscriber: MultiplexedConnection,
    publisher: MultiplexedConnection,
    /// Cancelled when either has broken.
    broken: CancellationToken,
}

impl Shared {
    fn name(&self, channel: &str) -> String {
        format!("{}:{channel}", self.prefix)
    }

    /// Connects, and subscribes to what there is.
    async fn connect(&self) -> RedisResult<Link> {
        let broken = CancellationToken::new();
        let plain = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTED))
            .set_response_timeout(Some(self.ping_interval));
        let pushes = plain.clone().set_push_sender(self.pushes(&broken));
        let link = Link {
            subscriber: self.open(&pushes).await?,
            publisher: self.open(&plain).await?,
            broken,
        };
        let mut subscriptions = self.subscriptions.lock().await;
        let mut connection = link.subscriber.clone();
        let names: Vec<_> = subscriptions
            .channels
            .iter()
            .map(|channel| self.name(channel))
            .collect();
        for names in names.chunks(AT_ONCE) {
            connection.subscribe(names).await?;
        }
        subscriptions.connection = Some(connection);
        drop(subscriptions);
        self.set_link(Some(link.clone()));
        Ok(link)
    }

    async fn open(&self, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let opening = self
            .client
            .get_multiplexed_async_connection_with_config(config);
        opening.await
    }

    /// What the subscribing connection calls with what comes.
    fn pushes(
        &self,
        broken: &CancellationToken,
    ) -> impl Fn(PushInfo) -> Result<(), RedisError> + Send + Sync + 'static {
        let (inbox, broken) = (Arc::clone(&self.inbox), broken.clone());
        let prefix = self.name("");
        move |push| {
            match push.kind {
                PushKind::Message => match message(push.data, &prefix) {
                    Some((channel, payload)) => inbox.message(&channel, payload),
                    None => tracing::warn!("unknown message from Redis"),
                },
                PushKind::Disconnection => broken.cancel(),
                _ => {}
            }
            Ok(())
        }
    }

    fn set_link(&self, link: Option<Link>) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    fn link(&self) -> Option<Link> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.clone().filter(|link| !link.broken.is_cancelled())
    }

    /// Connects anew whenever the connections break.
    async fn keep(&self, mut link: Link) {
        loop {
            link.until_broken(self.ping_interval).await;
            self.set_link(None);
            self.inbox.lost();
            self.subscriptions.lock().await.connection = None;
            drop(link);
            link = self.reconnect().await;
            self.inbox.restored();
        }
    }

    async fn reconnect(&self) -> Link {
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            match self.connect().await {
                Ok(link) => return link,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn StdError, "Redis is not there yet");
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives the server what is to be published, as much at once as there is.
    async fn publish(&self, mut queue: Receiver<Outgoing>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
            if let Err(lost) = self.publish_all(&batch).await {
                self.inbox.lose(lost);
            }
            batch.clear();
        }
    }

    /// Fails with how many may have been lost.
    async fn publish_all(&self, batch: &[Outgoing]) -> Result<(), u64> {
        let all = batch.len() as u64;
        let Some(mut link) = self.link() else {
            return Err(all);
        };
        let mut pipeline = redis::pipe();
        for outgoing in batch {
            pipeline.publish(&outgoing.channel, &outgoing.payload[..]);
        }
        let answers: RedisResult<()> = pipeline.ignore().query_async(&mut link.publisher).await;
        answers.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn StdError,
                "Redis did not take messages"
            );
            if error.is_io_error() || error.is_unrecoverable_error() {
                link.broken.cancel();
            }
            all
        })
    }
}

impl Link {
    /// Waits until either connection has broken, or does not answer.
    async fn until_broken(&mut self, interval: Duration) {
        let broken = self.broken.clone();
        let pinging = async {
            loop {
                sleep(interval).await;
                let (subscriber, publisher) = (&mut self.subscriber, &mut self.publisher);
                if tokio::try_join!(ping(subscriber), ping(publisher)).is_err() {
                    break;
                }
            }
        };
        broken.run_until_cancelled(pinging).await;
        self.broken.cancel();
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(connection).await
}

/// The channel and the payload of a message that was pushed.
fn message(data: Vec<Value>, prefix: &str) -> Option<(Arc<str>, Bytes)> {
    let [Value::BulkString(channel), Value::BulkString(payload)] =
        <[Value; 2]>::try_from(data).ok()?
    else {
        return None;
    };
    let channel = str::from_utf8(&channel).ok()?.strip_prefix(prefix)?;
    Some((channel.into(), payload.into()))
}

/// How long a connection may take to be made.
const CONNECTED: Duration = Duration::from_secs(5);
/// How long after a loss the server is tried again, and how long after that at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many messages are published, and channels subscribed to, with one request.
const AT_ONCE: usize = 256;
/// How many messages wait to be published, and how many octets; one has room, however large it is.
const OUTGOING: usize = 1024;
const ROOM: u32 = 16 << 20;
