//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: who asked the proxies in front of the server.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::options::ServerOptions;
use crate::peer::Peer;

/// Returns the address that the outermost of the trusted proxies has seen: that many from the right,
/// or the first if there are fewer. `None` where the header is missing, or has something else than
/// an address at that place, which may also have a port.
pub(super) fn peer(headers: &HeaderMap, options: &ServerOptions) -> Option<Peer> {
    let found = match (options.trust_x_forwarded_for, options.trust_forwarded) {
        (0, 0) => return None,
        (0, hops) => nth(headers, &header::FORWARDED, (hops, elements)),
        (hops, _) => nth(headers, &X_FORWARDED_FOR, (hops, entries)),
    };
    address(&found?).map(Peer::Forwarded)
}

/// Takes a line apart; `None` stands for an entry without an address.
type Split = fn(&HeaderValue) -> Vec<Option<String>>;

/// Returns the entry so many from the right, or the first if there are fewer.
fn nth(headers: &HeaderMap, name: &HeaderName, (hops, split): (u32, Split)) -> Option<String> {
    // A proxy may add a line of its own rather than to the one that is there.
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let entries = lines.into_iter().rev();
    let entries = entries.flat_map(|line| split(line).into_iter().rev());
    entries.take(usize::try_from(hops).ok()?).last()?
}

/// The entries of `X-Forwarded-For`; what is not ASCII is no entry that could be an address.
fn entries(line: &HeaderValue) -> Vec<Option<String>> {
    let entries = line.as_bytes().split(|octet| *octet == b',');
    let text = |entry| str::from_utf8(entry).ok().map(str::to_owned);
    entries.map(text).collect()
}

/// What `for` says in each element of a line of `Forwarded` (§4). A line that is malformed has one
/// element, which says nothing: who knows where those of the proxies begin.
fn elements(line: &HeaderValue) -> Vec<Option<String>> {
    let elements = line.to_str().ok().and_then(|line| split(line, ','));
    let Some(elements) = elements else {
        return vec![None];
    };
    let elements = elements.into_iter();
    let elements = elements.filter(|element| !element.trim().is_empty());
    elements.map(node).collect()
}

/// The node that an element is for.
fn node(element: &str) -> Option<String> {
    let mut found = None;
    for pair in split(element, ';')? {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.trim().eq_ignore_ascii_case("for") && found.replace(unquoted(value)).is_some() {
            return None;
        }
    }
    found
}

/// Splits at a character, but for those in quotes; `None` if quotes are left open.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut in_quotes, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if character == separator && !in_quotes => {
                parts.extend(text.get(start..at));
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    (!in_quotes).then_some(parts)
}

/// A value without quotes around it, and without the backslashes in them.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return value.to_owned();
    };
    let mut characters = quoted.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next());
        text.extend(escaped.unwrap_or(Some(character)));
    }
    text
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let literal = text.strip_prefix('[')?.strip_suffix(']')?;
    literal.parse().ok().map(IpAddr::V6)
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
