//! The client's side of the opening handshake (RFC 6455 §4.1).
//!
//! [`request`] makes the octets to send, [`check`] judges the answer against what was [`Sent`].

mod answer;
mod body;
mod connecting;
mod headers;
mod redirect;
mod response;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, Version, header};

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
    accept: String,
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
    let resource = match &connecting.resource {
        Some(text) => resource(text)?,
        None => url.resource().to_owned(),
    };
    let protocols = connecting.protocols.as_ref();
    let protocols = protocols.unwrap_or(&options.common.protocols).clone();
    if !protocols.iter().all(|protocol| is_token(protocol)) {
        let name = "sec-websocket-protocol";
        return Err(HandshakeError::InvalidHeader { name });
    }
    let key = STANDARD.encode(key);

    let mut head = HeadWriter::request(&resource);
    head.header("Host", host(url, connecting)?);
    head.header("Upgrade", "websocket");
    head.header("Connection", "Upgrade");
    head.header("Pragma", "no-cache");
    head.header("Cache-Control", "no-cache");
    user_headers(&mut head, options, connecting)?;
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
        accept: accept_key(&key),
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
    headers::accept(&headers, &sent.accept)?;
    let (extensions, deflate) = headers::extensions(&headers, sent.deflate.as_ref())?;
    let protocol = headers::protocol(&headers, &sent.protocols)?;
    let agreed = Agreed {
        subprotocol: protocol.clone(),
        deflate: deflate.map(|(parameters, _)| parameters),
        deflate_options: deflate.map(|(_, options)| options).unwrap_or_default(),
    };
    let response = ConnectionResponse::new(headers, protocol, extensions);
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

/// Adds the headers of the user, and those that have options of their own unless he sets them.
fn user_headers(
    head: &mut HeadWriter,
    options: &ClientOptions,
    connecting: &ConnectingRequest,
) -> Result<(), HandshakeError> {
    let sets = [&options.common.headers, &connecting.headers];
    for set in sets {
        if let Some(name) = fault(set) {
            return Err(HandshakeError::HeaderRefused { name });
        }
    }
    let maps: [&HeaderMap; 2] = sets.map(ExtraHeaders::map);
    let useragent = connecting.useragent.as_ref().or(options.useragent.as_ref());
    let origin = connecting.origin.as_ref().or(options.origin.as_ref());
    let origin_name = match options.version {
        ..=10 => "Sec-WebSocket-Origin",
        _ => "Origin",
    };
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
            head.header(name, value);
        }
    }
    maps.into_iter().for_each(|map| head.headers(map));
    Ok(())
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
