//! The response of a server, once it is known to be valid.

use http::{HeaderMap, StatusCode};

use crate::extension::Offer;
use crate::handshake::Url;
use crate::peer::Peer;

/// A valid answer of a server to the opening handshake (RFC 6455 §4.1).
#[derive(Clone, Debug)]
pub struct ConnectionResponse {
    peer: Peer,
    status: StatusCode,
    headers: HeaderMap,
    protocol: Option<String>,
    extensions: Vec<Offer>,
    url: Option<Url>,
}

impl ConnectionResponse {
    pub(super) fn new(
        (status, headers): (StatusCode, HeaderMap),
        protocol: Option<String>,
        extensions: Vec<Offer>,
    ) -> Self {
        Self {
            peer: Peer::Unknown,
            status,
            headers,
            protocol,
            extensions,
            url: None,
        }
    }

    /// Returns who answered; [`Peer::Unknown`] until set.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sets who answered, which a head cannot tell.
    pub fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// Returns the URL that was connected to: behind redirects the last; `None` until set.
    #[must_use]
    pub fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// Sets the URL that was connected to, which a head cannot tell.
    pub fn set_url(&mut self, url: Url) {
        self.url = Some(url);
    }

    /// Returns the status: 101, or over HTTP/2 one of 200 to 299 (RFC 8441 §5), since no other opens a
    /// connection.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the first header of this name, in any case; `None` if it is not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the subprotocol that the server chose.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Returns the extensions that the server accepted.
    #[must_use]
    pub fn extensions(&self) -> &[Offer] {
        &self.extensions
    }

    /// Returns the version of the protocol: 13.
    #[must_use]
    pub fn version(&self) -> u8 {
        13
    }
}
