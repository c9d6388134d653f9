//! The objects in which Autobahn negotiates permessage-deflate (RFC 7692 §7.1), for those who decide
//! by themselves what is offered and accepted.
//!
//! Values and their ranges only: reading them from a header, and what the two ends agree upon, is in
//! `extension`. [`DeflateOptions`](super::DeflateOptions) is the policy for everybody else.

mod error;
mod offer;
mod offer_accept;
mod policy;
mod response;
mod response_accept;
mod tuning;

pub use error::PerMessageDeflateError;
pub use offer::PerMessageDeflateOffer;
pub use offer_accept::PerMessageDeflateOfferAccept;
pub(crate) use policy::{OfferPolicy, ResponsePolicy};
pub use response::PerMessageDeflateResponse;
pub use response_accept::PerMessageDeflateResponseAccept;

use std::fmt;

/// The parameters of an offer or answer, each at most once (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_max_window_bits: Option<Bits>,
}

/// A number of window bits, which an offer may leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    Bare,
    At(u8),
}

/// In which order parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Takeovers before windows.
    Ours,
    /// As Autobahn writes offers.
    ClientFirst,
    /// As Autobahn writes answers.
    ServerFirst,
}

impl Parameters {
    /// Returns the parameters that there are, with their values.
    pub(crate) fn list(self, order: Order) -> impl Iterator<Item = (&'static str, Option<u8>)> {
        let flag = |name, set: bool| set.then_some((name, None));
        let server_takeover = flag(SERVER_NO_CONTEXT_TAKEOVER, self.server_no_context_takeover);
        let client_takeover = flag(CLIENT_NO_CONTEXT_TAKEOVER, self.client_no_context_takeover);
        let server_bits = self.server_max_window_bits;
        let server_bits = server_bits.map(|bits| (SERVER_MAX_WINDOW_BITS, Some(bits)));
        let client_bits = self.client_max_window_bits.map(|bits| match bits {
            Bits::Bare => (CLIENT_MAX_WINDOW_BITS, None),
            Bits::At(bits) => (CLIENT_MAX_WINDOW_BITS, Some(bits)),
        });
        let ordered = match order {
            Order::Ours => [server_takeover, client_takeover, server_bits, client_bits],
            Order::ClientFirst => [client_takeover, client_bits, server_takeover, server_bits],
            Order::ServerFirst => [server_takeover, server_bits, client_takeover, client_bits],
        };
        ordered.into_iter().flatten()
    }

    fn write(self, f: &mut fmt::Formatter<'_>, order: Order) -> fmt::Result {
        f.write_str(NAME)?;
        for (name, value) in self.list(order) {
            match value {
                Some(bits) => write!(f, "; {name}={bits}")?,
                None => write!(f, "; {name}")?,
            }
        }
        Ok(())
    }
}

/// The name under which the extension is negotiated (RFC 7692 §7).
pub(crate) const NAME: &str = "permessage-deflate";
pub(crate) const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
pub(crate) const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
pub(crate) const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
pub(crate) const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window that zlib compresses with.
pub(crate) const MIN_BITS: u8 = 9;
/// The window where nothing is said (RFC 7692 §7.1.2).
pub(crate) const MAX_BITS: u8 = 15;
