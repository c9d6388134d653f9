//! `host[:port]`, as `Host`, `Origin` and URLs have it (RFC 3986 §3.2).
//!
//! Stricter than the RFC: no user information, no percent-encoding, no empty host or port.

use std::net::Ipv6Addr;

/// Splits an authority into host and port; `None` if it is neither a name nor an IP address.
///
/// An IPv6 literal keeps its brackets.
pub(crate) fn authority(text: &str) -> Option<(&str, Option<u16>)> {
    let find = |wanted: u8| text.bytes().position(|octet| octet == wanted);
    let (host, rest) = match find(b']') {
        Some(end) => {
            let (host, rest) = text.split_at_checked(end + 1)?;
            let literal = host.strip_prefix('[')?.strip_suffix(']')?;
            literal.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let (host, rest) = text.split_at_checked(find(b':').unwrap_or(text.len()))?;
            if host.is_empty() || host.len() > MAX_NAME || !host.bytes().all(is_name_octet) {
                return None;
            }
            (host, rest)
        }
    };
    if rest.is_empty() {
        return Some((host, None));
    }
    Some((host, Some(port(rest.strip_prefix(':')?)?)))
}

/// Reads a port number, 1 to 65535.
fn port(text: &str) -> Option<u16> {
    if text.len() > 5 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port > 0)
}

fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

/// The most octets in a host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn authority_is_a_host_and_perhaps_a_port() {
        for (text, expected) in [
            ("example.com", Some(("example.com", None))),
            ("example.com:80", Some(("example.com", Some(80)))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:65535", Some(("[::1]", Some(65535)))),
            ("127.0.0.1:9000", Some(("127.0.0.1", Some(9000)))),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:+80", None),
            ("a:80:80", None),
            ("::1", None),
            ("[::1", None),
            ("[a]", None),
            ("[::1]80", None),
            ("x[::1]", None),
            ("user@host", None),
            ("a b", None),
            ("a/b", None),
            ("a%41", None),
            ("ü", None),
        ] {
            assert_eq!(authority(text), expected, "{text}");
        }
    }
}
