//! A pair of connections to a server: one hears, the other speaks.

use super::server::{Node, Servers};
use super::slots::Slots;
use crate::broker::inbox::Inbox;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value};
use std::collections::HashSet;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Which commands are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commands {
    /// PUBLISH, SUBSCRIBE and UNSUBSCRIBE.
    Plain,
    /// SPUBLISH, SSUBSCRIBE and SUNSUBSCRIBE.
    Sharded,
}

impl Commands {
    fn publish(self) -> &'static str {
        match self {
            Self::Plain => "PUBLISH",
            Self::Sharded => "SPUBLISH",
        }
    }

    fn subscribe(self) -> &'static str {
        match self {
            Self::Plain => "SUBSCRIBE",
            Self::Sharded => "SSUBSCRIBE",
        }
    }

    fn unsubscribe(self) -> &'static str {
        match self {
            Self::Plain => "UNSUBSCRIBE",
            Self::Sharded => "SUNSUBSCRIBE",
        }
    }
}

/// What a link needs to know, besides where it leads.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) commands: Commands,
    /// With the colon.
    pub(super) prefix: Arc<str>,
    pub(super) ping_interval: Duration,
    pub(super) inbox: Arc<Inbox>,
    /// Told when a link breaks or loses channels.
    pub(super) disturbed: Arc<Notify>,
}

/// A pair of connections.
pub(super) struct Link {
    pub(super) node: Arc<Node>,
    commands: Commands,
    subscriber: MultiplexedConnection,
    turns: RwLock<()>,
    publisher: MultiplexedConnection,
    heard: Arc<Heard>,
    _watching: AbortOnDropHandle<()>,
}

/// What the subscribing connection calls with what comes.
struct Heard {
    terms: Terms,
    /// What the server has confirmed, in the order of its answers.
    channels: Mutex<HashSet<String>>,
    /// Cancelled when either connection has broken.
    broken: CancellationToken,
}

impl Link {
    pub(super) async fn open(
        servers: &Servers,
        node: Arc<Node>,
        terms: &Terms,
    ) -> RedisResult<Self> {
        let heard = Arc::new(Heard {
            terms: terms.clone(),
            channels: Mutex::default(),
            broken: CancellationToken::new(),
        });
        let hearing = Arc::clone(&heard);
        let pushes = move |push| -> Result<(), RedisError> {
            hearing.hear(push);
            Ok(())
        };
        let config = servers.config();
        let publisher = servers.open(&node, &config).await?;
        let subscriber = servers.open(&node, &config.set_push_sender(pushes)).await?;
        let pair = [subscriber.clone(), publisher.clone()];
        let watching = tokio::spawn(Arc::clone(&heard).watch(pair));
        Ok(Self {
            node,
            commands: terms.commands,
            subscriber,
            turns: RwLock::default(),
            publisher,
            heard,
            _watching: AbortOnDropHandle::new(watching),
        })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.heard.broken.is_cancelled()
    }

    /// Gives up the connections, and has others made.
    pub(super) fn give_up(&self) {
        self.heard.broken.cancel();
        self.heard.terms.disturbed.notify_one();
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.heard.channels().contains(name)
    }

    pub(super) fn channels(&self) -> Vec<String> {
        self.heard.channels().iter().cloned().collect()
    }

    /// Waits for the turn to change any subscriptions.
    pub(super) async fn turn(&self) -> Turn<'_, RwLockWriteGuard<'_, ()>> {
        Turn {
            link: self,
            _guard: self.turns.write().await,
        }
    }

    /// Waits for a turn to change the subscription of a channel that nobody else changes meanwhile,
    /// beside others.
    pub(super) async fn share(&self) -> Turn<'_, RwLockReadGuard<'_, ()>> {
        Turn {
            link: self,
            _guard: self.turns.read().await,
        }
    }

    /// Publishes with one request; returns what became of each.
    pub(super) async fn publish<'a>(
        &self,
        messages: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut pipeline = redis::pipe();
        for (name, payload) in messages {
            let command = pipeline.cmd(self.commands.publish());
            command.arg(name).arg(payload);
        }
        self.ask(&mut pipeline, &mut self.publisher.clone()).await
    }

    /// Asks which slots which server has.
    pub(super) async fn slots(&self) -> RedisResult<Value> {
        Slots::ask(&mut self.publisher.clone()).await
    }

    async fn ask_subscriber(
        &self,
        pipeline: &mut Pipeline,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        self.ask(pipeline, &mut self.subscriber.clone()).await
    }

    async fn ask(
        &self,
        pipeline: &mut Pipeline,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let answers = pipeline.ignore_errors().query_async(connection).await;
        answers.inspect_err(|error| {
            if error.is_io_error() || error.is_unrecoverable_error() {
                self.give_up();
            }
        })
    }
}

/// The turn of one who changes subscriptions of a link.
pub(super) struct Turn<'a, G> {
    link: &'a Link,
    _guard: G,
}

impl<G> Turn<'_, G> {
    /// Subscribes to these channels; returns why some were refused.
    pub(super) async fn subscribe(&self, names: &[String]) -> RedisResult<Vec<RedisError>> {
        let mut refused = Vec::new();
        for names in names.chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for name in names {
                // One for each: those of one command have to be of one slot.
                pipeline.cmd(self.link.commands.subscribe()).arg(name);
            }
            let answers = self.link.ask_subscriber(&mut pipeline).await?;
            let errors = answers.into_iter().filter_map(Result::err);
            refused.extend(errors);
            // A server that takes a channel back by itself says so in the midst of its answers, and
            // the client takes that for one of them: the answers prove nothing.
            let is_confirmed = names.iter().all(|name| self.link.has(name));
            if refused.is_empty() && !is_confirmed {
                refused.push(unconfirmed());
            }
        }
        Ok(refused)
    }

    pub(super) async fn unsubscribe(&self, names: &[String]) -> RedisResult<()> {
        for names in names.chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for name in names {
                self.link.heard.channels().remove(name);
                pipeline.cmd(self.link.commands.unsubscribe()).arg(name);
            }
            let answers = self.link.ask_subscriber(&mut pipeline).await?;
            for (name, answer) in names.iter().zip(answers) {
                // A server that has not got the slot any more has ended the subscription itself.
                if let Err(error) = answer
                    && error.redirect_node().is_none()
                {
                    self.link.heard.channels().insert(name.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

fn unconfirmed() -> RedisError {
    (ErrorKind::Client, "the subscription was not confirmed").into()
}

impl Heard {
    fn hear(&self, push: PushInfo) {
        // Another link may have the channels already: what came now could come twice.
        if self.broken.is_cancelled() {
            return;
        }
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                match message(push.data, &self.terms.prefix) {
                    Some((channel, payload)) => self.terms.inbox.message(&channel, payload),
                    None => tracing::warn!("unknown message from Redis"),
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe => {
                if let Some(name) = name(&push.data) {
                    self.channels().insert(name);
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => self.left(&push.data),
            PushKind::Disconnection => self.broken.cancel(),
            _ => {}
        }
    }

    fn left(&self, data: &[Value]) {
        let was_there = name(data).is_some_and(|name| self.channels().remove(&name));
        // What we leave is not there any more; so the server has given the slot away.
        if was_there {
            self.terms.disturbed.notify_one();
        }
    }

    /// Waits until either connection has broken, or does not answer.
    async fn watch(self: Arc<Self>, [mut subscriber, mut publisher]: [MultiplexedConnection; 2]) {
        let pinging = async {
            loop {
                sleep(self.terms.ping_interval).await;
                let both = tokio::try_join!(ping(&mut subscriber), ping(&mut publisher));
                if let Err(error) = both {
                    tracing::debug!(error = &error as &dyn StdError, "Redis does not answer");
                    break;
                }
            }
        };
        self.broken.run_until_cancelled(pinging).await;
        self.broken.cancel();
        self.terms.disturbed.notify_one();
    }

    fn channels(&self) -> MutexGuard<'_, HashSet<String>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    // The answer may be another one, see `Turn::subscribe`; that there is one will do.
    let _: Value = redis::cmd("PING").query_async(connection).await?;
    Ok(())
}

fn name(data: &[Value]) -> Option<String> {
    match data.first()? {
        Value::BulkString(name) => String::from_utf8(name.clone()).ok(),
        _ => None,
    }
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

/// How many channels are subscribed to with one request.
const AT_ONCE: usize = 256;
