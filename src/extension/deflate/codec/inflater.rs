//! Inflates messages (RFC 7692 §7.2.2).

use std::fmt;

use bytes::BytesMut;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::TAIL;
use super::pool;

/// Inflates the messages of one direction of a connection.
///
/// A message is given in chunks of any size, and its output grows with what was really inflated,
/// never with what the input might hold.
///
/// The window always has 32 KiB, which inflates what any smaller window compressed: `zlib-rs`
/// takes the memory for it anyhow, about 46 KiB in all, so an inflater is best made when the first
/// compressed message comes.
///
/// ```
/// use bytes::BytesMut;
/// use motorway::extension::deflate::codec::{Inflater, InflaterConfig};
///
/// let mut inflater = Inflater::new(InflaterConfig::default());
/// let mut text = BytesMut::new();
/// inflater.inflate(&[0xf2, 0x48, 0xcd, 0xc9], &mut text, Some(1024))?;
/// inflater.inflate(&[0xc9, 0x07, 0x00], &mut text, Some(1024))?;
/// inflater.finish()?;
/// assert_eq!(text[..], *b"Hello");
/// # Ok::<(), motorway::extension::deflate::codec::InflateError>(())
/// ```
pub struct Inflater {
    state: Inflate,
    context_takeover: bool,
    /// Octets inflated from the message so far.
    inflated: u64,
    place: Place,
}

impl Inflater {
    /// Creates an inflater, which allocates all it will ever need.
    #[must_use]
    pub fn new(config: InflaterConfig) -> Self {
        pool::made();
        Self {
            state: Inflate::new(false, WINDOW_BITS),
            context_takeover: config.context_takeover,
            inflated: 0,
            place: Place::MessageStart,
        }
    }

    /// Takes an inflater that this thread keeps, with nothing to remember, or creates one.
    pub(crate) fn lease(config: InflaterConfig) -> Self {
        let kept = match config.context_takeover {
            true => None,
            false => pool::take_inflater(),
        };
        kept.unwrap_or_else(|| Self::new(config))
    }

    /// Gives an inflater back for another connection, unless it stands in a message or remembers one.
    pub(crate) fn give_back(self) {
        if let (Place::MessageStart, false) = (self.place, self.context_takeover) {
            pool::keep_inflater(self);
        }
    }

    /// Inflates the next chunk of the message and appends the result to `out`.
    ///
    /// `limit` is the most octets that the whole message may have after inflation, inclusive;
    /// `None` lifts it. It is looked at while inflating: no more than `limit` + 1 octets of a
    /// message are ever made.
    ///
    /// # Errors
    ///
    /// [`InflateError::Corrupt`] or [`InflateError::TooLarge`]; the inflater must not be used any
    /// more then, unless it is [reset](Self::reset).
    pub fn inflate(
        &mut self,
        chunk: &[u8],
        out: &mut BytesMut,
        limit: Option<u64>,
    ) -> Result<(), InflateError> {
        let limit = limit.unwrap_or(u64::MAX);
        let mut rest = chunk;
        let mut room = chunk.len().saturating_mul(4).clamp(MIN_ROOM, MAX_ROOM);
        let mut has_more = !rest.is_empty();
        while has_more {
            self.begin_blocks();
            let step = self.step(rest, out, self.allowed_room(room, limit)?)?;
            rest = rest.get(step.taken..).ok_or(InflateError::Corrupt)?;
            if self.inflated > limit {
                return Err(InflateError::TooLarge { limit });
            }
            if step.has_ended {
                // Ends may come every other octet: the next piece has to earn its room.
                self.place = Place::StreamEnd;
                room = MIN_ROOM;
                has_more = !rest.is_empty();
            } else if step.has_filled_room {
                // There may be more to come, even from an input that is used up.
                room = (room * 2).min(MAX_ROOM);
            } else if step.taken == 0 && !rest.is_empty() {
                return Err(InflateError::Corrupt);
            } else {
                has_more = !rest.is_empty();
            }
        }
        Ok(())
    }

    /// Ends the message: after this, the next chunk begins another one.
    ///
    /// The end of a message is the `00 00 ff ff` that its sender left away, or a block marked as
    /// the last one. A message without any octets counts as empty, although its sender should
    /// have made it a single zero (RFC 7692 §7.2.3.6): compressors that are flushed twice do so.
    ///
    /// # Errors
    ///
    /// [`InflateError::Truncated`] if the message is cut or goes on behind its end.
    pub fn finish(&mut self) -> Result<(), InflateError> {
        if let Place::InBlocks = self.place {
            self.close_block()?;
            self.place = Place::MessageStart;
        }
        self.inflated = 0;
        if !self.context_takeover {
            self.reset();
        }
        Ok(())
    }

    /// Forgets an unfinished message and everything that came before it.
    pub fn reset(&mut self) {
        self.state.reset(false);
        self.inflated = 0;
        self.place = Place::MessageStart;
    }

    /// Prepares for input: what follows the last block of a stream is another stream.
    ///
    /// RFC 7692 §7.2.3.4 lets a message have such a block. Who sends one has ended their
    /// compressor, so its successor starts without a window.
    fn begin_blocks(&mut self) {
        if let Place::StreamEnd = self.place {
            self.state.reset(false);
        }
        self.place = Place::InBlocks;
    }

    /// Cuts `room` down to what the message may still grow by, and one octet to tell that it is
    /// too large.
    fn allowed_room(&self, room: usize, limit: u64) -> Result<usize, InflateError> {
        let left = limit
            .checked_sub(self.inflated)
            .ok_or(InflateError::TooLarge { limit })?;
        Ok(usize::try_from(left.saturating_add(1)).map_or(room, |left| room.min(left)))
    }

    /// Calls the decompressor once, with room for that many octets more.
    fn step(
        &mut self,
        input: &[u8],
        out: &mut BytesMut,
        room: usize,
    ) -> Result<Step, InflateError> {
        let start = out.len();
        let (total_in, total_out) = (self.state.total_in(), self.state.total_out());
        out.resize(start + room, 0);
        let spare = out.get_mut(start..).unwrap_or_default();
        let result = self.state.decompress(input, spare, InflateFlush::NoFlush);
        let inflated = self.state.total_out() - total_out;
        let taken = usize::try_from(self.state.total_in() - total_in);
        let written = usize::try_from(inflated);
        let (Ok(status), Ok(taken), Ok(written)) = (result, taken, written) else {
            out.truncate(start);
            return Err(InflateError::Corrupt);
        };
        out.truncate(start + written);
        self.inflated = self.inflated.saturating_add(inflated);
        Ok(Step {
            taken,
            has_filled_room: written == room,
            has_ended: status == Status::StreamEnd,
        })
    }

    /// Gives the octets that the sender left away, and verifies that they close a block.
    ///
    /// Asked to stop where a block ends, the decompressor takes those octets and leaves the one
    /// behind them, and has nothing to say. Anywhere else it takes that octet too, stops early,
    /// or makes output of them.
    fn close_block(&mut self) -> Result<(), InflateError> {
        let [a, b, c, d] = TAIL;
        let (total_in, total_out) = (self.state.total_in(), self.state.total_out());
        let result = self
            .state
            .decompress(&[a, b, c, d, 0], &mut [0], InflateFlush::Block);
        let taken = self.state.total_in() - total_in;
        let written = self.state.total_out() - total_out;
        match result {
            Ok(_) if taken == TAIL.len() as u64 && written == 0 => Ok(()),
            _ => Err(InflateError::Truncated),
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("context_takeover", &self.context_takeover)
            .field("inflated", &self.inflated)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The settings of an [`Inflater`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflaterConfig {
    /// Whether a message may refer to those before it (RFC 7692 §7.1.1). Default: true.
    pub context_takeover: bool,
}

impl Default for InflaterConfig {
    fn default() -> Self {
        Self {
            context_takeover: true,
        }
    }
}

/// Why a message could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The data are not what a compressor makes.
    #[error("compressed data are corrupt")]
    Corrupt,
    /// The message has more octets than it may.
    #[error("inflated message is larger than {limit} octets")]
    TooLarge {
        /// The most octets that the message may have.
        limit: u64,
    },
    /// The message does not end where its blocks do.
    #[error("compressed message does not end with a block")]
    Truncated,
}

/// Where the decompressor stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before the first octet of a message.
    MessageStart,
    /// Behind an octet of a message.
    InBlocks,
    /// Behind a block marked as the last one, be that in a message or between two.
    StreamEnd,
}

/// What one call of the decompressor came to.
struct Step {
    taken: usize,
    has_filled_room: bool,
    has_ended: bool,
}

const WINDOW_BITS: u8 = 15;

/// The least room given to one call of the decompressor, in octets.
const MIN_ROOM: usize = 256;

/// The most room given to one call of the decompressor, in octets.
const MAX_ROOM: usize = 32 * 1024;
