//! How a client accepts what a server has accepted.

use super::error::in_range;
use super::tuning::{Tuning, tuning_setters};
use super::{Bits, MAX_BITS, MIN_BITS, Parameters};
use super::{PerMessageDeflateError, PerMessageDeflateResponse};
use crate::options::DeflateOptions;

/// How a client accepts the server's response, as Autobahn's object of that name (RFC 7692 §7.1).
///
/// Each value is checked against the response when it is set; the server is told nothing any more.
///
/// ```
/// use motorway::{ClientOptions, PerMessageDeflateOffer, PerMessageDeflateResponseAccept};
///
/// let options = ClientOptions::default()
///     .per_message_compression_offers([PerMessageDeflateOffer::new()])
///     .per_message_compression_accept(|response| {
///         PerMessageDeflateResponseAccept::new(response).with_mem_level(4).ok()
///     });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflateResponseAccept {
    response: PerMessageDeflateResponse,
    tuning: Tuning,
}

impl PerMessageDeflateResponseAccept {
    /// Accepts a response as it is.
    #[must_use]
    pub fn new(response: &PerMessageDeflateResponse) -> Self {
        Self {
            response: *response,
            tuning: Tuning::default(),
        }
    }

    tuning_setters!();

    /// Returns the response that is accepted.
    #[must_use]
    pub const fn response(&self) -> &PerMessageDeflateResponse {
        &self.response
    }

    fn demands(&self) -> (bool, &'static str) {
        let asks = self.response.client_no_context_takeover();
        (asks, super::CLIENT_NO_CONTEXT_TAKEOVER)
    }

    fn most_window_bits(&self) -> u8 {
        self.response.client_max_window_bits().unwrap_or(MAX_BITS)
    }

    /// Returns what the two ends do: more than the response says where this end binds itself further.
    pub(crate) fn effect(&self) -> Parameters {
        let mut parameters = self.response.parameters();
        parameters.client_no_context_takeover |= self.tuning.no_context_takeover == Some(true);
        let bits = self.tuning.window_bits.map(Bits::At);
        parameters.client_max_window_bits = bits.or(parameters.client_max_window_bits);
        parameters
    }
}
