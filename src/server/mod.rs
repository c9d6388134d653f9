//! Servers: the protocol trait, handlers, the factory, listening.

mod bind;
mod companion;
mod connections;
mod factory;
mod failure;
mod handler;
mod http;
mod incoming;
mod lifecycle;
mod listen;
#[cfg(feature = "rustls")]
mod listen_tls;
mod opened;
mod opening;
mod protocol;
mod router;

pub use factory::WebSocketServerFactory;
pub use handler::{HandlerProtocol, serve, serve_with};
pub use listen::Server;
pub use protocol::WebSocketServerProtocol;
pub use router::Router;
