//! Percent-encoding (RFC 3986 §2.1), decoded.

use std::borrow::Cow;

/// Decodes a name or value of a query, as forms encode them: `+` is a space.
///
/// What is no UTF-8 is replaced.
pub(crate) fn form(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let octets = decode(&text.replace('+', " "));
    Cow::Owned(String::from_utf8_lossy(&octets).into_owned())
}

/// Decodes a part of a path; `None` if it is no UTF-8.
pub(crate) fn path(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(decode(text)).ok().map(Cow::Owned)
}

/// Decodes octets; a percent sign that begins none stands for itself.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        octets.push(match (first, tail) {
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
    octets
}

fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}
