//! What can be wrong with a frame header by itself.

/// A frame header that breaks RFC 6455 §5.2 or §5.5, whatever came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// An opcode that no specification defines (§5.2).
    #[error("reserved opcode {opcode}")]
    ReservedOpcode {
        /// The opcode, 3–7 or 11–15.
        opcode: u8,
    },
    /// A control frame with FIN clear (§5.5).
    #[error("fragmented control frame")]
    FragmentedControlFrame,
    /// A control frame with a payload of more than 125 octets (§5.5).
    #[error("control frame with more than 125 octets of payload")]
    ControlFrameTooLong,
    /// A length that is not encoded in the fewest octets (§5.2).
    #[error("payload length {length} is not minimally encoded")]
    NonMinimalLength {
        /// The length.
        length: u64,
    },
    /// A 64-bit length with the most significant bit set (§5.2).
    #[error("payload length {length} has its most significant bit set")]
    LengthTooLarge {
        /// The length.
        length: u64,
    },
}
