//! How messages are compressed (RFC 7692).
//!
//! Used by both sides: what a client offers and what a server answers follow from the same value.

use super::OptionsError;

/// The options of the `permessage-deflate` extension (RFC 7692 §7).
///
/// The default negotiates the extension with context takeover and windows of 15 bits, which
/// compresses best.
///
/// ```
/// use motorway::{DeflateOptions, ServerOptions};
///
/// let small = DeflateOptions::default()
///     .server_max_window_bits(12)
///     .mem_level(5)
///     .threshold(64);
/// ServerOptions::default().per_message_deflate(small).validate()?;
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOptions {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
    pub(crate) level: u8,
    pub(crate) mem_level: u8,
    pub(crate) strategy: DeflateStrategy,
    pub(crate) threshold: usize,
    pub(crate) max_message_size: Option<u64>,
}

/// For which kind of data compressing is tuned; whichever it is, any peer can inflate the result.
///
/// ```
/// use motorway::{DeflateOptions, DeflateStrategy};
///
/// let samples = DeflateOptions::default().strategy(DeflateStrategy::Filtered);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeflateStrategy {
    /// Text, JSON, and whatever is not one of the others.
    #[default]
    Default,
    /// Small values that are scattered, such as the differences of samples or pixels: fewer
    /// repetitions, more Huffman coding.
    Filtered,
    /// Huffman coding alone: fastest, compresses least.
    HuffmanOnly,
    /// Runs of one octet only, such as in pictures: nearly as fast.
    Rle,
    /// Codes that are fixed: less overhead for messages of a few dozen octets.
    Fixed,
}

impl DeflateOptions {
    /// Returns options for many connections: windows of 12 bits and memory level 5, which take less
    /// than half of the memory and compress a little worse.
    ///
    /// ```
    /// use motorway::DeflateOptions;
    ///
    /// let same = DeflateOptions::default()
    ///     .server_max_window_bits(12)
    ///     .client_max_window_bits(12)
    ///     .mem_level(5);
    /// assert_eq!(DeflateOptions::low_memory(), same);
    /// ```
    #[must_use]
    pub fn low_memory() -> Self {
        Self::default()
            .server_max_window_bits(12)
            .client_max_window_bits(12)
            .mem_level(5)
    }

    /// Returns options without context takeover in either direction: an idle connection keeps no
    /// compressor, and messages that resemble each other compress worse.
    ///
    /// ```
    /// use motorway::DeflateOptions;
    ///
    /// let same = DeflateOptions::default()
    ///     .server_no_context_takeover(true)
    ///     .client_no_context_takeover(true);
    /// assert_eq!(DeflateOptions::no_context(), same);
    /// ```
    #[must_use]
    pub fn no_context() -> Self {
        Self::default()
            .server_no_context_takeover(true)
            .client_no_context_takeover(true)
    }

    /// Sets whether the server forgets its window after each message (RFC 7692 §7.1.1.1).
    ///
    /// A server does so and says so; a client asks for it and fails the handshake when it is not
    /// granted. Default: false.
    #[must_use]
    pub fn server_no_context_takeover(mut self, forget: bool) -> Self {
        self.server_no_context_takeover = forget;
        self
    }

    /// Sets whether the client forgets its window after each message (RFC 7692 §7.1.1.2).
    ///
    /// A client does so and says so; a server demands it. Default: false.
    #[must_use]
    pub fn client_no_context_takeover(mut self, forget: bool) -> Self {
        self.client_no_context_takeover = forget;
        self
    }

    /// Sets the largest window with which the server compresses, as a power of two of octets
    /// (RFC 7692 §7.1.2.1).
    ///
    /// Range: 9 to 15. Default: 15, which is 32 KiB.
    #[must_use]
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// Sets the largest window with which the client compresses, as a power of two of octets
    /// (RFC 7692 §7.1.2.2).
    ///
    /// A server can demand it only from a client that offers to obey. Range: 9 to 15.
    /// Default: 15, which is 32 KiB.
    #[must_use]
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Sets how hard to compress: 0 stores, 1 is fastest, 9 compresses best.
    ///
    /// Each step costs time on every message sent; 1 is worth trying where the processor is the
    /// limit and not the network. Range: 0 to 9. Default: 6.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Sets the memory that compressing takes: about 2^(`mem_level` + 9) octets a connection,
    /// besides the window.
    ///
    /// Range: 1 to 9. Default: 8.
    #[must_use]
    pub fn mem_level(mut self, level: u8) -> Self {
        self.mem_level = level;
        self
    }

    /// Sets for which kind of data compressing is tuned.
    ///
    /// Default: [`DeflateStrategy::Default`].
    #[must_use]
    pub fn strategy(mut self, strategy: DeflateStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the size in octets below which a message goes out uncompressed (RFC 7692 §6).
    ///
    /// Default: 0, which compresses every message.
    #[must_use]
    pub fn threshold(mut self, octets: usize) -> Self {
        self.threshold = octets;
        self
    }

    /// Sets the largest compressed message accepted, in octets after inflation; `None` leaves it to
    /// `max_message_payload_size`, which holds besides.
    ///
    /// Inclusive, at least 1. A larger message fails the connection with close code 1009. Default:
    /// `None`.
    #[must_use]
    pub fn max_message_size(mut self, octets: impl Into<Option<u64>>) -> Self {
        self.max_message_size = octets.into();
        self
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// Fails with the name, the value and the range of the first option that is out of it.
    pub fn validate(&self) -> Result<(), OptionsError> {
        for (option, bits) in [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ] {
            if !(9..=15).contains(&bits) {
                return Err(OptionsError::value(option, bits, "9 to 15"));
            }
        }
        if self.level > 9 {
            return Err(OptionsError::value("level", self.level, "0 to 9"));
        }
        if !(1..=9).contains(&self.mem_level) {
            return Err(OptionsError::value("mem_level", self.mem_level, "1 to 9"));
        }
        if self.max_message_size == Some(0) {
            let allowed = "at least 1, or None";
            return Err(OptionsError::value("max_message_size", 0, allowed));
        }
        Ok(())
    }
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 6,
            mem_level: 8,
            strategy: DeflateStrategy::Default,
            threshold: 0,
            max_message_size: None,
        }
    }
}
