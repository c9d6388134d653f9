//! Where a server listens, as a value and as text.
//!
//! Endpoint strings are those of Twisted, which Autobahn's users know; nothing here resolves or
//! binds.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::options::OptionsError;

/// An address to listen on: of TCP, or of a Unix socket.
///
/// Made from a socket address, from a host and a port, or from text, in which a colon or backslash
/// that belongs to a value stands behind a backslash:
///
/// | text | listens on |
/// |---|---|
/// | `127.0.0.1:9000`, `[::1]:9000`, `localhost:0` | host and port; port 0 takes a free one |
/// | `tcp:9000` | a port of all IPv4 addresses |
/// | `tcp:9000:interface=127.0.0.1`, `tcp:port=9000:host=localhost` | a port of one host |
/// | `tcp:127.0.0.1:9000`, `tcp:[::1]:9000` | the same |
/// | `unix:/run/chat.sock`, `unix:/run/chat.sock:mode=660` | a Unix socket, with these permissions |
///
/// Both kinds take `:backlog=` and a number.
///
/// ```
/// use motorway::ListenAddress;
///
/// let address: ListenAddress = "tcp:9000:interface=127.0.0.1".parse()?;
/// assert_eq!(address, ListenAddress::tcp("127.0.0.1", 9000));
/// assert_eq!(address.to_string(), "tcp:127.0.0.1:9000");
/// let address: ListenAddress = "unix:/run/chat.sock:mode=660".parse()?;
/// assert_eq!(address, ListenAddress::unix("/run/chat.sock").mode(0o660));
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    pub(crate) place: Place,
    pub(crate) backlog: Option<u32>,
    pub(crate) mode: Option<u32>,
}

/// The kinds of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl ListenAddress {
    /// Listens on a port of a host, which is a name or an IP address; port 0 takes a free one.
    #[must_use]
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self::at(Place::Tcp { host, port })
    }

    /// Listens on a Unix socket of this path.
    ///
    /// A file that a server has left behind there is replaced; one that is in use is not.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::at(Place::Unix(path.into()))
    }

    /// Sets the permissions of the file of a Unix socket, such as `0o660`; `None` leaves them to
    /// the process's umask. They hold from the first connection on.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Option<u32>>) -> Self {
        self.mode = mode.into();
        self
    }

    /// Sets how many connections may wait to be accepted; `None` follows the option
    /// [`backlog`](crate::ServerOptions::backlog).
    #[must_use]
    pub fn backlog(mut self, connections: impl Into<Option<u32>>) -> Self {
        self.backlog = connections.into();
        self
    }

    /// Returns the port of TCP.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Tcp { port, .. } => Some(*port),
            Place::Unix(_) => None,
        }
    }

    /// Returns the path of a Unix socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Tcp { .. } => None,
            Place::Unix(path) => Some(path),
        }
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            backlog: None,
            mode: None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("tcp:") {
            return Self::parse_tcp(&fields(rest)?);
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            return Self::parse_unix(&fields(rest)?);
        }
        let (host, port) = text.rsplit_once(':')?;
        // Endpoints of Twisted that are not known here, rather than hosts of these names.
        if ["ssl", "systemd", "fd"].contains(&host) {
            return None;
        }
        Some(Self::tcp(parse_host(host)?, parse_number(port)?))
    }

    fn parse_tcp(fields: &[Field]) -> Option<Self> {
        let (mut host, mut port, mut backlog) = (None, None, None);
        for (place, field) in fields.iter().enumerate() {
            match (place, field.name.as_str(), fields.get(1)) {
                // `tcp:host:port`, against `tcp:port` and what follows by name.
                (0, "", Some(second)) if second.name.is_empty() => {
                    set(&mut host, parse_host(&field.value)?)?;
                }
                (0 | 1, "", _) | (_, "port", _) => set(&mut port, parse_number(&field.value)?)?,
                (_, "interface" | "host", _) => set(&mut host, parse_host(&field.value)?)?,
                (_, "backlog", _) => set(&mut backlog, parse_number(&field.value)?)?,
                _ => return None,
            }
        }
        let host = host.unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.to_string());
        Some(Self::tcp(host, port?).backlog(backlog))
    }

    fn parse_unix(fields: &[Field]) -> Option<Self> {
        let (mut path, mut mode, mut backlog) = (None, None, None);
        for (place, field) in fields.iter().enumerate() {
            match (place, field.name.as_str()) {
                (0, "") | (_, "address") if !field.value.is_empty() => {
                    set(&mut path, field.value.clone())?;
                }
                (_, "mode") => {
                    let bits = u32::from_str_radix(&field.value, 8).ok()?;
                    set(&mut mode, Some(bits).filter(|bits| *bits <= 0o777)?)?;
                }
                (_, "backlog") => set(&mut backlog, parse_number(&field.value)?)?,
                _ => return None,
            }
        }
        Some(Self::unix(path?).mode(mode).backlog(backlog))
    }
}

/// A part of an endpoint string: `value` or `name=value`.
#[derive(Default)]
struct Field {
    name: String,
    value: String,
}

/// Splits at colons, but for those behind a backslash or in brackets.
fn fields(text: &str) -> Option<Vec<Field>> {
    let mut fields = vec![Field::default()];
    let (mut is_escaped, mut in_brackets) = (false, false);
    for character in text.chars() {
        let field = fields.last_mut()?;
        match character {
            _ if is_escaped => {
                field.value.push(character);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            ':' if !in_brackets => fields.push(Field::default()),
            '=' if field.name.is_empty() => field.name = std::mem::take(&mut field.value),
            _ => {
                in_brackets = character == '[' || (in_brackets && character != ']');
                field.value.push(character);
            }
        }
    }
    (!is_escaped && !in_brackets).then_some(fields)
}

/// Sets what may be said once.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn parse_host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|v| v.strip_suffix(']'));
    if let Some(literal) = bare {
        literal.parse::<Ipv6Addr>().ok()?;
        return Some(literal.to_owned());
    }
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    let is_host = !text.is_empty() && text.bytes().all(is_name);
    (is_host || text.parse::<Ipv6Addr>().is_ok()).then(|| text.to_owned())
}

fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

impl fmt::Display for ListenAddress {
    /// Prints an endpoint string that parses to the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}")?,
            Place::Tcp { host, port } => write!(f, "tcp:{host}:{port}")?,
            Place::Unix(path) => {
                f.write_str("unix:")?;
                for character in path.to_string_lossy().chars() {
                    if matches!(character, ':' | '\\' | '=' | '[' | ']') {
                        f.write_str("\\")?;
                    }
                    write!(f, "{character}")?;
                }
            }
        }
        if let Some(mode) = self.mode {
            write!(f, ":mode={mode:o}")?;
        }
        match self.backlog {
            Some(backlog) => write!(f, ":backlog={backlog}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let allowed = "host:port, tcp: with a port and perhaps an interface, or unix: with a path";
        Self::parse(text).ok_or_else(|| OptionsError::text("listen", text, allowed))
    }
}

impl TryFrom<&str> for ListenAddress {
    type Error = OptionsError;

    fn try_from(text: &str) -> Result<Self, OptionsError> {
        text.parse()
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = OptionsError;

    fn try_from(text: String) -> Result<Self, OptionsError> {
        text.parse()
    }
}

impl TryFrom<&String> for ListenAddress {
    type Error = OptionsError;

    fn try_from(text: &String) -> Result<Self, OptionsError> {
        text.parse()
    }
}

impl TryFrom<(&str, u16)> for ListenAddress {
    type Error = OptionsError;

    fn try_from((host, port): (&str, u16)) -> Result<Self, OptionsError> {
        let allowed = "a name or an IP address";
        let parsed = parse_host(host).ok_or_else(|| OptionsError::text("listen", host, allowed));
        Ok(Self::tcp(parsed?, port))
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::tcp(address.ip().to_string(), address.port())
    }
}

impl From<(IpAddr, u16)> for ListenAddress {
    fn from(address: (IpAddr, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv4Addr, u16)> for ListenAddress {
    fn from(address: (Ipv4Addr, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<(Ipv6Addr, u16)> for ListenAddress {
    fn from(address: (Ipv6Addr, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<([u8; 4], u16)> for ListenAddress {
    fn from(address: ([u8; 4], u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

/// For addresses that cannot be wrong, where an error is asked for.
impl From<Infallible> for OptionsError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
