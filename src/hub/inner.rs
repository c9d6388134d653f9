//! What the handles of a hub share.

use super::event::Events;
use super::member::Member;
use super::overflow::Overflow;
use super::presence::{Ears, Presence};
use super::publication::{Publication, Published, Totals};
use super::relay::Relay;
use super::shards::Shards;
use super::topic::Topic;
use crate::broker::Broker;
use crate::error::HubError;
use crate::random;
use crate::transport::WebSocket;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Wake, Waker};

/// The topics and connections of a hub.
///
/// Locks are taken in this order: what a member has joined, a topic's members, a shard. None is held
/// while another of its kind is taken, and of all only that of a topic while it delivers.
#[derive(Debug)]
pub(super) struct Inner {
    topics: Shards<Arc<str>, Arc<Topic>>,
    members: Shards<u64, Arc<Member>>,
    pub(super) events: Events,
    totals: Totals,
    overflow: Mutex<Overflow>,
    pub(super) presence: Arc<Presence>,
    /// The way to other nodes, if there are any.
    pub(super) relay: Option<Relay>,
}

impl Inner {
    pub(super) fn with_broker(broker: impl Broker) -> Arc<Self> {
        let mut task = None;
        let hub = Arc::new_cyclic(|hub| {
            let alone = Self::default();
            let node = *alone.presence.node();
            let (relay, working) = Relay::new(broker, (Weak::clone(hub), node));
            task = Some(working);
            Self {
                relay: Some(relay),
                ..alone
            }
        });
        // Only now does it find the hub: one that is not there yet looks like one that is gone.
        task.map(tokio::spawn);
        hub
    }

    /// Where news of presence go.
    pub(super) fn ears(&self) -> Ears<'_> {
        Ears {
            events: &self.events,
            relay: self.relay.as_ref(),
        }
    }

    /// Makes a member of a topic seen under a text.
    pub(super) fn appear(&self, id: u64, name: &str, info: Arc<str>) {
        let Some(topic) = self.topic(name) else {
            return;
        };
        // Nobody leaves meanwhile, who would be seen for ever then.
        let members = topic.members();
        if members.contains(id) {
            self.presence.appear(&topic.name, (id, info), self.ears());
        }
        drop(members);
    }

    pub(super) fn set_default_overflow(&self, overflow: Overflow) {
        *self.overflow.lock().unwrap_or_else(PoisonError::into_inner) = overflow;
    }

    pub(super) fn member(&self, id: u64) -> Option<Arc<Member>> {
        self.members.shard(&id).get(&id).cloned()
    }

    /// Returns the member of a connection, made if it is new here.
    pub(super) fn enter(self: &Arc<Self>, ws: &WebSocket) -> Result<Arc<Member>, HubError> {
        if !ws.is_open() {
            return Err(HubError::Closed);
        }
        if let Some(member) = self.member(ws.id()) {
            return Ok(member);
        }
        let overflow = self.overflow.lock();
        let overflow = overflow.unwrap_or_else(PoisonError::into_inner).clone();
        let member = match self.members.shard(&ws.id()).entry(ws.id()) {
            Entry::Occupied(known) => return Ok(Arc::clone(known.get())),
            Entry::Vacant(free) => Arc::clone(free.insert(Member::new(ws.clone(), overflow))),
        };
        let leaving = Leaving {
            hub: Arc::downgrade(self),
            id: ws.id(),
        };
        ws.wake_at_end(Waker::from(Arc::new(leaving)));
        Ok(member)
    }

    /// Adds a connection to a topic; tells whether it was not there before.
    pub(super) fn join(self: &Arc<Self>, ws: &WebSocket, name: &str) -> Result<bool, HubError> {
        check(name)?;
        let member = self.enter(ws)?;
        let mut joined = member.topics();
        let joined = joined.as_mut().ok_or(HubError::Closed)?;
        if joined.iter().any(|topic| *topic.name == *name) {
            return Ok(false);
        }
        if joined.len() >= MAX_TOPICS {
            return Err(HubError::TooManyTopics { limit: MAX_TOPICS });
        }
        let topic = loop {
            let topic = self.topic_or_new(name);
            let mut members = topic.members();
            if !members.is_gone {
                let is_first = members.len() == 0;
                members.add(Arc::clone(&member));
                self.events.joined(&topic.name, ws);
                drop(members);
                if is_first {
                    self.tell_interest(&topic.name);
                }
                break topic;
            }
            drop(members);
            self.forget(&topic);
        };
        joined.push(topic);
        Ok(true)
    }

    /// Removes a connection from a topic; tells whether it was there.
    pub(super) fn leave(&self, id: u64, name: &str) -> bool {
        let Some(member) = self.member(id) else {
            return false;
        };
        let mut joined = member.topics();
        let place = joined.as_ref().and_then(|joined| {
            let mut names = joined.iter().map(|topic| &topic.name);
            names.position(|found| **found == *name)
        });
        let (Some(joined), Some(place)) = (joined.as_mut(), place) else {
            return false;
        };
        let topic = joined.swap_remove(place);
        self.remove(&topic, &member);
        true
    }

    /// Takes a connection out of everything.
    fn end(&self, id: u64) {
        let Some(member) = self.members.shard(&id).remove(&id) else {
            return;
        };
        let joined = member.topics().take().unwrap_or_default();
        for topic in joined {
            self.remove(&topic, &member);
        }
        member.end();
    }

    fn remove(&self, topic: &Arc<Topic>, member: &Member) {
        let mut members = topic.members();
        if !members.remove(member.ws.id()) {
            return;
        }
        self.presence
            .disappear(&topic.name, member.ws.id(), self.ears());
        self.events.left(&topic.name, &member.ws);
        let is_last = members.len() == 0;
        members.is_gone = is_last;
        drop(members);
        if is_last {
            self.forget(topic);
            self.tell_interest(&topic.name);
        }
    }

    fn tell_interest(&self, topic: &Arc<str>) {
        if let Some(relay) = &self.relay {
            relay.changed(topic, || self.topic(topic).is_some());
        }
    }

    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.shard(name).get(name).cloned()
    }

    fn topic_or_new(&self, name: &str) -> Arc<Topic> {
        let mut shard = self.topics.shard(name);
        if let Some(topic) = shard.get(name) {
            return Arc::clone(topic);
        }
        let topic = Topic::new(name.into());
        shard.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        topic
    }

    /// Removes a topic whose last member has left.
    fn forget(&self, gone: &Arc<Topic>) {
        let mut shard = self.topics.shard(&*gone.name);
        let is_it = (shard.get(&*gone.name)).is_some_and(|topic| Arc::ptr_eq(topic, gone));
        if is_it {
            shard.remove(&*gone.name);
        }
    }

    pub(super) fn publish(
        &self,
        name: &str,
        publication: &Publication,
        except: Option<u64>,
    ) -> Published {
        match self.topic(name) {
            Some(topic) => self.totals.add(topic.publish(publication, except)),
            None => Published::default(),
        }
    }

    /// Delivers to every connection, whatever it has joined.
    pub(super) fn broadcast(&self, publication: &Publication) -> Published {
        let everyone: Arc<str> = "".into();
        let mut published = Published::default();
        for member in self.everyone() {
            published += member.deliver(&everyone, publication);
        }
        self.totals.add(published)
    }

    pub(super) fn totals(&self) -> Published {
        self.totals.sum()
    }

    fn everyone(&self) -> Vec<Arc<Member>> {
        let shards = self.members.each();
        shards
            .flat_map(|shard| shard.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    pub(super) fn topic_names(&self) -> Vec<Arc<str>> {
        let shards = self.topics.each();
        shards
            .flat_map(|shard| shard.keys().cloned().collect::<Vec<_>>())
            .collect()
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.topics.len(), self.members.len())
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            topics: Shards::default(),
            members: Shards::default(),
            events: Events::default(),
            totals: Totals::default(),
            overflow: Mutex::default(),
            presence: Arc::new(Presence::new(random::octets())),
            relay: None,
        }
    }
}

/// Takes a connection out of the hub when it ends.
struct Leaving {
    hub: Weak<Inner>,
    id: u64,
}

impl Wake for Leaving {
    fn wake(self: Arc<Self>) {
        if let Some(hub) = self.hub.upgrade() {
            hub.end(self.id);
        }
    }
}

/// Checks the length of a topic.
pub(super) fn check(topic: &str) -> Result<(), HubError> {
    match topic.len() {
        1..=MAX_TOPIC => Ok(()),
        length => Err(HubError::InvalidTopic { length }),
    }
}

/// The most octets of a topic: fits into what brokers take, also escaped.
const MAX_TOPIC: usize = 256;
/// The most topics that a connection may join.
const MAX_TOPICS: usize = 1024;
