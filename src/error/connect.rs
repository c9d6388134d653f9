//! Why a client does not get as far as a connected stream.

use crate::handshake::tunnel::TunnelError;
#[cfg(feature = "rustls")]
use crate::tls::TlsError;
use std::io;
use std::net::SocketAddr;

/// Tells why a client could not connect, before TLS and the opening handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the host does not resolve.
    #[error("host {host:?} does not resolve")]
    #[non_exhaustive]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The host has no address of the family of the option `local_addr`.
    #[error("host {host:?} has no address that can be reached from {local}")]
    #[non_exhaustive]
    NoAddress {
        /// The host.
        host: String,
        /// The address of the option.
        local: SocketAddr,
    },
    /// None of the addresses of the host takes the connection.
    #[error("cannot connect to {address}{}", of(host, *attempts, address))]
    #[non_exhaustive]
    Refused {
        /// The host.
        host: String,
        /// How many addresses were tried.
        attempts: usize,
        /// The address that was the last to fail.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// The socket of the URL does not take the connection.
    #[error("cannot connect to the socket {path:?}")]
    #[non_exhaustive]
    Socket {
        /// The path of the socket.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The proxy cannot be connected to: it does not resolve, or does not take the connection.
    #[error("cannot connect to the proxy {proxy}")]
    #[non_exhaustive]
    ProxyUnreachable {
        /// The proxy, as a URL without user and password.
        proxy: String,
        /// Why not.
        source: Box<Self>,
    },
    /// TLS with the proxy failed.
    #[cfg(feature = "rustls")]
    #[error("no tls with the proxy {proxy}")]
    #[non_exhaustive]
    ProxyTls {
        /// The proxy, as a URL without user and password.
        proxy: String,
        /// Why it failed.
        source: TlsError,
    },
    /// The connection to the proxy failed before there was one to the server.
    #[error("lost the connection to the proxy {proxy}")]
    #[non_exhaustive]
    ProxyStream {
        /// The proxy, as a URL without user and password.
        proxy: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The proxy refuses, or does not speak its protocol.
    #[error("no way through the proxy {proxy}")]
    #[non_exhaustive]
    Tunnel {
        /// The proxy, as a URL without user and password.
        proxy: String,
        /// Why there is no way.
        source: TunnelError,
    },
    /// It took longer than `connect_timeout` to connect, through a proxy where there is one.
    #[error("cannot connect to {host:?} in time")]
    #[non_exhaustive]
    Timeout {
        /// The host.
        host: String,
    },
}

/// Says whose address it is, where that does not stand in the address.
fn of(host: &str, attempts: usize, address: &SocketAddr) -> String {
    match attempts {
        0 | 1 if address.ip().to_string() == host.trim_matches(['[', ']']) => String::new(),
        0 | 1 => format!(", the address of {host:?}"),
        _ => format!(", the last of {attempts} addresses of {host:?}"),
    }
}
