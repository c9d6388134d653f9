//! Payloads on their way out that are not copied.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// Payloads kept by reference, in order, each behind so many octets that were copied.
///
/// Most outputs have none, and carry only the room for a pointer.
#[derive(Debug, Default)]
pub(super) struct References(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    references: VecDeque<Reference>,
    /// The octets of the payloads.
    octets: usize,
    /// The octets that go out before them and between them.
    gaps: usize,
}

/// A payload, and how many copied octets go out before it, after the one before it.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) gap: usize,
    pub(super) payload: Bytes,
}

impl References {
    /// Returns how many octets the payloads have together.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.octets)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Reference> {
        let queue = self.0.as_ref();
        queue.map_or_else(Default::default, |queue| queue.references.iter())
    }

    pub(super) fn front(&self) -> Option<&Reference> {
        self.0.as_ref()?.references.front()
    }

    /// Appends a payload that goes out behind so many copied octets, counted from the first.
    pub(super) fn push(&mut self, payload: Bytes, behind: usize) {
        let queue = self.0.get_or_insert_default();
        let gap = behind - queue.gaps;
        queue.octets += payload.len();
        queue.gaps = behind;
        queue.references.push_back(Reference { gap, payload });
    }

    /// Appends others, before which so many octets were copied.
    pub(super) fn append(&mut self, others: Self, copied: usize) {
        let Some(others) = others.0 else {
            return;
        };
        let mut behind = copied;
        for Reference { gap, payload } in others.references {
            behind += gap;
            self.push(payload, behind);
        }
    }

    /// Takes out the first octets of what is copied and what is not, as far as the last payload; returns
    /// how many of them were copied, and how many more are to be.
    pub(super) fn advance(&mut self, mut count: usize) -> (usize, usize) {
        let mut copied = 0;
        let Some(queue) = &mut self.0 else {
            return (0, count);
        };
        while let Some(Reference { gap, payload }) = queue.references.front_mut() {
            let before = count.min(*gap);
            *gap -= before;
            queue.gaps -= before;
            copied += before;
            count -= before;
            if *gap > 0 {
                break;
            }
            let referred = count.min(payload.len());
            payload.advance(referred);
            queue.octets -= referred;
            count -= referred;
            if !payload.is_empty() {
                break;
            }
            queue.references.pop_front();
        }
        (copied, count)
    }

    /// Forgets all payloads.
    pub(super) fn clear(&mut self) {
        if let Some(queue) = &mut self.0 {
            queue.references.clear();
            (queue.octets, queue.gaps) = (0, 0);
        }
    }
}
