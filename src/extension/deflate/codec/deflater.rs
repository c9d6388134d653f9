//! Compresses messages (RFC 7692 §7.2.1).

use std::fmt;
use std::ops::RangeInclusive;

use bytes::{BufMut, BytesMut};

use super::TAIL;
use super::compressor::Compressor;
use super::pool;
use crate::options::DeflateStrategy;

/// Compresses the messages of one direction of a connection.
///
/// A message is given in one part or several. Each part is flushed, so that what it adds to the
/// output may be sent at once, as a frame of its own if need be. The last four octets of a flush,
/// `00 00 ff ff`, are held back until it is known that the message goes on; [`finish`] drops
/// them, since RFC 7692 §7.2.1 has them removed.
///
/// A deflater takes about 371 KiB with the default settings, 161 KiB with a window of 12 bits and
/// memory level 5, and 134 KiB with the least of both, so it is best made when the first message
/// is sent.
///
/// ```
/// use bytes::BytesMut;
/// use motorway::extension::deflate::codec::{Deflater, DeflaterConfig};
///
/// let mut deflater = Deflater::new(DeflaterConfig::default())?;
/// let mut payload = BytesMut::new();
/// deflater.compress(b"Hello", &mut payload)?;
/// deflater.finish(&mut payload);
/// assert_eq!(payload[..], [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
/// # Ok::<(), motorway::extension::deflate::codec::DeflateError>(())
/// ```
///
/// [`finish`]: Self::finish
pub struct Deflater {
    compressor: Compressor,
    config: DeflaterConfig,
    /// The message has begun, and a `00 00 ff ff` is owed if it goes on.
    holds_tail: bool,
}

impl Deflater {
    /// Creates a deflater, which allocates all it will ever need.
    ///
    /// # Errors
    ///
    /// [`DeflateError::WindowBits`], [`DeflateError::Level`] or [`DeflateError::MemLevel`] if a
    /// setting is out of range.
    pub fn new(config: DeflaterConfig) -> Result<Self, DeflateError> {
        config.check()?;
        pool::made();
        Ok(Self {
            compressor: Compressor::new(config),
            config,
            holds_tail: false,
        })
    }

    /// Takes a deflater that this thread keeps, with these settings and nothing to remember, or
    /// creates one.
    ///
    /// # Errors
    ///
    /// Fails as [`new`](Self::new) does.
    pub(crate) fn lease(config: DeflaterConfig) -> Result<Self, DeflateError> {
        pool::take_deflater(&config).map_or_else(|| Self::new(config), Ok)
    }

    /// Gives a deflater back for another connection, unless it stands in a message or remembers one.
    pub(crate) fn give_back(self) {
        if !self.holds_tail && !self.config.context_takeover {
            pool::keep_deflater(self);
        }
    }

    pub(super) fn config(&self) -> &DeflaterConfig {
        &self.config
    }

    /// Compresses a part of the message and appends the result to `out`.
    ///
    /// Everything in `part` can be inflated from what was appended so far. An empty part appends
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`DeflateError::Stalled`] if the compressor refuses to work, which is not known to happen;
    /// the deflater must not be used any more then.
    pub fn compress(&mut self, part: &[u8], out: &mut BytesMut) -> Result<(), DeflateError> {
        self.compress_in_steps(part, out, MAX_ROOM)
    }

    /// Ends the message: after this, the next part begins another one.
    ///
    /// Appends a single octet of zero if the message is empty (RFC 7692 §7.2.3.6), and nothing
    /// otherwise.
    pub fn finish(&mut self, out: &mut BytesMut) {
        if !self.holds_tail {
            out.put_u8(0);
        }
        self.holds_tail = false;
        if !self.config.context_takeover {
            self.compressor.reset();
        }
    }

    /// Forgets an unfinished message and everything that came before it.
    pub fn reset(&mut self) {
        self.holds_tail = false;
        self.compressor.reset();
    }

    fn compress_in_steps(
        &mut self,
        part: &[u8],
        out: &mut BytesMut,
        max_room: usize,
    ) -> Result<(), DeflateError> {
        if part.is_empty() {
            return Ok(());
        }
        if self.holds_tail {
            out.extend_from_slice(&TAIL);
        }
        let mut rest = part;
        loop {
            // With room for the worst case a flush is done in one call. It needs more than six
            // octets anyhow, or the compressor would repeat it for ever.
            let room = (rest.len() + rest.len() / 8 + MIN_ROOM).min(max_room);
            let (taken, written) = self.step(rest, out, room)?;
            rest = rest.get(taken..).ok_or(DeflateError::Stalled)?;
            if rest.is_empty() && written < room {
                break;
            }
            if taken == 0 && written == 0 {
                return Err(DeflateError::Stalled);
            }
        }
        if !out.ends_with(&TAIL) {
            return Err(DeflateError::Stalled);
        }
        out.truncate(out.len() - TAIL.len());
        self.holds_tail = true;
        Ok(())
    }

    /// Calls the compressor once; returns how many octets it took and how many it appended.
    fn step(
        &mut self,
        input: &[u8],
        out: &mut BytesMut,
        room: usize,
    ) -> Result<(usize, usize), DeflateError> {
        let start = out.len();
        out.resize(start + room, 0);
        let spare = out.get_mut(start..).unwrap_or_default();
        let Some((taken, written)) = self.compressor.flush(input, spare) else {
            out.truncate(start);
            return Err(DeflateError::Stalled);
        };
        out.truncate(start + written);
        Ok((taken, written))
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("context_takeover", &self.config.context_takeover)
            .field("holds_tail", &self.holds_tail)
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Deflater`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflaterConfig {
    /// Base-two logarithm of the window in octets, 9 to 15. Default: 15.
    ///
    /// The 8 of RFC 7692 §7.1.2 is not among them: the compressor has no such window.
    pub window_bits: u8,
    /// Whether a message may refer to those before it (RFC 7692 §7.1.1). Default: true.
    pub context_takeover: bool,
    /// How hard to look for repetitions, 0 (not at all) to 9. Default: 6.
    pub level: u8,
    /// How much memory to spend on the search, 1 to 9. Default: 8.
    pub mem_level: u8,
    /// For which kind of data. Default: text and whatever is not one of the others.
    pub strategy: DeflateStrategy,
}

impl DeflaterConfig {
    fn check(&self) -> Result<(), DeflateError> {
        if !WINDOW_BITS.contains(&self.window_bits) {
            return Err(DeflateError::WindowBits(self.window_bits));
        }
        if self.level > MAX_LEVEL {
            return Err(DeflateError::Level(self.level));
        }
        if !MEM_LEVELS.contains(&self.mem_level) {
            return Err(DeflateError::MemLevel(self.mem_level));
        }
        Ok(())
    }
}

impl Default for DeflaterConfig {
    fn default() -> Self {
        Self {
            window_bits: 15,
            context_takeover: true,
            level: 6,
            mem_level: 8,
            strategy: DeflateStrategy::Default,
        }
    }
}

/// Why a message could not be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeflateError {
    /// The logarithm of the window is not in 9 to 15.
    #[error("window bits {0} are not in 9 to 15")]
    WindowBits(u8),
    /// The level is not in 0 to 9.
    #[error("compression level {0} is not in 0 to 9")]
    Level(u8),
    /// The memory level is not in 1 to 9.
    #[error("memory level {0} is not in 1 to 9")]
    MemLevel(u8),
    /// The compressor refuses to work.
    #[error("compressor makes no progress")]
    Stalled,
}

const WINDOW_BITS: RangeInclusive<u8> = 9..=15;
const MEM_LEVELS: RangeInclusive<u8> = 1..=9;
const MAX_LEVEL: u8 = 9;

/// The least room given to one call of the compressor, in octets.
const MIN_ROOM: usize = 64;

/// The most room given to one call of the compressor, in octets.
const MAX_ROOM: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::deflate::codec::{Inflater, InflaterConfig};

    fn message(len: u32) -> Vec<u8> {
        // Half of it can be compressed.
        (0..len)
            .map(|at| at.wrapping_mul(0x9E37_79B9).to_be_bytes()[0] >> (at / 64 % 2 * 7))
            .collect()
    }

    #[test]
    fn no_octet_is_lost_where_room_is_scarce() {
        for level in 0..=9 {
            for room in (8..80).chain([100, 1001, 4095]) {
                let config = DeflaterConfig {
                    level,
                    mem_level: 1 + level % 9,
                    ..DeflaterConfig::default()
                };
                let mut deflater = Deflater::new(config).unwrap();
                let mut inflater = Inflater::new(InflaterConfig::default());
                for len in [1, 30, 64, 500, 5000] {
                    let message = message(len);
                    let (head, tail) = message.split_at(message.len() / 2);
                    let (mut payload, mut out) = (BytesMut::new(), BytesMut::new());
                    for part in [head, tail] {
                        deflater
                            .compress_in_steps(part, &mut payload, room)
                            .unwrap();
                    }
                    deflater.finish(&mut payload);
                    inflater.inflate(&payload, &mut out, None).unwrap();
                    inflater.finish().unwrap();
                    assert!(out == message, "level {level} room {room} len {len}");
                }
            }
        }
    }
}
