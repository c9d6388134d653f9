//! The server's side of the opening handshake (RFC 6455 §4.2).
//!
//! [`check`] judges a request; [`accept`], [`deny`], [`refuse`] and [`unavailable`] make the octets
//! of the answer, [`respond`] and [`status_page`] those to a plain request of HTTP. [`into_http`]
//! turns these octets into a response for another HTTP stack.

mod accept;
mod basic_auth;
mod deny;
mod fields;
mod forwarded;
mod headers;
mod http_request;
mod http_response;
mod page;
mod request;
mod route;
mod target;

use http::{HeaderName, Method, StatusCode, Version, header};

use super::write::HeadWriter;
use super::{Agreed, HandshakeError, RequestHead, TransportDetails, accept_key};
use crate::extension::deflate::negotiate;
use crate::options::ServerOptions;
use crate::peer::Peer;

pub use accept::ConnectionAccept;
pub use basic_auth::BasicAuth;
pub use deny::{ConnectionDeny, deny};
pub use fields::into_http;
#[cfg(feature = "hyper")]
pub(crate) use fields::{octets_of, reason};
pub use http_request::HttpRequest;
pub use http_response::{HttpResponse, respond};
pub use page::{refuse, status_page, unavailable};
pub use request::ConnectionRequest;
pub use route::RoutePattern;

/// What came of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Checked {
    /// A valid opening handshake, to be accepted or denied.
    Upgrade(Box<ConnectionRequest>),
    /// A plain request; it is to be answered with [`respond`] or [`status_page`], and the
    /// connection closed.
    Http(Box<HttpRequest>),
    /// Not acceptable; the response is to be sent and the connection closed.
    #[non_exhaustive]
    Refused {
        /// Why, for the log.
        error: HandshakeError,
        /// What to send.
        response: Vec<u8>,
    },
}

/// Checks the opening handshake of a client (RFC 6455 §4.2.1).
///
/// In Autobahn's order: method, version of HTTP, target, `Host`, `Upgrade`, `Connection`, body,
/// version of the protocol, subprotocols, origin, key, extensions.
///
/// Over HTTP/2 an extended CONNECT for `websocket` takes the place of `Upgrade`, `Connection` and
/// the key (RFC 8441 §5); another method is a plain request there.
///
/// ```
/// use motorway::handshake::{HeadLimits, HeadReader, server::{self, Checked}};
/// use motorway::{ConnectionAccept, Peer, ServerOptions};
///
/// let octets = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n";
/// let (head, _) = HeadReader::new(HeadLimits::default()).request(octets)?.unwrap();
/// let options = ServerOptions::default();
/// let Checked::Upgrade(request) = server::check(head, &options, Peer::Unknown) else {
///     panic!("not an opening handshake");
/// };
/// assert_eq!(request.path(), "/chat");
/// let (response, agreed) = server::accept(&request, &ConnectionAccept::new(), &options)?;
/// assert!(response.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// assert!(agreed.subprotocol.is_none());
/// # Ok::<(), motorway::HandshakeError>(())
/// ```
#[must_use]
pub fn check(
    head: RequestHead,
    options: &ServerOptions,
    transport: impl Into<TransportDetails>,
) -> Checked {
    examine(head, options, transport.into()).unwrap_or_else(|error| Checked::Refused {
        response: refuse(&error, options),
        error,
    })
}

/// Makes the response that opens the connection (RFC 6455 §4.2.2).
///
/// To an extended CONNECT it is a 200 without key and `Upgrade` (RFC 8441 §5); [`into_http`] makes
/// fields of it.
///
/// # Errors
///
/// Fails if the subprotocol chosen was not offered, or if a header is not valid or is one of the
/// handshake's own: faults of the caller, for which the client is to get [`refuse`], a 500.
pub fn accept(
    request: &ConnectionRequest,
    accept: &ConnectionAccept,
    options: &ServerOptions,
) -> Result<(Vec<u8>, Agreed), HandshakeError> {
    for headers in [&options.common.headers, &accept.headers] {
        if let Some(name) = headers.fault() {
            let name = name.to_owned();
            return Err(HandshakeError::HeaderRefused { name });
        }
    }
    let protocol = accept.protocol.as_ref();
    if protocol.is_some_and(|protocol| !request.protocols().contains(protocol)) {
        return Err(HandshakeError::SubprotocolNotOffered);
    }
    let deflate = negotiate::settle(request.extensions(), options);

    let is_upgrade = request.http.method != Method::CONNECT;
    let mut head = match is_upgrade {
        true => HeadWriter::switching_protocols(),
        false => HeadWriter::response(StatusCode::OK, "OK"),
    };
    server_header(&mut head, options);
    if is_upgrade {
        head.fixed("Upgrade: websocket\r\nConnection: Upgrade");
    }
    head.headers(options.common.headers.map());
    head.headers(accept.headers.map());
    if let Some(protocol) = protocol {
        head.header("Sec-WebSocket-Protocol", protocol);
    }
    if is_upgrade {
        head.header("Sec-WebSocket-Accept", accept_key(request.key()));
    }
    if let Some(settled) = &deflate {
        head.header("Sec-WebSocket-Extensions", settled.answer.to_string());
    }
    let agreed = Agreed {
        subprotocol: protocol.cloned(),
        deflate: deflate.as_ref().map(|settled| settled.parameters),
        deflate_options: deflate.map(|settled| settled.options).unwrap_or_default(),
    };
    Ok((head.finish(b""), agreed))
}

/// Reads a request that this end has made, as the server will see it; what cannot be read of it, for
/// its maker may have put anything in, is left empty.
#[cfg(feature = "tokio")]
pub(crate) fn sent(request: &[u8], transport: TransportDetails) -> ConnectionRequest {
    let limits = super::HeadLimits {
        size: usize::MAX,
        line: usize::MAX,
        headers: usize::MAX,
    };
    let head = super::HeadReader::new(limits).request(request);
    let (target, headers) = match head {
        Ok(Some((head, _))) => head.into_parts(),
        _ => Default::default(),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (target.clone(), None),
    };
    let version = headers::version(&headers, &[8, 13]).unwrap_or(13);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).or_else(|| text(SEC_WEBSOCKET_ORIGIN));
    ConnectionRequest {
        version,
        origin: origin.map(str::to_owned),
        protocols: headers::protocols(&headers).unwrap_or_default(),
        key: headers::key(&headers).unwrap_or_default(),
        extensions: headers::extensions(&headers).unwrap_or_default(),
        http: HttpRequest {
            transport,
            method: Method::GET,
            version: Version::HTTP_11,
            path,
            query,
            target,
            host: headers::host(&headers, None, None).unwrap_or_default(),
            headers,
            path_params: Vec::new(),
        },
    }
}

fn examine(
    head: RequestHead,
    options: &ServerOptions,
    mut transport: TransportDetails,
) -> Result<Checked, HandshakeError> {
    let is_multiplexed = head.is_multiplexed();
    let method = head.method().clone();
    let is_plain = match is_multiplexed {
        true => method != Method::CONNECT,
        false => !head.headers().contains_key(header::UPGRADE),
    };
    let fits = match (is_plain, is_multiplexed) {
        (true, _) => [Method::GET, Method::HEAD].contains(&method),
        // Without a protocol it is for a proxy (RFC 9113 §8.5).
        (false, true) => head.protocol().is_some(),
        (false, false) => method == Method::GET,
    };
    if !fits {
        return Err(HandshakeError::UnsupportedMethod);
    }
    if !is_multiplexed && head.version() != Version::HTTP_11 {
        return Err(HandshakeError::UnsupportedHttpVersion);
    }
    let version = head.version();
    if !is_plain && is_multiplexed && head.protocol() != Some("websocket") {
        return Err(HandshakeError::UnsupportedProtocol);
    }
    let (target, headers) = head.into_parts();
    let resource = target::parse(&target)?;
    let host = headers::host(&headers, resource.authority, options.external_port)?;
    let (path, query) = (resource.path.to_owned(), resource.query.map(str::to_owned));
    if let Some(peer) = forwarded::peer(&headers, options) {
        transport.set_peer(peer);
    }
    let http = HttpRequest {
        transport,
        method,
        version,
        path,
        query,
        target,
        host,
        headers,
        path_params: Vec::new(),
    };
    if is_plain {
        return Ok(Checked::Http(Box::new(http)));
    }
    upgrade(http, options)
}

/// Checks what a request for an upgrade has besides.
fn upgrade(http: HttpRequest, options: &ServerOptions) -> Result<Checked, HandshakeError> {
    let headers = &http.headers;
    let is_upgrade = http.method != Method::CONNECT;
    if is_upgrade {
        headers::upgrade(headers)?;
        headers::connection(headers)?;
    }
    headers::body(headers)?;
    // RFC 8441 §5 knows no other version.
    let versions = if is_upgrade {
        options.versions.as_slice()
    } else {
        &[13]
    };
    let version = headers::version(headers, versions)?;
    let protocols = headers::protocols(headers)?;
    let scheme = match http.transport.is_secure() {
        true => "https",
        false => "http",
    };
    let origin = headers::origin(headers, (version, scheme), options)?;
    let key = if is_upgrade {
        headers::key(headers)?
    } else {
        String::new()
    };
    let extensions = headers::extensions(headers)?;
    Ok(Checked::Upgrade(Box::new(ConnectionRequest {
        http,
        version,
        origin,
        protocols,
        key,
        extensions,
    })))
}

/// Returns who asked the trusted proxies, if the head tells.
#[cfg_attr(
    not(any(feature = "tokio", feature = "blocking")),
    expect(dead_code, reason = "for servers")
)]
pub(crate) fn forwarded_peer(head: &RequestHead, options: &ServerOptions) -> Option<Peer> {
    forwarded::peer(head.headers(), options)
}

/// Returns the path of a request, without the query; `None` if the target is not valid.
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "for routers"))]
pub(crate) fn path_of(head: &RequestHead) -> Option<&str> {
    target::parse(head.target()).ok().map(|target| target.path)
}

/// Adds `Server`, unless the user has a header of that name.
fn server_header(head: &mut HeadWriter, options: &ServerOptions) {
    let own = options.common.headers.map().contains_key(header::SERVER);
    if let (Some(server), false) = (&options.server, own) {
        head.header("Server", server);
    }
}

const SEC_WEBSOCKET_ORIGIN: HeaderName = HeaderName::from_static("sec-websocket-origin");
