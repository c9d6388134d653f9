//! The target of a request (RFC 9112 §3.2).

use crate::handshake::HandshakeError;

/// A target, taken apart.
pub(super) struct Target<'a> {
    /// Host and port, where the target is a whole URL.
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Takes a target apart: a path, or a whole URL (RFC 6455 §4.1), without a fragment.
pub(super) fn parse(target: &str) -> Result<Target<'_>, HandshakeError> {
    let is_valid = |octet: u8| octet.is_ascii_graphic() && octet != b'#';
    if !target.bytes().all(is_valid) {
        return Err(HandshakeError::InvalidTarget);
    }
    let absolute = (!target.starts_with('/')).then(|| target.split_once("://"));
    let (authority, resource) = match absolute.flatten() {
        Some((scheme, rest)) => {
            let scheme = scheme.to_ascii_lowercase();
            if !["http", "https", "ws", "wss"].contains(&scheme.as_str()) {
                return Err(HandshakeError::InvalidTarget);
            }
            let (authority, resource) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (
                Some(authority),
                if resource.is_empty() { "/" } else { resource },
            )
        }
        _ => (None, target),
    };
    if !resource.starts_with('/') {
        return Err(HandshakeError::InvalidTarget);
    }
    let (path, query) = match resource.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (resource, None),
    };
    Ok(Target {
        authority,
        path,
        query,
    })
}
