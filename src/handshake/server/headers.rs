//! The headers of a request that the server interprets, one function each (RFC 6455 §4.2.1).

use std::collections::HashSet;

use http::{HeaderMap, header};

use super::SEC_WEBSOCKET_ORIGIN;
use crate::extension::Offer;
use crate::handshake::{HandshakeError, at_most_once, exactly_once, has_token, joined, tokens};
use crate::options::{Asked, ServerOptions, Verdict, authority};

/// `Host`: exactly once (RFC 9112 §3.2), that of the target if there is one, with the port
/// expected; returns it without the port.
pub(super) fn host(
    headers: &HeaderMap,
    target: Option<&str>,
    expected: Option<u16>,
) -> Result<String, HandshakeError> {
    let name = "host";
    let value = exactly_once(headers, &header::HOST, name)?;
    let (host, port) = authority(value).ok_or(HandshakeError::InvalidHeader { name })?;
    if target.is_some_and(|target| !target.eq_ignore_ascii_case(value)) {
        return Err(HandshakeError::InvalidTarget);
    }
    if let Some(expected) = expected {
        let fits = match port {
            Some(port) => port == expected,
            None => [80, 443].contains(&expected),
        };
        if !fits {
            return Err(HandshakeError::PortMismatch { expected });
        }
    }
    Ok(host.to_owned())
}

/// `Upgrade`: has `websocket`.
pub(super) fn upgrade(headers: &HeaderMap) -> Result<(), HandshakeError> {
    has_token(headers, &header::UPGRADE, ("upgrade", "websocket"))
}

/// `Connection`: has `Upgrade`.
pub(super) fn connection(headers: &HeaderMap) -> Result<(), HandshakeError> {
    has_token(headers, &header::CONNECTION, ("connection", "upgrade"))
}

/// `Content-Length` and `Transfer-Encoding`: no body, which could be taken for frames.
pub(super) fn body(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let length = at_most_once(headers, &header::CONTENT_LENGTH, "content-length")?;
    if headers.contains_key(header::TRANSFER_ENCODING) || !matches!(length, None | Some("0")) {
        return Err(HandshakeError::UnexpectedBody);
    }
    Ok(())
}

/// `Sec-WebSocket-Version`: exactly once, a number, enabled (RFC 6455 §4.4).
pub(super) fn version(headers: &HeaderMap, enabled: &[u8]) -> Result<u8, HandshakeError> {
    let name = "sec-websocket-version";
    let value = exactly_once(headers, &header::SEC_WEBSOCKET_VERSION, name)?;
    let is_digits = value.bytes().all(|octet| octet.is_ascii_digit());
    // RFC 6455 §4.3: 0 to 255, without leading zeros.
    if !is_digits || (value.len() > 1 && value.starts_with('0')) {
        return Err(HandshakeError::InvalidHeader { name });
    }
    let version = value
        .parse()
        .map_err(|_| HandshakeError::InvalidHeader { name })?;
    if !enabled.contains(&version) {
        return Err(HandshakeError::UnsupportedVersion);
    }
    Ok(version)
}

/// `Sec-WebSocket-Protocol`: a list of tokens, none twice (RFC 6455 §4.1).
pub(super) fn protocols(headers: &HeaderMap) -> Result<Vec<String>, HandshakeError> {
    let name = "sec-websocket-protocol";
    let Some(list) = joined(headers, &header::SEC_WEBSOCKET_PROTOCOL, name)? else {
        return Ok(Vec::new());
    };
    let protocols = tokens(&list).filter(|protocols| {
        let mut seen = HashSet::new();
        !protocols.is_empty() && protocols.iter().all(|protocol| seen.insert(protocol))
    });
    protocols.ok_or(HandshakeError::InvalidHeader { name })
}

/// `Origin`, in version 8 also `Sec-WebSocket-Origin`: each at most once, the same if there are both,
/// an origin, allowed (RFC 6455 §10.2).
///
/// The header has its name since draft 11, whose version is 8 as well.
pub(super) fn origin(
    headers: &HeaderMap,
    (version, scheme): (u8, &'static str),
    options: &ServerOptions,
) -> Result<Option<String>, HandshakeError> {
    let plain = at_most_once(headers, &header::ORIGIN, "origin")?;
    let name = "sec-websocket-origin";
    let draft = match version {
        8 => at_most_once(headers, &SEC_WEBSOCKET_ORIGIN, name)?,
        _ => None,
    };
    let (origin, name) = match (plain, draft) {
        (Some(plain), Some(draft)) if plain != draft => {
            return Err(HandshakeError::InvalidHeader { name });
        }
        (_, Some(draft)) => (draft, name),
        (Some(plain), None) => (plain, "origin"),
        (None, None) => return Ok(None),
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let asked = host.map(|authority| Asked { authority, scheme });
    let allowed = options.allowed_origins.as_ref();
    match allowed.map(|allowed| allowed.verdict(origin, options.allow_null_origin, asked)) {
        Ok(Verdict::Allowed) => Ok(Some(origin.to_owned())),
        Ok(Verdict::Malformed) => Err(HandshakeError::InvalidHeader { name }),
        Ok(Verdict::Refused) | Err(_) => Err(HandshakeError::OriginRefused),
    }
}

/// `Sec-WebSocket-Key`: exactly once, 16 octets in base64.
pub(super) fn key(headers: &HeaderMap) -> Result<String, HandshakeError> {
    let name = "sec-websocket-key";
    let key = exactly_once(headers, &header::SEC_WEBSOCKET_KEY, name)?;
    let is_base64 = |octet: u8| octet.is_ascii_alphanumeric() || b"+/".contains(&octet);
    // Not decoded, since the key in RFC 6455 §4.1 itself has bits set in its last octet that are
    // to be zero.
    match key.strip_suffix("==") {
        Some(digits) if digits.len() == 22 && digits.bytes().all(is_base64) => Ok(key.to_owned()),
        _ => Err(HandshakeError::InvalidHeader { name }),
    }
}

/// `Sec-WebSocket-Extensions`: a list, which may be split over lines (RFC 6455 §9.1).
pub(super) fn extensions(headers: &HeaderMap) -> Result<Vec<Offer>, HandshakeError> {
    let name = "sec-websocket-extensions";
    match joined(headers, &header::SEC_WEBSOCKET_EXTENSIONS, name)? {
        Some(list) => Ok(Offer::parse_list(&list)?),
        None => Ok(Vec::new()),
    }
}
