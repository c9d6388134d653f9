//! Whose fault it is: `ProtocolError` is the peer's, `SendError` the caller's.

use crate::close::CloseCode;
use crate::frame::FrameError;

/// A rule that the peer broke; the connection fails with [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame header is malformed by itself (RFC 6455 §5.2, §5.5). 1002.
    #[error("malformed frame header")]
    Frame(#[from] FrameError),
    /// A reserved bit that no negotiated extension gives a meaning to (§5.2). 1002.
    #[error("reserved bits {bits:#04x} set")]
    ReservedBits {
        /// The bits as they stand in the first octet: 0x40, 0x20, 0x10.
        bits: u8,
    },
    /// A client sent a frame without a mask (§5.1). 1002.
    #[error("frame is not masked")]
    UnmaskedFrame,
    /// A server sent a masked frame (§5.1). 1002.
    #[error("frame is masked")]
    MaskedFrame,
    /// A continuation frame without a message to continue (§5.4). 1002.
    #[error("continuation frame outside of a message")]
    UnexpectedContinuation,
    /// A new message while another one is unfinished (§5.4). 1002.
    #[error("new message inside of a fragmented message")]
    ExpectedContinuation,
    /// A frame above the limit. 1009.
    #[error("frame of {size} octets exceeds the limit of {limit}")]
    FrameTooLarge {
        /// The length of its payload in octets, as on the wire.
        size: u64,
        /// The limit in octets.
        limit: u64,
    },
    /// A message above the limit, measured uncompressed. 1009.
    #[error("message exceeds the limit of {limit} octets")]
    MessageTooLarge {
        /// The limit in octets.
        limit: u64,
    },
    /// A message in more frames than the limit. 1009.
    #[error("message has more than {limit} fragments")]
    TooManyFragments {
        /// The limit in frames.
        limit: u64,
    },
    /// Text that is not UTF-8 (§8.1). 1007.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2). 1007.
    #[error("compressed message is corrupt")]
    CorruptDeflate,
    /// A close frame with a payload of one octet (§5.5.1). 1002.
    #[error("close frame has a payload of one octet")]
    TruncatedCloseCode,
    /// A close code that must not be sent (§7.4). 1002.
    #[error("invalid close code {code}")]
    InvalidCloseCode {
        /// The code.
        code: u16,
    },
    /// A close reason that is not UTF-8 (§5.5.1). 1007.
    #[error("close reason is not UTF-8")]
    InvalidCloseReason,
}

impl ProtocolError {
    /// Returns the close code that the connection fails with (§7.4.1).
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Frame(_)
            | Self::ReservedBits { .. }
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode { .. } => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::CorruptDeflate | Self::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::FrameTooLarge { .. }
            | Self::MessageTooLarge { .. }
            | Self::TooManyFragments { .. } => CloseCode::MESSAGE_TOO_BIG,
        }
    }
}

/// Why something could not be sent; the connection is unharmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closing or closed.
    #[error("connection is closing or closed")]
    Closed,
    /// The message is above `max_message_payload_size`.
    #[error("message of {size} octets exceeds the limit of {limit}")]
    MessageTooLarge {
        /// Its length in octets.
        size: u64,
        /// The limit in octets.
        limit: u64,
    },
    /// A control frame carries at most 125 octets (RFC 6455 §5.5).
    #[error("control payload of {size} octets exceeds 125")]
    ControlPayloadTooLong {
        /// Its length in octets.
        size: usize,
    },
    /// The close code is reserved (RFC 6455 §7.4.1): allowed are 1000–1003, 1007–1014 and 3000–4999.
    #[error("close code {code} must not be sent; allowed are 1000-1003, 1007-1014 and 3000-4999")]
    InvalidCloseCode {
        /// The code.
        code: u16,
    },
    /// Another message is being sent in parts, and parts of two messages must not mix (§5.4).
    #[error("another message is being sent in parts")]
    Busy,
    /// The send buffer is above its high-water mark.
    #[error("send buffer is full with {buffered} octets")]
    Full {
        /// What is buffered, in octets.
        buffered: usize,
    },
}
