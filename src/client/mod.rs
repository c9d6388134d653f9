//! Clients: the protocol trait, the factory, streams.

mod connections;
mod connector;
mod dial;
mod exchange;
mod factory;
#[cfg(feature = "http2")]
mod http2;
mod opening;
mod protocol;
mod reconnect;
mod retry;

pub use connections::Connections;
pub use connector::{Connector, connect};
pub use factory::WebSocketClientFactory;
#[cfg(feature = "http2")]
pub use http2::Http2Connection;
pub use protocol::WebSocketClientProtocol;
pub use reconnect::{Attempt, Ended, Reconnect, Reconnecting};
pub use retry::Retry;
