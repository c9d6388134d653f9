//! WebSocket servers and clients on protocol traits and factories.

pub mod close;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod options;
pub mod peer;
pub mod utf8;

pub use bytes::Bytes;
pub use close::{CloseCode, CloseFrame};
pub use handshake::client::{ConnectingRequest, ConnectionResponse};
pub use handshake::server::{ConnectionAccept, ConnectionDeny, ConnectionRequest};
pub use handshake::{HandshakeError, TransportDetails, Url};
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
pub use options::{AllowedOrigins, ClientOptions, DeflateOptions, OptionsError, ServerOptions};
pub use peer::Peer;
