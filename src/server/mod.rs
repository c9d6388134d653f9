//! Servers: the protocol trait, the factory, listening.

mod bind;
mod factory;
mod http;
mod lifecycle;
mod listen;
mod opening;
mod protocol;
mod router;

pub use factory::WebSocketServerFactory;
pub use listen::Server;
pub use protocol::WebSocketServerProtocol;
pub use router::Router;
