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
use super::interest::Interest;
use super::publication::Publication;
use crate::broker::{Broker, BrokerEvent, BrokerState};
use bytes::Bytes;
use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, sleep_until};
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
    interest: Interest,
    is_lost: AtomicBool,
    /// Which time it is that the broker is there again, which is told once all is subscribed to; 0
    /// if nothing is to be told.
    restoring: AtomicU64,
    /// Messages that were lost since it was told, and in all.
    lost: (AtomicU64, AtomicU64),
    has_lost: Notify,
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
        let work = Arc::new(Work {
            broker,
            hub,
            node,
            shared: Arc::clone(&shared),
        });
        let (token, watched) = (ended.clone(), Watched(Arc::clone(&shared)));
        let task = async move {
            let _watched = watched;
            let working = work.run(queue);
            token.run_until_cancelled(working).await;
        };
        shared.interest.again([EVERYONE.into()]);
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
        self.give(presence_channel_of(topic), notice);
    }

    fn give(&self, channel: Arc<str>, payload: Bytes) {
        let length = payload.len();
        let waiting = self.shared.octets.fetch_add(length, Ordering::AcqRel);
        let is_publication = !channel.starts_with(PRESENCE);
        let fits = !self.is_lost()
            && (waiting == 0 || waiting + length <= OUTGOING_OCTETS)
            && (is_publication || self.has_room());
        if !fits || self.outgoing.try_send((channel, payload)).is_err() {
            self.shared.octets.fetch_sub(length, Ordering::AcqRel);
            // What nodes miss of presence they ask for later: nothing of it is lost.
            self.shared.lose(u64::from(is_publication));
        }
    }

    /// Tells whether what may wait has room: the rest of the queue is for publications.
    fn has_room(&self) -> bool {
        let octets = self.shared.octets.load(Ordering::Acquire);
        self.outgoing.capacity() > OUTGOING / 2 && octets <= OUTGOING_OCTETS / 2
    }

    /// Takes note that a topic got its first member or lost its last.
    pub(super) fn changed(&self, topic: &str, is_wanted: impl FnOnce() -> bool) {
        self.shared.interest.change(channel_of(topic), is_wanted);
    }

    /// Takes note that somebody is in a topic under a text, or nobody any more.
    pub(super) fn presence_changed(&self, topic: &str, is_wanted: impl FnOnce() -> bool) {
        let channel = presence_channel_of(topic);
        self.shared.interest.change(channel, is_wanted);
    }

    /// Tells whether the connection to the broker is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.is_lost.load(Ordering::Acquire)
    }

    /// Returns how many messages were lost.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.1.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Counts lost messages; told with the next turn of the task.
    fn lose(&self, messages: u64) {
        if messages == 0 {
            return;
        }
        self.lost.1.fetch_add(messages, Ordering::Relaxed);
        if self.lost.0.fetch_add(messages, Ordering::AcqRel) == 0 {
            self.has_lost.notify_one();
        }
    }

    /// Whoever is told may panic, which is of no concern to the broker.
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
        if let Some(told) = told
            && catch_unwind(AssertUnwindSafe(|| told(state))).is_err()
        {
            tracing::error!(?state, "who is told of the broker has panicked");
        }
    }

    /// Takes note that the broker is lost, or a part of it, and tells so unless that is known.
    fn lose_broker(&self, loss: BrokerState, fate: &mut Fate) {
        self.is_lost
            .store(loss == BrokerState::Lost, Ordering::Release);
        // Lost again before anybody has heard that it was there.
        let restoring = self.restoring.swap(0, Ordering::AcqRel);
        if !fate.is_lost && restoring == 0 {
            fate.told = None;
        }
        fate.is_lost = true;
        if fate.told.replace(loss) != Some(loss) {
            self.tell(loss);
        }
    }

    /// Takes note that the broker is there again, which is told once all is subscribed to.
    fn restore_broker(&self, fate: &mut Fate) {
        self.is_lost.store(false, Ordering::Release);
        if fate.is_lost {
            fate.is_lost = false;
            fate.times += 1;
            self.restoring.store(fate.times, Ordering::Release);
        }
    }

    /// Tells that all was subscribed to since the broker is there again, unless it is lost again.
    fn tell_restored(&self, restoring: u64) {
        let place = &self.restoring;
        let is_it = place.compare_exchange(restoring, 0, Ordering::AcqRel, Ordering::Acquire);
        if restoring != 0 && is_it.is_ok() {
            self.tell(BrokerState::Restored);
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost.0.swap(0, Ordering::AcqRel);
        if lost > 0 {
            self.tell(BrokerState::Lagged(lost));
        }
    }
}

/// What has become of a broker so far.
#[derive(Default)]
struct Fate {
    /// All of it, or a part.
    is_lost: bool,
    /// The loss that was told last.
    told: Option<BrokerState>,
    /// How often it has come back.
    times: u64,
}

/// The task of a broker.
struct Work<B> {
    broker: B,
    hub: Weak<Inner>,
    node: NodeId,
    shared: Arc<Shared>,
}

impl<B: Broker> Work<B> {
    async fn run(self: Arc<Self>, queue: Receiver<(Arc<str>, Bytes)>) {
        tokio::join!(
            self.receive(),
            self.send(queue),
            self.follow(),
            self.tell_losses(),
            self.beat(),
            self.answer(),
        );
    }

    /// Delivers what comes from other nodes.
    async fn receive(&self) {
        let mut fate = Fate::default();
        loop {
            match self.broker.next().await {
                BrokerEvent::Message { channel, payload } => self.deliver(&channel, payload),
                BrokerEvent::Lost => self.shared.lose_broker(BrokerState::Lost, &mut fate),
                BrokerEvent::PartlyLost => {
                    self.shared.lose_broker(BrokerState::PartlyLost, &mut fate);
                }
                BrokerEvent::Restored => {
                    self.shared.restore_broker(&mut fate);
                    self.renew();
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
                None if channel == EVERYONE => drop(hub.broadcast(&message.into())),
                None => tracing::warn!(channel, "unknown channel of the broker"),
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
        let topics = hub.topic_names();
        let channels = topics.iter().map(|topic| channel_of(topic));
        let presence = hub.presence.topics().into_iter();
        let presence = presence.map(|topic| presence_channel_of(&topic));
        let all = channels.chain(presence).chain([EVERYONE.into()]);
        self.shared.interest.again(all);
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
    async fn follow(self: &Arc<Self>) {
        let (mut failed, mut due) = (HashSet::new(), Instant::now());
        loop {
            let restoring = self.shared.restoring.load(Ordering::Acquire);
            let again = self.follow_all(self.shared.interest.take()).await;
            self.shared.tell_restored(restoring);
            if failed.is_empty() {
                due = Instant::now() + AGAIN;
            }
            failed.extend(again);
            tokio::select! {
                () = self.shared.interest.changed() => {}
                () = sleep_until(due), if !failed.is_empty() => {
                    self.shared.interest.again(failed.drain());
                }
            }
        }
    }

    /// Subscribes to channels or ends that, several at once; returns those to be tried again.
    async fn follow_all(self: &Arc<Self>, changed: HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let (mut following, mut failed) = (JoinSet::new(), Vec::new());
        for channel in changed {
            if following.len() >= AT_ONCE
                && let Some(done) = following.join_next().await
            {
                failed.extend(done.ok().flatten());
            }
            let work = Arc::clone(self);
            following.spawn(async move { work.follow_one(channel).await });
        }
        while let Some(done) = following.join_next().await {
            failed.extend(done.ok().flatten());
        }
        failed
    }

    /// Returns the channel if it is to be tried again.
    async fn follow_one(&self, channel: Arc<str>) -> Option<Arc<str>> {
        // Noted before it is asked for: who leaves in between is heard.
        self.shared.interest.following(&channel);
        let is_wanted = self.is_wanted(&channel)?;
        let done = if is_wanted {
            self.broker.subscribe(&channel).await
        } else {
            self.broker.unsubscribe(&channel).await
        };
        if let Err(error) = done {
            tracing::warn!(%channel, error = &error as &dyn std::error::Error, "broker does not subscribe");
            return Some(channel);
        }
        match (is_wanted, channel.strip_prefix(PRESENCE)) {
            (true, Some(topic)) => {
                // Where there is no room, they are heard anyway before long.
                let hub = self.hub.upgrade()?;
                hub.presence.ask(topic, hub.ears());
            }
            (true, None) => {}
            (false, _) => self.shared.interest.unsubscribed(&channel),
        }
        None
    }

    /// Tells how much was lost, as soon as it is.
    async fn tell_losses(&self) {
        loop {
            self.shared.has_lost.notified().await;
            self.shared.tell_lost();
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

    /// Tells the other nodes that this one lives.
    async fn beat(&self) {
        while let Some(hub) = self.hub.upgrade() {
            let interval = hub.presence.interval();
            drop(hub);
            sleep(interval).await;
            let Some(hub) = self.hub.upgrade() else {
                return;
            };
            hub.presence.expire(hub.ears());
            let topics = hub.presence.topics();
            drop(hub);
            for topic in topics {
                let Some(hub) = self.hub_with_room().await else {
                    return;
                };
                hub.presence.beat(&topic, hub.ears());
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
            for topic in presence.take_asked() {
                let Some(hub) = self.hub_with_room().await else {
                    return;
                };
                presence.answer(&topic, hub.ears());
            }
        }
    }

    /// Waits until news of presence have room in the outgoing queue, or are lost anyway: a node may
    /// have more of them at once than there is. `None` once the hub is gone.
    async fn hub_with_room(&self) -> Option<Arc<Inner>> {
        loop {
            let hub = self.hub.upgrade()?;
            let relay = hub.relay.as_ref();
            if relay.is_none_or(|relay| relay.is_lost() || relay.has_room()) {
                return Some(hub);
            }
            drop(hub);
            sleep(PATIENCE).await;
        }
    }
}

/// Tells of the loss if the task of a broker panics.
struct Watched(Arc<Shared>);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.0.is_lost.swap(true, Ordering::AcqRel) {
            self.0.tell(BrokerState::Lost);
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

fn presence_channel_of(topic: &str) -> Arc<str> {
    format!("{PRESENCE}{topic}").into()
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
/// How many subscriptions are under way at the same time.
const AT_ONCE: usize = 64;
/// How long after a failure a subscription is tried again.
const AGAIN: Duration = Duration::from_millis(500);
