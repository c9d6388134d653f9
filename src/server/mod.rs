//! Servers: the protocol trait, handlers, the factory, listening.

mod companion;
mod factory;
mod handler;
mod lifecycle;
mod listen;
mod opening;
mod protocol;

pub use factory::WebSocketServerFactory;
pub use handler::{HandlerProtocol, serve, serve_with};
pub use listen::Server;
pub use protocol::WebSocketServerProtocol;
