//! Factories mounted in servers of hyper and axum.

#![cfg(test)]

mod axum;
mod chat;
mod handshake;
mod http2;
mod hyper_example;
mod lifecycle;
mod world;
