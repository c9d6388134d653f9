//! Servers: the protocol trait, handlers, the factory, listening.

mod accepting;
mod asking;
mod bind;
mod carrier;
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
mod lobby;
#[cfg(feature = "hyper")]
mod mounted;
mod opened;
mod opening;
mod protocol;
mod reading;
mod router;

#[cfg(feature = "hyper")]
pub(crate) use carrier::{Carried, Carrier};
pub use factory::WebSocketServerFactory;
pub use handler::{HandlerProtocol, serve, serve_with};
pub use listen::Server;
#[cfg(feature = "hyper")]
pub(crate) use mounted::Request;
pub use protocol::WebSocketServerProtocol;
pub use router::Router;
