//! The examples that are programs of their own, run as their users run them.

#![cfg(test)]
#![cfg(feature = "tokio")]

mod cluster;
mod echoes;
mod pages;
mod process;
