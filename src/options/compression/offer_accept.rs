//! What a server accepts.

use super::error::in_range;
use super::tuning::{Tuning, tuning_setters};
use super::{Bits, MAX_BITS, MIN_BITS, Order, Parameters};
use super::{PerMessageDeflateError, PerMessageDeflateOffer};
use crate::options::DeflateOptions;
use std::fmt;

/// How a server accepts an offer of permessage-deflate, as Autobahn's object of that name
/// (RFC 7692 §7.1).
///
/// Each value is checked against the offer when it is set. [`Display`](fmt::Display) writes the answer
/// for the header: what the client requested of the server, then what the server requests of the
/// client.
///
/// ```
/// use motorway::{PerMessageDeflateOfferAccept, ServerOptions};
///
/// let options = ServerOptions::default().per_message_compression_accept(|offers| {
///     let offer = offers.first()?;
///     let accept = PerMessageDeflateOfferAccept::new(offer);
///     if !offer.accept_max_window_bits() {
///         return Some(accept);
///     }
///     accept.with_request_max_window_bits(12).ok()
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflateOfferAccept {
    offer: PerMessageDeflateOffer,
    request_no_context_takeover: bool,
    request_max_window_bits: Option<u8>,
    tuning: Tuning,
}

impl PerMessageDeflateOfferAccept {
    /// Accepts an offer as it is.
    #[must_use]
    pub fn new(offer: &PerMessageDeflateOffer) -> Self {
        Self {
            offer: *offer,
            request_no_context_takeover: false,
            request_max_window_bits: None,
            tuning: Tuning::default(),
        }
    }

    /// Sets whether the client has to forget its window after each message.
    ///
    /// Written as `client_no_context_takeover` (RFC 7692 §7.1.1.2). Default: false.
    ///
    /// # Errors
    ///
    /// Fails if it is requested and the client does not accept it.
    pub fn with_request_no_context_takeover(
        mut self,
        request: bool,
    ) -> Result<Self, PerMessageDeflateError> {
        if request && !self.offer.accept_no_context_takeover() {
            return Err(PerMessageDeflateError::NotOffered {
                parameter: "request_no_context_takeover",
                offered: super::CLIENT_NO_CONTEXT_TAKEOVER,
            });
        }
        self.request_no_context_takeover = request;
        Ok(self)
    }

    /// Sets the largest window with which the client may compress, as a power of two of octets.
    ///
    /// Written as `client_max_window_bits` (RFC 7692 §7.1.2.2). Default: `None`.
    ///
    /// # Errors
    ///
    /// Fails if it is not 9 to 15, or to what the client offers, and if the client does not accept a
    /// request.
    pub fn with_request_max_window_bits(
        mut self,
        bits: impl Into<Option<u8>>,
    ) -> Result<Self, PerMessageDeflateError> {
        let (bits, parameter) = (bits.into(), "request_max_window_bits");
        in_range(parameter, bits, MIN_BITS..=MAX_BITS)?;
        if bits.is_some() && !self.offer.accept_max_window_bits() {
            return Err(PerMessageDeflateError::NotOffered {
                parameter,
                offered: super::CLIENT_MAX_WINDOW_BITS,
            });
        }
        // §7.1.2.2: "with a value equal to or smaller than the received value".
        in_range(parameter, bits, MIN_BITS..=self.offer.limit())?;
        self.request_max_window_bits = bits;
        Ok(self)
    }

    tuning_setters!();

    /// Returns the offer that is accepted.
    #[must_use]
    pub const fn offer(&self) -> &PerMessageDeflateOffer {
        &self.offer
    }

    /// Tells whether the client has to forget its window.
    #[must_use]
    pub const fn request_no_context_takeover(&self) -> bool {
        self.request_no_context_takeover
    }

    /// Returns the largest window with which the client may compress, where that is requested.
    #[must_use]
    pub const fn request_max_window_bits(&self) -> Option<u8> {
        self.request_max_window_bits
    }

    fn demands(&self) -> (bool, &'static str) {
        let asks = self.offer.request_no_context_takeover();
        (asks, super::SERVER_NO_CONTEXT_TAKEOVER)
    }

    fn most_window_bits(&self) -> u8 {
        self.offer.request_max_window_bits().unwrap_or(MAX_BITS)
    }

    /// Returns the answer to the client.
    pub(crate) fn answer(&self) -> Parameters {
        Parameters {
            server_no_context_takeover: self.offer.request_no_context_takeover(),
            client_no_context_takeover: self.request_no_context_takeover,
            server_max_window_bits: self.offer.request_max_window_bits(),
            client_max_window_bits: self.request_max_window_bits.map(Bits::At),
        }
    }

    /// Returns what the two ends do: more than the answer says where this end binds itself further.
    pub(crate) fn effect(&self) -> Parameters {
        let mut parameters = self.answer();
        parameters.server_no_context_takeover |= self.tuning.no_context_takeover == Some(true);
        let bits = self.tuning.window_bits;
        parameters.server_max_window_bits = bits.or(parameters.server_max_window_bits);
        parameters
    }
}

impl fmt::Display for PerMessageDeflateOfferAccept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer().write(f, Order::ServerFirst)
    }
}
