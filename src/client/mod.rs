//! Clients: the protocol trait, the factory, streams.

mod connector;
mod factory;
mod opening;
mod protocol;

pub use connector::{Connector, connect};
pub use factory::WebSocketClientFactory;
pub use protocol::WebSocketClientProtocol;
