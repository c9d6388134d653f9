//! Heads on their way out.
//!
//! The one place where text becomes octets of a head, so that no CR, LF or NUL gets past it.

use super::head::find_special;
use http::{HeaderMap, StatusCode};

/// A head under construction.
pub(super) struct HeadWriter(Vec<u8>);

impl HeadWriter {
    /// Starts a request.
    pub(super) fn request(resource: &str) -> Self {
        let mut head = Self(Vec::with_capacity(512));
        head.0.extend_from_slice(b"GET ");
        head.text(resource.as_bytes());
        head.0.extend_from_slice(b" HTTP/1.1\r\n");
        head
    }

    /// Starts a request for a tunnel to an authority.
    pub(super) fn connect(authority: &str) -> Self {
        let mut head = Self(Vec::with_capacity(256));
        head.0.extend_from_slice(b"CONNECT ");
        head.text(authority.as_bytes());
        head.0.extend_from_slice(b" HTTP/1.1\r\n");
        head
    }

    /// Starts the response that opens a connection.
    pub(super) fn switching_protocols() -> Self {
        let mut head = Self(Vec::with_capacity(512));
        head.fixed("HTTP/1.1 101 Switching Protocols");
        head
    }

    /// Starts a response.
    pub(super) fn response(status: StatusCode, reason: &str) -> Self {
        let mut head = Self(Vec::with_capacity(512));
        head.0.extend_from_slice(b"HTTP/1.1 ");
        head.text(status.as_str().as_bytes());
        head.0.push(b' ');
        head.text(reason.as_bytes());
        head.0.extend_from_slice(b"\r\n");
        head
    }

    /// Adds a header.
    pub(super) fn header(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.text(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.text(value.as_ref());
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds lines of our own, in which nothing has to be looked for.
    pub(super) fn fixed(&mut self, lines: &'static str) {
        self.0.extend_from_slice(lines.as_bytes());
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds headers, one line each.
    pub(super) fn headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.header(name.as_str(), value);
        }
    }

    /// Ends the head; a body may follow.
    pub(super) fn finish(mut self, body: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(body);
        self.0
    }

    fn text(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = find_special(rest) {
            let (before, from) = rest.split_at_checked(at).unwrap_or_default();
            self.0.extend_from_slice(before);
            rest = from.get(1..).unwrap_or_default();
        }
        self.0.extend_from_slice(rest);
    }
}
