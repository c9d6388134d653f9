//! What is known of a connection before its opening handshake.

use std::net::SocketAddr;

use crate::peer::Peer;

/// The two ends of a connection, and what is between them.
///
/// ```
/// use motorway::{Peer, TransportDetails};
///
/// let details = TransportDetails::client(Peer::Unknown).secure();
/// assert!(details.is_secure() && !details.is_server());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportDetails {
    peer: Peer,
    local: Option<SocketAddr>,
    is_server: bool,
    is_secure: bool,
}

impl TransportDetails {
    /// Describes the connection of a client to this peer.
    #[must_use]
    pub fn client(peer: Peer) -> Self {
        Self {
            peer,
            local: None,
            is_server: false,
            is_secure: false,
        }
    }

    /// Describes the connection of a server to this peer.
    #[must_use]
    pub fn server(peer: Peer) -> Self {
        Self {
            is_server: true,
            ..Self::client(peer)
        }
    }

    /// Sets our own address.
    #[must_use]
    pub fn at(mut self, local: impl Into<Option<SocketAddr>>) -> Self {
        self.local = local.into();
        self
    }

    /// Says that TLS is between the two ends.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// Returns who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns our own address, where there is one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Tells whether we are the server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.is_server
    }

    /// Tells whether TLS is between the two ends.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }
}
