//! Clients and small servers on threads and blocking sockets: no runtime, no tokio, no hidden thread.
//!
//! Apart from the other faces because nothing here is asynchronous: the engine is the same
//! ([`Connection`](crate::connection::Connection)), and so are the options, but the stream is a
//! [`std::net::TcpStream`] with timeouts. With the feature `rustls` there is TLS, too, directly on
//! such a stream; without it a `wss://` URL fails with
//! [`Error::TlsUnsupported`](crate::Error::TlsUnsupported).
//!
//! # What happens when
//!
//! Nothing happens between calls: there is no thread that could do it. Pings are answered, automatic
//! pings sent, close frames answered and timeouts kept to while some thread is inside of `recv`,
//! `send`, `ping` or `close`. A program that is busy elsewhere for long calls
//! [`recv_timeout`](WebSocketStream::recv_timeout) now and then, or gives the connection a thread
//! that receives. A peer is not given up for what came while nobody read: all that has come is read
//! before an automatic ping is judged to be unanswered.
//!
//! # Limits
//!
//! The options hold here as they do elsewhere. With [`RateLimit::pause`](crate::RateLimit::pause) it is
//! calls that receive which wait. `max_connections`, `max_handshaking` and `memory_budget` are for what
//! [`Server::serve`] serves. Each option that has no use here says so.
//!
//! # Threads
//!
//! [`WebSocketStream`] receives; it is for one thread. Its [`handle`](WebSocketStream::handle) is
//! cheap to clone and does the rest from any thread.
//!
//! ```no_run
//! use motorway::{CloseCode, blocking};
//!
//! # fn main() -> motorway::Result<()> {
//! let mut ws = blocking::connect("ws://localhost:4040/")?;
//! ws.send("Hello, Server")?;
//! println!("{:?}", ws.recv()?);
//! ws.close(CloseCode::NORMAL, "")?;
//! # Ok(())
//! # }
//! ```

mod accepting;
mod app;
mod connect;
mod core;
mod dial;
mod lobby;
mod opening;
mod proxy;
#[cfg(feature = "rustls")]
mod secure;
mod security;
mod server;
mod shared;
mod stopper;
mod stream;
mod transport;
mod websocket;

pub use crate::observe::Trace;
pub use app::WebSocketApp;
pub use connect::{Connector, connect};
pub use server::{Server, serve};
pub use stopper::Stopper;
pub use stream::{Received, WebSocketStream};
pub use websocket::WebSocket;
