//! Compresses and inflates the payloads of messages.
//!
//! It stands apart from the negotiation because it knows octets and limits only. Covers RFC 7692
//! §7.2: what the extension does with a message once its parameters are agreed. It neither sees
//! frames nor decides which messages to compress.
//!
//! Both directions call `zlib-rs` directly. Only its own interface takes a memory level, which
//! `flate2` does not pass on, and it lets the end of a message be told from a cut one, for which
//! `flate2` has no flush mode. Both would write to memory that is not initialised yet, but
//! claiming it afterwards takes `unsafe`; so the output is filled with zeros first, in small
//! steps, which costs a few percent of the time at most.

mod compressor;
mod deflater;
mod inflater;
mod pool;

pub use deflater::{DeflateError, Deflater, DeflaterConfig};
pub use inflater::{InflateError, Inflater, InflaterConfig};
#[cfg(test)]
pub(crate) use pool::{count_made, kept};

/// What a flush ends with, and what is not sent at the end of a message (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
