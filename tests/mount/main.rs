//! Factories mounted in servers of hyper and axum.

#![cfg(test)]

mod axum;
mod chat;
mod details;
mod handshake;
mod http2;
#[cfg(all(feature = "http2", feature = "rustls"))]
mod http2_example;
mod hyper_example;
mod lifecycle;
mod parity;
#[cfg(feature = "rustls")]
mod tls;
mod world;
