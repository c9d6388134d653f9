//! What is sent, cut into frames and encoded.
//!
//! Apart from the sender, whose state none of it needs: an uncompressed message of an open connection
//! can be encoded by whoever knows the rules.

use super::{Output, Rules, SendError};
use crate::frame::{Header, MaskingKey, Opcode, Rsv};
use crate::message::{Message, Payload};

/// A frame, or a message before it is cut into frames.
pub(super) struct Outgoing<'a> {
    pub(super) opcode: Opcode,
    pub(super) rsv: Rsv,
    pub(super) payload: Payload<'a>,
}

/// Checks that a message may be sent at all.
///
/// # Errors
///
/// Fails if it is above the limit.
#[inline]
pub fn check_size(rules: &Rules, size: u64) -> Result<(), SendError> {
    match rules.max_message {
        limit if size > limit => Err(SendError::MessageTooLarge { size, limit }),
        _ => Ok(()),
    }
}

/// Encodes an uncompressed message.
#[inline]
pub fn write_message(
    rules: &Rules,
    keys: &mut dyn FnMut() -> MaskingKey,
    message: Message<'_>,
    out: &mut Output,
) {
    let opcode = opcode_of(&message);
    let outgoing = Outgoing {
        opcode,
        rsv: Rsv::NONE,
        payload: message.into_payload(),
    };
    write_fragments(rules, keys, (true, outgoing), out);
}

pub(super) fn opcode_of(message: &Message<'_>) -> Opcode {
    match message.is_binary() {
        true => Opcode::Binary,
        false => Opcode::Text,
    }
}

#[inline]
pub(super) fn write_fragments(
    rules: &Rules,
    keys: &mut dyn FnMut() -> MaskingKey,
    (last, whole): (bool, Outgoing<'_>),
    out: &mut Output,
) {
    if whole.payload.len() as u64 <= rules.fragment_size {
        return write_frame(rules, keys, (last, whole), out);
    }
    let Outgoing {
        mut opcode,
        mut rsv,
        payload,
    } = whole;
    let size = usize::try_from(rules.fragment_size)
        .unwrap_or(usize::MAX)
        .max(1);
    let mut pieces = payload.chunks(size).peekable();
    while let Some(piece) = pieces.next() {
        let fin = last && pieces.peek().is_none();
        write_frame(
            rules,
            keys,
            (
                fin,
                Outgoing {
                    opcode,
                    rsv,
                    payload: piece.into(),
                },
            ),
            out,
        );
        (opcode, rsv) = (Opcode::Continuation, Rsv::NONE);
    }
}

#[inline]
pub(super) fn write_frame(
    rules: &Rules,
    keys: &mut dyn FnMut() -> MaskingKey,
    (fin, frame): (bool, Outgoing<'_>),
    out: &mut Output,
) {
    let Outgoing {
        opcode,
        rsv,
        payload,
    } = frame;
    let mask = if rules.mask_outgoing {
        Some(keys())
    } else {
        None
    };
    let header = Header {
        fin,
        rsv,
        opcode,
        mask,
        length: payload.len() as u64,
    };
    out.push_frame(&header, payload, mask.filter(|_| rules.apply_mask));
}
