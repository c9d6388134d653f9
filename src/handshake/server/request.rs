//! The request of a client, once it is known to be valid.

use std::borrow::Cow;

use http::HeaderMap;

use crate::extension::Offer;
use crate::handshake::TransportDetails;
use crate::peer::Peer;

/// A valid opening handshake of a client (RFC 6455 §4.2.1).
///
/// ```
/// use motorway::{ConnectionAccept, ConnectionDeny, ConnectionRequest, StatusCode};
///
/// fn on_connect(request: &ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> {
///     if request.path() != "/chat" {
///         return Err(StatusCode::NOT_FOUND.into());
///     }
///     request.cookie("sid").ok_or(ConnectionDeny::new(StatusCode::FORBIDDEN))?;
///     Ok(ConnectionAccept::select(request.protocols(), ["chat.v2", "chat.v1"]))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionRequest {
    pub(super) transport: TransportDetails,
    pub(super) target: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) host: String,
    pub(super) version: u8,
    pub(super) origin: Option<String>,
    pub(super) protocols: Vec<String>,
    pub(super) key: String,
    pub(super) extensions: Vec<Offer>,
    pub(super) headers: HeaderMap,
}

impl ConnectionRequest {
    /// Returns who asks.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.transport.peer()
    }

    /// Returns what is known of the connection below: addresses, TLS, the client's certificate.
    #[must_use]
    pub fn transport(&self) -> &TransportDetails {
        &self.transport
    }

    /// Returns the target as it came, such as `/chat?room=1`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the path as it came, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query as it came, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the parameters in the query, decoded, in their order.
    pub fn params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.query.as_deref().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// Returns the first parameter of this name in the query, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params()
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the first header of this name, in any case; `None` if it is not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the host that was asked for, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the version of the protocol: 13, or 8 where that is enabled.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Returns the origin of the page that asks; only browsers send one (RFC 6455 §10.2).
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Returns the subprotocols offered, best first.
    #[must_use]
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// Returns the extensions offered.
    #[must_use]
    pub fn extensions(&self) -> &[Offer] {
        &self.extensions
    }

    /// Returns the first cookie of this name, without quotes around it (RFC 6265 §4.2).
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(http::header::COOKIE).iter();
        let mut cookies = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b';'));
        cookies.find_map(|cookie| {
            let (found, value) = str::from_utf8(cookie).ok()?.trim().split_once('=')?;
            let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            (found == name).then_some(quoted.unwrap_or(value))
        })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// Decodes a name or value of a query, as forms encode them: `+` is a space.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        octets.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (octet, _) => *octet,
        });
    }
    Cow::Owned(String::from_utf8_lossy(&octets).into_owned())
}

fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}
