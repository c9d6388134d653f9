//! HTTP/1.1 heads, as far as the opening handshake needs them (RFC 9112).
//!
//! `httparse` reads a head once it is complete. Before, every octet is looked at once, for its
//! line ends and the limits; what `httparse` lets through and is ambiguous is refused here.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::HandshakeError;
use crate::options::{ClientOptions, CommonOptions, ServerOptions};

/// How large a head may be; inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The most octets in all. Default: 32 KiB.
    pub size: usize,
    /// The most octets in a line, without its end. Default: 8 KiB.
    pub line: usize,
    /// The most headers. Default: 128.
    pub headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            size: 32 << 10,
            line: 8 << 10,
            headers: 128,
        }
    }
}

impl From<&ServerOptions> for HeadLimits {
    fn from(options: &ServerOptions) -> Self {
        Self::of(&options.common)
    }
}

impl From<&ClientOptions> for HeadLimits {
    fn from(options: &ClientOptions) -> Self {
        Self::of(&options.common)
    }
}

impl HeadLimits {
    fn of(options: &CommonOptions) -> Self {
        Self {
            size: options.max_header_size,
            line: options.max_header_line,
            headers: options.max_headers,
        }
    }
}

/// Finds the end of a head while it comes in.
///
/// Give it everything read so far, each time from the start of the head; it goes on where it
/// stopped. After an error it is not to be used again.
///
/// ```
/// use motorway::handshake::{HeadLimits, HeadReader};
///
/// let mut reader = HeadReader::new(HeadLimits::default());
/// assert!(reader.request(b"GET /chat HTTP/1.1\r\nHost: a")?.is_none());
/// let (head, length) = reader.request(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\nmore")?.unwrap();
/// assert_eq!((head.target(), length), ("/chat", 31));
/// # Ok::<(), motorway::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeadReader {
    limits: HeadLimits,
    offset: usize,
    line_start: usize,
    lines: usize,
}

impl HeadReader {
    /// Makes a reader of one head.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            offset: 0,
            line_start: 0,
            lines: 0,
        }
    }

    /// Reads a request; `None` until its head is complete, then with the length of the head.
    ///
    /// # Errors
    ///
    /// Fails on what is no head of HTTP/1, on what is ambiguous and on what is over the limits.
    pub fn request(
        &mut self,
        octets: &[u8],
    ) -> Result<Option<(RequestHead, usize)>, HandshakeError> {
        let Some(length) = self.find_end(octets, Kind::Request)? else {
            return Ok(None);
        };
        let mut space = Space::new();
        let mut request = httparse::Request::new(space.headers(self.lines));
        // One copy for all values, which are parts of it.
        let head = Bytes::copy_from_slice(octets.get(..length).unwrap_or_default());
        let parsed = (request.parse(&head)).map_err(|error| fault(error, &head))?;
        if parsed != httparse::Status::Complete(length) {
            return Err(HandshakeError::MalformedHead);
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(HandshakeError::MalformedHead);
        };
        let method = Method::from_bytes(method.as_bytes());
        let head = RequestHead {
            method: method.map_err(|_| HandshakeError::MalformedHead)?,
            target: target.to_owned(),
            version: version(minor),
            headers: header_map(request.headers, &head)?,
            protocol: None,
        };
        Ok(Some((head, length)))
    }

    /// Reads a response; `None` until its head is complete, then with the length of the head.
    ///
    /// # Errors
    ///
    /// Fails on what is no head of HTTP/1, on what is ambiguous and on what is over the limits.
    pub fn response(
        &mut self,
        octets: &[u8],
    ) -> Result<Option<(ResponseHead, usize)>, HandshakeError> {
        let Some(length) = self.find_end(octets, Kind::Response)? else {
            return Ok(None);
        };
        let mut space = Space::new();
        let mut response = httparse::Response::new(space.headers(self.lines));
        let head = Bytes::copy_from_slice(octets.get(..length).unwrap_or_default());
        let parsed = (response.parse(&head)).map_err(|error| fault(error, &head))?;
        if parsed != httparse::Status::Complete(length) {
            return Err(HandshakeError::MalformedHead);
        }
        let (Some(code), Some(minor)) = (response.code, response.version) else {
            return Err(HandshakeError::MalformedHead);
        };
        let head = ResponseHead {
            version: version(minor),
            status: StatusCode::from_u16(code).map_err(|_| HandshakeError::MalformedHead)?,
            headers: header_map(response.headers, &head)?,
        };
        Ok(Some((head, length)))
    }

    /// Looks for the empty line, from where it stopped; counts lines on the way.
    fn find_end(&mut self, octets: &[u8], kind: Kind) -> Result<Option<usize>, HandshakeError> {
        loop {
            let rest = octets.get(self.offset..).unwrap_or_default();
            let special = find_special(rest);
            self.offset += special.unwrap_or(rest.len());
            self.check_limits(kind)?;
            let next = octets.get(self.offset + 1);
            match (special.and_then(|at| rest.get(at)), next) {
                (None, _) | (Some(b'\r'), None) => return Ok(None),
                (Some(b'\r'), Some(b'\n')) => {}
                (Some(0), _) if octets.starts_with(POLICY_REQUEST) && kind == Kind::Request => {
                    return Err(HandshakeError::FlashPolicyRequest);
                }
                (Some(0), _) => return Err(HandshakeError::Nul),
                _ => return Err(HandshakeError::BareLineEnd),
            }
            let is_empty = self.offset == self.line_start;
            self.offset += 2;
            self.line_start = self.offset;
            if is_empty && self.lines == 0 {
                return Err(HandshakeError::MalformedHead);
            }
            if is_empty {
                return Ok(Some(self.offset));
            }
            self.lines += 1;
        }
    }

    fn check_limits(&self, kind: Kind) -> Result<(), HandshakeError> {
        let HeadLimits {
            size,
            line,
            headers,
        } = self.limits;
        let length = self.offset - self.line_start;
        match self.lines {
            0 if length > line && kind == Kind::Request => {
                Err(HandshakeError::TargetTooLong { limit: line })
            }
            _ if length > line => Err(HandshakeError::LineTooLong { limit: line }),
            lines if lines > headers && length > 0 => {
                Err(HandshakeError::TooManyHeaders { limit: headers })
            }
            // The two octets that end a head count too.
            _ if self.offset + 2 > size => Err(HandshakeError::HeadTooLarge { limit: size }),
            _ => Ok(()),
        }
    }
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    method: Method,
    target: String,
    version: Version,
    headers: HeaderMap,
    protocol: Option<String>,
}

impl RequestHead {
    /// Makes a head of parts that another HTTP stack has read.
    ///
    /// Over HTTP/2 the target is what `:path` says, and `Host` what `:authority` does.
    ///
    /// ```
    /// use motorway::handshake::RequestHead;
    /// use motorway::handshake::server::{self, Checked};
    /// use motorway::http::{HeaderMap, HeaderValue, Method, Version};
    /// use motorway::{Peer, ServerOptions, TransportDetails};
    ///
    /// let mut fields = HeaderMap::new();
    /// fields.insert("host", HeaderValue::from_static("example.com"));
    /// fields.insert("sec-websocket-version", HeaderValue::from_static("13"));
    /// let head = RequestHead::new(Method::CONNECT, "/chat".to_owned(), Version::HTTP_2, fields)
    ///     .with_protocol("websocket".to_owned());
    ///
    /// let details = TransportDetails::server(Peer::Unknown);
    /// match server::check(head, &ServerOptions::default(), details) {
    ///     Checked::Upgrade(request) => assert_eq!(request.http_version(), Version::HTTP_2),
    ///     other => panic!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn new(method: Method, target: String, version: Version, headers: HeaderMap) -> Self {
        Self {
            method,
            target,
            version,
            headers,
            protocol: None,
        }
    }

    /// Sets the protocol that an extended CONNECT asks for, `:protocol` (RFC 8441 §4). Default: none,
    /// which is that of every request over HTTP/1.1.
    #[must_use]
    pub fn with_protocol(mut self, protocol: impl Into<Option<String>>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// Returns the protocol that an extended CONNECT asks for (RFC 8441 §4).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Tells whether the request came over a version of HTTP that opens WebSockets by an extended
    /// CONNECT: HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220).
    pub(super) fn is_multiplexed(&self) -> bool {
        matches!(self.version, Version::HTTP_2 | Version::HTTP_3)
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the target as it came (RFC 9112 §3.2).
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn into_parts(self) -> (String, HeaderMap) {
        (self.target, self.headers)
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    version: Version,
    status: StatusCode,
    headers: HeaderMap,
}

impl ResponseHead {
    /// Returns the version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn into_headers(self) -> HeaderMap {
        self.headers
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Request,
    Response,
}

/// Finds the first octet that ends a line or must not be there.
pub(super) fn find_special(octets: &[u8]) -> Option<usize> {
    let (blocks, _) = octets.as_chunks();
    let harmless = blocks.iter().take_while(|block| {
        let block = u64::from_ne_bytes(**block);
        // The high bit of an octet is set in this if the octet is at most CR.
        block.wrapping_sub(ONES * u64::from(b'\r' + 1)) & !block & (ONES << 7) == 0
    });
    let start = harmless.count() * size_of::<u64>();
    let mut rest = octets.iter().skip(start);
    let found = rest.position(|octet| matches!(octet, b'\r' | b'\n' | 0));
    found.map(|at| start + at)
}

/// One in each octet.
const ONES: u64 = u64::MAX / 0xff;

fn version(minor: u8) -> Version {
    match minor {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    }
}

/// Where headers are while they are read; few need no allocation.
struct Space<'a> {
    few: [httparse::Header<'a>; FEW_HEADERS],
    many: Vec<httparse::Header<'a>>,
}

impl<'a> Space<'a> {
    fn new() -> Self {
        Self {
            few: [httparse::EMPTY_HEADER; FEW_HEADERS],
            many: Vec::new(),
        }
    }

    fn headers(&mut self, count: usize) -> &mut [httparse::Header<'a>] {
        match self.few.get_mut(..count) {
            Some(few) => few,
            None => {
                self.many.resize(count, httparse::EMPTY_HEADER);
                &mut self.many
            }
        }
    }
}

/// A browser sends about fifteen.
const FEW_HEADERS: usize = 20;

/// Makes a map of headers that were read in `head`; their values are parts of it.
fn header_map(headers: &[httparse::Header<'_>], head: &Bytes) -> Result<HeaderMap, HandshakeError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(HandshakeError::MalformedHead);
        };
        map.try_append(name, value)
            .map_err(|_| HandshakeError::MalformedHead)?;
    }
    Ok(map)
}

/// What Flash asks for before it opens a socket; the NUL ends it.
const POLICY_REQUEST: &[u8] = b"<policy-file-request/>\0";

/// Tells another version of HTTP from what is no HTTP at all.
fn fault(error: httparse::Error, head: &[u8]) -> HandshakeError {
    if error != httparse::Error::Version {
        return HandshakeError::MalformedHead;
    }
    let end = head.iter().position(|octet| *octet == b'\r');
    let line = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    let parts: Vec<_> = line.split(|octet| *octet == b' ').collect();
    match parts.as_slice() {
        [version, ..] if version.starts_with(b"HTTP/") => HandshakeError::UnsupportedHttpVersion,
        [b"GET", _, version] if version.starts_with(b"HTTP/") => {
            HandshakeError::UnsupportedHttpVersion
        }
        [_, _, version] if version.starts_with(b"HTTP/") => HandshakeError::UnsupportedMethod,
        _ => HandshakeError::MalformedHead,
    }
}
