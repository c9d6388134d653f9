//! How a request is denied.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::handshake::write::HeadWriter;
use crate::options::is_reserved;

/// Denies a connection with a status, and perhaps headers and a body (RFC 6455 §4.2.2).
///
/// ```
/// use motorway::{ConnectionDeny, StatusCode};
///
/// let deny = ConnectionDeny::new(StatusCode::UNAUTHORIZED)
///     .reason("no session")
///     .header("www-authenticate", "Basic realm=\"chat\"")
///     .body("log in first\n");
/// assert_eq!(deny.status(), StatusCode::UNAUTHORIZED);
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionDeny(Box<Denial>);

/// Boxed, since every `on_connect` returns room for it.
#[derive(Clone, Debug)]
struct Denial {
    status: StatusCode,
    reason: Option<String>,
    headers: HeaderMap,
    body: Option<Bytes>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ConnectionDeny {
    /// Denies with this status, 300 to 599; any other is sent as 500.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(Denial {
            status,
            reason: None,
            headers: HeaderMap::new(),
            body: None,
            source: None,
        }))
    }

    /// Denies with 500 for an error of the server, which is kept for its log and never sent.
    ///
    /// ```
    /// # use motorway::ConnectionDeny;
    /// let found = "x".parse::<u16>().map_err(ConnectionDeny::internal);
    /// assert!(found.unwrap_err().source_error().is_some());
    /// ```
    #[must_use]
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut deny = Self::new(StatusCode::INTERNAL_SERVER_ERROR);
        deny.0.source = Some(Arc::from(error.into()));
        deny
    }

    /// Sets the reason phrase; what is not printable ASCII is replaced, and all behind 128 octets
    /// is cut off.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Adds a header to the response.
    ///
    /// One that is not valid, or that belongs to the handshake or to the framing of HTTP, is left
    /// out: a denial denies in any case.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes());
        if let (Ok(name), Ok(value)) = (name, value.try_into())
            && !is_reserved(&name)
        {
            // Fails beyond 32,768 headers, which no client would take.
            self.0.headers.try_append(name, value).ok();
        }
        self
    }

    /// Sets the body, which is plain text unless a header says otherwise.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Returns the status that is sent.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.0.status.as_u16() {
            300..=599 => self.0.status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the error that led here, for the log.
    #[must_use]
    pub fn source_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

impl From<StatusCode> for ConnectionDeny {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

impl fmt::Display for ConnectionDeny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied with status {}", self.status().as_str())
    }
}

impl Error for ConnectionDeny {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}

/// Makes the response that denies a connection.
///
/// ```
/// use motorway::{ConnectionDeny, StatusCode, handshake::server};
///
/// let octets = server::deny(&ConnectionDeny::new(StatusCode::FORBIDDEN).reason("no session"));
/// assert!(octets.starts_with(b"HTTP/1.1 403 no session\r\n"));
/// ```
#[must_use]
pub fn deny(deny: &ConnectionDeny) -> Vec<u8> {
    let status = deny.status();
    let canonical = status.canonical_reason().unwrap_or("Denied");
    let reason = deny.0.reason.as_deref().map(printable);
    let reason = reason.unwrap_or_else(|| canonical.to_owned());
    let mut head = HeadWriter::response(status, &reason);
    head.headers(&deny.0.headers);
    let text = format!("{} {reason}\n", status.as_str());
    let body = match &deny.0.body {
        // RFC 9110 §15.4.5: a 304 ends with its head.
        _ if status == StatusCode::NOT_MODIFIED => b"",
        Some(body) => body.as_ref(),
        None => text.as_bytes(),
    };
    if !body.is_empty() && !deny.0.headers.contains_key(header::CONTENT_TYPE) {
        head.header("Content-Type", "text/plain; charset=utf-8");
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        head.header("Upgrade", "websocket");
    }
    head.header("Content-Length", body.len().to_string());
    head.header("Connection", "close");
    head.finish(body)
}

fn printable(text: &str) -> String {
    let printable = text.chars().map(|character| match character {
        ' '..='~' => character,
        _ => '?',
    });
    printable.take(MAX_REASON).collect()
}

/// The most octets of a reason phrase.
const MAX_REASON: usize = 128;
