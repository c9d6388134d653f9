//! The URLs of WebSockets (RFC 6455 §3).
//!
//! Only what can be connected to: `ws` or `wss`, a host, perhaps a port, a resource; or a Unix socket.

use std::fmt;
use std::str::FromStr;

use crate::options::authority;

/// A `ws://` or `wss://` URL (RFC 6455 §3).
///
/// Octets that a resource cannot have are percent-encoded; control characters, fragments and user
/// information are refused. A host name that is not ASCII has to be given in its `xn--` form.
///
/// ```
/// use motorway::Url;
///
/// let url: Url = "wss://Example.com/chat room?a=1".parse()?;
/// assert!(url.is_secure());
/// assert_eq!((url.host(), url.port()), ("example.com", 443));
/// assert_eq!(url.resource(), "/chat%20room?a=1");
/// assert_eq!(url.to_string(), "wss://example.com/chat%20room?a=1");
/// # Ok::<(), motorway::handshake::UrlFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    is_secure: bool,
    host: String,
    port: u16,
    resource: String,
    /// The path of a Unix socket, as it was written.
    socket: Option<String>,
}

impl Url {
    /// Tells whether TLS is asked for.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the host in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; without one in the URL 80 for `ws` and 443 for `wss`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path and the query, as they go into the request.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns scheme, host and port, by which one server is told from another.
    pub(crate) fn origin(&self) -> (bool, &str, u16, Option<&str>) {
        (self.is_secure, &self.host, self.port, self.socket())
    }

    /// Returns the path of the Unix socket, for a URL such as `ws://unix:/run/chat.sock`.
    ///
    /// As in Autobahn the path is the resource, too, and the host `unix`.
    #[must_use]
    pub fn socket(&self) -> Option<&str> {
        self.socket.as_deref()
    }
}

impl FromStr for Url {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlFault::Scheme)?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            _ => return Err(UrlFault::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (before, after) = rest.split_at(end);
        if before.contains('@') {
            return Err(UrlFault::UserInformation);
        }
        let (host, port, socket) = match before {
            "unix:" if after.starts_with('/') => {
                let path = after.split('?').next().unwrap_or_default();
                ("unix", None, Some(path.to_owned()))
            }
            _ => {
                let (host, port) = authority(before).ok_or(UrlFault::Authority)?;
                (host, port, None)
            }
        };
        Ok(Self {
            is_secure,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(default_port(is_secure)),
            resource: resource(after)?,
            socket,
        })
    }
}

impl TryFrom<&str> for Url {
    type Error = UrlFault;

    fn try_from(text: &str) -> Result<Self, UrlFault> {
        text.parse()
    }
}

impl TryFrom<String> for Url {
    type Error = UrlFault;

    fn try_from(text: String) -> Result<Self, UrlFault> {
        text.parse()
    }
}

impl TryFrom<&String> for Url {
    type Error = UrlFault;

    fn try_from(text: &String) -> Result<Self, UrlFault> {
        text.parse()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        if let Some(path) = &self.socket {
            let query = self.resource.split_once('?');
            let (mark, query) = query.map_or(("", ""), |(_, query)| ("?", query));
            return write!(f, "{scheme}://unix:{path}{mark}{query}");
        }
        let host = host_header(&self.host, self.port, default_port(self.is_secure));
        write!(f, "{scheme}://{host}{}", self.resource)
    }
}

/// Tells what is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// The scheme is neither `ws` nor `wss`.
    #[error("scheme is neither ws nor wss")]
    Scheme,
    /// There is a user name or password, which would end up in logs.
    #[error("user information is not supported")]
    UserInformation,
    /// The host is missing or none, or the port is not one of 1 to 65535.
    #[error("invalid host or port")]
    Authority,
    /// There is a fragment (RFC 6455 §3).
    #[error("fragments are not allowed")]
    Fragment,
    /// The resource does not begin with a slash.
    #[error("resource does not begin with a slash")]
    Path,
    /// There is a control character.
    #[error("control characters are not allowed")]
    ControlCharacter,
}

/// Resolves a reference against a URL (RFC 3986 §5.2), as in `Location`: `http` stands for `ws`, and
/// a fragment, which is for what is shown, is dropped. It does not lead to Unix sockets.
pub(super) fn join(base: &Url, reference: &str) -> Result<Url, UrlFault> {
    let reference = reference.split('#').next().unwrap_or_default();
    let has_scheme = match reference.find([':', '/', '?']) {
        Some(at) => reference.get(at..).is_some_and(|it| it.starts_with(':')),
        None => false,
    };
    let scheme = if base.is_secure { "wss" } else { "ws" };
    let absolute = match reference.split_once("://") {
        _ if reference.starts_with("//") => format!("{scheme}:{reference}"),
        Some((scheme, rest)) if has_scheme => match scheme.to_ascii_lowercase().as_str() {
            "http" => format!("ws://{rest}"),
            "https" => format!("wss://{rest}"),
            _ => reference.to_owned(),
        },
        _ if has_scheme => return Err(UrlFault::Scheme),
        _ => {
            let resource = resource(&merge(&base.resource, reference))?;
            let base = base.clone();
            return Ok(Url { resource, ..base });
        }
    };
    let url: Url = absolute.parse()?;
    match url.socket {
        Some(_) => Err(UrlFault::Authority),
        None => Ok(url),
    }
}

/// Merges a path and query into those of the base, without `.` and `..` (RFC 3986 §5.2.3, §5.2.4).
fn merge(base: &str, reference: &str) -> String {
    let (base, _) = base.split_once('?').unwrap_or((base, ""));
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (reference, String::new()),
    };
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = match path {
        "" => base.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{folder}/{path}"),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = whole.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Makes a resource of path and query, encoding what it cannot have.
pub(super) fn resource(text: &str) -> Result<String, UrlFault> {
    let mut resource = String::with_capacity(text.len() + 1);
    if text.is_empty() || text.starts_with('?') {
        resource.push('/');
    } else if !text.starts_with('/') && !text.starts_with('#') {
        return Err(UrlFault::Path);
    }
    for octet in text.bytes() {
        match octet {
            b'#' => return Err(UrlFault::Fragment),
            0..=0x1f | 0x7f => return Err(UrlFault::ControlCharacter),
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                resource.push_str(&format!("%{octet:02X}"));
            }
            octet => resource.push(char::from(octet)),
        }
    }
    Ok(resource)
}

/// Returns what goes into `Host`: the port only where it is not the default one.
pub(super) fn host_header(host: &str, port: u16, default: u16) -> String {
    if port == default {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// RFC 6455 §3.
pub(super) fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}
