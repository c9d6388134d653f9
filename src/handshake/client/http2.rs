//! The client's side of the opening handshake over HTTP/2 (RFC 8441 §5): an extended CONNECT.
//!
//! Values in, values out: framing, HPACK and `:protocol`, which the `http` crate has no place for, belong
//! to who speaks HTTP/2. There is no key, no `Host`, no `Upgrade` and no `Connection`; all else is as over
//! HTTP/1.1.

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, response};

use super::{
    ConnectingRequest, ConnectionResponse, ResponseBody, Sent, UserHeaders, agree, host, protocols,
    target,
};
use crate::extension::deflate::negotiate::Offered;
use crate::handshake::url::UrlFault;
use crate::handshake::{Agreed, HandshakeError, HeadLimits, Url};
use crate::options::ClientOptions;

/// Makes the request of an opening handshake over HTTP/2 (RFC 8441 §5).
///
/// Whoever sends it adds `:protocol` with the value `websocket`. What `connecting` says goes before the
/// options. The version of the protocol is 13.
///
/// ```
/// use motorway::{ClientOptions, Url, handshake::client::http2};
///
/// let url: Url = "wss://server.example.com/chat".parse()?;
/// let (request, _) = http2::request(&url, &ClientOptions::default(), None)?;
/// assert_eq!(request.method(), "CONNECT");
/// assert_eq!(request.uri(), "https://server.example.com/chat");
/// assert_eq!(request.headers()["sec-websocket-version"], "13");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Fails on a header, a host, a resource or a subprotocol that cannot be sent, and where the option
/// `version` asks for a draft before 13, whose handshake HTTP/2 does not have.
pub fn request(
    url: &Url,
    options: &ClientOptions,
    connecting: Option<&ConnectingRequest>,
) -> Result<(Request<()>, Sent), HandshakeError> {
    let default = ConnectingRequest::default();
    let connecting = connecting.unwrap_or(&default);
    if options.version < 13 {
        return Err(HandshakeError::UnsupportedVersion);
    }
    let protocols = protocols(options, connecting)?;
    let deflate = Offered::of(options);
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri(url, connecting)?;
    let headers = request.headers_mut();
    if !protocols.is_empty() {
        add(
            headers,
            header::SEC_WEBSOCKET_PROTOCOL,
            &protocols.join(", "),
        )?;
    }
    if let Some(offered) = &deflate {
        let offer = offered.header();
        add(headers, header::SEC_WEBSOCKET_EXTENSIONS, &offer)?;
    }
    add(headers, header::SEC_WEBSOCKET_VERSION, "13")?;
    user_headers(headers, options, connecting)?;
    let sent = Sent {
        accept: None,
        protocols,
        deflate,
    };
    Ok((request, sent))
}

/// Checks the answer of a server over HTTP/2 (RFC 8441 §5).
///
/// In this order: status, size of the head, extensions, subprotocol.
///
/// # Errors
///
/// Fails on a status that is none of 200 to 299, as [`refused`] has it without a body, on an answer over
/// the limits, and on one that does not fit what was asked.
pub fn check(
    head: response::Parts,
    sent: &Sent,
    limits: HeadLimits,
) -> Result<(ConnectionResponse, Agreed), HandshakeError> {
    if !head.status.is_success() {
        return Err(refused(head, ResponseBody::default()));
    }
    limit(&head.headers, limits)?;
    agree(head.headers, (head.status, sent))
}

/// Makes the error of an answer with another status than 200 to 299.
#[must_use]
pub fn refused(head: response::Parts, body: ResponseBody) -> HandshakeError {
    HandshakeError::Refused {
        status: head.status,
        headers: head.headers,
        body: Box::new(body),
    }
}

fn uri(url: &Url, connecting: &ConnectingRequest) -> Result<Uri, HandshakeError> {
    let authority = Authority::try_from(host(url, connecting)?);
    let path = PathAndQuery::try_from(target(url, connecting)?);
    let scheme = if url.is_secure() { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.map_err(|_| UrlFault::Authority)?)
        .path_and_query(path.map_err(|_| HandshakeError::InvalidTarget)?);
    uri.build().map_err(|_| HandshakeError::InvalidTarget)
}

fn user_headers(
    headers: &mut HeaderMap,
    options: &ClientOptions,
    connecting: &ConnectingRequest,
) -> Result<(), HandshakeError> {
    let user = UserHeaders::of(options, connecting)?;
    for (_, name, value) in user.own {
        add(headers, name, value)?;
    }
    for (name, value) in user.maps.into_iter().flatten() {
        // RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing
        // connection-specific header fields."
        let is_hop = HOP_BY_HOP.contains(&name.as_str());
        if is_hop || headers.try_append(name, value.clone()).is_err() {
            let name = name.to_string();
            return Err(HandshakeError::HeaderRefused { name });
        }
    }
    Ok(())
}

/// Adds a header of the handshake's own.
fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), HandshakeError> {
    let refused = |name: HeaderName| HandshakeError::HeaderRefused {
        name: name.to_string(),
    };
    let Ok(value) = HeaderValue::from_str(value) else {
        return Err(refused(name));
    };
    match headers.try_append(name.clone(), value) {
        Ok(_) => Ok(()),
        Err(_) => Err(refused(name)),
    }
}

/// Holds a head to the limits that hold over HTTP/1.1, of which a line is a name and a value.
fn limit(headers: &HeaderMap, limits: HeadLimits) -> Result<(), HandshakeError> {
    if headers.len() > limits.headers {
        let limit = limits.headers;
        return Err(HandshakeError::TooManyHeaders { limit });
    }
    let lengths = headers.iter().map(|(name, value)| {
        let name = name.as_str().len();
        name + ": ".len() + value.len()
    });
    let (longest, all) = lengths.fold((0, 0), |(longest, all), length| {
        (length.max(longest), length + all)
    });
    if longest > limits.line {
        let limit = limits.line;
        return Err(HandshakeError::LineTooLong { limit });
    }
    if all > limits.size {
        let limit = limits.size;
        return Err(HandshakeError::HeadTooLarge { limit });
    }
    Ok(())
}

/// What RFC 9113 §8.2.2 bans, apart from what no user of the handshake may set.
const HOP_BY_HOP: [&str; 3] = ["keep-alive", "proxy-connection", "te"];
