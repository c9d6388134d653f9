//! The client's side of the opening handshake (RFC 6455 §4.1).
//!
//! [`request`] makes the octets to send, [`check`] judges the answer against what was [`Sent`]. Over HTTP/2
//! the module `http2` does the same with values.

mod answer;
mod body;
mod connecting;
mod headers;
#[cfg(feature = "http2")]
pub mod http2;
mod redirect;
mod response;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, StatusCode, Version, header};

use super::url::{Url, UrlFault, default_port, host_header, resource};
use super::write::HeadWriter;
use super::{Agreed, HandshakeError, ResponseHead, accept_key};
use crate::extension::deflate::negotiate::Offered;
use crate::options::{ClientOptions, ExtraHeaders, authority, is_token};

pub use answer::AnswerReader;
pub use body::{BodyReader, ResponseBody};
pub use connecting::ConnectingRequest;
pub use redirect::{Journey, location};
pub use response::ConnectionResponse;

/// What a request asked for, to check the answer against.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `None` over HTTP/2, where there is no key.
    accept: Option<String>,
    protocols: Vec<String>,
    deflate: Option<Offered>,
}

/// Makes the request of an opening handshake (RFC 6455 §4.1).
///
/// The key is to be random and fresh for each connection. What `connecting` says goes before the
/// options.
///
/// ```
/// use motorway::{ClientOptions, Url, handshake::client};
///
/// let url: Url = "ws://example.com/chat".parse()?;
/// let (octets, _) = client::request(&url, &ClientOptions::default(), None, *b"the sample nonce")?;
/// assert!(octets.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Fails on a header, a host, a resource or a subprotocol that cannot be sent.
pub fn request(
    url: &Url,
    options: &ClientOptions,
    connecting: Option<&ConnectingRequest>,
    key: [u8; 16],
) -> Result<(Vec<u8>, Sent), HandshakeError> {
    let default = ConnectingRequest::default();
    let connecting = connecting.unwrap_or(&default);
    let resource = target(url, connecting)?;
    let protocols = protocols(options, connecting)?;
    let key = STANDARD.encode(key);

    let mut head = HeadWriter::request(&resource);
    head.header("Host", host(url, connecting)?);
    head.header("Upgrade", "websocket");
    head.header("Connection", "Upgrade");
    head.header("Pragma", "no-cache");
    head.header("Cache-Control", "no-cache");
    let user = UserHeaders::of(options, connecting)?;
    for (name, _, value) in user.own {
        head.header(name, value);
    }
    user.maps.into_iter().for_each(|map| head.headers(map));
    head.header("Sec-WebSocket-Key", &key);
    if !protocols.is_empty() {
        head.header("Sec-WebSocket-Protocol", protocols.join(", "));
    }
    let deflate = Offered::of(options);
    if let Some(offered) = &deflate {
        head.header("Sec-WebSocket-Extensions", offered.header());
    }
    let version = if options.version < 13 { "8" } else { "13" };
    head.header("Sec-WebSocket-Version", version);
    let sent = Sent {
        accept: Some(accept_key(&key)),
        protocols,
        deflate,
    };
    Ok((head.finish(b""), sent))
}

/// Checks the answer of a server (RFC 6455 §4.1).
///
/// In this order: status, version of HTTP, `Upgrade`, `Connection`, accept key, extensions,
/// subprotocol.
///
/// # Errors
///
/// Fails on another status than 101, as [`refused`] has it without a body, and on an answer that
/// does not fit what was asked.
pub fn check(
    head: ResponseHead,
    sent: &Sent,
) -> Result<(ConnectionResponse, Agreed), HandshakeError> {
    // Whoever refuses may speak HTTP/1.0.
    if head.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(head, ResponseBody::default()));
    }
    if head.version() != Version::HTTP_11 {
        return Err(HandshakeError::UnsupportedHttpVersion);
    }
    let headers = head.into_headers();
    headers::upgrade(&headers)?;
    headers::connection(&headers)?;
    headers::accept(&headers, sent.accept.as_deref())?;
    agree(headers, (StatusCode::SWITCHING_PROTOCOLS, sent))
}

/// Takes extensions and subprotocol out of an answer that opens the connection.
fn agree(
    headers: HeaderMap,
    (status, sent): (StatusCode, &Sent),
) -> Result<(ConnectionResponse, Agreed), HandshakeError> {
    let (extensions, deflate) = headers::extensions(&headers, sent.deflate.as_ref())?;
    let protocol = headers::protocol(&headers, &sent.protocols)?;
    let agreed = Agreed {
        subprotocol: protocol.clone(),
        deflate: deflate.map(|(parameters, _)| parameters),
        deflate_options: deflate.map(|(_, options)| options).unwrap_or_default(),
    };
    let response = ConnectionResponse::new((status, headers), protocol, extensions);
    Ok((response, agreed))
}

/// Makes the error of an answer with another status than 101, of which [`BodyReader`] reads the body.
#[must_use]
pub fn refused(head: ResponseHead, body: ResponseBody) -> HandshakeError {
    HandshakeError::Refused {
        status: head.status(),
        headers: head.into_headers(),
        body: Box::new(body),
    }
}

/// Returns path and query of a request.
fn target(url: &Url, connecting: &ConnectingRequest) -> Result<String, HandshakeError> {
    match &connecting.resource {
        Some(text) => Ok(resource(text)?),
        None => Ok(url.resource().to_owned()),
    }
}

/// Returns the subprotocols offered.
fn protocols(
    options: &ClientOptions,
    connecting: &ConnectingRequest,
) -> Result<Vec<String>, HandshakeError> {
    let protocols = connecting.protocols.as_ref();
    let protocols = protocols.unwrap_or(&options.common.protocols);
    if !protocols.iter().all(|protocol| is_token(protocol)) {
        let name = "sec-websocket-protocol";
        return Err(HandshakeError::InvalidHeader { name });
    }
    Ok(protocols.clone())
}

/// The headers of the user.
struct UserHeaders<'a> {
    /// Those that have options of their own, unless he sets them.
    own: Vec<(&'static str, HeaderName, &'a str)>,
    maps: [&'a HeaderMap; 2],
}

impl<'a> UserHeaders<'a> {
    fn of(
        options: &'a ClientOptions,
        connecting: &'a ConnectingRequest,
    ) -> Result<Self, HandshakeError> {
        let sets = [&options.common.headers, &connecting.headers];
        for set in sets {
            if let Some(name) = fault(set) {
                return Err(HandshakeError::HeaderRefused { name });
            }
        }
        let maps = sets.map(ExtraHeaders::map);
        let useragent = connecting.useragent.as_ref().or(options.useragent.as_ref());
        let origin = connecting.origin.as_ref().or(options.origin.as_ref());
        let origin_name = match options.version {
            ..=10 => "Sec-WebSocket-Origin",
            _ => "Origin",
        };
        let mut own = Vec::new();
        for (name, header, value) in [
            ("User-Agent", header::USER_AGENT, useragent),
            (origin_name, header::ORIGIN, origin),
        ] {
            let Some(value) = value else { continue };
            if !value.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
                let name = name.to_owned();
                return Err(HandshakeError::HeaderRefused { name });
            }
            if !maps.iter().any(|map| map.contains_key(&header)) {
                own.push((name, header, value.as_str()));
            }
        }
        Ok(Self { own, maps })
    }
}

/// Returns the name of the first header that a client may not set.
fn fault(headers: &ExtraHeaders) -> Option<String> {
    let host = headers.map().contains_key(header::HOST).then_some("host");
    headers.fault().or(host).map(ToOwned::to_owned)
}

/// Returns the value of `Host`.
fn host(url: &Url, connecting: &ConnectingRequest) -> Result<String, HandshakeError> {
    let host = connecting.host.as_deref().unwrap_or(url.host());
    let port = connecting.port.unwrap_or(url.port());
    match authority(host) {
        Some((_, None)) if port > 0 => {
            let default = default_port(url.is_secure());
            Ok(host_header(host, port, default))
        }
        _ => Err(UrlFault::Authority.into()),
    }
}
