//! Clients: the protocol trait and the factory.

mod factory;
mod opening;
mod protocol;
mod reconnect;

pub use factory::WebSocketClientFactory;
pub use protocol::WebSocketClientProtocol;
pub use reconnect::{Ended, Reconnect, Reconnecting, Retry};
