//! `X-Forwarded-For`: who asked the proxies in front of the server.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::peer::Peer;

/// Returns the address that the outermost of so many trusted proxies has seen: that many from the
/// right, or the first if there are fewer. `None` where the header is missing, or has something
/// else than an address at that place, which may also have a port.
pub(super) fn peer(headers: &HeaderMap, hops: u32) -> Option<Peer> {
    let hops = usize::try_from(hops).ok()?;
    if hops == 0 {
        return None;
    }
    let mut found = None;
    let mut seen = 0;
    // A proxy may add a line of its own rather than to the one that is there.
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    for line in lines.into_iter().rev() {
        for entry in line.as_bytes().rsplit(|octet| *octet == b',') {
            if seen == hops {
                break;
            }
            seen += 1;
            found = Some(entry);
        }
    }
    let entry = str::from_utf8(found?).ok()?.trim_matches([' ', '\t']);
    address(entry).map(Peer::Forwarded)
}

fn address(text: &str) -> Option<IpAddr> {
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
