//! How octets become messages where a stream of octets is wrapped, and back.
//!
//! The subprotocols are those of websockify: `binary`, which is also what no subprotocol means here,
//! and `base64`, for clients whose WebSocket has text only.

use crate::close::{CloseCode, CloseFrame};
use crate::message::{Message, Payload};
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, decoded_len_estimate};
use bytes::Bytes;
use std::io::IoSlice;

/// What the messages of a wrapped stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// Octets as they are, in binary messages.
    Binary,
    /// Base64 (RFC 4648 §4), in text messages; each is decoded by itself.
    Base64,
}

/// Why a message does not belong to a wrapped stream of octets; the connection is failed for it.
///
/// ```
/// use motorway::{CloseCode, WrappingError};
///
/// let error = WrappingError::TextMessage;
/// assert_eq!(error.close_code(), CloseCode::UNSUPPORTED_DATA);
/// assert_eq!(error.to_string(), "text message in a stream of binary ones");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrappingError {
    /// A text message came where octets are binary messages.
    #[error("text message in a stream of binary ones")]
    TextMessage,
    /// A binary message came where the subprotocol `base64` was agreed upon.
    #[error("binary message in a stream of base64")]
    BinaryMessage,
    /// A text message is not base64 with its padding (RFC 4648 §4).
    #[error("no base64 at octet {position} of a message")]
    #[non_exhaustive]
    Base64 {
        /// Where in the message, from 0; its length if something is missing there.
        position: usize,
    },
}

impl WrappingError {
    /// Returns the code with which the connection is closed.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::TextMessage | Self::BinaryMessage => CloseCode::UNSUPPORTED_DATA,
            Self::Base64 { .. } => CloseCode::INVALID_PAYLOAD,
        }
    }

    pub(super) fn close_frame(self) -> CloseFrame {
        CloseFrame::new(self.close_code(), self.to_string())
    }
}

impl Wrapping {
    /// Returns the wrapping that a subprotocol stands for.
    pub(super) fn of(subprotocol: Option<&str>) -> Self {
        match subprotocol {
            Some("base64") => Self::Base64,
            _ => Self::Binary,
        }
    }

    /// Returns how many octets go into one message, if that may have so many itself.
    pub(super) fn capacity(self, max_message: u64) -> usize {
        let most = usize::try_from(max_message).map_or(MESSAGE, |most| most.min(MESSAGE));
        match self {
            Self::Binary => most,
            Self::Base64 => most / 4 * 3,
        }
    }

    /// Puts as much of these octets as one message takes into a message; returns how much that is.
    pub(super) fn wrap<'a>(self, slices: &'a [IoSlice<'_>], room: usize) -> (usize, Message<'a>) {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let first: &[u8] = filled.next().map_or(&[], |slice| slice);
        let payload = match filled.next() {
            Some(_) if first.len() < room => Payload::from(gather(slices, room)),
            _ => Payload::from(first.get(..room).unwrap_or(first)),
        };
        let length = payload.len();
        let message = match self {
            Self::Binary => Message::Binary(payload),
            Self::Base64 => Message::from(STANDARD.encode(&*payload)),
        };
        (length, message)
    }

    /// Takes the octets out of a message.
    pub(super) fn unwrap(self, message: Message<'static>) -> Result<Bytes, WrappingError> {
        match (self, message) {
            (Self::Binary, Message::Binary(payload)) => Ok(payload.into_bytes()),
            (Self::Binary, _) => Err(WrappingError::TextMessage),
            (Self::Base64, Message::Binary(_)) => Err(WrappingError::BinaryMessage),
            (Self::Base64, text) => decode(text.as_bytes()),
        }
    }
}

/// Joins slices, up to so many octets.
fn gather(slices: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
    let mut joined = Vec::with_capacity(length.min(most));
    for slice in slices {
        let room = most - joined.len();
        joined.extend_from_slice(slice.get(..room).unwrap_or(slice));
    }
    joined
}

fn decode(text: &[u8]) -> Result<Bytes, WrappingError> {
    let mut octets = Vec::with_capacity(decoded_len_estimate(text.len()));
    match STANDARD.decode_vec(text, &mut octets) {
        Ok(()) => Ok(octets.into()),
        Err(
            DecodeError::InvalidByte(position, _) | DecodeError::InvalidLastSymbol(position, _),
        ) => Err(WrappingError::Base64 { position }),
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => {
            let position = text.len();
            Err(WrappingError::Base64 { position })
        }
    }
}

/// The most octets in one message: what also peers with small limits and without fragments take.
const MESSAGE: usize = 16 << 10;
