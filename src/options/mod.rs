//! What a server or a client can be told.
//!
//! Plain values with safe defaults: nothing here acts. Whoever runs a connection reads them, and
//! [`ServerOptions::validate`] and [`ClientOptions::validate`] tell beforehand whether they fit.
//! Names are Autobahn's, in snake case.

mod authority;
mod client;
pub(crate) mod compression;
mod deflate;
mod error;
mod headers;
mod networks;
mod origin;
mod overflow;
pub(crate) mod percent;
mod proxy;
mod rate_limit;
mod server;
mod setters;
mod shared;
mod token;

pub use client::ClientOptions;
pub use compression::{
    PerMessageDeflateError, PerMessageDeflateOffer, PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse, PerMessageDeflateResponseAccept,
};
pub use deflate::{DeflateOptions, DeflateStrategy};
pub use error::OptionsError;
pub use origin::AllowedOrigins;
pub use overflow::OverflowPolicy;
pub use proxy::{Proxy, ProxyScheme, ProxyServer};
pub use rate_limit::RateLimit;
pub use server::ServerOptions;

pub(crate) use authority::authority;
pub(crate) use headers::{ExtraHeaders, is_reserved};
pub(crate) use networks::Networks;
pub(crate) use origin::{Asked, Verdict};
pub(crate) use rate_limit::Excess;
pub(crate) use shared::CommonOptions;
#[cfg(feature = "tokio")]
pub(crate) use shared::HIGH_WATER;
pub(crate) use token::{is_token, is_token_octet};
