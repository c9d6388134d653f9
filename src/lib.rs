#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "tokio", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tokio"),
    doc = "The WebSocket protocol engine of motorway, without tokio."
)]

mod address;
#[cfg(feature = "tokio")]
mod broker;
pub mod close;
pub mod connection;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod options;
pub mod peer;
pub mod utf8;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "tokio")]
mod client;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod error;
#[cfg(feature = "tokio")]
pub mod guide;
#[cfg(feature = "tokio")]
mod hub;
#[cfg(feature = "hyper")]
mod mount;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod observe;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod random;
#[cfg(feature = "tokio")]
mod server;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod socket;
#[cfg(feature = "tokio")]
mod stream;
#[cfg(feature = "tokio")]
pub mod testing;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "tokio")]
mod transport;

pub use address::ListenAddress;
pub use bytes::Bytes;
pub use close::{CloseCode, CloseFrame};
pub use connection::{
    CloseCause, CloseInfo, Endpoint, MessageKind, PreparedMessage, ProtocolError, Receive,
    SendError, TimeoutKind,
};
pub use handshake::client::{ConnectingRequest, ConnectionResponse};
pub use handshake::server::{
    BasicAuth, ConnectionAccept, ConnectionDeny, ConnectionRequest, HttpRequest, HttpResponse,
};
pub use handshake::{HandshakeError, TransportDetails, Url};
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
pub use message::{Message, NotUtf8, Payload, Text};
pub use options::{
    AllowedOrigins, ClientOptions, DeflateOptions, DeflateStrategy, OptionsError, OverflowPolicy,
    PerMessageDeflateError, PerMessageDeflateOffer, PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse, PerMessageDeflateResponseAccept, Proxy, ProxyScheme, ProxyServer,
    RateLimit, ServerOptions,
};
pub use peer::Peer;
#[cfg(feature = "json")]
pub use serde_json;

#[cfg(feature = "nats")]
pub use async_nats;
#[cfg(feature = "tokio")]
pub use broker::{Broker, BrokerError, BrokerEvent, BrokerState};
#[cfg(feature = "nats")]
pub use broker::{NatsBroker, NatsBrokerBuilder};
#[cfg(feature = "redis")]
pub use broker::{RedisBroker, RedisBrokerBuilder, RedisChannels};
#[cfg(feature = "http2")]
pub use client::Http2Connection;
#[cfg(feature = "tokio")]
pub use client::{
    Attempt, Connections, Connector, Ended, Reconnect, Reconnecting, Retry, WebSocketClientFactory,
    WebSocketClientProtocol, connect,
};
#[cfg(feature = "http2")]
pub use error::Http2Error;
#[cfg(feature = "tokio")]
pub use error::HubError;
#[cfg(any(feature = "tokio", feature = "blocking"))]
pub use error::{ConnectError, Error, HandlerError, HandlerResult, Result};
#[cfg(feature = "tokio")]
pub use hub::{Hub, HubEvent, HubEvents, Overflow, Present, Publication, Published, WeakHub};
#[cfg(feature = "hyper")]
pub use mount::{HttpBody, MountedConnection, WebSocketService};
#[cfg(feature = "axum")]
pub use mount::{NotWebSocket, WebSocketUpgrade};
#[cfg(feature = "tokio")]
pub use observe::{Moment, Observed, Observer, Stats, Timings};
#[cfg(any(feature = "tokio", feature = "blocking"))]
pub use observe::{Trace, disable_trace, enable_trace, enable_trace_with};
#[cfg(feature = "tokio")]
pub use server::{
    HandlerProtocol, Router, Server, WebSocketServerFactory, WebSocketServerProtocol, serve,
    serve_with,
};
#[cfg(feature = "tokio")]
pub use stream::{WebSocketIo, WebSocketReader, WebSocketStream, WebSocketWriter, WrappingError};
#[cfg(feature = "rustls")]
pub use tls::{ClientTls, Identity, Roots, ServerTls, TlsError, TlsStream};
#[cfg(feature = "tokio")]
pub use transport::{
    Frame, FrameCodec, MessageWriter, Sending, Stream, UncompressedSending, WebSocket,
};
