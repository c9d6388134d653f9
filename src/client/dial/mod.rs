//! Dialing: from a URL to a connected stream, through a proxy where there is one, with TLS on it
//! where the URL says so.
//!
//! Happy Eyeballs (RFC 8305): the addresses of a host are tried by turns of their families, each a
//! little later than the one before, and the first that connects is taken.

mod proxy;
mod race;
mod secure;

use crate::error::{ConnectError, Result};
use crate::handshake::{TransportDetails, Url};
use crate::options::ClientOptions;
use crate::peer::Peer;
use crate::socket::set_up;
#[cfg(feature = "rustls")]
use crate::tls::{ClientTls, TlsStream};
use crate::transport::{Stream, within};
use race::{interleave, race};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

/// What it takes to dial.
#[derive(Clone, Copy)]
pub(super) struct Dialer<'a> {
    pub(super) url: &'a Url,
    pub(super) options: &'a ClientOptions,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<&'a ClientTls>,
    #[cfg(feature = "rustls")]
    pub(super) proxy_tls: Option<&'a ClientTls>,
}

/// A stream that is ready for the opening handshake.
pub(super) struct Dialed {
    pub(super) line: Line,
    pub(super) details: TransportDetails,
    /// When the time for the opening handshake began to run; TLS is part of it.
    pub(super) since: Instant,
}

/// The kinds of streams that are dialed; the rare ones are boxed, so that protocols are not compiled
/// for each.
pub(super) enum Line {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(TlsStream<TcpStream>),
    Other(Box<dyn Stream>),
}

impl Dialer<'_> {
    pub(super) async fn dial(&self) -> Result<Dialed> {
        // Before anything is connected: without trust there is no reason to.
        let security = self.security().await?;
        let proxy = match self.proxy() {
            Some(proxy) => Some((proxy, self.proxy_security(proxy).await?)),
            None => None,
        };
        let time = self.options.connect_timeout;
        let deadline = time.map(|time| Instant::now() + time);
        let connected = within(deadline, async {
            match proxy {
                Some((proxy, security)) => self.connect_through(proxy, security).await,
                None => self.connect().await,
            }
        });
        let dialed = connected.await.map_err(|_| ConnectError::Timeout {
            host: self.url.host().to_owned(),
        })??;
        match security {
            Some(security) => self.secure(dialed, security).await,
            None => Ok(dialed),
        }
    }

    async fn connect(&self) -> Result<Dialed> {
        if let Some(path) = self.url.socket() {
            let line = Line::Other(connect_socket(path).await?);
            let details = TransportDetails::client(Peer::Unix(Some(path.into())));
            return Ok(Dialed::now(line, details));
        }
        let (host, port) = self.options.place(self.url.host(), self.url.port());
        let stream = self.connect_tcp(host, port).await?;
        let peer = stream.peer_addr()?.into();
        let details = TransportDetails::client(peer).at(stream.local_addr().ok());
        Ok(Dialed::now(Line::Tcp(stream), details))
    }

    /// Connects to a host, that of the server or that of the proxy.
    async fn connect_tcp(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let mut addresses = resolve(host, port).await?;
        if let Some(local) = self.options.local_addr {
            addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
            if addresses.is_empty() {
                let host = host.to_owned();
                return Err(ConnectError::NoAddress { host, local });
            }
        }
        let attempts = addresses.len();
        let connected = race(addresses, self.options.local_addr).await;
        let refused = |(address, source)| ConnectError::Refused {
            host: host.to_owned(),
            attempts,
            address,
            source,
        };
        let stream = connected.map_err(refused)?;
        // Of no effect on whether it is connected.
        let _ = set_up(&SockRef::from(&stream), &self.options.common);
        Ok(stream)
    }
}

/// Returns the addresses of a host in the order in which they are tried, at least one.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = lookup_host((name, port)).await;
    let resolved = resolved.map_err(|source| unresolved(host, source))?;
    let addresses = interleave(resolved.collect());
    match addresses.is_empty() {
        true => Err(unresolved(host, io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}

impl Dialed {
    fn now(line: Line, details: TransportDetails) -> Self {
        Self {
            line,
            details,
            since: Instant::now(),
        }
    }
}

fn unresolved(host: &str, source: io::Error) -> ConnectError {
    let host = host.to_owned();
    ConnectError::Unresolved { host, source }
}

async fn connect_socket(path: &str) -> Result<Box<dyn Stream>> {
    #[cfg(unix)]
    let connected = tokio::net::UnixStream::connect(path).await;
    #[cfg(not(unix))]
    let connected: io::Result<TcpStream> = Err(io::ErrorKind::Unsupported.into());
    let stream = connected.map_err(|source| ConnectError::Socket {
        path: path.to_owned(),
        source,
    })?;
    Ok(Box::new(stream))
}
