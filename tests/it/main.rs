//! Tests of the crate from outside.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod basic_auth;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod control_frames;
#[cfg(test)]
mod deflate;
#[cfg(test)]
mod deflate_codec;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod extended_connect;
#[cfg(test)]
mod fragmentation;
#[cfg(test)]
mod frame_vectors;
#[cfg(test)]
mod handshake_answers;
#[cfg(test)]
mod handshake_client;
#[cfg(test)]
mod handshake_faults;
#[cfg(test)]
mod handshake_server;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod keepalive;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod masking;
#[cfg(test)]
mod masking_rules;
#[cfg(test)]
mod negotiation;
#[cfg(test)]
mod options;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod prepared;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod scanner;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod text;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod utf8;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod ways;
