//! What peers may try: each test has the name of a threat, and looks from outside, with octets over the
//! loopback against ends in default options.

#![cfg(test)]

mod admission;
mod answers;
#[cfg(target_os = "linux")]
mod apart;
mod bomb;
#[cfg(target_os = "linux")]
mod child;
mod deadlines;
mod deflate;
mod floods;
mod frames;
mod heads;
mod injection;
mod octets;
mod parameters;
mod process;
mod requests;
mod tcp;
#[cfg(feature = "rustls")]
mod tls;
mod world;
