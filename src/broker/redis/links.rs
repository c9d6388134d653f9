//! The servers in use, and which channels are to be at which.

use super::link::{Link, Terms};
use super::server::{Node, Servers};
use super::slots::Slots;
use redis::{RedisError, RedisResult};
use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// What the broker and its tasks share.
pub(super) struct Links {
    pub(super) servers: Servers,
    pub(super) terms: Terms,
    pub(super) is_cluster: bool,
    slots: Mutex<Slots>,
    /// Those in use; `None` for one that is lost.
    links: Mutex<HashMap<Arc<Node>, Option<Arc<Link>>>>,
    /// The turn to connect to a server that was not in use.
    connecting: AsyncMutex<()>,
    /// The names of all channels that are subscribed to.
    wanted: Mutex<HashSet<String>>,
}

/// How many of the servers in use are connected to, and have the channels they should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    All,
    Some,
    None,
}

impl Links {
    /// Without slots, the first of the servers named that answers has all channels.
    pub(super) fn new(servers: Servers, terms: Terms, slots: Option<Slots>) -> Self {
        let is_cluster = slots.is_some();
        let slots = slots.unwrap_or_else(|| Slots::One(Arc::new(Node::Named)));
        Self {
            servers,
            terms,
            is_cluster,
            slots: Mutex::new(slots),
            links: Mutex::default(),
            connecting: AsyncMutex::default(),
            wanted: Mutex::default(),
        }
    }

    pub(super) fn name(&self, channel: &str) -> String {
        format!("{}{channel}", self.terms.prefix)
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Arc<Node>, Option<Arc<Link>>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> MutexGuard<'_, HashSet<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections that work.
    pub(super) fn living(&self) -> Vec<Arc<Link>> {
        let links = self.links();
        let living = links.values().flatten().filter(|link| !link.is_broken());
        living.cloned().collect()
    }

    /// Returns the link to a server, and connects if it was not in use; `None` if it is lost.
    pub(super) async fn to(&self, node: &Arc<Node>) -> Option<Arc<Link>> {
        let known = self.links().get(node).cloned();
        if let Some(link) = known {
            return link.filter(|link| !link.is_broken());
        }
        // Many subscribe at once, and one of them connects.
        let _turn = self.connecting.lock().await;
        let known = self.links().get(node).cloned();
        if let Some(link) = known {
            return link.filter(|link| !link.is_broken());
        }
        match self.connect(node).await {
            Ok(link) => Some(link),
            Err(error) => {
                tracing::warn!(%node, error = &error as &dyn StdError, "cannot connect to Redis");
                self.links().entry(Arc::clone(node)).or_insert(None);
                self.terms.disturbed.notify_one();
                None
            }
        }
    }

    /// Connects to a server, unless another task has done so.
    pub(super) async fn connect(&self, node: &Arc<Node>) -> RedisResult<Arc<Link>> {
        let link = Link::open(&self.servers, Arc::clone(node), &self.terms).await?;
        let mut links = self.links();
        let place = links.entry(Arc::clone(node)).or_insert(None);
        if let Some(other) = place
            && !other.is_broken()
        {
            return Ok(Arc::clone(other));
        }
        let link = Arc::new(link);
        *place = Some(Arc::clone(&link));
        Ok(link)
    }

    /// Lets go of the connections that have broken, and of servers without slots.
    pub(super) fn clear(&self) {
        let owners = self.slots().owners();
        let mut links = self.links();
        links.retain(|node, link| {
            let has_slots = owners.contains(node);
            // Who still holds it is not to hear it beside its successor.
            if let (false, Some(link)) = (has_slots, link) {
                link.give_up();
            }
            has_slots
        });
        for link in links.values_mut() {
            if link.as_ref().is_some_and(|link| link.is_broken()) {
                *link = None;
            }
        }
    }

    /// The servers that are to be connected to, and are not.
    pub(super) fn missing(&self) -> HashSet<Arc<Node>> {
        let mut owners = HashSet::new();
        {
            let (slots, wanted) = (self.slots(), self.wanted());
            owners.extend(wanted.iter().filter_map(|name| slots.owner(name)));
        }
        let links = self.links();
        let lost = links.iter().filter(|(_, link)| link.is_none());
        owners.extend(lost.map(|(node, _)| Arc::clone(node)));
        owners.retain(|node| links.get(node).is_none_or(Option::is_none));
        owners
    }

    /// Tells whether all servers in use are connected to.
    pub(super) fn is_connected(&self) -> bool {
        self.living().len() == self.links().len()
    }

    /// Tells whether anything is to be mended.
    pub(super) fn whole(&self) -> Whole {
        match (self.living().is_empty(), self.is_connected()) {
            (true, _) => return Whole::None,
            (false, false) => return Whole::Some,
            (false, true) => {}
        }
        let links = self.links().clone();
        let (slots, wanted) = (self.slots(), self.wanted());
        let is_there = |name: &String| {
            let link = slots.owner(name).and_then(|node| links.get(&node)?.clone());
            link.is_some_and(|link| link.has(name))
        };
        match wanted.iter().all(is_there) {
            true => Whole::All,
            false => Whole::Some,
        }
    }

    /// Ends what a link has and should not have.
    pub(super) async fn relieve(&self, link: &Link) -> RedisResult<()> {
        let turn = link.turn().await;
        let mut extra = link.channels();
        {
            let (slots, wanted) = (self.slots(), self.wanted());
            extra.retain(|name| {
                !wanted.contains(name) || slots.owner(name).as_ref() != Some(&link.node)
            });
        }
        turn.unsubscribe(&extra).await
    }

    /// Subscribes to what a link should have and has not; returns whether some is elsewhere.
    pub(super) async fn fill(&self, link: &Link) -> RedisResult<bool> {
        let turn = link.turn().await;
        let missing: Vec<_> = {
            let (slots, wanted) = (self.slots(), self.wanted());
            let own = wanted
                .iter()
                .filter(|name| !link.has(name) && slots.owner(name).as_ref() == Some(&link.node));
            own.cloned().collect()
        };
        let refused = turn.subscribe(&missing).await?;
        // What nobody wants any more by now: who left could not see that it was there.
        let mut left = missing;
        left.retain(|name| link.has(name) && !self.wanted().contains(name));
        turn.unsubscribe(&left).await?;
        drop(turn);
        self.learn(refused, link)
    }

    /// Learns which slots have moved; fails if something was refused for another reason.
    fn learn(&self, refused: Vec<RedisError>, link: &Link) -> RedisResult<bool> {
        let host = self.servers.host(&link.node);
        let (moved, others): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .partition(|error| self.slots().learn(error, &host));
        match others.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(!moved.is_empty()),
        }
    }

    pub(super) async fn subscribe(&self, name: &str) -> RedisResult<()> {
        let owner = self.slots().owner(name);
        let link = match owner {
            Some(node) => self.to(&node).await,
            None => None,
        };
        // Without connection, who mends it subscribes to all there are.
        let Some(link) = link else {
            self.wanted().insert(name.to_owned());
            return Ok(());
        };
        let turn = link.share().await;
        let mut is_there = link.has(name);
        if !is_there {
            let refused = turn.subscribe(&[name.to_owned()]).await?;
            is_there = !self.learn(refused, &link)?;
        }
        self.wanted().insert(name.to_owned());
        // From a server that has given the slot away, the way is the same.
        if !is_there || link.is_broken() {
            self.terms.disturbed.notify_one();
        }
        Ok(())
    }

    pub(super) async fn unsubscribe(&self, name: &str) -> RedisResult<()> {
        self.wanted().remove(name);
        for link in self.living() {
            if link.has(name) {
                let turn = link.share().await;
                if link.has(name) {
                    turn.unsubscribe(&[name.to_owned()]).await?;
                }
            }
        }
        Ok(())
    }
}
