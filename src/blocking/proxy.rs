//! Through a proxy to a server.

use super::opening::in_time;
use crate::error::{ConnectError, Error, Result};
use crate::handshake::tunnel::{Step, Tunnel, TunnelError, resolves_here};
use crate::handshake::{HeadLimits, Url};
use crate::options::{ClientOptions, ProxyScheme, ProxyServer};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Returns the proxy on the way, if there is one.
pub(super) fn proxy_for<'a>(url: &Url, options: &'a ClientOptions) -> Option<&'a ProxyServer> {
    let scheme = if url.is_secure() { "wss" } else { "ws" };
    let proxy = options.proxy.as_ref().ok()?;
    match url.socket() {
        Some(_) => None,
        None => proxy.server(scheme, url.host(), url.port()),
    }
}

/// Connects to the proxy, and through it to the server.
pub(super) fn dial_through(
    proxy: &ProxyServer,
    url: &Url,
    options: &ClientOptions,
) -> Result<TcpStream> {
    if proxy.scheme() == ProxyScheme::Https {
        return Err(Error::TlsUnsupported);
    }
    let deadline = options.connect_timeout.and_then(super::websocket::after);
    let limits = HeadLimits::from(options);
    let (host, port) = (url.host(), url.port());
    let tunnel = match resolves_here(proxy.scheme()) {
        false => Tunnel::new(proxy, (host, port), limits),
        true => {
            let addresses = resolve(host, port).map_err(Error::Connect)?;
            // SOCKS4 knows no other.
            let v4 = addresses.iter().find(|address| address.is_ipv4());
            let address = v4.or(addresses.first()).map(|address| address.ip());
            let address = address.map_or(host.to_owned(), |address| address.to_string());
            Tunnel::new(proxy, (&address, port), limits)
        }
    };
    let name = proxy.to_string();
    let refused = |source| ConnectError::Tunnel {
        proxy: name.clone(),
        source,
    };
    let tunnel = tunnel.map_err(refused)?;
    let stream = reach(proxy, deadline).map_err(|source| match *source {
        ConnectError::Timeout { .. } => *source,
        _ => ConnectError::ProxyUnreachable {
            proxy: name.clone(),
            source,
        },
    })?;
    match dig(&stream, tunnel, deadline) {
        Ok(()) => Ok(stream),
        Err(Fault::Tunnel(source)) => Err(refused(source).into()),
        Err(Fault::Stream(Error::Timeout(_))) => {
            let host = host.to_owned();
            Err(ConnectError::Timeout { host }.into())
        }
        Err(Fault::Stream(Error::Io(source))) => {
            let proxy = name.clone();
            Err(ConnectError::ProxyStream { proxy, source }.into())
        }
        Err(Fault::Stream(error)) => Err(error),
    }
}

enum Fault {
    Tunnel(TunnelError),
    Stream(Error),
}

/// Talks to the proxy until the tunnel stands, an octet at a time: what follows its answer is the
/// server's and stays in the socket.
fn dig(mut stream: &TcpStream, mut tunnel: Tunnel, deadline: Option<Instant>) -> Result<(), Fault> {
    let mut received = Vec::new();
    loop {
        match tunnel.advance(&mut received).map_err(Fault::Tunnel)? {
            Step::Write(octets) => in_time(deadline, |time| {
                stream.set_write_timeout(time)?;
                stream.write_all(&octets)
            })
            .map_err(Fault::Stream)?,
            Step::Read => {
                let mut octet = [0];
                let count = in_time(deadline, |time| {
                    stream.set_read_timeout(time.map(|time| time.max(SHORTEST)))?;
                    stream.read(&mut octet)
                });
                match count.map_err(Fault::Stream)? {
                    0 => return Err(Fault::Tunnel(TunnelError::Closed)),
                    _ => received.extend_from_slice(&octet),
                }
            }
            Step::Done => return Ok(()),
        }
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Box<ConnectError>> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let unresolved = |source| {
        let host = host.to_owned();
        Box::new(ConnectError::Unresolved { host, source })
    };
    let addresses: Vec<_> = (name, port)
        .to_socket_addrs()
        .map_err(unresolved)?
        .collect();
    match addresses.is_empty() {
        true => Err(unresolved(io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}

/// Connects to the first address of the proxy that answers.
fn reach(proxy: &ProxyServer, deadline: Option<Instant>) -> Result<TcpStream, Box<ConnectError>> {
    let addresses = resolve(proxy.host(), proxy.port())?;
    let (host, attempts) = (proxy.host().to_owned(), addresses.len());
    let mut failure = None;
    for address in addresses {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let connected = match left {
            Some(Duration::ZERO) => return Err(ConnectError::Timeout { host }.into()),
            Some(left) => TcpStream::connect_timeout(&address, left),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(source) => failure = Some((address, source)),
        }
    }
    let error = match failure {
        Some((_, source)) if source.kind() == io::ErrorKind::TimedOut => {
            ConnectError::Timeout { host }
        }
        Some((address, source)) => ConnectError::Refused {
            host,
            attempts,
            address,
            source,
        },
        None => ConnectError::Timeout { host },
    };
    Err(error.into())
}

/// Zero would be refused.
const SHORTEST: Duration = Duration::from_millis(1);
