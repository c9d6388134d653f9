//! Why a client does not get as far as a connected stream.

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
    #[error("cannot connect to {address}, the last of {attempts} addresses of {host:?}")]
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
    /// It took longer than `connect_timeout` to connect.
    #[error("cannot connect to {host:?} in time")]
    #[non_exhaustive]
    Timeout {
        /// The host.
        host: String,
    },
}
