//! Tests of connections on tokio, against a peer that writes and reads octets by hand.

#[cfg(test)]
mod authors;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod client;
#[cfg(test)]
mod close_info;
#[cfg(test)]
mod conversation;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod dialing;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod examples_servers;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forwarded;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod half_open;
#[cfg(test)]
mod handle;
#[cfg(test)]
mod handler;
#[cfg(test)]
mod http;
#[cfg(test)]
mod io;
#[cfg(test)]
mod io_through;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod memory;
mod observe;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod observer;
#[cfg(test)]
mod options;
#[cfg(test)]
mod options_client;
#[cfg(test)]
mod options_clock;
#[cfg(test)]
mod options_compression;
#[cfg(test)]
mod options_deflate;
#[cfg(test)]
mod options_server;
#[cfg(test)]
mod options_tcp;
#[cfg(test)]
mod overflow;
#[cfg(test)]
mod overflow_oldest;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod races;
#[cfg(test)]
mod reconnect;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod stats;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod stream_cancellation;
#[cfg(test)]
mod stream_types;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod unix;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod workers;
#[cfg(test)]
mod writer;
