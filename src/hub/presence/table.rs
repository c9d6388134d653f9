//! Who is in one topic, on this node and on others.

use super::wire::News;
use crate::hub::envelope::NodeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

/// Connections with their texts.
pub(super) type Entries = BTreeMap<u64, Arc<str>>;

/// Who is in a topic.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Counts the changes of this node.
    pub(super) version: u64,
    pub(super) here: Entries,
    pub(super) there: HashMap<NodeId, Node>,
}

/// What another node has told.
#[derive(Debug)]
pub(super) struct Node {
    version: u64,
    pub(super) entries: Entries,
    /// When it was heard last.
    heard: Instant,
    /// The parts of its state that have come so far, for a version.
    parts: Option<Parts>,
}

#[derive(Debug)]
struct Parts {
    version: u64,
    /// The number of the part that is to come next.
    next: u16,
    entries: Entries,
}

/// What a notice of another node has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) appeared: Vec<(u64, Arc<str>)>,
    pub(super) disappeared: Vec<(u64, Arc<str>)>,
    /// Something was missed, so that all of the node is asked for.
    pub(super) asks: bool,
}

impl Table {
    /// Takes a notice of another node, other than a question.
    pub(super) fn hear(&mut self, node: NodeId, news: News, now: Instant) -> Change {
        // Fewer than that are dead, or never lived: somebody makes them up.
        if self.there.len() >= MOST_NODES && !self.there.contains_key(&node) {
            return Change::default();
        }
        let node = self.there.entry(node).or_insert_with(|| Node {
            version: 0,
            entries: Entries::new(),
            heard: now,
            parts: None,
        });
        node.heard = now;
        node.hear(news)
    }

    /// Forgets nodes that were not heard for so long, and who was there.
    pub(super) fn expire(&mut self, silence: Duration, now: Instant) -> Vec<(NodeId, Entries)> {
        let dead = self.there.extract_if(|_, node| now - node.heard >= silence);
        dead.map(|(id, node)| (id, node.entries)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.here.is_empty()
    }
}

impl Node {
    fn hear(&mut self, news: News) -> Change {
        let mut change = Change::default();
        match news {
            News::Appeared { version, id, info } => {
                if self.is_next(version, &mut change) {
                    let before = self.entries.insert(id, Arc::clone(&info));
                    change.disappeared.extend(before.map(|before| (id, before)));
                    change.appeared.push((id, info));
                }
            }
            News::Disappeared { version, id } => {
                if self.is_next(version, &mut change) {
                    let before = self.entries.remove(&id);
                    change.disappeared.extend(before.map(|before| (id, before)));
                }
            }
            News::Beat { version } => change.asks = version != self.version,
            News::State {
                version,
                part,
                parts,
                entries,
            } => self.assemble((version, part, parts), entries, &mut change),
            News::Ask { .. } => {}
        }
        change
    }

    /// Tells whether a change follows the ones that are known.
    fn is_next(&mut self, version: u64, change: &mut Change) -> bool {
        // A node that starts again has another number, so that versions never go back.
        if version <= self.version {
            return false;
        }
        change.asks = version != self.version + 1;
        if !change.asks {
            self.version = version;
        }
        !change.asks
    }

    fn assemble(
        &mut self,
        (version, part, parts): (u64, u16, u16),
        entries: Vec<(u64, Arc<str>)>,
        change: &mut Change,
    ) {
        if version < self.version {
            return;
        }
        let mut all = match self.parts.take() {
            Some(known) if known.version == version && known.next == part => known.entries,
            _ if part == 0 => Entries::new(),
            _ => return,
        };
        all.extend(entries);
        if part + 1 < parts {
            self.parts = Some(Parts {
                version,
                next: part + 1,
                entries: all,
            });
            return;
        }
        for (id, info) in &self.entries {
            if all.get(id) != Some(info) {
                change.disappeared.push((*id, Arc::clone(info)));
            }
        }
        for (id, info) in &all {
            if self.entries.get(id) != Some(info) {
                change.appeared.push((*id, Arc::clone(info)));
            }
        }
        (self.version, self.entries) = (version, all);
    }
}

/// The most nodes that are known in a topic.
const MOST_NODES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = [1; 16];

    fn appeared(version: u64, id: u64) -> News {
        News::Appeared {
            version,
            id,
            info: id.to_string().into(),
        }
    }

    fn state(version: u64, (part, parts): (u16, u16), ids: &[u64]) -> News {
        News::State {
            version,
            part,
            parts,
            entries: ids.iter().map(|id| (*id, id.to_string().into())).collect(),
        }
    }

    fn ids(table: &Table) -> Vec<u64> {
        table.there[&NODE].entries.keys().copied().collect()
    }

    #[test]
    fn changes_follow_each_other() {
        let (mut table, now) = (Table::default(), Instant::now());
        let change = table.hear(NODE, appeared(1, 7), now);
        assert_eq!(change.appeared, [(7, "7".into())]);
        assert!(!change.asks);
        assert!(!table.hear(NODE, appeared(2, 8), now).asks);
        let change = table.hear(NODE, News::Disappeared { version: 3, id: 7 }, now);
        assert_eq!(change.disappeared, [(7, "7".into())]);
        assert_eq!(ids(&table), [8]);
        // Again, and from the past.
        assert_eq!(table.hear(NODE, appeared(3, 9), now), Change::default());
        assert!(!table.hear(NODE, News::Beat { version: 3 }, now).asks);
    }

    #[test]
    fn what_was_missed_is_asked_for() {
        let (mut table, now) = (Table::default(), Instant::now());
        assert!(table.hear(NODE, News::Beat { version: 5 }, now).asks);
        assert!(table.hear(NODE, appeared(6, 1), now).asks);
        assert!(ids(&table).is_empty());
        let change = table.hear(NODE, state(6, (0, 1), &[1, 2]), now);
        assert_eq!(change.appeared.len(), 2);
        assert!(!table.hear(NODE, appeared(7, 3), now).asks);
        assert!(table.hear(NODE, appeared(9, 4), now).asks);
        let change = table.hear(NODE, state(9, (0, 1), &[2, 4]), now);
        assert_eq!(change.appeared, [(4, "4".into())]);
        assert_eq!(change.disappeared.len(), 2);
    }

    #[test]
    fn states_come_in_parts() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.hear(NODE, state(4, (0, 3), &[1]), now);
        table.hear(NODE, state(4, (1, 3), &[2]), now);
        assert!(ids(&table).is_empty());
        // One of another version comes in between, and one is lost.
        table.hear(NODE, state(5, (2, 3), &[9]), now);
        assert!(ids(&table).is_empty());
        for (part, id) in [(0, 1), (1, 2), (2, 3)] {
            table.hear(NODE, state(5, (part, 3), &[id]), now);
        }
        assert_eq!(ids(&table), [1, 2, 3]);
        assert_eq!(
            table.hear(NODE, state(4, (0, 1), &[]), now),
            Change::default()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_are_forgotten() {
        let mut table = Table::default();
        table.hear(NODE, appeared(1, 7), Instant::now());
        table.hear([2; 16], appeared(1, 8), Instant::now());
        tokio::time::advance(Duration::from_secs(10)).await;
        table.hear([2; 16], News::Beat { version: 1 }, Instant::now());
        tokio::time::advance(Duration::from_secs(5)).await;
        let dead = table.expire(Duration::from_secs(15), Instant::now());
        assert_eq!(dead, [(NODE, Entries::from([(7, "7".into())]))]);
        assert_eq!(table.there.len(), 1);
    }

    #[test]
    fn nodes_that_somebody_makes_up_have_an_end() {
        let (mut table, now) = (Table::default(), Instant::now());
        for number in 0..10_000_u128 {
            table.hear(number.to_be_bytes(), News::Beat { version: 1 }, now);
        }
        assert_eq!(table.there.len(), MOST_NODES);
        // Those that are known are heard as before.
        assert!(!table.hear([0; 16], appeared(1, 7), now).appeared.is_empty());
    }
}
