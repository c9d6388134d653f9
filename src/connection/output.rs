//! Octets on their way to the peer.
//!
//! Small frames are laid next to each other, so that many leave in one write; large payloads that
//! are owned are kept by reference and leave in a vectored write, without a copy.

use super::lane::Lane;
use super::references::{Reference, References};
use crate::frame::{self, Header, MaskingKey};
use crate::message::Payload;
use bytes::{Buf, Bytes, BytesMut};
use std::io::IoSlice;

/// A queue of frames in the form that they have on the wire. Implements [`Buf`].
///
/// ```
/// use bytes::Buf;
/// use motorway::connection::Output;
///
/// let mut output = Output::default();
/// assert!(!output.has_remaining());
/// ```
#[derive(Debug, Default)]
pub struct Output {
    /// Everything that was copied, in order.
    inline: Lane,
    references: References,
    framed: Framed,
}

/// How many frames were put into an output, and how many octets of payload in those of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) frames: u64,
    pub(crate) payload: u64,
}

impl Output {
    /// Returns how many octets wait.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.inline.len() + self.references.len()
    }

    /// Tells whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends octets.
    #[inline]
    pub fn extend_from_slice(&mut self, octets: &[u8]) {
        self.inline.extend_from_slice(octets);
    }

    /// Appends the start of a header, the masking key, if any, and the payload, masked with it.
    #[inline]
    pub(super) fn push_short<const N: usize>(
        &mut self,
        header: [u8; N],
        key: Option<MaskingKey>,
        payload: &[u8],
    ) {
        self.framed.frames += 1;
        self.framed.payload += payload.len() as u64;
        match key {
            None => self.inline.push(header, payload),
            Some(key) => {
                self.inline.push(header, key.as_bytes());
                self.inline.extend_from_slice(payload);
                frame::apply(key, 0, self.inline.last_mut(payload.len()));
            }
        }
    }

    /// Appends a frame; `mask` is the key that its payload is masked with on the way.
    #[inline]
    pub(super) fn push_frame(
        &mut self,
        header: &Header,
        payload: Payload<'_>,
        mask: Option<MaskingKey>,
    ) {
        self.framed.frames += 1;
        if !header.opcode.is_control() {
            self.framed.payload += header.length;
        }
        let encoded = header.encode();
        self.inline
            .reserve(encoded.len() + payload.len().min(BY_REFERENCE));
        self.extend_from_slice(&encoded);
        match mask {
            Some(key) => self.push_masked(payload, key),
            None => self.push(payload),
        }
    }

    /// Appends the octets of a data frame that was encoded before.
    #[inline]
    pub(super) fn push_encoded(&mut self, frame: &Bytes, payload: usize) {
        self.framed.frames += 1;
        self.framed.payload += payload as u64;
        match frame.len() >= SHARED {
            true => self.push_reference(frame.clone()),
            false => self.extend_from_slice(frame),
        }
    }

    /// Takes the counts of what was put in since they were taken last.
    pub(crate) fn take_framed(&mut self) -> Framed {
        std::mem::take(&mut self.framed)
    }

    /// Appends a payload: by reference if it is owned and large, else as a copy.
    #[inline]
    pub(super) fn push(&mut self, payload: Payload<'_>) {
        if payload.len() >= BY_REFERENCE && payload.is_owned() {
            self.push_reference(payload.into_bytes());
        } else {
            self.extend_from_slice(&payload);
        }
    }

    fn push_masked(&mut self, payload: Payload<'_>, key: MaskingKey) {
        let payload = match payload.len() >= BY_REFERENCE && payload.is_owned() {
            // Nobody else holds the octets, so they can be masked where they are.
            true => match payload.into_bytes().try_into_mut() {
                Ok(mut octets) => {
                    frame::apply(key, 0, &mut octets);
                    return self.push_reference(octets.freeze());
                }
                Err(shared) => Payload::from(shared),
            },
            false => payload,
        };
        self.extend_from_slice(&payload);
        frame::apply(key, 0, self.inline.last_mut(payload.len()));
    }

    fn push_reference(&mut self, payload: Bytes) {
        self.references.push(payload, self.inline.len());
    }

    /// Appends all of `other`.
    pub fn append(&mut self, mut other: Self) {
        other.framed.frames += self.framed.frames;
        other.framed.payload += self.framed.payload;
        self.framed = other.framed;
        if self.is_empty() {
            *self = other;
            return;
        }
        self.references.append(other.references, self.inline.len());
        self.inline.extend_from_slice(&other.inline);
    }

    /// Takes everything out in one piece.
    #[must_use]
    pub fn split(&mut self) -> BytesMut {
        let mut octets = BytesMut::with_capacity(self.len());
        while self.has_remaining() {
            let chunk = self.chunk();
            octets.extend_from_slice(chunk);
            let length = chunk.len();
            self.advance(length);
        }
        self.inline.clear(SPLIT);
        octets
    }

    /// Forgets everything, and gives memory back beyond a working size of 512 KiB.
    pub fn clear(&mut self) {
        self.references.clear();
        self.framed = Framed::default();
        self.inline.clear(KEPT);
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.references.front() {
            Some(Reference { gap: 0, payload }) => payload,
            Some(Reference { gap, .. }) => self.inline.get(..*gap).unwrap_or_default(),
            None => &self.inline,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut inline: &[u8] = &self.inline;
        let mut filled = 0;
        let mut put = |octets: &'a [u8]| {
            let Some(slot) = slices.get_mut(filled) else {
                return;
            };
            if !octets.is_empty() {
                *slot = IoSlice::new(octets);
                filled += 1;
            }
        };
        let references = self.references.iter();
        let all = references.len() <= MAX_SLICES;
        for Reference { gap, payload } in references.take(MAX_SLICES) {
            let (before, after) = inline.split_at_checked(*gap).unwrap_or_default();
            inline = after;
            put(before);
            put(payload);
        }
        if all {
            put(inline);
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let (copied, more) = self.references.advance(count);
        self.inline.advance(copied + more);
    }
}

/// The octets of a masking key.
pub(super) const KEY: usize = 4;
/// From how many octets on an owned payload is kept by reference. Below, a copy costs less than a
/// further slice of a vectored write.
pub(super) const BY_REFERENCE: usize = 16 << 10;
/// The same for a frame that others send, too: while they all do, it stays in the cache, where a copy
/// for each would push out the rest.
const SHARED: usize = 512;
/// The most references looked at for one vectored write.
const MAX_SLICES: usize = 64;
/// The capacity that [`Output::clear`] keeps: what a thread collects until a connection's mark for
/// waiting, and the message that goes beyond it.
const KEPT: usize = 512 << 10;
/// The capacity that [`Output::split`] keeps: what it gives has a buffer of its own.
const SPLIT: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Opcode, Rsv};

    fn push(output: &mut Output, payload: impl Into<Payload<'static>>) -> Vec<u8> {
        let payload = payload.into();
        let length = payload.len() as u64;
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: Opcode::Binary,
            mask: None,
            length,
        };
        let expected = [&header.encode()[..], &payload].concat();
        output.push_frame(&header, payload, None);
        expected
    }

    fn mixed() -> (Output, Vec<u8>) {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for size in [3, BY_REFERENCE, 0, 5, BY_REFERENCE + 7, BY_REFERENCE, 9] {
            expected.extend(push(&mut output, vec![b'a'; size]));
        }
        (output, expected)
    }

    /// Takes up to `step` octets out, as a vectored write does.
    fn take(output: &mut Output, step: usize, seen: &mut Vec<u8>) {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = output.chunks_vectored(&mut slices);
        let mut left = step;
        for slice in &slices[..filled] {
            let taken = left.min(slice.len());
            seen.extend_from_slice(&slice[..taken]);
            left -= taken;
        }
        output.advance(step - left);
    }

    #[test]
    fn octets_leave_in_order_however_they_are_taken() {
        for step in [97, 1000, BY_REFERENCE - 1, BY_REFERENCE + 10, 1 << 20] {
            let (mut output, expected) = mixed();
            let mut seen = Vec::new();
            while output.has_remaining() {
                take(&mut output, step, &mut seen);
                assert_eq!(output.len(), expected.len() - seen.len());
            }
            assert!(seen == expected, "step {step}");
        }
    }

    #[test]
    fn appending_keeps_the_order() {
        let (mut first, mut expected) = mixed();
        let (second, more) = mixed();
        first.append(second);
        expected.extend(more);
        assert!(first.split() == expected);
        assert!(first.is_empty());
    }

    /// Appends something, copied or by reference, masked or not; returns its octets.
    fn push_any(output: &mut Output, seed: usize) -> Vec<u8> {
        let length = [0, 1, 9, 200, BY_REFERENCE - 1, BY_REFERENCE][seed % 6];
        let payload = vec![seed.to_le_bytes()[0]; length];
        let key = MaskingKey::new([1, 2, 3, seed.to_le_bytes()[1]]);
        let mut masked = payload.clone();
        frame::apply(key, 0, &mut masked);
        match seed / 6 % 4 {
            0 => push(output, payload),
            1 => {
                output.push_masked(Payload::from(payload), key);
                masked
            }
            2 => {
                // Somebody else holds it.
                let shared = Bytes::from(payload);
                output.push_masked(shared.clone().into(), key);
                masked
            }
            _ => {
                output.push_short([seed.to_le_bytes()[0]], Some(key), &payload);
                [&seed.to_le_bytes()[..1], key.as_bytes(), &masked].concat()
            }
        }
    }

    #[test]
    fn what_is_taken_is_what_was_put_in_however_they_follow_each_other() {
        let mut state = 7_usize;
        let mut random = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
            state >> 8
        };
        let (mut output, mut expected, mut seen) = (Output::default(), Vec::new(), Vec::new());
        for _ in 0..2_000 {
            match random() % 6 {
                0..=2 => expected.extend(push_any(&mut output, random())),
                3 => {
                    let mut other = Output::default();
                    for _ in 0..random() % 4 {
                        expected.extend(push_any(&mut other, random()));
                    }
                    // Partly written already, as what a stream did not take.
                    let taken = random() % (other.len() + 1);
                    let at = expected.len() - other.len();
                    expected.drain(at..at + taken);
                    other.advance(taken);
                    output.append(other);
                }
                _ => take(&mut output, random() % 50_000, &mut seen),
            }
            assert_eq!(output.len(), expected.len() - seen.len());
        }
        seen.extend(output.split());
        assert!(seen == expected);
        let left = (output.len(), output.references.len(), output.inline.len());
        assert_eq!(left, (0, 0, 0));
    }

    #[test]
    fn large_owned_payloads_are_not_copied() {
        let payload = Bytes::from(vec![1; BY_REFERENCE]);
        let mut output = Output::default();
        output.push(payload.clone().into());
        assert_eq!(output.chunk().as_ptr(), payload.as_ptr());
    }
}
