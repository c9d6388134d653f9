//! Factories in the servers that people run already: hyper's, axum's, any that is a `tower::Service`.
//!
//! ```text
//! http::Request ─▶ asked: head, who asks, the way to upgrade
//!                    │
//!                    ▼                          response over a channel
//!  the opening handshake of `server`, on a carrier ─────────────────────▶ http::Response
//!                    │ the other server hands over its stream
//!                    ▼
//!  the same driver as everywhere
//! ```

mod asked;
#[cfg(feature = "axum")]
mod axum;
mod carrier;
mod connection;
mod service;
mod stream;
mod upgrade;

#[cfg(feature = "axum")]
pub use axum::{NotWebSocket, WebSocketUpgrade};
pub use carrier::HttpBody;
pub use connection::MountedConnection;
pub use service::WebSocketService;
