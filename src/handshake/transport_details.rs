//! What is known of a connection before its opening handshake.

use std::net::SocketAddr;

use bytes::Bytes;

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
    certificates: Vec<Bytes>,
    server_name: Option<String>,
    tls_version: Option<String>,
    cipher_suite: Option<String>,
    application_protocol: Option<String>,
    proxy: Option<String>,
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
            certificates: Vec::new(),
            server_name: None,
            tls_version: None,
            cipher_suite: None,
            application_protocol: None,
            proxy: None,
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

    /// Sets the chain of certificates that the peer has shown: in DER, its own first.
    #[must_use]
    pub fn certified(mut self, chain: impl IntoIterator<Item = Bytes>) -> Self {
        self.certificates = chain.into_iter().collect();
        self
    }

    /// Sets the name of the server that the client has asked TLS for.
    #[must_use]
    pub fn asked_for(mut self, name: impl Into<Option<String>>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sets the version of TLS and the cipher suite, as [`tls_version`](Self::tls_version) and
    /// [`cipher_suite`](Self::cipher_suite) return them.
    #[must_use]
    pub fn encrypted(
        mut self,
        version: impl Into<Option<String>>,
        cipher_suite: impl Into<Option<String>>,
    ) -> Self {
        self.tls_version = version.into();
        self.cipher_suite = cipher_suite.into();
        self
    }

    /// Sets the application protocol that the two ends have agreed on (ALPN, RFC 7301).
    #[must_use]
    pub fn agreed_on(mut self, protocol: impl Into<Option<String>>) -> Self {
        self.application_protocol = protocol.into();
        self
    }

    /// Sets the proxy that the connection goes through, as a URL without user and password.
    #[must_use]
    pub fn through(mut self, proxy: impl Into<Option<String>>) -> Self {
        self.proxy = proxy.into();
        self
    }

    /// Replaces the peer, as a trusted proxy has told it.
    pub(crate) fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// Returns who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns the proxy that a client goes through, as a URL without user and password; the peer is
    /// the address of the proxy then.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
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

    /// Returns the certificate of the peer, in DER; `None` without TLS, and for clients that have
    /// shown none.
    ///
    /// It was checked in the TLS handshake.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&Bytes> {
        self.certificates.first()
    }

    /// Returns the chain of certificates that the peer has shown: in DER, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> &[Bytes] {
        &self.certificates
    }

    /// Returns the version of TLS, such as `TLSv1.3`; `None` without TLS.
    #[must_use]
    pub fn tls_version(&self) -> Option<&str> {
        self.tls_version.as_deref()
    }

    /// Returns the name of the cipher suite as IANA has it, such as `TLS_AES_128_GCM_SHA256`
    /// (RFC 8446 §B.4); `None` without TLS.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<&str> {
        self.cipher_suite.as_deref()
    }

    /// Returns the application protocol that the two ends have agreed on in the TLS handshake (ALPN,
    /// RFC 7301), `http/1.1` or `h2`; `None` if the client has offered none. Without TLS `None` as well,
    /// unless a client speaks HTTP/2: then `h2`, too.
    #[must_use]
    pub fn application_protocol(&self) -> Option<&str> {
        self.application_protocol.as_deref()
    }

    /// Returns the name that the client has asked for (SNI, RFC 6066 §3); on servers with TLS only,
    /// and `None` if the client has asked for an IP address.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

impl From<Peer> for TransportDetails {
    /// Describes the connection of a server of which only the peer is known.
    fn from(peer: Peer) -> Self {
        Self::server(peer)
    }
}
