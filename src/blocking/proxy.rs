//! Through a proxy to a server.

use super::dial::{Connected, Dialer, describe, resolve};
use super::opening::{Shaking, in_time};
use super::security::Security;
use super::transport::Plain;
use crate::error::{ConnectError, Error, Result};
use crate::handshake::HeadLimits;
use crate::handshake::tunnel::{Step, Tunnel, TunnelError, resolves_here};
use crate::options::{ProxyScheme, ProxyServer};
use std::time::Instant;

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

    /// Says what is between TCP and what is said to the proxy.
    pub(super) fn proxy_security(&self, proxy: &ProxyServer) -> Result<Security> {
        if proxy.scheme() != ProxyScheme::Https {
            return Ok(Security::None);
        }
        #[cfg(feature = "rustls")]
        let security = {
            // The name that it asks for, perhaps, is that of the server.
            let tls = match self.proxy_tls {
                Some(tls) => tls.clone(),
                None => self.trust()?.nameless(),
            };
            Ok(Security::Client(tls, proxy.host().to_owned()))
        };
        #[cfg(not(feature = "rustls"))]
        let security = Err(Error::TlsUnsupported);
        security
    }

    /// Connects to the proxy, and through it to the server.
    pub(super) fn connect_through(
        &self,
        proxy: &ProxyServer,
        security: &Security,
        deadline: Option<Instant>,
    ) -> Result<Connected> {
        // Before anything is connected: what cannot be asked for is no reason to.
        let tunnel = self.tunnel(proxy)?;
        let connected = self.connect_tcp((proxy.host(), proxy.port()), deadline);
        let stream = connected.map_err(|source| match *source {
            ConnectError::Timeout { .. } => self.too_late(),
            _ => ConnectError::ProxyUnreachable {
                proxy: proxy.to_string(),
                source,
            },
        })?;
        let details = describe(&stream)?.through(proxy.to_string());
        let plain = Box::new(Plain::new(stream)?);
        // What TLS tells of the proxy is not to be taken for the server.
        let secured = security.shake_hands(plain, details.clone(), deadline);
        let (line, _) = secured.map_err(|error| self.fault(proxy, error))?;
        dig(&line, tunnel).map_err(|fault| match fault {
            Fault::Tunnel(source) => refused(proxy, source),
            Fault::Stream(error) => self.fault(proxy, error),
        })?;
        Ok((line.transport, details))
    }

    /// Prepares the tunnel; resolves the name of the server if the proxy is not to.
    fn tunnel(&self, proxy: &ProxyServer) -> Result<Tunnel> {
        let (host, port) = self.options.place(self.url.host(), self.url.port());
        let limits = HeadLimits::from(self.options);
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
        tunnel.map_err(|source| refused(proxy, source))
    }

    /// Says what a fault between this end and the proxy means.
    fn fault(&self, proxy: &ProxyServer, error: Error) -> Error {
        let proxy = proxy.to_string();
        match error {
            Error::Timeout(_) => self.too_late().into(),
            Error::Io(source) => ConnectError::ProxyStream { proxy, source }.into(),
            #[cfg(feature = "rustls")]
            Error::Tls(source) => ConnectError::ProxyTls {
                proxy,
                source: *source,
            }
            .into(),
            error => error,
        }
    }

    fn too_late(&self) -> ConnectError {
        ConnectError::Timeout {
            host: self.url.host().to_owned(),
        }
    }
}

fn refused(proxy: &ProxyServer, source: TunnelError) -> Error {
    let proxy = proxy.to_string();
    ConnectError::Tunnel { proxy, source }.into()
}

enum Fault {
    Tunnel(TunnelError),
    Stream(Error),
}

/// Talks to the proxy until the tunnel stands, an octet at a time: what follows its answer is the
/// server's and stays in the stream.
fn dig(line: &Shaking, mut tunnel: Tunnel) -> Result<(), Fault> {
    let mut received = Vec::new();
    loop {
        match tunnel.advance(&mut received).map_err(Fault::Tunnel)? {
            Step::Write(octets) => line.write_all(&octets).map_err(Fault::Stream)?,
            Step::Read => {
                let mut octet = [0];
                let read = |time| line.transport.read(&mut octet, time);
                match in_time(line.deadline, read).map_err(Fault::Stream)? {
                    0 => return Err(Fault::Tunnel(TunnelError::Closed)),
                    _ => received.extend_from_slice(&octet),
                }
            }
            Step::Done => return Ok(()),
        }
    }
}
