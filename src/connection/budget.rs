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
            self.tell_waker();
        }
    }

    /// Tells who is to be woken from now on, if anybody may be: what another task drives now would not
    /// hear of it otherwise.
    #[cfg(feature = "tokio")]
    fn tell_waker(&self) {
        if self.told == 0 {
            return;
        }
        let mut holders = self.budget.lock();
        let holder = holders.held.get_mut(&self.number);
        let old = holder.and_then(|holder| holder.waker.replace(self.waker.clone()?));
        drop(holders);
        // Without the lock, since it may be the last of its task.
        drop(old);
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

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_went_to_another_task_is_woken_there() {
        let budget = Arc::new(Budget::new(64 << 10));
        let (mut large, mut small) = (Share::new(&budget), Share::new(&budget));
        let (before, after) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        large.woken_by(&Waker::from(Arc::clone(&before)));
        assert!(!large.hold(40 << 10));
        large.woken_by(&Waker::from(Arc::clone(&after)));
        assert!(!large.hold(40 << 10));
        assert!(!small.hold(30 << 10));
        assert!(after.0.load(Ordering::Relaxed) && !before.0.load(Ordering::Relaxed));
        assert!(large.hold(40 << 10));
    }

    #[test]
    fn what_is_charged_is_given_back_by_whoever_goes() {
        let budget = Arc::new(Budget::new(64 << 10));
        let mut shares: Vec<_> = (0..3).map(|_| Share::new(&budget)).collect();
        for share in &mut shares {
            share.hold(20 << 10);
        }
        // Shed: the first of those that hold the most, whichever that is.
        shares[0].hold(30 << 10);
        assert!(shares[0].hold(30 << 10));
        assert_eq!(budget.lock().used, 40 << 10);
        shares[1].hold(0);
        assert_eq!(budget.lock().used, 20 << 10);
        drop(shares);
        let holders = budget.lock();
        assert_eq!((holders.used, holders.held.len()), (0, 0));
    }
}
