//! Who is at the other end of a connection.
//!
//! A value only: nothing here resolves or connects.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The address of the peer, printed as Autobahn does: `tcp4:192.0.2.1:50000`, `tcp6:[::1]:50000`,
/// `unix:/run/chat.sock`, `unix`, `192.0.2.1`, `unknown`.
///
/// ```
/// use motorway::Peer;
///
/// let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9000)));
/// assert_eq!(peer.to_string(), "tcp4:127.0.0.1:9000");
/// assert_eq!(Peer::Unknown.to_string(), "unknown");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP connection from this address.
    Tcp(SocketAddr),
    /// A Unix socket, with the path that the peer has bound; most bind none.
    Unix(Option<PathBuf>),
    /// The address that a trusted proxy told, without a port.
    Forwarded(IpAddr),
    /// A stream of which nothing is known, such as one in memory.
    #[default]
    Unknown,
}

impl Peer {
    /// Returns the socket address, where there is one.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Forwarded(_) | Self::Unknown => None,
        }
    }

    /// Returns the IP address, where there is one, also that told by a trusted proxy.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Forwarded(address) => Some(*address),
            Self::Unix(_) | Self::Unknown => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(SocketAddr::V4(address)) => write!(f, "tcp4:{address}"),
            Self::Tcp(SocketAddr::V6(address)) => write!(f, "tcp6:{address}"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix"),
            Self::Forwarded(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
