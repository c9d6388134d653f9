//! The headers of a response that the client interprets, one function each (RFC 6455 §4.1).

use http::{HeaderMap, header};

use crate::extension::deflate::negotiate::{self, Offered, Settlement};
use crate::extension::{NegotiationError, Offer};
use crate::handshake::{HandshakeError, at_most_once, exactly_once, has_token, joined};

/// `Upgrade`: exactly once, `websocket` and nothing else.
pub(super) fn upgrade(headers: &HeaderMap) -> Result<(), HandshakeError> {
    let name = "upgrade";
    if exactly_once(headers, &header::UPGRADE, name)?.eq_ignore_ascii_case("websocket") {
        return Ok(());
    }
    Err(HandshakeError::InvalidHeader { name })
}

/// `Connection`: has `Upgrade`.
pub(super) fn connection(headers: &HeaderMap) -> Result<(), HandshakeError> {
    has_token(headers, &header::CONNECTION, ("connection", "upgrade"))
}

/// `Sec-WebSocket-Accept`: exactly once, that of our key.
pub(super) fn accept(headers: &HeaderMap, expected: Option<&str>) -> Result<(), HandshakeError> {
    let name = "sec-websocket-accept";
    if Some(exactly_once(headers, &header::SEC_WEBSOCKET_ACCEPT, name)?) != expected {
        return Err(HandshakeError::AcceptMismatch);
    }
    Ok(())
}

/// `Sec-WebSocket-Extensions`: only what was offered, at most one that compresses
/// (RFC 6455 §9.1, RFC 7692 §5.1).
pub(super) fn extensions(
    headers: &HeaderMap,
    offered: Option<&Offered>,
) -> Result<(Vec<Offer>, Option<Settlement>), HandshakeError> {
    let name = "sec-websocket-extensions";
    let Some(list) = joined(headers, &header::SEC_WEBSOCKET_EXTENSIONS, name)? else {
        return Ok((Vec::new(), None));
    };
    let extensions = Offer::parse_list(&list)?;
    let mut agreed = None;
    for extension in &extensions {
        let offered = offered.filter(|_| negotiate::is_deflate(extension));
        let offered = offered.ok_or(NegotiationError::NotOffered)?;
        if agreed.is_some() {
            return Err(NegotiationError::Repeated.into());
        }
        agreed = Some(offered.accept(extension)?);
    }
    Ok((extensions, agreed))
}

/// `Sec-WebSocket-Protocol`: at most once, one that was offered.
pub(super) fn protocol(
    headers: &HeaderMap,
    offered: &[String],
) -> Result<Option<String>, HandshakeError> {
    let name = "sec-websocket-protocol";
    let header = &header::SEC_WEBSOCKET_PROTOCOL;
    match at_most_once(headers, header, name)? {
        Some(protocol) if !offered.iter().any(|offer| offer == protocol) => {
            Err(HandshakeError::SubprotocolNotOffered)
        }
        protocol => Ok(protocol.map(ToOwned::to_owned)),
    }
}
