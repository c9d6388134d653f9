//! WebSocket servers and clients on protocol traits and factories.

pub mod close;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod options;
pub mod peer;
pub mod utf8;

pub use bytes::Bytes;
pub use close::{CloseCode, CloseFrame};
pub use peer::Peer;
