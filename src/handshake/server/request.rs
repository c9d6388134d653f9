//! The request of a client, once it is known to be valid.

use std::borrow::Cow;

use http::{HeaderMap, Version};

use super::HttpRequest;
use crate::extension::Offer;
use crate::handshake::TransportDetails;
use crate::peer::Peer;

/// A valid opening handshake of a client (RFC 6455 §4.2.1).
///
/// ```
/// use motorway::{ConnectionAccept, ConnectionDeny, ConnectionRequest, StatusCode};
///
/// fn on_connect(request: &ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> {
///     if request.path() != "/chat" {
///         return Err(StatusCode::NOT_FOUND.into());
///     }
///     request.cookie("sid").ok_or(ConnectionDeny::new(StatusCode::FORBIDDEN))?;
///     Ok(ConnectionAccept::select(request.protocols(), ["chat.v2", "chat.v1"]))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionRequest {
    pub(super) http: HttpRequest,
    pub(super) version: u8,
    pub(super) origin: Option<String>,
    pub(super) protocols: Vec<String>,
    /// Empty where the request came by an extended CONNECT.
    pub(super) key: String,
    pub(super) extensions: Vec<Offer>,
}

impl ConnectionRequest {
    /// Returns who asks.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.http.peer()
    }

    /// Returns what is known of the connection below: addresses, TLS, the client's certificate.
    #[must_use]
    pub fn transport(&self) -> &TransportDetails {
        self.http.transport()
    }

    /// Returns the version of HTTP that the request came over: 1.1, or, mounted in a server of HTTP/2,
    /// 2 (RFC 8441). That of the WebSocket protocol is [`version`](Self::version).
    #[must_use]
    pub fn http_version(&self) -> Version {
        self.http.http_version()
    }

    /// Returns the target as it came, such as `/chat?room=1`.
    #[must_use]
    pub fn target(&self) -> &str {
        self.http.target()
    }

    /// Returns the path as it came, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.http.path()
    }

    /// Returns the query as it came, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.http.query()
    }

    /// Returns the parameters in the query, decoded, in their order.
    pub fn params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.http.params()
    }

    /// Returns the first parameter of this name in the query, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.http.param(name)
    }

    /// Returns what stands in the path where the route has this name in braces, decoded; `None`
    /// if the route has no such name.
    ///
    /// It may hold anything, also `..` and slashes: look at it before it becomes part of a file's
    /// name.
    #[must_use]
    pub fn path_param(&self, name: &str) -> Option<&str> {
        self.http.path_param(name)
    }

    /// Sets what the route found in the path.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "for routers"))]
    pub(crate) fn set_path_params(&mut self, params: Vec<(String, String)>) {
        self.http.set_path_params(params);
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.http.headers()
    }

    /// Returns the first header of this name, in any case; `None` if it is not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.http.header(name)
    }

    /// Returns the host that was asked for, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.http.host()
    }

    /// Returns the version of the protocol: 13, or 8 where that is enabled.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Returns the origin of the page that asks; only browsers send one (RFC 6455 §10.2).
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Returns the subprotocols offered, best first.
    #[must_use]
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// Returns the extensions offered.
    #[must_use]
    pub fn extensions(&self) -> &[Offer] {
        &self.extensions
    }

    /// Returns the first cookie of this name, without quotes around it (RFC 6265 §4.2).
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.http.cookie(name)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}
