//! The task that gives servers what is published.

use super::links::Links;
use super::server::Node;
use bytes::Bytes;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

/// What is to be published.
pub(super) struct Outgoing {
    pub(super) name: String,
    pub(super) payload: Bytes,
    pub(super) _room: OwnedSemaphorePermit,
}

/// What has become of messages.
#[derive(Default)]
struct Outcome {
    lost: u64,
    /// Not taken, for another server has their slots.
    moved: Vec<Outgoing>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.moved.extend(other.moved);
    }
}

impl Links {
    /// Gives the servers what is to be published, as much at once as there is.
    pub(super) async fn publish(self: Arc<Self>, mut queue: Receiver<Outgoing>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
            let lost = self.publish_all(std::mem::take(&mut batch)).await;
            self.terms.inbox.lose(lost);
        }
    }

    /// Returns how many may have been lost.
    async fn publish_all(self: &Arc<Self>, mut batch: Vec<Outgoing>) -> u64 {
        let mut lost = 0;
        let mut pause = Duration::ZERO;
        for _ in 0..ATTEMPTS {
            let outcome = self.give_all(batch).await;
            lost += outcome.lost;
            batch = outcome.moved;
            if batch.is_empty() {
                return lost;
            }
            // What is subscribed to may have moved, too.
            self.terms.disturbed.notify_one();
            sleep(pause).await;
            pause += AGAIN;
        }
        lost + batch.len() as u64
    }

    /// Gives each to the server that has its channel. Those of one channel stay in order.
    async fn give_all(self: &Arc<Self>, batch: Vec<Outgoing>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut parts: HashMap<Arc<Node>, Vec<Outgoing>> = HashMap::new();
        for outgoing in batch {
            let owner = self.slots().owner(&outgoing.name);
            match owner {
                Some(node) => parts.entry(node).or_default().push(outgoing),
                None => outcome.lost += 1,
            }
        }
        let mut parts = parts.into_iter();
        // With one server, which is the rule, without a task of its own.
        let first = parts.next();
        let mut giving = JoinSet::new();
        for (node, part) in parts {
            let links = Arc::clone(self);
            giving.spawn(async move { links.give(&node, part).await });
        }
        if let Some((node, part)) = first {
            outcome.add(self.give(&node, part).await);
        }
        for part in giving.join_all().await {
            outcome.add(part);
        }
        outcome
    }

    async fn give(&self, node: &Arc<Node>, part: Vec<Outgoing>) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(link) = self.to(node).await else {
            outcome.lost = part.len() as u64;
            return outcome;
        };
        let messages = part.iter().map(|one| (one.name.as_str(), &one.payload[..]));
        let answers = match link.publish(messages).await {
            Ok(answers) => answers,
            Err(error) => {
                let error = &error as &dyn StdError;
                tracing::warn!(%node, error, "Redis did not take messages");
                outcome.lost = part.len() as u64;
                return outcome;
            }
        };
        for (outgoing, answer) in part.into_iter().zip(answers) {
            let Err(error) = answer else {
                continue;
            };
            if self.slots().learn(&error, &self.servers.host(node)) {
                outcome.moved.push(outgoing);
            } else {
                let error = &error as &dyn StdError;
                tracing::warn!(%node, error, "Redis did not take a message");
                outcome.lost += 1;
            }
        }
        outcome
    }
}

/// How many messages are published with one request.
const AT_ONCE: usize = 256;
/// How many servers are asked to take a message whose slot moves, and how much longer is waited
/// before each after the second.
const ATTEMPTS: usize = 5;
const AGAIN: Duration = Duration::from_millis(20);
