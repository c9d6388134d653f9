//! Factories mounted in servers of hyper and axum.

#![cfg(test)]

mod axum;
mod chat;
mod details;
mod handshake;
mod http2;
mod hyper_example;
mod lifecycle;
#[cfg(feature = "rustls")]
mod tls;
mod world;
