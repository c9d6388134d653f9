//! Tests of connections on tokio, against a peer that writes and reads octets by hand.

#[cfg(test)]
mod rules;
#[cfg(test)]
mod server;
#[cfg(test)]
mod wire;
