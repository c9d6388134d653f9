//! Compressors and inflaters between two messages, of connections that remember nothing.
//!
//! To make one takes memory and time, and without context takeover each message wants a clean one. So
//! each thread keeps a few of those that messages have left behind, and an idle connection none.

use std::cell::RefCell;

use super::{Deflater, DeflaterConfig, Inflater};

/// The most of each kind that a thread keeps: about 1.6 MiB in all.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            deflaters: Vec::new(),
            inflaters: Vec::new(),
            #[cfg(test)]
            made: 0,
        })
    };
}

struct Pool {
    /// The one that was used last is the last.
    deflaters: Vec<Deflater>,
    inflaters: Vec<Inflater>,
    #[cfg(test)]
    made: usize,
}

/// Takes a deflater with these settings, if there is one.
pub(super) fn take_deflater(config: &DeflaterConfig) -> Option<Deflater> {
    let take = |pool: &mut Pool| {
        let found = pool
            .deflaters
            .iter()
            .rposition(|kept| kept.config() == config)?;
        Some(pool.deflaters.remove(found))
    };
    with(take).flatten()
}

pub(super) fn take_inflater() -> Option<Inflater> {
    with(|pool| pool.inflaters.pop()).flatten()
}

/// Keeps a deflater that is clean, in place of the one that was not used for longest.
pub(super) fn keep_deflater(deflater: Deflater) {
    with(|pool| {
        if pool.deflaters.len() >= KEPT {
            pool.deflaters.remove(0);
        }
        pool.deflaters.push(deflater);
    });
}

/// Keeps an inflater that is clean, if there is room.
pub(super) fn keep_inflater(inflater: Inflater) {
    with(|pool| {
        if pool.inflaters.len() < KEPT {
            pool.inflaters.push(inflater);
        }
    });
}

/// Does something with the pool of this thread; `None` while the thread ends.
fn with<R>(act: impl FnOnce(&mut Pool) -> R) -> Option<R> {
    let borrowed = POOL.try_with(|pool| pool.try_borrow_mut().ok().map(|mut pool| act(&mut pool)));
    borrowed.ok().flatten()
}

/// Counts one that was made on this thread, for tests.
pub(super) fn made() {
    #[cfg(test)]
    with(|pool| pool.made += 1);
}

/// Returns how many were made on this thread.
#[cfg(test)]
pub(crate) fn count_made() -> usize {
    with(|pool| pool.made).unwrap_or_default()
}

/// Returns how many deflaters and inflaters this thread keeps.
#[cfg(test)]
pub(crate) fn kept() -> (usize, usize) {
    with(|pool| (pool.deflaters.len(), pool.inflaters.len())).unwrap_or_default()
}
