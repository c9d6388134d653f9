//! The `permessage-deflate` extension (RFC 7692).

pub mod codec;
pub mod negotiate;

/// The name under which the extension is negotiated (RFC 7692 §7).
pub const NAME: &str = crate::options::compression::NAME;

/// What both ends agreed on (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParameters {
    /// Whether the server forgets its window after each message (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// Whether the client forgets its window after each message (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The largest window with which the server compresses, 9 to 15 bits, in a client 8 too
    /// (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// The largest window with which the client compresses, 8 to 15 bits (§7.1.2.2).
    ///
    /// With 8 a client sends its messages uncompressed, since zlib has no window that small.
    pub client_max_window_bits: u8,
}

impl Default for DeflateParameters {
    /// Returns what an answer without parameters means.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}
