//! Frames: the unit of the wire (RFC 6455 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//! |N|V|V|V|       |S|             |   (if payload len is 126/127) |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |     Masking key (if MASK is set), then the payload ...        |
//! +---------------------------------------------------------------+
//! ```
//!
//! This layer turns octets into headers and back and applies masks. Which frame may follow which,
//! and what they mean together, is decided by `connection`.

mod error;
mod header;
pub mod mask;
mod opcode;

pub use error::FrameError;
pub use header::{EncodedHeader, Header, Rsv};
pub use mask::{MaskingKey, apply};
pub use opcode::Opcode;
