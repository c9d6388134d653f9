//! Factories mounted in servers of hyper and axum.

#![cfg(test)]

mod axum;
mod handshake;
mod lifecycle;
mod world;
