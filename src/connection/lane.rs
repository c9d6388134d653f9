//! Octets in the order in which they leave.
//!
//! Most of them are frames of a few octets, so what counts is how little is done for each. A vector
//! that keeps its length when it is emptied has room that needs neither growing nor initialising:
//! filling it is a copy into a slice.

use std::ops::Deref;

/// A queue of octets: put in at the end, taken out at the front. Derefs to what is in it.
#[derive(Debug, Default)]
pub(super) struct Lane {
    octets: Vec<u8>,
    /// Where what is in it starts.
    start: usize,
    /// Where it ends, and the room begins that is left from earlier uses.
    end: usize,
}

impl Lane {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Appends the start of a frame and what follows it.
    #[inline]
    pub(super) fn push<const N: usize>(&mut self, start: [u8; N], rest: &[u8]) {
        let end = self.end + N + rest.len();
        let room = self.octets.get_mut(self.end..end);
        match room.and_then(|room| room.split_first_chunk_mut()) {
            Some((before, after)) => {
                *before = start;
                after.copy_from_slice(rest);
                self.end = end;
            }
            None => self.push_grown(start, rest),
        }
    }

    /// Appends octets.
    #[inline]
    pub(super) fn extend_from_slice(&mut self, octets: &[u8]) {
        self.push([], octets);
    }

    /// Returns the last octets, so many of them as there are.
    pub(super) fn last_mut(&mut self, count: usize) -> &mut [u8] {
        let from = self.end.saturating_sub(count).max(self.start);
        self.octets.get_mut(from..self.end).unwrap_or_default()
    }

    /// Makes room for so many octets.
    pub(super) fn reserve(&mut self, count: usize) {
        if self.octets.len() - self.end < count {
            self.octets.truncate(self.end);
            self.octets.reserve(count);
        }
    }

    /// Takes out so many octets.
    pub(super) fn advance(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Takes out all octets, and gives memory back beyond so many.
    pub(super) fn clear(&mut self, kept: usize) {
        (self.start, self.end) = (0, 0);
        if self.octets.capacity() > kept {
            self.octets = Vec::new();
        }
    }

    #[cold]
    fn push_grown<const N: usize>(&mut self, start: [u8; N], rest: &[u8]) {
        if self.octets.capacity() == 0 && N + rest.len() <= FIRST {
            self.octets = vec![0; FIRST];
            return self.push(start, rest);
        }
        self.grow(&start);
        self.grow(rest);
    }

    fn grow(&mut self, octets: &[u8]) {
        self.octets.truncate(self.end);
        // Worth moving what is left to the front only if that is the smaller part.
        if self.start > self.octets.len() / 2 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
        self.end = self.octets.len();
    }
}

impl Deref for Lane {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }
}

/// The least room. More would be more to clear, and to fetch, for a connection that is sent one short
/// message now and then.
const FIRST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_leave_in_the_order_in_which_they_came() {
        let (mut lane, mut expected) = (Lane::default(), std::collections::VecDeque::new());
        for round in 0..500_usize {
            let rest = vec![round.to_le_bytes()[0]; round * 7 % 90];
            lane.push([1, 2], &rest);
            expected.extend([1, 2]);
            expected.extend(&rest);
            lane.extend_from_slice(b"x");
            expected.push_back(b'x');
            let taken = round * 13 % 100;
            lane.advance(taken);
            expected.drain(..taken.min(expected.len()));
            assert_eq!(lane[..], *expected.make_contiguous());
        }
    }

    #[test]
    fn room_of_earlier_uses_is_filled_without_growing() {
        let mut lane = Lane::default();
        lane.push([1], &[2; 99]);
        let place = lane.as_ptr();
        lane.clear(1 << 10);
        assert!(lane.is_empty());
        lane.push([3], &[4; 9]);
        assert_eq!(lane[..], [3, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!((lane.as_ptr(), lane.octets.len()), (place, FIRST));
        lane.last_mut(2).fill(0);
        assert_eq!(lane[7..], [4, 0, 0]);
    }

    #[test]
    fn memory_beyond_what_is_kept_is_given_back() {
        let mut lane = Lane::default();
        lane.extend_from_slice(&[0; 2000]);
        lane.clear(1000);
        assert_eq!(lane.octets.capacity(), 0);
    }

    #[test]
    fn a_lane_that_is_never_empty_does_not_grow_for_ever() {
        let mut lane = Lane::default();
        lane.extend_from_slice(&[0; 100]);
        for _ in 0..10_000 {
            lane.extend_from_slice(&[0; 100]);
            lane.advance(100);
        }
        assert!(lane.octets.capacity() < 1000);
    }
}
