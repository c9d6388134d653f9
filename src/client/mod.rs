//! Clients: the protocol trait and the factory.

mod dial;
mod factory;
mod opening;
mod protocol;

pub use factory::WebSocketClientFactory;
pub use protocol::WebSocketClientProtocol;
