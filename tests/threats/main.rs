//! What peers may try: each test has the name of a threat, and looks from outside, with octets over the
//! loopback against ends in default options.

#![cfg(test)]

#[cfg(target_os = "linux")]
mod apart;
mod bomb;
#[cfg(target_os = "linux")]
mod child;
mod deflate;
mod floods;
mod frames;
mod handshake;
mod heads;
mod octets;
mod process;
mod tcp;
#[cfg(feature = "rustls")]
mod tls;
mod world;
