//! Fragments become messages: limits, UTF-8, inflation.
//!
//! The receiver hands over unmasked payload piece by piece; what has been assembled so far lies in
//! one contiguous buffer, so that fragments cost nothing but their octets.

use super::inflate::Inflation;
use super::{ProtocolError, Rules};
use crate::frame::{Header, Opcode, Rsv};
use crate::message::{Message, Payload, Text};
use crate::utf8::{self, Utf8Validator};
use bytes::BytesMut;

/// Whether a message is text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text, UTF-8.
    Text,
    /// Arbitrary octets.
    Binary,
}

/// The message that is being received.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// `None` between messages.
    pub(super) kind: Option<MessageKind>,
    compressed: bool,
    utf8: Utf8Validator,
    fragments: u32,
    /// The octets of the message so far, uncompressed, whether still in `body` or handed over.
    length: u64,
    /// The octets of the message so far as its frame headers announced them.
    wire: u64,
    /// How many octets the last message had that was assembled, up to a limit.
    proven: u32,
    body: BytesMut,
    pub(super) inflation: Option<Box<Inflation>>,
    /// How many frames of messages came after their first.
    pub(super) continuations: u64,
}

/// Where a frame stands in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Later,
}

impl Assembler {
    pub(super) fn new(inflation: Option<Box<Inflation>>) -> Self {
        Self {
            inflation,
            ..Self::default()
        }
    }

    /// Checks the header of a data frame against the message so far and the limits.
    #[inline]
    pub(super) fn begin_frame(
        &mut self,
        header: &Header,
        rules: &Rules,
    ) -> Result<Place, ProtocolError> {
        let place = match (header.opcode, self.kind) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Continuation, Some(_)) => {
                self.continuations += 1;
                Place::Later
            }
            (_, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (opcode, None) => {
                self.begin_message(opcode, header.rsv);
                Place::First
            }
        };
        self.fragments = self.fragments.saturating_add(1);
        if header.length > rules.max_frame {
            let (size, limit) = (header.length, rules.max_frame);
            return Err(ProtocolError::FrameTooLarge { size, limit });
        }
        if u64::from(self.fragments) > rules.max_fragments {
            return Err(ProtocolError::TooManyFragments {
                limit: rules.max_fragments,
            });
        }
        if place == Place::First && !header.fin && !self.compressed {
            self.body.reserve(self.proven.min(FRAGMENTED) as usize);
        }
        self.wire = self.wire.saturating_add(header.length);
        if self.wire > self.most_wire(rules) {
            return Err(ProtocolError::MessageTooLarge {
                limit: rules.max_message,
            });
        }
        Ok(place)
    }

    /// How many octets the frames so far may carry.
    ///
    /// Compressed data can be longer than what they inflate to: a sixteenth covers what compressors
    /// make of noise, and every flush, so every fragment, may add a few octets. Beyond that they
    /// only keep the inflater busy, such as blocks that inflate to nothing.
    fn most_wire(&self, rules: &Rules) -> u64 {
        if !self.compressed {
            return rules.max_message;
        }
        let overhead = rules.max_message / 16 + OVERHEAD;
        let flushes = u64::from(self.fragments).saturating_mul(FLUSH);
        rules
            .max_message
            .saturating_add(overhead)
            .saturating_add(flushes)
    }

    fn begin_message(&mut self, opcode: Opcode, rsv: Rsv) {
        self.kind = Some(match opcode {
            Opcode::Text => MessageKind::Text,
            _ => MessageKind::Binary,
        });
        self.compressed = rsv == Rsv::RSV1;
        self.fragments = 0;
        self.length = 0;
        self.wire = 0;
    }

    pub(super) fn kind(&self) -> MessageKind {
        self.kind.unwrap_or(MessageKind::Binary)
    }

    /// Tells whether fragments of a message are still to come.
    #[inline]
    pub(super) fn is_begun(&self) -> bool {
        self.kind.is_some()
    }

    /// How many octets the frames of the message have as their headers announced them.
    pub(super) fn announced(&self) -> u64 {
        self.wire
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    pub(super) fn can_inflate(&self) -> bool {
        self.inflation.is_some()
    }

    /// Takes a message that came uncompressed in one frame and lies in one piece.
    #[inline]
    pub(super) fn whole<'a>(
        &mut self,
        payload: &'a [u8],
        rules: &Rules,
    ) -> Result<Message<'a>, ProtocolError> {
        let kind = self.kind.take();
        match kind {
            Some(MessageKind::Text) if !rules.validate_utf8 => {
                Ok(Message::UncheckedText(payload.into()))
            }
            Some(MessageKind::Text) if utf8::is_valid(payload) => {
                Ok(Message::Text(Text::from_validated(payload.into())))
            }
            Some(MessageKind::Text) => Err(ProtocolError::InvalidUtf8),
            _ => Ok(Message::Binary(payload.into())),
        }
    }

    /// Checks a piece of an uncompressed message that is handed on as it is.
    pub(super) fn pass(&mut self, piece: &[u8], rules: &Rules) -> Result<(), ProtocolError> {
        self.length += piece.len() as u64;
        self.check_utf8(piece, rules)
    }

    /// Tells whether a fragment of this length may be appended as it is.
    #[inline]
    pub(super) fn has_room_for(&self, length: usize, rules: &Rules) -> bool {
        !self.compressed
            && u64::from(self.fragments) < rules.max_fragments
            && self.wire.saturating_add(length as u64) <= rules.max_message
    }

    /// Takes a whole fragment into the body, for which there has to be room.
    #[inline(always)]
    pub(super) fn append_fragment(
        &mut self,
        payload: &[u8],
        is_ascii: bool,
    ) -> Result<(), ProtocolError> {
        let length = payload.len() as u64;
        self.continuations += 1;
        self.fragments = self.fragments.saturating_add(1);
        self.wire += length;
        self.length += length;
        let is_text = self.kind == Some(MessageKind::Text);
        if is_text && !(is_ascii && self.utf8.is_complete()) {
            let checked = self.utf8.validate(payload);
            checked.map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        self.body.extend_from_slice(payload);
        Ok(())
    }

    /// Takes a piece of payload into the body; `missing` octets of the frame are to follow it.
    pub(super) fn absorb(
        &mut self,
        piece: &[u8],
        missing: u64,
        rules: &Rules,
    ) -> Result<(), ProtocolError> {
        if self.compressed {
            return self.inflate(piece, rules);
        }
        self.body.reserve(piece.len());
        self.body.extend_from_slice(piece);
        self.reserve(missing);
        self.pass(piece, rules)
    }

    fn inflate(&mut self, piece: &[u8], rules: &Rules) -> Result<(), ProtocolError> {
        let Some(inflation) = &mut self.inflation else {
            return Err(ProtocolError::CorruptDeflate);
        };
        let start = self.body.len();
        inflation.inflate(piece, &mut self.body, rules.max_message)?;
        self.check_inflated(start, rules)
    }

    fn check_inflated(&mut self, start: usize, rules: &Rules) -> Result<(), ProtocolError> {
        let body = std::mem::take(&mut self.body);
        let piece = body.get(start..).unwrap_or_default();
        let checked = self.pass(piece, rules);
        self.body = body;
        checked
    }

    #[inline]
    fn check_utf8(&mut self, piece: &[u8], rules: &Rules) -> Result<(), ProtocolError> {
        if self.kind == Some(MessageKind::Text) && rules.validate_utf8 {
            // §8.1, and the strict reading of it: fail at the first octet that cannot be UTF-8,
            // even if the frame or the message is still incomplete.
            self.utf8
                .validate(piece)
                .map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// Makes room for a payload of which `expected` octets are announced, without trusting that
    /// they come: some times what did, or as many as in the message before.
    fn reserve(&mut self, expected: u64) {
        let come = self.body.len().saturating_mul(GROWTH);
        // A little more, so that what just fails to fit does not take as much again.
        let trusted = come.max(self.proven as usize).saturating_add(TRUSTED);
        self.body
            .reserve(usize::try_from(expected).unwrap_or(usize::MAX).min(trusted));
    }

    /// Takes the room at the end of the body, to read the next octets into. Whoever has it cannot
    /// reach what is in the body already, which was checked.
    pub(super) fn room(&mut self, missing: u64) -> BytesMut {
        if self.body.len() == self.body.capacity() {
            self.reserve(missing);
        }
        self.body.split_off(self.body.len())
    }

    /// Puts the room back with what was read into it.
    pub(super) fn append(&mut self, piece: BytesMut, rules: &Rules) -> Result<(), ProtocolError> {
        let checked = self.pass(&piece, rules);
        self.body.unsplit(piece);
        checked
    }

    /// Ends the message: compressed data and text must be whole.
    pub(super) fn finish(&mut self, rules: &Rules) -> Result<(), ProtocolError> {
        if self.compressed
            && let Some(inflation) = &mut self.inflation
        {
            inflation.finish()?;
        }
        if self.kind == Some(MessageKind::Text) && rules.validate_utf8 {
            self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// Takes the body; the memory goes with it.
    pub(super) fn take_body(&mut self) -> Payload<'static> {
        Payload::from(std::mem::take(&mut self.body).freeze())
    }

    /// Returns how much memory the body takes.
    pub(super) fn capacity(&self) -> usize {
        self.body.capacity()
    }

    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Forgets the message, which was handed on in pieces.
    pub(super) fn end_message(&mut self) {
        self.kind = None;
    }

    /// Takes the message that was assembled.
    pub(super) fn take_message(&mut self, rules: &Rules) -> Message<'static> {
        let length = u32::try_from(self.body.len());
        self.proven = length.unwrap_or(MOST_PROVEN).min(MOST_PROVEN);
        let payload = self.take_body();
        match self.kind.take() {
            Some(MessageKind::Text) if rules.validate_utf8 => {
                Message::Text(Text::from_validated(payload))
            }
            Some(MessageKind::Text) => Message::UncheckedText(payload),
            _ => Message::Binary(payload),
        }
    }
}

/// How many octets are reserved on the word of a header, before any of them has arrived.
const TRUSTED: usize = 1 << 10;
/// The most that is reserved because the message before was as large.
const MOST_PROVEN: u32 = 1 << 20;
/// The most of that for a message whose first fragment does not say how long it will be.
const FRAGMENTED: u32 = 4 << 10;
/// How many times what has arrived is reserved for what is to come.
const GROWTH: usize = 3;
/// How many octets more than a sixteenth a compressed message may have beyond the limit.
const OVERHEAD: u64 = 64;
/// How many octets more it may have for each fragment.
const FLUSH: u64 = 16;
