//! Factories mounted in servers of hyper and axum.

#![cfg(test)]

mod axum;
mod handshake;
mod http2;
mod lifecycle;
mod world;
