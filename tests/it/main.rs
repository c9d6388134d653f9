//! Tests of the crate from outside.

#[cfg(test)]
mod deflate_codec;
#[cfg(test)]
mod handshake_answers;
#[cfg(test)]
mod handshake_client;
#[cfg(test)]
mod handshake_server;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod masking;
#[cfg(test)]
mod negotiation;
#[cfg(test)]
mod options;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod utf8;
