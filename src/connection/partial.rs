//! Headers and control frames that arrive in pieces.
//!
//! Two readers need them: the receiver, and the scanner that looks ahead of it.

use super::ProtocolError;
use crate::close::{CloseCode, CloseFrame};
use crate::frame::{self, Header, MaskingKey, Opcode};
use std::borrow::Cow;

/// The start of a header whose end has not arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct PartialHeader {
    octets: [u8; Header::MAX_LENGTH],
    length: u8,
}

impl PartialHeader {
    /// Tells whether the next octet is the first of a header.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Decodes the next header: the header and how many octets of `input` it took. Keeps `input`
    /// if it ends before the header does, and then returns `None`.
    #[inline]
    pub(super) fn decode(
        &mut self,
        input: &[u8],
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        if self.length == 0 {
            let decoded = Header::decode(input)?;
            if decoded.is_none() {
                self.push(input);
            }
            return Ok(decoded);
        }
        let before = usize::from(self.length);
        self.push(input);
        let octets = self
            .octets
            .get(..usize::from(self.length))
            .unwrap_or_default();
        let Some((header, length)) = Header::decode(octets)? else {
            return Ok(None);
        };
        self.length = 0;
        Ok(Some((header, length - before)))
    }

    /// Appends as much of `input` as a header can have.
    fn push(&mut self, input: &[u8]) {
        for (slot, octet) in self
            .octets
            .iter_mut()
            .skip(usize::from(self.length))
            .zip(input)
        {
            *slot = *octet;
            self.length += 1;
        }
    }
}

/// A control frame whose payload has not arrived in full.
#[derive(Clone, Debug)]
pub(super) struct PartialControl {
    opcode: Opcode,
    mask: Option<MaskingKey>,
    /// At most 125, by the check of the header.
    missing: usize,
    payload: Vec<u8>,
}

impl PartialControl {
    pub(super) fn new(header: &Header, rules: &super::Rules) -> Self {
        Self {
            opcode: header.opcode,
            mask: header.mask.filter(|_| rules.apply_mask),
            missing: usize::try_from(header.length).unwrap_or(usize::MAX),
            payload: Vec::new(),
        }
    }

    /// Takes what belongs to the frame from the start of `input`; returns how many octets that was.
    pub(super) fn push(&mut self, input: &[u8]) -> usize {
        let taken = self.missing.min(input.len());
        self.payload
            .extend_from_slice(input.get(..taken).unwrap_or_default());
        self.missing -= taken;
        taken
    }

    /// Returns the opcode and the unmasked payload once all of it is there.
    pub(super) fn finish(&mut self) -> Option<(Opcode, Vec<u8>)> {
        if self.missing > 0 {
            return None;
        }
        let mut payload = std::mem::take(&mut self.payload);
        if let Some(key) = self.mask {
            frame::apply(key, 0, &mut payload);
        }
        Some((self.opcode, payload))
    }
}

/// Reads the payload of a close frame; `None` stands for an empty one.
pub(super) fn parse_close(payload: &[u8]) -> Result<Option<CloseFrame>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            // §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte
            // unsigned integer".
            _ => Err(ProtocolError::TruncatedCloseCode),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_sendable() {
        return Err(ProtocolError::InvalidCloseCode {
            code: code.as_u16(),
        });
    }
    let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
    Ok(Some(CloseFrame {
        code,
        reason: Cow::Owned(reason.to_owned()),
    }))
}
