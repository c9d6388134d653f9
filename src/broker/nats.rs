//! A broker by a server of NATS.

use super::inbox::Inbox;
use super::{Broker, BrokerError, BrokerEvent, address};
use async_nats::{Client, ConnectOptions, Event, Subscriber};
use bytes::Bytes;
use futures_core::Stream;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tokio::time::{Duration, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Joins hubs by a server of NATS, or a cluster of them.
///
/// ```no_run
/// use motorway::{Hub, NatsBroker};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::with_broker(NatsBroker::connect("nats://localhost:4222").await?);
/// hub.publish("lobby", "for the lobby on every node").await?;
/// # Ok(()) }
/// ```
///
/// # Subjects
///
/// | hub | subject |
/// |---|---|
/// | topic `lobby` | `motorway.topic.lobby` |
/// | topic `sports/chess` | `motorway.topic.sports.chess` |
/// | topic `50 % off` | `motorway.topic.50%20%25%20off` |
/// | topic `/a//b/` | `motorway.topic.%2Fa.%2Fb%2F` |
/// | [`broadcast`](crate::Hub::broadcast) | `motorway.everyone` |
///
/// ASCII letters, digits, `-` and `_` are themselves; `/` is `.` unless it is the first or the last of
/// a topic or follows another; that and every other octet is `%` and two upper-case hexadecimal digits.
/// Different topics have different subjects. Anybody may publish there, see [`Broker`]:
///
/// ```text
/// $ printf '\001Dinner is served' | nats publish motorway.topic.lobby
/// ```
///
/// # What is lost, and when
///
/// The connection is made anew for as long as the broker is kept, after up to 4 s, with all
/// subscriptions. What the server had not been sent by then, or had not sent yet, may be lost
/// without being counted: NATS keeps nothing. What is published meanwhile is counted.
///
/// Up to 16,384 messages or 64 MiB wait for the hub; what does not fit is counted by
/// [`BrokerEvent::Lagged`]. So is what the client of NATS drops as that of a slow consumer, except
/// beyond 128 messages at a blow. Messages larger than the server's `max_payload` (1 MiB, if nothing
/// else is set there) are refused, and counted as lost.
pub struct NatsBroker {
    client: Arc<Client>,
    prefix: String,
    inbox: Arc<Inbox>,
    /// The tasks that receive, by channel.
    receiving: Mutex<HashMap<Arc<str>, AbortOnDropHandle<()>>>,
    /// How many octets the client was given since it has last been waited for.
    unflushed: AtomicUsize,
}

impl NatsBroker {
    /// Connects to a server: `nats://localhost:4222`, `nats://user:password@host`, `tls://host`, or
    /// several of a cluster, separated by commas.
    ///
    /// # Errors
    ///
    /// Fails if no server can be reached or none accepts us, within 5 s each; the error names the
    /// address without user and password. Once connected, it stays so by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has made no broker.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, BrokerError> {
        Self::builder().connect(url).await
    }

    /// Makes a broker with a prefix or options of its own.
    #[must_use]
    pub fn builder() -> NatsBrokerBuilder {
        NatsBrokerBuilder {
            prefix: "motorway".to_owned(),
            options: ConnectOptions::new().ping_interval(PING),
        }
    }

    fn subject(&self, channel: &str) -> String {
        format!("{}.{}", self.prefix, escaped(channel))
    }

    fn receiving(&self) -> MutexGuard<'_, HashMap<Arc<str>, AbortOnDropHandle<()>>> {
        self.receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker for NatsBroker {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), BrokerError> {
        let octets = payload.len();
        let publishing = self.client.publish(self.subject(channel), payload);
        publishing.await.map_err(BrokerError::failed)?;
        // The client bounds what waits in messages, and messages may be large.
        if self.unflushed.fetch_add(octets, Ordering::Relaxed) + octets > UNFLUSHED {
            self.unflushed.store(0, Ordering::Relaxed);
            self.client.flush().await.map_err(BrokerError::failed)?;
        }
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        if self.receiving().contains_key(channel) {
            return Ok(());
        }
        let subscribing = self.client.subscribe(self.subject(channel));
        let subscriber = subscribing.await.map_err(BrokerError::failed)?;
        let channel: Arc<str> = channel.into();
        let receiving = receive(subscriber, Arc::clone(&channel), Arc::clone(&self.inbox));
        let task = AbortOnDropHandle::new(tokio::spawn(receiving));
        self.receiving().insert(channel, task);
        Ok(())
    }

    async fn unsubscribe(&self, channel: &str) -> Result<(), BrokerError> {
        // With the task goes its subscriber, which tells the server.
        drop(self.receiving().remove(channel));
        Ok(())
    }

    async fn next(&self) -> BrokerEvent {
        self.inbox.next().await
    }
}

impl fmt::Debug for NatsBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBroker")
            .field("prefix", &self.prefix)
            .field("subscriptions", &self.receiving().len())
            .finish_non_exhaustive()
    }
}

/// What a [`NatsBroker`] is made from.
///
/// ```no_run
/// use motorway::{Hub, NatsBroker, async_nats::ConnectOptions};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let options = ConnectOptions::with_token("s3cret".into()).name("chat");
/// let broker = NatsBroker::builder()
///     .prefix("shop.chat")?
///     .options(options)
///     .connect("nats://one:4222,nats://two:4222")
///     .await?;
/// let hub = Hub::with_broker(broker);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NatsBrokerBuilder {
    prefix: String,
    options: ConnectOptions,
}

impl NatsBrokerBuilder {
    /// Sets what all subjects begin with, for hubs that share a server with others. Default:
    /// `motorway`.
    ///
    /// # Errors
    ///
    /// Fails unless it is 1 to 256 ASCII letters, digits, `-` and `_`, in parts joined by `.`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Result<Self, BrokerError> {
        let prefix = prefix.into();
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_plain);
        if prefix.len() > 256 || !prefix.split('.').all(is_part) {
            return Err(BrokerError::Prefix { prefix });
        }
        self.prefix = prefix;
        Ok(self)
    }

    /// Sets options of the client of NATS, such as its credentials; `event_callback` and `no_echo`
    /// are set by the broker. Default: those of the client, with a ping after 10 s of silence.
    #[must_use]
    pub fn options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }

    /// Connects; see [`NatsBroker::connect`].
    ///
    /// # Errors
    ///
    /// As there; never if `retry_on_initial_connect` is among the options.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has made no broker.
    pub async fn connect(self, url: impl AsRef<str>) -> Result<NatsBroker, BrokerError> {
        let url = url.as_ref();
        let inbox = Arc::<Inbox>::default();
        let watch = Arc::new(Watch {
            inbox: Arc::clone(&inbox),
            client: OnceLock::new(),
            state: Mutex::new(State::Connecting),
        });
        let watching = Arc::clone(&watch);
        let options = self.options.no_echo().event_callback(move |event| {
            let watch = Arc::clone(&watching);
            async move { watch.take(event).await }
        });
        let servers: Vec<&str> = url.split(',').map(str::trim).collect();
        let client = match options.connect(servers).await {
            Ok(client) => Arc::new(client),
            Err(error) => return Err(BrokerError::connect(address::named(url), error)),
        };
        // Weak, since the client lives as long as who may send to it, and its callback with it.
        let _ = watch.client.set(Arc::downgrade(&client));
        Ok(NatsBroker {
            client,
            prefix: self.prefix,
            inbox,
            receiving: Mutex::default(),
            unflushed: AtomicUsize::new(0),
        })
    }
}

/// Follows the client's connection.
struct Watch {
    inbox: Arc<Inbox>,
    client: OnceLock<Weak<Client>>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// For the first time.
    Connecting,
    Connected,
    Lost,
}

impl Watch {
    async fn take(&self, event: Event) {
        match event {
            Event::Connected => self.connected().await,
            Event::Disconnected | Event::Closed => self.lost(),
            Event::SlowConsumer(_) => self.inbox.lose(1),
            Event::ServerError(error) => {
                tracing::warn!(error = &error as &dyn StdError, "NATS server");
            }
            Event::ClientError(error) => tracing::debug!(%error, "NATS client"),
            Event::LameDuckMode | Event::Draining => {}
        }
    }

    fn lost(&self) {
        if self.turn(State::Lost) != State::Lost {
            self.inbox.lost();
        }
    }

    async fn connected(&self) {
        match self.turn(State::Connected) {
            State::Connecting => return,
            // The client drops events when very many come at a blow.
            State::Connected => self.inbox.lost(),
            State::Lost => {}
        }
        // The client subscribes anew; who publishes after us is to be heard.
        if let Some(client) = self.client.get().and_then(Weak::upgrade) {
            let _ = timeout(FLUSHED, client.flush()).await;
        }
        self.inbox.restored();
    }

    /// Sets the state, and returns the one before.
    fn turn(&self, state: State) -> State {
        let mut place = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, state)
    }
}

/// Moves the messages of a channel to the inbox, which never makes it wait.
async fn receive(mut subscriber: Subscriber, channel: Arc<str>, inbox: Arc<Inbox>) {
    while let Some(message) = poll_fn(|cx| Pin::new(&mut subscriber).poll_next(cx)).await {
        inbox.message(&channel, message.payload);
    }
}

/// Writes a channel as a subject, so that different ones stay different.
fn escaped(channel: &str) -> String {
    let mut subject = String::with_capacity(channel.len());
    // Between tokens of subjects there is a dot, and none of them is empty.
    let (mut before, last) = (b'/', channel.len().saturating_sub(1));
    for (place, octet) in channel.bytes().enumerate() {
        if is_plain(octet) {
            subject.push(char::from(octet));
        } else if octet == b'/' && before != b'/' && place < last {
            subject.push('.');
        } else {
            subject.push_str(&format!("%{octet:02X}"));
        }
        before = octet;
    }
    subject
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

/// After how much silence the server is asked whether it is there; without two answers it is not.
const PING: Duration = Duration::from_secs(10);
/// How many octets the client is given before it is waited for.
const UNFLUSHED: usize = 8 << 20;
/// How long a new connection may take to write the subscriptions before it is told of.
const FLUSHED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn subjects_are_as_documented() {
        for (channel, subject) in [
            ("everyone", "everyone"),
            ("topic/lobby", "topic.lobby"),
            ("topic/sports/chess", "topic.sports.chess"),
            ("topic/50 % off", "topic.50%20%25%20off"),
            ("topic/a.b", "topic.a%2Eb"),
            ("topic/*", "topic.%2A"),
            ("topic/>", "topic.%3E"),
            ("topic//a", "topic.%2Fa"),
            ("topic///", "topic.%2F%2F"),
            ("/a", "%2Fa"),
            ("", ""),
            ("topic/a/", "topic.a%2F"),
            ("topic//a//b/", "topic.%2Fa.%2Fb%2F"),
            ("topic/\u{e9}", "topic.%C3%A9"),
            ("topic/\n\0", "topic.%0A%00"),
        ] {
            assert_eq!(escaped(channel), subject);
        }
    }

    #[test]
    fn different_channels_have_different_subjects_that_nats_takes() {
        let alphabet = ["a", "/", ".", "%", "2F", "2E", "*", ">", " "];
        let mut subjects = HashSet::new();
        let mut channels = HashSet::new();
        for number in 0..alphabet.len().pow(4) {
            let mut rest = number;
            let mut channel = String::from("t/");
            while rest > 0 {
                channel.push_str(alphabet[rest % alphabet.len()]);
                rest /= alphabet.len();
            }
            let subject = format!("x.{}", escaped(&channel));
            assert!(subject.split('.').all(|part| !part.is_empty()), "{subject}");
            assert!(!subject.contains([' ', '*', '>']), "{subject}");
            assert_eq!(channels.insert(channel), subjects.insert(subject));
        }
        assert_eq!(channels.len(), subjects.len());
    }

    #[test]
    fn prefixes_are_refused_when_they_are_set() {
        for prefix in ["shop", "shop.chat", "a-b_c.9"] {
            assert!(NatsBroker::builder().prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "\u{e9}"] {
            let error = NatsBroker::builder().prefix(prefix).unwrap_err();
            assert!(matches!(error, BrokerError::Prefix { .. }), "{prefix}");
            assert!(error.to_string().contains(&format!("{prefix:?}")));
        }
    }
}
