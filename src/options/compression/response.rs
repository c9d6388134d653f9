//! What a server has accepted.

use super::{Bits, Order, Parameters};
use std::fmt;

/// The server's response to an offer of permessage-deflate, as Autobahn's object of that name
/// (RFC 7692 §7.1).
///
/// Made of what a server sent, once that was found to fit one of the offers.
///
/// ```
/// use motorway::PerMessageDeflateResponse;
/// use motorway::extension::Offer;
///
/// let header = "permessage-deflate; client_max_window_bits=12; server_no_context_takeover";
/// let response = PerMessageDeflateResponse::try_from(&Offer::parse_list(header)?[0])?;
/// assert_eq!(response.client_max_window_bits(), Some(12));
/// assert!(response.server_no_context_takeover());
/// # Ok::<(), motorway::extension::NegotiationError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflateResponse {
    client_max_window_bits: Option<u8>,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    server_no_context_takeover: bool,
}

impl PerMessageDeflateResponse {
    /// Returns the largest window with which the client may compress, 8 to 15, if there is a limit
    /// (RFC 7692 §7.1.2.2). With 8 a client sends its messages uncompressed.
    #[must_use]
    pub const fn client_max_window_bits(&self) -> Option<u8> {
        self.client_max_window_bits
    }

    /// Tells whether the client has to forget its window after each message (RFC 7692 §7.1.1.2).
    #[must_use]
    pub const fn client_no_context_takeover(&self) -> bool {
        self.client_no_context_takeover
    }

    /// Returns the largest window with which the server compresses, 8 to 15, if it says so
    /// (RFC 7692 §7.1.2.1).
    #[must_use]
    pub const fn server_max_window_bits(&self) -> Option<u8> {
        self.server_max_window_bits
    }

    /// Tells whether the server forgets its window after each message (RFC 7692 §7.1.1.1).
    #[must_use]
    pub const fn server_no_context_takeover(&self) -> bool {
        self.server_no_context_takeover
    }

    pub(crate) fn of(parameters: Parameters) -> Self {
        Self {
            client_max_window_bits: match parameters.client_max_window_bits {
                Some(Bits::At(bits)) => Some(bits),
                Some(Bits::Bare) | None => None,
            },
            client_no_context_takeover: parameters.client_no_context_takeover,
            server_max_window_bits: parameters.server_max_window_bits,
            server_no_context_takeover: parameters.server_no_context_takeover,
        }
    }

    pub(crate) fn parameters(&self) -> Parameters {
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits.map(Bits::At),
        }
    }
}

impl fmt::Display for PerMessageDeflateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters().write(f, Order::ServerFirst)
    }
}
