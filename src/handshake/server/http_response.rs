//! The answer to a plain request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::server_header;
use crate::handshake::write::HeadWriter;
use crate::options::{ServerOptions, is_reserved};

/// The answer to a plain request; the connection is closed after it.
///
/// ```
/// use motorway::{HttpResponse, StatusCode};
///
/// let page = HttpResponse::html("<h1>Hello</h1>").header("cache-control", "no-store");
/// assert_eq!(page.status(), StatusCode::OK);
/// let elsewhere = HttpResponse::redirect("https://example.com/");
/// assert_eq!(elsewhere.status(), StatusCode::SEE_OTHER);
/// let missing = HttpResponse::from(StatusCode::NOT_FOUND).body("no such page\n");
/// assert_eq!(missing.status().as_u16(), 404);
/// ```
#[derive(Clone, Debug)]
pub struct HttpResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl HttpResponse {
    /// Answers with this status, 200 to 599, and no body; any other is sent as 500.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Answers with a page in HTML (200).
    #[must_use]
    pub fn html(page: impl Into<Bytes>) -> Self {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        Self::new(StatusCode::OK).of(kind, page.into())
    }

    /// Answers with plain text (200).
    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        Self::new(StatusCode::OK).of(kind, text.into())
    }

    /// Sends the browser to another URL (303); with 500 if the URL cannot be a header.
    ///
    /// Never make the URL from the request without a look at it.
    #[must_use]
    pub fn redirect(url: impl TryInto<HeaderValue>) -> Self {
        match url.try_into() {
            Ok(url) => Self::new(StatusCode::SEE_OTHER).header("location", url),
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Adds a header to the response.
    ///
    /// One that is not valid, or that belongs to the handshake or to the framing of HTTP, is left
    /// out.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes());
        if let (Ok(name), Ok(value)) = (name, value.try_into())
            && !is_reserved(&name)
        {
            // Fails beyond 32,768 headers, which no client would take.
            self.headers.try_append(name, value).ok();
        }
        self
    }

    /// Sets the body, which is plain text unless a header says otherwise.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns the status that is sent.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.status.as_u16() {
            200..=599 => self.status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn of(mut self, kind: HeaderValue, body: Bytes) -> Self {
        self.headers.insert(header::CONTENT_TYPE, kind);
        self.body(body)
    }
}

impl From<StatusCode> for HttpResponse {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

/// Makes the octets of the answer to a plain request of this method.
///
/// ```
/// use motorway::handshake::server;
/// use motorway::{HttpResponse, ServerOptions, http::Method};
///
/// let page = HttpResponse::text("hello");
/// let octets = server::respond(&Method::HEAD, &page, &ServerOptions::default().server(None));
/// assert!(octets.starts_with(b"HTTP/1.1 200 OK\r\n"));
/// assert!(octets.ends_with(b"Content-Length: 5\r\nConnection: close\r\n\r\n"));
/// ```
#[must_use]
pub fn respond(method: &Method, response: &HttpResponse, options: &ServerOptions) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Answered");
    let mut head = HeadWriter::response(status, reason);
    if !response.headers.contains_key(header::SERVER) {
        server_header(&mut head, options);
    }
    head.headers(&response.headers);
    // RFC 9110 §15.3.5, §15.3.6 and §15.4.5: these end with their head.
    let is_bodiless = matches!(status.as_u16(), 204 | 205 | 304);
    let body: &[u8] = if is_bodiless { b"" } else { &response.body };
    if !body.is_empty() && !response.headers.contains_key(header::CONTENT_TYPE) {
        head.header("Content-Type", "text/plain; charset=utf-8");
    }
    // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a
    // status code of 1xx (Informational) or 204 (No Content)."
    if status != StatusCode::NO_CONTENT {
        head.header("Content-Length", body.len().to_string());
    }
    head.header("Connection", "close");
    // RFC 9110 §9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send
    // content in the response."
    head.finish(if *method == Method::HEAD { b"" } else { body })
}
