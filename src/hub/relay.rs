//! What goes to other nodes through a broker, and what comes from them.
//!
//! ```text
//! publish ─▶ members here, at once
//!         └▶ outgoing queue, bounded ─▶ Broker::publish
//! first join, last leave ─▶ changed topics ─▶ Broker::subscribe, unsubscribe
//! Broker::next ─▶ members here
//! ```

use super::envelope::{NodeId, Unwrapped, unwrap, wrap};
use super::inner::Inner;
use super::publication::Publication;
use crate::broker::{Broker, BrokerEvent, BrokerState};
use bytes::Bytes;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Duration, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A hub's side of its broker.
pub(super) struct Relay {
    node: NodeId,
    outgoing: Sender<(Arc<str>, Bytes)>,
    shared: Arc<Shared>,
    /// Ends the tasks with the hub.
    _ends: DropGuard,
}

/// What the hub and the task of its broker share.
#[derive(Default)]
struct Shared {
    /// How many octets wait in the outgoing queue.
    octets: AtomicUsize,
    /// Channels whose interest has changed.
    changed: Mutex<HashSet<Arc<str>>>,
    has_changed: Notify,
    is_lost: AtomicBool,
    /// Messages that were lost since it was told, and in all.
    lost: (AtomicU64, AtomicU64),
    told: Mutex<Option<Told>>,
}

type Told = Arc<dyn Fn(BrokerState) + Send + Sync>;

impl Relay {
    /// Makes the side of a hub, and what it has to do in a task once the hub is there.
    pub(super) fn new(
        broker: impl Broker,
        (hub, node): (Weak<Inner>, NodeId),
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (outgoing, queue) = channel(OUTGOING);
        let shared = Arc::new(Shared::default());
        let ended = CancellationToken::new();
        let work = Work {
            broker,
            hub,
            node,
            shared: Arc::clone(&shared),
        };
        let token = ended.clone();
        let task = async move {
            let working = work.run(queue);
            token.run_until_cancelled(working).await;
        };
        shared.change(&Arc::from(EVERYONE));
        let relay = Self {
            node,
            outgoing,
            shared,
            _ends: ended.drop_guard(),
        };
        (relay, task)
    }

    pub(super) fn on_broker(&self, told: Told) {
        let mut place = self
            .shared
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(told);
    }

    /// Sends a publication to the other nodes, unless too much waits already.
    pub(super) fn publish(&self, topic: Option<&str>, publication: &Publication) {
        let channel = topic.map_or_else(|| EVERYONE.into(), channel_of);
        let payload = wrap(publication.message(), &self.node);
        self.give(channel, payload);
    }

    /// Sends news of presence in a topic.
    pub(super) fn send_presence(&self, topic: &str, notice: Bytes) {
        self.give(format!("{PRESENCE}{topic}").into(), notice);
    }

    fn give(&self, channel: Arc<str>, payload: Bytes) {
        let length = payload.len();
        let waiting = self.shared.octets.fetch_add(length, Ordering::AcqRel);
        let is_lost = self.shared.is_lost.load(Ordering::Acquire);
        let fits = !is_lost && (waiting == 0 || waiting + length <= OUTGOING_OCTETS);
        let is_publication = !channel.starts_with(PRESENCE);
        if !fits || self.outgoing.try_send((channel, payload)).is_err() {
            self.shared.octets.fetch_sub(length, Ordering::AcqRel);
            // What nodes miss of presence they ask for later: nothing of it is lost.
            self.shared.lose(u64::from(is_publication));
        }
    }

    /// Takes note that a topic got its first member or lost its last.
    pub(super) fn changed(&self, topic: &str) {
        self.shared.change(&channel_of(topic));
    }

    /// Takes note that somebody is in a topic under a text, or nobody any more.
    pub(super) fn presence_changed(&self, topic: &str) {
        self.shared.change(&format!("{PRESENCE}{topic}").into());
    }

    /// Returns how many messages were lost.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.1.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn change(&self, channel: &Arc<str>) {
        let changed = self.changed.lock();
        changed
            .unwrap_or_else(PoisonError::into_inner)
            .insert(Arc::clone(channel));
        self.has_changed.notify_one();
    }

    fn take_changed(&self) -> HashSet<Arc<str>> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *changed)
    }

    /// Counts lost messages; told with the next turn of the task.
    fn lose(&self, messages: u64) {
        if messages == 0 {
            return;
        }
        self.lost.1.fetch_add(messages, Ordering::Relaxed);
        if self.lost.0.fetch_add(messages, Ordering::AcqRel) == 0 {
            self.has_changed.notify_one();
        }
    }

    fn tell(&self, state: BrokerState) {
        match state {
            BrokerState::Restored => tracing::info!("broker is there again"),
            state => tracing::warn!(?state, "broker"),
        }
        let told = self
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(told) = told {
            told(state);
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost.0.swap(0, Ordering::AcqRel);
        if lost > 0 {
            self.tell(BrokerState::Lagged(lost));
        }
    }
}

/// The task of a broker.
struct Work<B> {
    broker: B,
    hub: Weak<Inner>,
    node: NodeId,
    shared: Arc<Shared>,
}

impl<B: Broker> Work<B> {
    async fn run(self, queue: Receiver<(Arc<str>, Bytes)>) {
        tokio::join!(
            self.receive(),
            self.send(queue),
            self.follow(),
            self.beat(),
            self.answer(),
        );
    }

    /// Delivers what comes from other nodes.
    async fn receive(&self) {
        loop {
            match self.broker.next().await {
                BrokerEvent::Message { channel, payload } => self.deliver(&channel, payload),
                BrokerEvent::Lost => {
                    if !self.shared.is_lost.swap(true, Ordering::AcqRel) {
                        self.shared.tell(BrokerState::Lost);
                    }
                }
                BrokerEvent::Restored => {
                    self.renew();
                    if self.shared.is_lost.swap(false, Ordering::AcqRel) {
                        self.shared.tell(BrokerState::Restored);
                    }
                }
                BrokerEvent::Lagged(messages) => self.shared.lose(messages),
            }
            // Deliveries do not wait, and a broker may have very many.
            tokio::task::consume_budget().await;
        }
    }

    fn deliver(&self, channel: &str, payload: Bytes) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        if let Some(topic) = channel.strip_prefix(PRESENCE) {
            return hub.presence.hear(topic, payload, hub.ears());
        }
        match unwrap(payload, &self.node) {
            Unwrapped::Message(message) => match channel.strip_prefix(TOPIC) {
                Some(topic) => drop(hub.publish(topic, &message.into(), None)),
                None => drop(hub.broadcast(&message.into())),
            },
            Unwrapped::Echo => {}
            Unwrapped::Unknown => tracing::warn!(channel, "unknown payload from the broker"),
        }
    }

    /// Subscribes to everything again.
    fn renew(&self) {
        let Some(hub) = self.hub.upgrade() else {
            return;
        };
        self.shared.change(&Arc::from(EVERYONE));
        for topic in hub.topic_names() {
            self.shared.change(&channel_of(&topic));
            self.shared.change(&format!("{PRESENCE}{topic}").into());
        }
    }

    /// Gives to the broker what is published here.
    async fn send(&self, mut queue: Receiver<(Arc<str>, Bytes)>) {
        while let Some((channel, payload)) = queue.recv().await {
            let length = payload.len();
            let lost = u64::from(!channel.starts_with(PRESENCE));
            if self.shared.is_lost.load(Ordering::Acquire) {
                self.shared.lose(lost);
            } else if let Err(error) = self.broker.publish(&channel, payload).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "broker takes nothing"
                );
                self.shared.lose(lost);
            }
            self.shared.octets.fetch_sub(length, Ordering::AcqRel);
        }
    }

    /// Subscribes to the topics that have members here, and to no others.
    async fn follow(&self) {
        loop {
            for channel in self.shared.take_changed() {
                let Some(wanted) = self.is_wanted(&channel) else {
                    return;
                };
                let done = match wanted {
                    true => self.broker.subscribe(&channel).await,
                    false => self.broker.unsubscribe(&channel).await,
                };
                if let (Ok(()), true, Some(topic)) = (&done, wanted, channel.strip_prefix(PRESENCE))
                {
                    self.ask(topic);
                }
                if let Err(error) = done {
                    tracing::warn!(%channel, error = &error as &dyn std::error::Error, "broker does not subscribe");
                    sleep(AGAIN).await;
                    self.shared.change(&channel);
                }
            }
            self.shared.tell_lost();
            self.shared.has_changed.notified().await;
        }
    }

    /// Tells whether anybody here has joined the topic of a channel; `None` once the hub is gone.
    fn is_wanted(&self, channel: &str) -> Option<bool> {
        let hub = self.hub.upgrade()?;
        let topic = channel.strip_prefix(TOPIC);
        Some(match (topic, channel.strip_prefix(PRESENCE)) {
            (Some(topic), _) => hub.topic(topic).is_some(),
            (None, Some(topic)) => hub.presence.is_wanted(topic),
            (None, None) => true,
        })
    }

    fn ask(&self, topic: &str) {
        if let Some(hub) = self.hub.upgrade() {
            hub.presence.ask(topic, hub.ears());
        }
    }

    /// Tells the other nodes that this one lives.
    async fn beat(&self) {
        while let Some(hub) = self.hub.upgrade() {
            let interval = hub.presence.interval();
            drop(hub);
            sleep(interval).await;
            if let Some(hub) = self.hub.upgrade() {
                hub.presence.beat(hub.ears());
            }
        }
    }

    /// Tells other nodes who is here, when they ask.
    async fn answer(&self) {
        let Some(presence) = self.hub.upgrade().map(|hub| Arc::clone(&hub.presence)) else {
            return;
        };
        loop {
            presence.asked().await;
            // Many ask at once when a broker is there again.
            sleep(PATIENCE).await;
            if let Some(hub) = self.hub.upgrade() {
                presence.answer(hub.ears());
            }
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

fn channel_of(topic: &str) -> Arc<str> {
    format!("{TOPIC}{topic}").into()
}

/// What the channels of topics begin with.
const TOPIC: &str = "topic/";
/// What the channels begin with on which nodes tell who is in a topic.
const PRESENCE: &str = "presence/";
/// How long more questions are waited for before they are answered.
const PATIENCE: Duration = Duration::from_millis(20);
/// The channel of what is for every connection.
const EVERYONE: &str = "everyone";
/// How many messages wait for the broker, and how many octets.
const OUTGOING: usize = 16 << 10;
const OUTGOING_OCTETS: usize = 64 << 20;
/// How long after a failure a subscription is tried again.
const AGAIN: Duration = Duration::from_millis(500);
