//! The connections of a factory: those that live, and what went over those that have ended.

use super::{ById, Stats, WebSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lists connections and adds up what goes over them.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Listed>);

#[derive(Debug, Default)]
struct Listed {
    live: ById<WebSocket>,
    past: Stats,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a connection until what is returned is dropped.
    pub(crate) fn list(self: &Arc<Self>, ws: &WebSocket) -> Entry {
        self.lock().live.insert(ws.id(), ws.clone());
        Entry {
            tally: Arc::clone(self),
            id: ws.id(),
        }
    }

    pub(crate) fn connections(&self) -> Vec<WebSocket> {
        self.lock().live.values().cloned().collect()
    }

    /// Returns what went over all connections, whether their own counters were reset or not.
    pub(crate) fn stats(&self) -> Stats {
        let listed = self.lock();
        let live = listed.live.values().map(WebSocket::total_stats);
        live.fold(listed.past, |sum, stats| sum + stats)
    }
}

/// A connection in a list.
#[derive(Debug)]
pub(crate) struct Entry {
    tally: Arc<Tally>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut listed = self.tally.lock();
        let left = listed.live.remove(&self.id);
        if let Some(ws) = &left {
            listed.past += ws.total_stats();
        }
        // What it holds may be dropped with it, which is to happen without the lock.
        drop(listed);
        drop(left);
    }
}
