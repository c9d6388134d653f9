//! Through a proxy to a server.

use super::secure::{Security, secure_proxy};
use super::{Dialed, Dialer, Line, resolve, unresolved};
use crate::error::{ConnectError, Error, Result};
use crate::handshake::tunnel::{Step, Tunnel, TunnelError, resolves_here};
use crate::handshake::{HeadLimits, TransportDetails};
use crate::options::ProxyServer;
use crate::transport::{Stream, write_all};
use std::io::{self, Cursor};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, join, split};

impl Dialer<'_> {
    /// Returns the proxy on the way, if there is one.
    pub(super) fn proxy(&self) -> Option<&ProxyServer> {
        let scheme = if self.url.is_secure() { "wss" } else { "ws" };
        let proxy = self.options.proxy.as_ref().ok()?;
        match self.url.socket() {
            Some(_) => None,
            None => proxy.server(scheme, self.url.host(), self.url.port()),
        }
    }

    pub(super) async fn connect_through(
        &self,
        proxy: &ProxyServer,
        security: Option<Security>,
    ) -> Result<Dialed> {
        // Before anything is connected: what cannot be asked for is no reason to.
        let tunnel = self.tunnel(proxy).await?;
        let connected = self.connect_tcp(proxy.host(), proxy.port()).await;
        let stream = connected.map_err(|source| unreachable(proxy, source))?;
        let details = TransportDetails::client(stream.peer_addr()?.into())
            .at(stream.local_addr().ok())
            .through(proxy.to_string());
        let line = match security {
            None => match dig(stream, tunnel).await {
                Ok((stream, left)) if left.is_empty() => Line::Tcp(stream),
                Ok((stream, left)) => behind(left, stream),
                Err(fault) => return Err(fault.by(proxy)),
            },
            Some(security) => {
                let stream = secure_proxy(proxy, security, stream).await?;
                let dug = dig(stream, tunnel).await.map_err(|fault| fault.by(proxy))?;
                let (stream, left) = dug;
                behind(left, stream)
            }
        };
        Ok(Dialed::now(line, details))
    }

    /// Prepares the tunnel; resolves the name of the server if the proxy is not to.
    async fn tunnel(&self, proxy: &ProxyServer) -> Result<Tunnel> {
        let (host, port) = self.options.place(self.url.host(), self.url.port());
        let limits = HeadLimits::from(self.options);
        let tunnel = match resolves_here(proxy.scheme()) {
            false => Tunnel::new(proxy, (host, port), limits),
            true => {
                let addresses = resolve(host, port).await?;
                // SOCKS4 knows no other.
                let v4 = addresses.iter().find(|address| address.is_ipv4());
                let address = v4.or(addresses.first()).map(SocketAddr::ip);
                let address = address.ok_or_else(|| nowhere(host))?.to_string();
                Tunnel::new(proxy, (&address, port), limits)
            }
        };
        tunnel.map_err(|error| Fault::Tunnel(error).by(proxy))
    }
}

/// What goes wrong between this end and the proxy.
enum Fault {
    Tunnel(TunnelError),
    Stream(io::Error),
}

impl Fault {
    fn by(self, proxy: &ProxyServer) -> Error {
        let proxy = proxy.to_string();
        let error = match self {
            Self::Tunnel(source) => ConnectError::Tunnel { proxy, source },
            Self::Stream(source) => ConnectError::ProxyStream { proxy, source },
        };
        tracing::info!(
            error = &error as &dyn std::error::Error,
            "no way through the proxy"
        );
        error.into()
    }
}

impl From<TunnelError> for Fault {
    fn from(error: TunnelError) -> Self {
        Self::Tunnel(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

/// Talks to the proxy until the tunnel stands; returns what has come through it already, too.
async fn dig<S: Stream>(mut stream: S, mut tunnel: Tunnel) -> Result<(S, Vec<u8>), Fault> {
    let mut received = Vec::new();
    loop {
        match tunnel.advance(&mut received)? {
            Step::Write(octets) => write_all(&mut stream, &octets).await?,
            Step::Read => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Err(TunnelError::Closed.into());
                }
            }
            Step::Done => return Ok((stream, received)),
        }
    }
}

/// Makes a stream of which these octets come first.
fn behind<S: Stream>(first: Vec<u8>, stream: S) -> Line {
    if first.is_empty() {
        return Line::Other(Box::new(stream));
    }
    let (reader, writer) = split(stream);
    let reader = Cursor::new(first).chain(reader);
    Line::Other(Box::new(join(reader, writer)))
}

fn unreachable(proxy: &ProxyServer, source: ConnectError) -> Error {
    let (proxy, source) = (proxy.to_string(), Box::new(source));
    ConnectError::ProxyUnreachable { proxy, source }.into()
}

fn nowhere(host: &str) -> ConnectError {
    unresolved(host, io::ErrorKind::NotFound.into())
}
