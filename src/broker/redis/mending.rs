//! The task that connects and subscribes again, whatever becomes of the servers.

use super::links::{Links, Whole};
use super::server::Node;
use super::slots::Slots;
use redis::{RedisResult, Value};
use std::error::Error as StdError;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

impl Links {
    /// Mends what breaks, for as long as it is polled.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            let disturbed = self.terms.disturbed.notified();
            let is_calm = timeout(self.terms.ping_interval, disturbed).await.is_err();
            // What no server has told us.
            if is_calm && self.is_cluster {
                self.load_slots().await;
            }
            if self.whole() != Whole::All {
                self.mend().await;
            }
        }
    }

    async fn mend(self: &Arc<Self>) {
        self.tell_loss();
        // What has only moved is there already.
        let mut pause = match self.is_connected() {
            true => Duration::ZERO,
            false => FIRST_PAUSE,
        };
        loop {
            sleep(pause).await;
            self.repair().await;
            if self.whole() == Whole::All {
                return self.terms.inbox.restored();
            }
            self.tell_loss();
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    fn tell_loss(&self) {
        match self.whole() {
            Whole::None => self.terms.inbox.lost(),
            Whole::Some | Whole::All => self.terms.inbox.partly_lost(),
        }
    }

    /// Tries once to have all connections and all subscriptions.
    async fn repair(self: &Arc<Self>) {
        self.clear();
        if self.is_cluster {
            self.load_slots().await;
            self.clear();
        }
        for _ in 0..FINDINGS {
            self.connect_missing().await;
            // First, since a server that has become the replica of another gives what that gives.
            self.relieve_all().await;
            // Servers hear of moved slots one after the other, and may contradict each other.
            if !self.fill_all().await {
                break;
            }
        }
    }

    async fn connect_missing(self: &Arc<Self>) {
        let mut connecting = JoinSet::new();
        for node in self.missing() {
            let links = Arc::clone(self);
            connecting.spawn(async move {
                if let Err(error) = links.connect(&node).await {
                    let error = &error as &dyn StdError;
                    tracing::debug!(%node, error, "Redis is not there yet");
                }
            });
        }
        connecting.join_all().await;
    }

    async fn relieve_all(self: &Arc<Self>) {
        let mut relieving = JoinSet::new();
        for link in self.living() {
            let links = Arc::clone(self);
            relieving.spawn(async move {
                if let Err(error) = links.relieve(&link).await {
                    let error = &error as &dyn StdError;
                    tracing::debug!(node = %link.node, error, "Redis does not unsubscribe");
                }
            });
        }
        relieving.join_all().await;
    }

    /// Returns whether any channel was found to be elsewhere.
    async fn fill_all(self: &Arc<Self>) -> bool {
        let mut filling = JoinSet::new();
        for link in self.living() {
            let links = Arc::clone(self);
            filling.spawn(async move {
                let filled = links.fill(&link).await;
                filled.unwrap_or_else(|error| {
                    let error = &error as &dyn StdError;
                    tracing::warn!(node = %link.node, error, "Redis does not subscribe");
                    false
                })
            });
        }
        filling.join_all().await.contains(&true)
    }

    /// Asks who has which slots: those we are connected to, then those named, then all others.
    async fn load_slots(&self) {
        for link in self.living() {
            let answer = link.slots().await;
            if self.take_slots(answer, &link.node) {
                return;
            }
        }
        let mut nodes = vec![Arc::new(Node::Named)];
        nodes.extend(self.slots().owners());
        for node in nodes {
            let answer = self.ask_slots(&node).await;
            if self.take_slots(answer, &node) {
                return;
            }
        }
    }

    async fn ask_slots(&self, node: &Node) -> RedisResult<Value> {
        let mut connection = self.servers.open(node, &self.servers.config()).await?;
        Slots::ask(&mut connection).await
    }

    fn take_slots(&self, answer: RedisResult<Value>, node: &Node) -> bool {
        let slots = answer.and_then(|answer| Slots::parse(answer, &self.servers.host(node)));
        match slots {
            // One that was made anew knows of nobody.
            Ok(slots) if slots.owners().is_empty() => false,
            Ok(slots) => {
                *self.slots() = slots;
                true
            }
            Err(error) => {
                let error = &error as &dyn StdError;
                tracing::debug!(%node, error, "Redis does not tell its slots");
                false
            }
        }
    }
}

/// How long after a loss the servers are tried again, and how long after that at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often subscriptions follow servers that name each other before all are asked again.
const FINDINGS: usize = 4;
