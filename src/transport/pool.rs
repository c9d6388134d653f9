//! Read buffers, leased when octets arrive and given back when a connection idles.
//!
//! Each thread keeps a few of each size. A lease is owned by the connection's future, so a payload
//! borrowed from it may be held across an await while the task moves between threads.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// The sizes of read buffers, from the one that a connection starts with.
const SIZES: [usize; 1 + LARGEST as usize] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];
/// The class of the largest.
const LARGEST: u8 = 3;
/// The most buffers of each size that a thread keeps.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<[Vec<Vec<u8>>; SIZES.len()]> = const { RefCell::new([const { Vec::new() }; SIZES.len()]) };
}

/// Which size of buffer a connection leases next: larger only when the last read filled its buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SizeClass(u8);

impl SizeClass {
    /// The class after a message that was too large for a buffer: another one may follow.
    pub(super) const AFTER_LARGE: Self = Self(1);

    fn size(self) -> usize {
        SIZES.get(usize::from(self.0)).copied().unwrap_or(SIZES[0])
    }

    /// Learns from a read of `length` octets into a buffer of this class.
    pub(super) fn adapt(&mut self, length: usize) {
        if length >= self.size() {
            self.0 = (self.0 + 1).min(LARGEST);
        } else {
            let fits = SIZES
                .iter()
                .position(|size| length < *size)
                .unwrap_or_default();
            self.0 = self.0.min(u8::try_from(fits).unwrap_or(LARGEST));
        }
    }
}

/// A read buffer; goes back to the pool when dropped. Derefs to what was read.
#[derive(Debug, Default)]
pub(super) struct Lease {
    octets: Vec<u8>,
    length: usize,
}

impl Lease {
    /// Takes a buffer from the pool of this thread, or makes one.
    pub(super) fn new(class: SizeClass) -> Self {
        let kept =
            POOL.with_borrow_mut(|pool| pool.get_mut(usize::from(class.0)).and_then(Vec::pop));
        Self {
            octets: kept.unwrap_or_else(|| vec![0; class.size()]),
            length: 0,
        }
    }

    /// Returns the whole buffer, to be read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.octets
    }

    /// Says how many octets were read.
    pub(super) fn filled(mut self, length: usize) -> Self {
        self.length = length.min(self.octets.len());
        self
    }
}

impl From<Vec<u8>> for Lease {
    /// Wraps octets that did not come from the pool.
    fn from(octets: Vec<u8>) -> Self {
        Self {
            length: octets.len(),
            octets,
        }
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(..self.length).unwrap_or_default()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(class) = SIZES.iter().position(|size| *size == self.octets.len()) else {
            return;
        };
        let octets = std::mem::take(&mut self.octets);
        // During the shutdown of a thread the pool may be gone; then the buffer is freed.
        let _ = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut()
                && let Some(kept) = pool.get_mut(class)
                && kept.len() < KEPT
            {
                kept.push(octets);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_small_and_grow_only_when_filled() {
        let mut class = SizeClass::default();
        assert_eq!(class.size(), 4 << 10);
        class.adapt(100);
        assert_eq!(class.size(), 4 << 10);
        class.adapt(4 << 10);
        class.adapt(16 << 10);
        assert_eq!(class.size(), 64 << 10);
        class.adapt(40 << 10);
        assert_eq!(
            class.size(),
            64 << 10,
            "a read that needed it keeps the size"
        );
        class.adapt(64);
        assert_eq!(class.size(), 4 << 10, "a small read gives it up");
    }

    #[test]
    fn buffers_come_back_to_the_pool() {
        let lease = Lease::new(SizeClass::default());
        let address = lease.octets.as_ptr();
        drop(lease);
        assert_eq!(Lease::new(SizeClass::default()).octets.as_ptr(), address);
    }
}
