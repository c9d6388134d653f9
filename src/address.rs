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
/// | `ssl:9000:privateKey=key.pem:certKey=chain.pem` | a port with TLS, by these files |
/// | `tls:9000` | the same, with the `ServerTls` that `listen_tls` is given |
///
/// All kinds take `:backlog=` and a number, and the two files of TLS; `certKey` is the file of
/// `privateKey` if it is left out. `tls=no` says that there is no TLS, where other addresses have it, and `tls=yes` that a Unix
/// socket has it. TLS needs the feature `rustls`.
///
/// `systemd:` and `fd:` are refused, since a socket that was opened by another process cannot be
/// taken over without `unsafe`: do so with a crate for it, such as `listenfd`, and give the socket
/// to `listen_on`.
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
    pub(crate) security: Layer,
}

/// What is said about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layer {
    /// TLS if the server has it.
    #[default]
    AsGiven,
    /// No TLS.
    Plain,
    /// TLS as the server has it.
    Secure,
    /// TLS with these files.
    Files { chain: PathBuf, key: PathBuf },
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

    /// Listens without TLS, also with `listen_all_tls`, where all other addresses have it.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.security = Layer::Plain;
        self
    }

    /// Listens with TLS: with that which `listen_tls` is given. To `listen`, which is given none,
    /// it is an error.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.security = Layer::Secure;
        self
    }

    /// Listens with TLS, with the certificates and the private key in these files of PEM, which are
    /// read when the server begins to listen.
    ///
    /// ```
    /// use motorway::ListenAddress;
    ///
    /// let address = ListenAddress::tcp("0.0.0.0", 443).tls_files("chain.pem", "key.pem");
    /// assert_eq!(address.to_string(), "ssl:0.0.0.0:443:privateKey=key.pem:certKey=chain.pem");
    /// ```
    #[must_use]
    pub fn tls_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (chain.into(), key.into());
        self.security = Layer::Files { chain, key };
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
            security: Layer::AsGiven,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("tcp:") {
            return Self::parse_tcp(&fields(rest)?);
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            return Self::parse_unix(&fields(rest)?);
        }
        for secure in ["ssl:", "tls:"] {
            if let Some(rest) = text.strip_prefix(secure) {
                let address = Self::parse_tcp(&fields(rest)?)?;
                return match address.security {
                    Layer::AsGiven => Some(address.secure()),
                    Layer::Plain => None,
                    _ => Some(address),
                };
            }
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::tcp(parse_host(host)?, parse_number(port)?))
    }

    fn parse_tcp(fields: &[Field]) -> Option<Self> {
        let (mut host, mut port, mut backlog) = (None, None, None);
        let mut files = Files::default();
        for (place, field) in fields.iter().enumerate() {
            match (place, field.name.as_str(), fields.get(1)) {
                // `tcp:host:port`, against `tcp:port` and what follows by name.
                (0, "", Some(second)) if second.name.is_empty() => {
                    set(&mut host, parse_host(&field.value)?)?;
                }
                (0 | 1, "", _) | (_, "port", _) => set(&mut port, parse_number(&field.value)?)?,
                (_, "interface" | "host", _) => set(&mut host, parse_host(&field.value)?)?,
                (_, "backlog", _) => set(&mut backlog, parse_number(&field.value)?)?,
                _ => files.take(field)?,
            }
        }
        let host = host.unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.to_string());
        files.secure(Self::tcp(host, port?).backlog(backlog))
    }

    fn parse_unix(fields: &[Field]) -> Option<Self> {
        let (mut path, mut mode, mut backlog) = (None, None, None);
        let mut files = Files::default();
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
                _ => files.take(field)?,
            }
        }
        files.secure(Self::unix(path?).mode(mode).backlog(backlog))
    }
}

/// What the fields of an endpoint string say about TLS.
#[derive(Default)]
struct Files {
    key: Option<String>,
    chain: Option<String>,
    is_secure: Option<bool>,
}

impl Files {
    fn take(&mut self, field: &Field) -> Option<()> {
        match (field.name.as_str(), field.value.as_str()) {
            (_, "") => None,
            ("privateKey", file) => set(&mut self.key, file.to_owned()),
            ("certKey", file) => set(&mut self.chain, file.to_owned()),
            ("tls", "no") => set(&mut self.is_secure, false),
            ("tls", "yes") => set(&mut self.is_secure, true),
            _ => None,
        }
    }

    fn secure(self, address: ListenAddress) -> Option<ListenAddress> {
        match (self.key, self.chain, self.is_secure) {
            (None, None, None) => Some(address),
            (None, None, Some(false)) => Some(address.plain()),
            (None, None, Some(true)) => Some(address.secure()),
            (Some(key), chain, None | Some(true)) => {
                let chain = chain.unwrap_or_else(|| key.clone());
                Some(address.tls_files(chain, key))
            }
            _ => None,
        }
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
        let scheme = match self.security {
            Layer::AsGiven | Layer::Plain => "tcp",
            Layer::Secure | Layer::Files { .. } => "ssl",
        };
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => {
                write!(f, "{scheme}:[{host}]:{port}")?;
            }
            Place::Tcp { host, port } => write!(f, "{scheme}:{host}:{port}")?,
            Place::Unix(path) => write!(f, "unix:{}", Escaped(path))?,
        }
        match &self.security {
            Layer::Plain => f.write_str(":tls=no")?,
            Layer::Files { chain, key } => {
                write!(f, ":privateKey={}:certKey={}", Escaped(key), Escaped(chain))?;
            }
            Layer::Secure if self.path().is_some() => f.write_str(":tls=yes")?,
            Layer::AsGiven | Layer::Secure => {}
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

/// A path, with backslashes before what would end it.
struct Escaped<'a>(&'a Path);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string_lossy().chars() {
            if matches!(character, ':' | '\\' | '=' | '[' | ']') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        Ok(())
    }
}

impl FromStr for ListenAddress {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        if ["systemd:", "fd:"]
            .iter()
            .any(|kind| text.starts_with(kind))
        {
            let allowed = "an address to bind: a socket of another process has to be taken over \
                elsewhere and given to listen_on";
            return Err(OptionsError::text("listen", text, allowed));
        }
        let allowed = "host:port, tcp: or ssl: with a port and perhaps an interface, or unix: with \
            a path";
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
