//! The opening handshake (RFC 6455 §4), from octets to values and back.
//!
//! Pure: [`HeadReader`] takes what was read so far and says whether a head is complete;
//! [`server`] and [`client`] check heads and make the octets to send. Reading, writing, deadlines
//! and the random key are for the caller. What HTTP allows in more than one way is refused.

pub mod client;
mod error;
mod head;
mod proxy;
pub mod server;
mod transport_details;
pub mod tunnel;
mod url;
mod write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha1::{Digest, Sha1};

use crate::extension::deflate::DeflateParameters;
use crate::options::{DeflateOptions, is_token};

pub use error::HandshakeError;
pub use head::{HeadLimits, HeadReader, RequestHead, ResponseHead};
pub use proxy::ProxyHeader;
pub use transport_details::TransportDetails;
pub use url::{Url, UrlFault};

/// What both ends agreed on in the opening handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol, if there is one (RFC 6455 §1.9).
    pub subprotocol: Option<String>,
    /// How messages are compressed, if they are (RFC 7692).
    pub deflate: Option<DeflateParameters>,
    /// Our own options of compression that need no agreement: level, memory, threshold.
    pub deflate_options: DeflateOptions,
}

/// Computes `Sec-WebSocket-Accept` from `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
///
/// ```
/// use motorway::handshake::accept_key;
///
/// // The example of RFC 6455 §1.3.
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// Returns the value of a header that comes at most once, in ASCII.
fn at_most_once<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    text: &'static str,
) -> Result<Option<&'a str>, HandshakeError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(HandshakeError::RepeatedHeader { name: text });
    }
    ascii(value, text).map(Some)
}

/// Returns the value of a header that comes exactly once, in ASCII.
fn exactly_once<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    text: &'static str,
) -> Result<&'a str, HandshakeError> {
    at_most_once(headers, name, text)?.ok_or(HandshakeError::MissingHeader { name: text })
}

/// Returns the lines of a header that is a list, joined; `None` where there is none.
fn joined(
    headers: &HeaderMap,
    name: &HeaderName,
    text: &'static str,
) -> Result<Option<String>, HandshakeError> {
    let mut list: Option<String> = None;
    for value in headers.get_all(name) {
        let value = ascii(value, text)?;
        match &mut list {
            Some(list) => list.extend([", ", value]),
            None => list = Some(value.to_owned()),
        }
    }
    Ok(list)
}

/// Checks that a header that is a list of tokens has this one, in any case.
fn has_token(
    headers: &HeaderMap,
    name: &HeaderName,
    wanted: (&'static str, &str),
) -> Result<(), HandshakeError> {
    let (text, token) = wanted;
    let mut fault = HandshakeError::MissingHeader { name: text };
    let mut found = false;
    for value in headers.get_all(name) {
        // Most have just this one, so that there is nothing to be taken apart.
        if value.as_bytes().eq_ignore_ascii_case(token.as_bytes()) {
            found = true;
            continue;
        }
        let items = ascii(value, text)?.as_bytes().split(|octet| *octet == b',');
        let mut items = items.map(<[u8]>::trim_ascii);
        found |= items.any(|item| item.eq_ignore_ascii_case(token.as_bytes()));
        fault = HandshakeError::InvalidHeader { name: text };
    }
    match found {
        true => Ok(()),
        false => Err(fault),
    }
}

fn ascii<'a>(value: &'a HeaderValue, name: &'static str) -> Result<&'a str, HandshakeError> {
    value
        .to_str()
        .map_err(|_| HandshakeError::InvalidHeader { name })
}

/// Returns the tokens of a list, without empty elements; `None` if one of them is no token.
fn tokens(list: &str) -> Option<Vec<String>> {
    let items = list.split(',').map(|item| item.trim_matches([' ', '\t']));
    let items = items.filter(|item| !item.is_empty());
    items
        .map(|item| is_token(item).then(|| item.to_owned()))
        .collect()
}
