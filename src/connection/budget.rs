//! The octets that connections hold together, and which of them give theirs up when it is too many.
//!
//! Connections tell of larger changes only, so that those with small messages never come here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What the connections of one factory may hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    holders: Mutex<Holders>,
}

#[derive(Debug, Default)]
struct Holders {
    used: u64,
    next: u64,
    held: HashMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    octets: u64,
    /// Who has to be told to give them up.
    waker: Option<Waker>,
    is_shed: Arc<AtomicBool>,
}

/// What one connection has of it.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    number: u64,
    told: u64,
    waker: Option<Waker>,
    is_shed: Arc<AtomicBool>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            holders: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders {
    fn remove(&mut self, number: u64) -> Option<Holder> {
        let holder = self.held.remove(&number)?;
        self.used = self.used.saturating_sub(holder.octets);
        Some(holder)
    }

    /// Takes out those with the most until the others fit; returns who is to be woken for it.
    fn shed(&mut self, limit: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.used > limit {
            let most = self.held.iter().max_by_key(|(_, holder)| holder.octets);
            let Some(holder) = most.map(|(number, _)| *number).and_then(|n| self.remove(n)) else {
                break;
            };
            holder.is_shed.store(true, Ordering::Release);
            woken.extend(holder.waker);
        }
        woken
    }
}

impl Share {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        let mut holders = budget.lock();
        let number = holders.next;
        holders.next += 1;
        drop(holders);
        Self {
            budget: Arc::clone(budget),
            number,
            told: 0,
            waker: None,
            is_shed: Arc::default(),
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn woken_by(&mut self, waker: &Waker) {
        if (self.waker.as_ref()).is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Tells how many octets the connection holds now; returns whether it has to give them up.
    pub(super) fn hold(&mut self, octets: u64) -> bool {
        let is_news = self.told.abs_diff(octets) >= STEP || (octets == 0 && self.told > 0);
        if is_news && !self.is_shed.load(Ordering::Acquire) {
            self.told = octets;
            let mut holders = self.budget.lock();
            let before = holders.remove(self.number);
            let mut woken = Vec::new();
            if octets > 0 {
                holders.used += octets;
                let holder = Holder {
                    octets,
                    waker: self.waker.clone(),
                    is_shed: Arc::clone(&self.is_shed),
                };
                holders.held.insert(self.number, holder);
                woken = holders.shed(self.budget.limit);
            }
            drop(holders);
            // Dropped and woken without the lock, since either may come back here.
            drop(before);
            woken.into_iter().for_each(Waker::wake);
        }
        self.is_shed.load(Ordering::Acquire)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.told > 0 {
            let held = self.budget.lock().remove(self.number);
            drop(held);
        }
    }
}

/// Smaller changes are not told.
const STEP: u64 = 4 << 10;
