//! A request that another HTTP server has read.

use super::carrier::{Answer, HttpCarrier};
use crate::handshake::{HandshakeError, RequestHead, TransportDetails};
use crate::peer::Peer;
use crate::server;
use http::request::Parts;
use http::uri::Scheme;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

/// What an opening handshake needs of a request.
pub(super) struct Asked {
    head: RequestHead,
    details: TransportDetails,
    upgrade: Option<OnUpgrade>,
}

impl Asked {
    /// Takes the way to upgrade out of a request, and copies the rest.
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        let upgrade = request.extensions_mut().remove();
        let line = (request.method(), request.uri(), request.version());
        Self {
            head: head(line, request.headers(), request.extensions()),
            details: details(line, request.extensions()),
            upgrade,
        }
    }

    /// As [`of`](Self::of).
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "for the extractor"))]
    pub(super) fn of_parts(parts: &mut Parts) -> Self {
        let upgrade = parts.extensions.remove();
        let line = (&parts.method, &parts.uri, parts.version);
        Self {
            head: head(line, &parts.headers, &parts.extensions),
            details: details(line, &parts.extensions),
            upgrade,
        }
    }

    /// Tells whether it asks for another protocol at all; whether it is a valid request for a
    /// WebSocket is seen later.
    pub(super) fn is_plain(&self) -> bool {
        let upgrades = self.head.headers().contains_key(header::UPGRADE);
        !upgrades && self.head.method() != Method::CONNECT
    }

    /// Fails if the server that has read the request gives no way to upgrade it.
    ///
    /// None does for HTTP/1.0, which is the client's fault, and refused as such later.
    pub(super) fn check_upgrade(&self) -> Result<(), HandshakeError> {
        let is_allowed = self.head.version() >= Version::HTTP_11;
        match is_allowed && self.upgrade.is_none() && !self.is_plain() {
            true => Err(HandshakeError::NotUpgradable),
            false => Ok(()),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.head.version()
    }

    pub(super) fn carried(self) -> (server::Request<HttpCarrier>, Answer) {
        let (carrier, answer) = HttpCarrier::new(self.upgrade, &self.head);
        let request = server::Request {
            head: self.head,
            details: self.details,
            carrier,
        };
        (request, answer)
    }
}

/// Method, URI and version.
type Line<'a> = (&'a Method, &'a Uri, Version);

fn head((method, uri, version): Line<'_>, fields: &HeaderMap, more: &Extensions) -> RequestHead {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = fields.clone();
    let mut target = match version {
        Version::HTTP_2 | Version::HTTP_3 => path.to_owned(),
        _ => uri.to_string(),
    };
    // RFC 9113 §8.3.1: `:authority` stands for `Host`.
    if let (Version::HTTP_2 | Version::HTTP_3, Some(authority)) = (version, uri.authority()) {
        match headers.get(header::HOST) {
            None => {
                if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
                    headers.insert(header::HOST, host);
                }
            }
            Some(host)
                if host
                    .as_bytes()
                    .eq_ignore_ascii_case(authority.as_str().as_bytes()) => {}
            // As a whole URL it is refused, since the two differ.
            Some(_) => target = uri.to_string(),
        }
    }
    let protocol = more.get::<Protocol>();
    let protocol = protocol.map(|protocol| protocol.as_str().to_owned());
    RequestHead::new(method.clone(), target, version, headers).with_protocol(protocol)
}

/// Who asks: as the user says in an extension, or as axum does.
fn details((_, uri, version): Line<'_>, more: &Extensions) -> TransportDetails {
    if let Some(details) = more.get::<TransportDetails>() {
        return details.clone();
    }
    let peer = more.get::<Peer>().cloned();
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| super::axum::peer(more));
    let details = TransportDetails::server(peer.unwrap_or_default());
    // RFC 9113 §8.3.1. The absolute form of HTTP/1.1 is for proxies, and says nothing of the connection.
    let has_scheme = matches!(version, Version::HTTP_2 | Version::HTTP_3);
    match has_scheme && uri.scheme() == Some(&Scheme::HTTPS) {
        true => details.secure(),
        false => details,
    }
}
