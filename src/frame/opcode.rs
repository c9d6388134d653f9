//! Opcodes (RFC 6455 §5.2, §11.8).

use super::FrameError;

/// What a frame is for.
///
/// ```
/// use motorway::frame::Opcode;
///
/// assert!(Opcode::Ping.is_control());
/// assert!(Opcode::try_from(3).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// 0. A further fragment of the message that is being sent.
    Continuation = 0,
    /// 1. A text message, or its first fragment.
    Text = 1,
    /// 2. A binary message, or its first fragment.
    Binary = 2,
    /// 8. A close frame.
    Close = 8,
    /// 9. A ping frame.
    Ping = 9,
    /// 10. A pong frame.
    Pong = 10,
}

impl Opcode {
    /// Tells whether frames of this kind are control frames (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl TryFrom<u8> for Opcode {
    type Error = FrameError;

    #[inline]
    fn try_from(opcode: u8) -> Result<Self, FrameError> {
        Ok(match opcode {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(FrameError::ReservedOpcode { opcode }),
        })
    }
}
