//! What a client offers.

use super::error::in_range;
use super::{Bits, MAX_BITS, MIN_BITS, Order, Parameters, PerMessageDeflateError};
use std::fmt;

/// An offer of permessage-deflate, as Autobahn's object of that name (RFC 7692 §7.1).
///
/// What it accepts is about messages to the server, what it requests about those from it.
/// [`Display`](fmt::Display) writes it for the header, in Autobahn's order.
///
/// ```
/// use motorway::{ClientOptions, PerMessageDeflateOffer};
///
/// let offer = PerMessageDeflateOffer::new().with_request_max_window_bits(12)?;
/// assert_eq!(
///     offer.to_string(),
///     "permessage-deflate; client_no_context_takeover; client_max_window_bits; \
///      server_max_window_bits=12",
/// );
/// let options = ClientOptions::default().per_message_compression_offers([offer]);
/// # options.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflateOffer {
    accept_no_context_takeover: bool,
    accept_max_window_bits: bool,
    request_no_context_takeover: bool,
    request_max_window_bits: Option<u8>,
    /// The most that may be requested of the client.
    limit: u8,
}

impl PerMessageDeflateOffer {
    /// Makes an offer that accepts whatever the server requests, and requests nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            accept_no_context_takeover: true,
            accept_max_window_bits: true,
            request_no_context_takeover: false,
            request_max_window_bits: None,
            limit: MAX_BITS,
        }
    }

    /// Sets whether the client forgets its window after each message if the server requests it.
    ///
    /// Written as `client_no_context_takeover` (RFC 7692 §7.1.1.2). Default: true.
    #[must_use]
    pub const fn with_accept_no_context_takeover(mut self, accept: bool) -> Self {
        self.accept_no_context_takeover = accept;
        self
    }

    /// Sets whether the client compresses with a smaller window if the server requests it.
    ///
    /// Written as `client_max_window_bits` (RFC 7692 §7.1.2.2). Default: true.
    #[must_use]
    pub const fn with_accept_max_window_bits(mut self, accept: bool) -> Self {
        self.accept_max_window_bits = accept;
        self
    }

    /// Sets whether the server has to forget its window after each message.
    ///
    /// Written as `server_no_context_takeover` (RFC 7692 §7.1.1.1). Default: false.
    #[must_use]
    pub const fn with_request_no_context_takeover(mut self, request: bool) -> Self {
        self.request_no_context_takeover = request;
        self
    }

    /// Sets the largest window with which the server may compress, as a power of two of octets.
    ///
    /// Written as `server_max_window_bits` (RFC 7692 §7.1.2.1). Default: `None`.
    ///
    /// # Errors
    ///
    /// Fails if it is not 9 to 15.
    pub fn with_request_max_window_bits(
        mut self,
        bits: impl Into<Option<u8>>,
    ) -> Result<Self, PerMessageDeflateError> {
        let bits = bits.into();
        in_range("request_max_window_bits", bits, MIN_BITS..=MAX_BITS)?;
        self.request_max_window_bits = bits;
        Ok(self)
    }

    /// Tells whether the client accepts to forget its window; of an offer that was received always
    /// true, since clients have to obey even if they did not say so.
    #[must_use]
    pub const fn accept_no_context_takeover(&self) -> bool {
        self.accept_no_context_takeover
    }

    /// Tells whether the client accepts a request for a smaller window; of one that offers a window
    /// of 8 bits false, since zlib has none that is as small.
    #[must_use]
    pub const fn accept_max_window_bits(&self) -> bool {
        self.accept_max_window_bits
    }

    /// Tells whether the server has to forget its window.
    #[must_use]
    pub const fn request_no_context_takeover(&self) -> bool {
        self.request_no_context_takeover
    }

    /// Returns the largest window with which the server may compress, where that is asked for.
    #[must_use]
    pub const fn request_max_window_bits(&self) -> Option<u8> {
        self.request_max_window_bits
    }

    /// Returns the most window bits that may be requested of the client.
    pub(super) const fn limit(&self) -> u8 {
        self.limit
    }

    /// Makes an offer of what a client sent, in which the window asked for is one that zlib has.
    pub(crate) fn of(parameters: Parameters) -> Self {
        let limit = match parameters.client_max_window_bits {
            Some(Bits::At(bits)) => bits,
            Some(Bits::Bare) | None => MAX_BITS,
        };
        Self {
            accept_no_context_takeover: true,
            accept_max_window_bits: parameters.client_max_window_bits.is_some()
                && limit >= MIN_BITS,
            request_no_context_takeover: parameters.server_no_context_takeover,
            request_max_window_bits: parameters.server_max_window_bits,
            limit,
        }
    }

    pub(crate) fn parameters(&self) -> Parameters {
        Parameters {
            server_no_context_takeover: self.request_no_context_takeover,
            client_no_context_takeover: self.accept_no_context_takeover,
            server_max_window_bits: self.request_max_window_bits,
            client_max_window_bits: self.accept_max_window_bits.then_some(Bits::Bare),
        }
    }
}

impl Default for PerMessageDeflateOffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for PerMessageDeflateOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters().write(f, Order::ClientFirst)
    }
}
