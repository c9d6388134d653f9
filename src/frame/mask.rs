//! Masks and unmasks payloads.
//!
//! It stands apart because it is the one loop that touches every octet of every frame. Covers
//! RFC 6455 §5.3: the same operation masks and unmasks. Where keys come from, and who has to
//! mask, is decided elsewhere.
//!
//! The loops are safe code over fixed-size arrays, which the compiler turns into vector code for
//! any target; there is nothing to detect at run time.

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
    combine::<false, 64>(key, offset, data);
}

/// Unmasks a whole payload in place, and tells whether what it gives is all ASCII.
///
/// One pass does both: most text is ASCII, and need not be looked at again.
// Where it is called there are no registers left.
#[inline(never)]
pub(crate) fn apply_and_look(key: MaskingKey, data: &mut [u8]) -> bool {
    combine::<true, 32>(key, 0, data)
}

/// Combines `data` with the key. With `LOOK`, tells whether what it gives is all ASCII; without,
/// nothing worth knowing. `BLOCK` octets are handled at once where there are so many: a multiple of 8, the
/// more the fewer registers the rest of it needs.
#[inline(always)]
fn combine<const LOOK: bool, const BLOCK: usize>(
    key: MaskingKey,
    offset: u64,
    data: &mut [u8],
) -> bool {
    let word = key.word_at(offset);
    // The last word overlaps the one before it, which spares a loop over the tail. It is taken
    // before the others change it.
    let last_at = offset.wrapping_add(data.len() as u64).wrapping_sub(8);
    let last = data
        .last_chunk()
        .map(|octets| u64::from_ne_bytes(*octets) ^ key.word_at(last_at));

    let (mut seen, mut mask) = ([0; BLOCK], [0; BLOCK]);
    for octets in mask.as_chunks_mut().0 {
        *octets = word.to_ne_bytes();
    }
    let (blocks, rest) = data.as_chunks_mut::<BLOCK>();
    for block in blocks {
        // Octet by octet is what becomes vector code.
        for ((octet, mask), seen) in block.iter_mut().zip(&mask).zip(&mut seen) {
            *octet ^= mask;
            *seen |= if LOOK { *octet } else { 0 };
        }
    }
    let mut all = 0;
    for octets in seen.as_chunks().0 {
        all |= u64::from_ne_bytes(*octets);
    }

    for octets in rest.as_chunks_mut().0.iter_mut().take(BLOCK / 8 - 1) {
        let plain = u64::from_ne_bytes(*octets) ^ word;
        *octets = plain.to_ne_bytes();
        all |= plain;
    }
    match (last, data.last_chunk_mut()) {
        (Some(last), Some(octets)) => {
            *octets = last.to_ne_bytes();
            all |= last;
        }
        _ => {
            for (octet, mask) in data.iter_mut().zip(word.to_ne_bytes()) {
                *octet ^= mask;
                all |= u64::from(*octet);
            }
        }
    }
    LOOK && all & HIGH_BITS == 0
}

/// The bit of each octet of a word that no ASCII has.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
