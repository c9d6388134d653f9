//! Clients: the protocol trait and the factory.

mod factory;
mod opening;
mod protocol;

pub use factory::WebSocketClientFactory;
pub use protocol::WebSocketClientProtocol;
