//! What one connection asks for, apart from the options.

use http::HeaderValue;

use crate::options::ExtraHeaders;

/// Changes the request of one connection; what is not set comes from the URL and the options.
///
/// ```
/// use motorway::{ClientOptions, ConnectingRequest, Url, handshake::client};
///
/// let url: Url = "ws://127.0.0.1:9000/".parse()?;
/// let connecting = ConnectingRequest::new()
///     .host("chat.example.com")
///     .port(80)
///     .resource("/room/7")
///     .header("authorization", "Bearer 0123");
/// let options = ClientOptions::default();
/// let (octets, _) = client::request(&url, &options, Some(&connecting), [0; 16])?;
/// assert!(octets.starts_with(b"GET /room/7 HTTP/1.1\r\nHost: chat.example.com\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConnectingRequest {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) resource: Option<String>,
    pub(super) headers: ExtraHeaders,
    pub(super) useragent: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) protocols: Option<Vec<String>>,
}

impl ConnectingRequest {
    /// Changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the host in `Host`, without a port.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the port in `Host`, 1 to 65535.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets path and query.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Adds a header to those of the options.
    ///
    /// One that is not valid, or that is the handshake's own, fails the handshake.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.headers.append(name.as_ref(), value);
        self
    }

    /// Sets `User-Agent`.
    #[must_use]
    pub fn useragent(mut self, useragent: impl Into<String>) -> Self {
        self.useragent = Some(useragent.into());
        self
    }

    /// Sets `Origin`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets the subprotocols offered, best first.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.protocols = Some(protocols.into_iter().map(Into::into).collect());
        self
    }
}
