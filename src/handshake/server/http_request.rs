//! A plain request of HTTP, and what every request has.

use std::borrow::Cow;

use http::{HeaderMap, Method, Version};

use crate::handshake::TransportDetails;
use crate::options::percent;
use crate::peer::Peer;

/// A request that asks for no WebSocket: of a browser for a page, of a monitor for a sign of life.
///
/// GET or HEAD, with a valid target and `Host`. A body, if there is one, is not read.
///
/// ```
/// use motorway::{HttpRequest, HttpResponse, StatusCode};
///
/// fn page(request: &HttpRequest) -> Option<HttpResponse> {
///     match request.path() {
///         "/" => Some(HttpResponse::html("<h1>Hello</h1>")),
///         "/health" => Some(HttpResponse::text("fine\n")),
///         _ => Some(StatusCode::NOT_FOUND.into()),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub(super) transport: TransportDetails,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) target: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) path_params: Vec<(String, String)>,
}

impl HttpRequest {
    /// Returns who asks.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.transport.peer()
    }

    /// Returns what is known of the connection below: addresses, TLS, the client's certificate.
    #[must_use]
    pub fn transport(&self) -> &TransportDetails {
        &self.transport
    }

    /// Returns the method, GET or HEAD; the body of a response to HEAD is left out by itself.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the version of HTTP: 1.1, or where the server is mounted also 2.
    #[must_use]
    pub fn http_version(&self) -> Version {
        self.version
    }

    /// Returns the target as it came, such as `/page?language=en`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the path as it came, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query as it came, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the parameters in the query, decoded, in their order.
    pub fn params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.query.as_deref().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent::form(name), percent::form(value))
        })
    }

    /// Returns the first parameter of this name in the query, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params()
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Returns what stands in the path where the route has this name in braces, decoded; `None`
    /// if the route has no such name.
    ///
    /// It may hold anything, also `..` and slashes: look at it before it becomes part of a file's
    /// name.
    #[must_use]
    pub fn path_param(&self, name: &str) -> Option<&str> {
        let mut params = self.path_params.iter();
        params.find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }

    /// Sets what the route found in the path.
    pub(crate) fn set_path_params(&mut self, params: Vec<(String, String)>) {
        self.path_params = params;
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

    /// Returns the host that was asked for, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the first cookie of this name, without quotes around it (RFC 6265 §4.2).
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(http::header::COOKIE).iter();
        let mut cookies = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b';'));
        cookies.find_map(|cookie| {
            let (found, value) = str::from_utf8(cookie).ok()?.trim().split_once('=')?;
            let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            (found == name).then_some(quoted.unwrap_or(value))
        })
    }
}
