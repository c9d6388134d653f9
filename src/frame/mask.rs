//! Masks and unmasks payloads.
//!
//! It stands apart because it is the one loop that touches every octet of every frame. Covers
//! RFC 6455 §5.3: the same operation masks and unmasks. Where keys come from, and who has to
//! mask, is decided elsewhere.
//!
//! The loops are safe code over fixed-size arrays, which the compiler turns into vector code for
//! any target; there is nothing to detect at run time.

use bytes::BytesMut;

/// The masking key of a frame, in the order of the wire (RFC 6455 §5.3).
///
/// ```
/// use motorway::frame::mask::{self, MaskingKey};
///
/// let mut payload = *b"Hello";
/// mask::apply(MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]), 0, &mut payload);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// Creates a key from its four octets.
    #[must_use]
    pub const fn new(octets: [u8; 4]) -> Self {
        Self(octets)
    }

    /// Returns the four octets of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// Returns the key as it lies over the octets from `offset` on, twice, in memory order.
    #[inline]
    const fn word_at(self, offset: u64) -> u64 {
        let bits = 8 * (offset % 4) as u32;
        let half = u32::from_le_bytes(self.0).rotate_right(bits) as u64;
        u64::from_le(half << 32 | half)
    }
}

impl From<[u8; 4]> for MaskingKey {
    fn from(octets: [u8; 4]) -> Self {
        Self(octets)
    }
}

/// Masks or unmasks `data` in place (RFC 6455 §5.3).
///
/// `offset` is the place of the first octet of `data` in the payload of its frame, in octets, so
/// that a payload may be handled in pieces of any size.
#[inline]
pub fn apply(key: MaskingKey, offset: u64, data: &mut [u8]) {
    let word = key.word_at(offset);
    let (blocks, rest) = data.as_chunks_mut::<BLOCK>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for octets in words {
            *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
        }
    }
    let (words, tail) = rest.as_chunks_mut::<8>();
    for octets in words {
        *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
    }
    for (octet, mask) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *octet ^= mask;
    }
}

/// Appends `source` to `target`, masked as by [`apply`].
#[inline]
pub fn copy_masked(key: MaskingKey, offset: u64, source: &[u8], target: &mut BytesMut) {
    target.reserve(source.len());
    let mut place = offset;
    // A piece is masked while it is still in the first-level cache.
    for piece in source.chunks(PIECE) {
        let start = target.len();
        target.extend_from_slice(piece);
        apply(key, place, target.get_mut(start..).unwrap_or_default());
        place = place.wrapping_add(PIECE as u64);
    }
}

/// Octets handled at once where the payload is long enough: a multiple of the key's length.
const BLOCK: usize = 32;

/// Octets copied before they are masked: a multiple of the key's length.
const PIECE: usize = 8 * 1024;
