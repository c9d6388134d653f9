//! Who is in a topic, on all nodes.
//!
//! Each node tells the others what changes with it, and every now and then that it lives. Who misses
//! something asks for all of it. Who is not heard for three intervals is dead, and so is who was
//! there.

mod table;
mod wire;

use super::envelope::NodeId;
use super::event::Events;
use super::relay::Relay;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use table::{Change, Entries, Table};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};
pub(super) use wire::MAX_INFO;
use wire::{News, Notice};

/// Somebody who is in a topic, on this node or on another: see [`Hub::present`](super::Hub::present).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    node: NodeId,
    connection: u64,
    info: Arc<str>,
    is_here: bool,
}

impl Present {
    /// Returns the text that was given to [`join_as`](super::Hub::join_as), such as a name.
    #[must_use]
    pub fn info(&self) -> &str {
        &self.info
    }

    /// Returns the number of the connection, unique on its node.
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Returns the number of the node, in hexadecimal: random, another one each time that it starts.
    #[must_use]
    pub fn node(&self) -> String {
        hexadecimal(&self.node)
    }

    /// Tells whether the connection is one of this node.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

/// Who is in the topics that somebody on this node has joined under a text.
pub(super) struct Presence {
    node: NodeId,
    tables: Mutex<HashMap<Arc<str>, Table>>,
    /// At least the version of every table that was forgotten: versions do not go back.
    version: AtomicU64,
    interval: AtomicU64,
    /// The topics that other nodes ask for.
    asked: Mutex<HashSet<Arc<str>>>,
    has_asked: Notify,
}

/// Where news go: to those who listen on this node, and to other nodes.
#[derive(Clone, Copy)]
pub(super) struct Ears<'a> {
    pub(super) events: &'a Events,
    pub(super) relay: Option<&'a Relay>,
}

impl Presence {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            tables: Mutex::default(),
            version: AtomicU64::new(0),
            interval: AtomicU64::new(INTERVAL),
            asked: Mutex::default(),
            has_asked: Notify::new(),
        }
    }

    pub(super) fn node(&self) -> &NodeId {
        &self.node
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<Arc<str>, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_interval(&self, interval: Duration) {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let millis = millis.clamp(SHORTEST, LONGEST);
        self.interval.store(millis, Ordering::Relaxed);
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.load(Ordering::Relaxed))
    }

    /// Takes note of a connection of this node; one that is there already gets another text.
    pub(super) fn appear(&self, topic: &Arc<str>, (id, info): (u64, Arc<str>), ears: Ears<'_>) {
        let mut tables = self.tables();
        let table = tables.entry(Arc::clone(topic)).or_insert_with(|| Table {
            version: self.version.load(Ordering::Relaxed),
            ..Table::default()
        });
        let is_first = table.is_empty();
        let before = table.here.insert(id, Arc::clone(&info));
        if before.as_ref() == Some(&info) {
            return;
        }
        table.version += 1;
        let version = table.version;
        if let Some(before) = before {
            ears.events.disappeared(topic, self.ours(id, before));
        }
        ears.events
            .appeared(topic, self.ours(id, Arc::clone(&info)));
        self.send(ears, topic, News::Appeared { version, id, info });
        drop(tables);
        if let (true, Some(relay)) = (is_first, ears.relay) {
            relay.presence_changed(topic, || self.is_wanted(topic));
        }
    }

    /// Takes note of a connection of this node that has left a topic.
    pub(super) fn disappear(&self, topic: &Arc<str>, id: u64, ears: Ears<'_>) {
        let mut tables = self.tables();
        let Some(table) = tables.get_mut(topic) else {
            return;
        };
        let Some(info) = table.here.remove(&id) else {
            return;
        };
        table.version += 1;
        let (version, is_last) = (table.version, table.is_empty());
        ears.events.disappeared(topic, self.ours(id, info));
        self.send(ears, topic, News::Disappeared { version, id });
        if is_last {
            self.version.fetch_max(version, Ordering::Relaxed);
            tables.remove(topic);
        }
        drop(tables);
        if let (true, Some(relay)) = (is_last, ears.relay) {
            relay.presence_changed(topic, || self.is_wanted(topic));
        }
    }

    /// Lists who is in a topic, those of this node first.
    pub(super) fn list(&self, topic: &str) -> Vec<Present> {
        let tables = self.tables();
        let Some(table) = tables.get(topic) else {
            return Vec::new();
        };
        let here = self.all(self.node, &table.here);
        let there = table.there.iter();
        here.chain(there.flat_map(|(node, there)| self.all(*node, &there.entries)))
            .collect()
    }

    pub(super) fn is_wanted(&self, topic: &str) -> bool {
        self.tables().contains_key(topic)
    }

    /// Takes what another node tells.
    pub(super) fn hear(&self, topic: &str, octets: Bytes, ears: Ears<'_>) {
        let Some(notice) = Notice::decode(octets) else {
            tracing::warn!(topic, "unknown notice of presence from the broker");
            return;
        };
        if notice.node == self.node {
            return;
        }
        let mut tables = self.tables();
        let Some((topic, _)) = tables.get_key_value(topic) else {
            return;
        };
        let topic = Arc::clone(topic);
        if let News::Ask { target } = notice.news {
            if target == self.node || target == EVERYBODY {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.insert(topic);
                self.has_asked.notify_one();
            }
            return;
        }
        let Some(table) = tables.get_mut(&topic) else {
            return;
        };
        let change = table.hear(notice.node, notice.news, Instant::now());
        self.tell(&topic, (notice.node, &change), ears);
        if change.asks {
            let target = notice.node;
            self.send(ears, &topic, News::Ask { target });
        }
    }

    /// Asks all nodes who is in a topic.
    pub(super) fn ask(&self, topic: &str, ears: Ears<'_>) {
        let target = EVERYBODY;
        self.send(ears, topic, News::Ask { target });
    }

    /// Returns the topics that somebody here is in under a text.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.tables().keys().cloned().collect()
    }

    /// Tells the others that this node lives.
    pub(super) fn beat(&self, topic: &str, ears: Ears<'_>) {
        let tables = self.tables();
        if let Some(table) = tables.get(topic) {
            let version = table.version;
            self.send(ears, topic, News::Beat { version });
        }
    }

    /// Forgets nodes that are not heard any more.
    pub(super) fn expire(&self, ears: Ears<'_>) {
        let (silence, now) = (self.interval() * SILENCE, Instant::now());
        for (topic, table) in &mut *self.tables() {
            for (node, entries) in table.expire(silence, now) {
                let change = Change {
                    disappeared: entries.into_iter().collect(),
                    ..Change::default()
                };
                self.tell(topic, (node, &change), ears);
            }
        }
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.has_asked.notified().await;
    }

    /// Takes the topics that were asked for.
    pub(super) fn take_asked(&self) -> HashSet<Arc<str>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *asked)
    }

    /// Tells those who have asked who is in a topic on this node.
    pub(super) fn answer(&self, topic: &str, ears: Ears<'_>) {
        let tables = self.tables();
        let Some(table) = tables.get(topic) else {
            return;
        };
        let entries: Vec<_> = table.here.iter().collect();
        let chunks: Vec<_> = entries.chunks(PART).collect();
        let parts = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
        for (part, chunk) in (0..parts).zip(chunks) {
            let entries = chunk.iter().map(|(id, info)| (**id, Arc::clone(info)));
            let news = News::State {
                version: table.version,
                part,
                parts,
                entries: entries.collect(),
            };
            self.send(ears, topic, news);
        }
    }

    /// Sent under the lock of the tables, so that what follows comes behind.
    fn send(&self, ears: Ears<'_>, topic: &str, news: News) {
        if let Some(relay) = ears.relay {
            let node = self.node;
            relay.send_presence(topic, Notice { node, news }.encode());
        }
    }

    fn tell(&self, topic: &Arc<str>, (node, change): (NodeId, &Change), ears: Ears<'_>) {
        for (id, info) in &change.disappeared {
            let there = self.one(node, *id, Arc::clone(info));
            ears.events.disappeared(topic, there);
        }
        for (id, info) in &change.appeared {
            let there = self.one(node, *id, Arc::clone(info));
            ears.events.appeared(topic, there);
        }
    }

    fn all(&self, node: NodeId, entries: &Entries) -> impl Iterator<Item = Present> {
        let entries = entries.iter();
        entries.map(move |(id, info)| self.one(node, *id, Arc::clone(info)))
    }

    fn ours(&self, id: u64, info: Arc<str>) -> Present {
        self.one(self.node, id, info)
    }

    fn one(&self, node: NodeId, connection: u64, info: Arc<str>) -> Present {
        Present {
            node,
            connection,
            info,
            is_here: node == self.node,
        }
    }
}

pub(super) fn hexadecimal(node: &NodeId) -> String {
    node.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

/// Asks all.
const EVERYBODY: NodeId = [0; 16];
/// How often a node tells that it lives, in milliseconds.
const INTERVAL: u64 = 5_000;
const SHORTEST: u64 = 100;
const LONGEST: u64 = 60_000;
/// After how many intervals a node that is not heard is dead.
const SILENCE: u32 = 3;
/// How many connections are told of at once; with texts of 1 KiB these are 518 KiB.
const PART: usize = 512;
