//! Clients over HTTP/2 (RFC 8441), against a server of `h2`, in memory and over TCP on this machine.

#[cfg(test)]
#[cfg(feature = "rustls")]
#[path = "../tls/authority.rs"]
#[expect(dead_code, reason = "the tests of tls need more")]
mod authority;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod handshake;
#[cfg(test)]
#[cfg(feature = "axum")]
mod mounted;
#[cfg(test)]
mod places;
#[cfg(test)]
#[cfg(feature = "rustls")]
mod secure;
#[cfg(test)]
mod server;
#[cfg(test)]
#[path = "../tokio/wire.rs"]
#[expect(dead_code, reason = "most of it is for HTTP/1.1")]
mod wire;
