//! Responses for another HTTP stack, which frames them itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Version, header};

#[cfg(feature = "hyper")]
use crate::handshake::RequestHead;
use crate::handshake::{HandshakeError, HeadLimits, HeadReader};

/// Makes fields of the octets of a response, for an HTTP stack that takes it in this form, with the
/// version of the request.
///
/// `Connection` is left to that stack, but where there is `Upgrade`. HTTP/2 has neither, nor other
/// headers of a connection (RFC 9113 §8.2.2), nor therefore 426, which becomes 400. `Content-Length`
/// stays. The reason phrase is lost.
///
/// ```
/// use motorway::http::Version;
/// use motorway::{ConnectionDeny, StatusCode, handshake::server};
///
/// let octets = server::deny(&ConnectionDeny::new(StatusCode::FORBIDDEN).body("no session\n"));
/// let response = server::into_http(&octets, Version::HTTP_11)?;
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.body(), "no session\n");
/// # Ok::<(), motorway::HandshakeError>(())
/// ```
///
/// # Errors
///
/// Fails on what is no response of HTTP/1.1.
pub fn into_http(octets: &[u8], version: Version) -> Result<Response<Bytes>, HandshakeError> {
    let limits = HeadLimits {
        size: usize::MAX,
        line: usize::MAX,
        headers: usize::MAX,
    };
    let read = HeadReader::new(limits).response(octets)?;
    let (head, length) = read.ok_or(HandshakeError::MalformedHead)?;
    let body = octets.get(length..).unwrap_or_default();
    let mut status = head.status();
    let mut headers = head.into_headers();
    headers.remove(header::CONNECTION);
    if !matches!(version, Version::HTTP_10 | Version::HTTP_11) {
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            status = StatusCode::BAD_REQUEST;
        }
    } else if headers.contains_key(header::UPGRADE) {
        let upgrade = HeaderValue::from_static("upgrade");
        headers.insert(header::CONNECTION, upgrade);
    }
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What HTTP/2 must not have, besides `Connection`.
const HOP_BY_HOP: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Makes octets of the head of a request, as HTTP/1.1 would have them.
#[cfg(feature = "hyper")]
pub(crate) fn octets_of(head: &RequestHead) -> Vec<u8> {
    let line = format!(
        "{} {} {:?}\r\n",
        head.method(),
        head.target(),
        head.version()
    );
    let mut octets = line.into_bytes();
    for (name, value) in head.headers() {
        octets.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    octets.extend(b"\r\n");
    octets
}

/// Returns the reason phrase of a response.
#[cfg(feature = "hyper")]
pub(crate) fn reason(octets: &[u8]) -> &[u8] {
    let line = octets.split(|octet| *octet == b'\r').next();
    let line = line.unwrap_or_default();
    line.splitn(3, |octet| *octet == b' ')
        .nth(2)
        .unwrap_or_default()
}
