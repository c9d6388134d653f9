//! Dialing: from a URL to a stream that is ready for the opening handshake, through a proxy where
//! there is one, with TLS where the URL says so.

use super::opening::Shaking;
use super::security::Security;
use super::transport::{Plain, Transport};
use super::websocket::after;
use crate::error::{ConnectError, Error, Result};
use crate::handshake::{TransportDetails, Url};
use crate::options::ClientOptions;
use crate::peer::Peer;
use crate::socket::set_up;
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What it takes to dial.
pub(super) struct Dialer<'a> {
    pub(super) url: &'a Url,
    pub(super) options: &'a ClientOptions,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<&'a ClientTls>,
    #[cfg(feature = "rustls")]
    pub(super) proxy_tls: Option<&'a ClientTls>,
}

/// A stream that is connected, and what is known of it.
pub(super) type Connected = (Box<dyn Transport>, TransportDetails);

impl Dialer<'_> {
    pub(super) fn dial(&self) -> Result<(Shaking, TransportDetails)> {
        // Before anything is connected: without trust there is no reason to.
        let security = self.security()?;
        let proxy = match self.proxy() {
            Some(proxy) => Some((proxy, self.proxy_security(proxy)?)),
            None => None,
        };
        let deadline = self.options.connect_timeout.and_then(after);
        let (transport, details) = match proxy {
            Some((proxy, security)) => self.connect_through(proxy, &security, deadline)?,
            None => self.connect(deadline)?,
        };
        let deadline = self.options.common.open_handshake_timeout.and_then(after);
        security.shake_hands(transport, details, deadline)
    }

    fn connect(&self, deadline: Option<Instant>) -> Result<Connected> {
        if let Some(path) = self.url.socket() {
            let socket = connect_socket(path).map_err(|source| ConnectError::Socket {
                path: path.to_owned(),
                source,
            })?;
            let details = TransportDetails::client(Peer::Unix(Some(path.into())));
            return Ok((Box::new(Plain::new(socket)?), details));
        }
        let (host, port) = self.options.place(self.url.host(), self.url.port());
        let stream = self.connect_tcp((host, port), deadline);
        let stream = stream.map_err(Error::Connect)?;
        let details = describe(&stream)?;
        Ok((Box::new(Plain::new(stream)?), details))
    }

    /// Connects to the first address of a host that answers, be it that of the server or that of
    /// the proxy.
    pub(super) fn connect_tcp(
        &self,
        place: (&str, u16),
        deadline: Option<Instant>,
    ) -> Result<TcpStream, Box<ConnectError>> {
        let (name, port) = place;
        let mut addresses = resolve(name, port)?;
        let host = name.to_owned();
        if let Some(local) = self.options.local_addr {
            addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
            if addresses.is_empty() {
                return Err(ConnectError::NoAddress { host, local }.into());
            }
        }
        let attempts = addresses.len();
        let mut failure = None;
        for address in addresses {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(ConnectError::Timeout { host }.into());
            }
            match attempt(address, self.options.local_addr, left) {
                Ok(stream) => {
                    // Of no effect on whether it is connected.
                    let _ = set_up(&SockRef::from(&stream), &self.options.common);
                    return Ok(stream);
                }
                Err(source) => failure = Some((address, source)),
            }
        }
        let error = match failure {
            Some((address, source)) if source.kind() != io::ErrorKind::TimedOut => {
                ConnectError::Refused {
                    host,
                    attempts,
                    address,
                    source,
                }
            }
            _ => ConnectError::Timeout { host },
        };
        Err(error.into())
    }

    /// Says what is between TCP and the opening handshake.
    fn security(&self) -> Result<Security> {
        match self.url.is_secure() {
            false => Ok(Security::None),
            #[cfg(feature = "rustls")]
            true => Ok(Security::Client(self.trust()?, self.url.host().to_owned())),
            #[cfg(not(feature = "rustls"))]
            true => Err(Error::TlsUnsupported),
        }
    }

    #[cfg(feature = "rustls")]
    pub(super) fn trust(&self) -> Result<ClientTls> {
        match self.tls {
            Some(tls) => Ok(tls.clone()),
            None => Ok(ClientTls::platform()?),
        }
    }
}

pub(super) fn describe(stream: &TcpStream) -> io::Result<TransportDetails> {
    let details = TransportDetails::client(stream.peer_addr()?.into());
    Ok(details.at(stream.local_addr().ok()))
}

/// Returns the addresses of a host, at least one.
pub(super) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Box<ConnectError>> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let unresolved = |source| {
        let host = host.to_owned();
        Box::new(ConnectError::Unresolved { host, source })
    };
    let addresses = (name, port).to_socket_addrs().map_err(unresolved)?;
    let addresses: Vec<_> = addresses.collect();
    match addresses.is_empty() {
        true => Err(unresolved(io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}

fn attempt(
    address: SocketAddr,
    local: Option<SocketAddr>,
    time: Option<Duration>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    match time {
        Some(time) => socket.connect_timeout(&address.into(), time)?,
        None => socket.connect(&address.into())?,
    }
    Ok(socket.into())
}

#[cfg(unix)]
fn connect_socket(path: &str) -> io::Result<Socket> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    Ok(Socket::from(std::os::fd::OwnedFd::from(stream)))
}

#[cfg(not(unix))]
fn connect_socket(_: &str) -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}
