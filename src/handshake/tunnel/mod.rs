//! The way through a proxy: HTTP CONNECT (RFC 9110 §9.3.6), SOCKS5 (RFC 1928, RFC 1929), SOCKS4 and
//! SOCKS4a.
//!
//! Pure: [`Tunnel::advance`] says what is to be written and judges what was read. Connecting, TLS
//! to the proxy and deadlines are for the caller. Authentication is by user and password.

mod connect;
mod error;
mod socks4;
mod socks5;

use std::fmt;
use std::net::IpAddr;

use super::HeadLimits;
use crate::options::{ProxyScheme, ProxyServer};
use connect::Connect;
use socks4::Socks4;
use socks5::Socks5;

pub use error::{SocksReply, TunnelError};

/// A tunnel under construction.
///
/// ```
/// use motorway::handshake::HeadLimits;
/// use motorway::handshake::tunnel::{Step, Tunnel};
/// use motorway::Proxy;
///
/// let proxy = Proxy::new("http://proxy:3128")?;
/// let server = proxy.server("wss", "example.com", 443).ok_or("none")?;
/// let mut tunnel = Tunnel::new(server, ("example.com", 443), HeadLimits::default())?;
///
/// let mut received = Vec::new();
/// let Step::Write(octets) = tunnel.advance(&mut received)? else { return Err("nothing to write".into()) };
/// assert_eq!(octets, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
/// received.extend(b"HTTP/1.1 200 OK\r\n\r\nmore");
/// assert_eq!(tunnel.advance(&mut received)?, Step::Done);
/// assert_eq!(received, b"more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tunnel(Machine);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write these octets to the proxy. They may hold a password.
    Write(Vec<u8>),
    /// Read more, and append it to what was received.
    Read,
    /// The tunnel stands; what was received and is left comes from the other end of it.
    Done,
}

enum Machine {
    Connect(Connect),
    Socks4(Socks4),
    Socks5(Socks5),
}

/// The other end of a tunnel.
enum Place<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl Tunnel {
    /// Prepares a tunnel to this host, as the host of a URL is, and port.
    ///
    /// Whether a name is resolved before is for the caller: see [`resolves_here`].
    ///
    /// # Errors
    ///
    /// Fails if the proxy cannot be asked for such a host: SOCKS4 knows IPv4 only.
    pub fn new(
        proxy: &ProxyServer,
        to: (&str, u16),
        limits: HeadLimits,
    ) -> Result<Self, TunnelError> {
        let (host, port) = to;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let place = match bare.parse() {
            Ok(address) => Place::Address(address),
            Err(_) => Place::Name(bare),
        };
        let machine = match proxy.scheme() {
            ProxyScheme::Http | ProxyScheme::Https => {
                Machine::Connect(Connect::new(proxy, (&place, port), limits))
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => {
                Machine::Socks4(Socks4::new(proxy, &place, port)?)
            }
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
                Machine::Socks5(Socks5::new(proxy, &place, port)?)
            }
        };
        Ok(Self(machine))
    }

    /// Goes on with all that was received and is left; takes out what it has understood.
    ///
    /// # Errors
    ///
    /// Fails if the proxy refuses, or answers with what is no answer. The tunnel is of no use then.
    pub fn advance(&mut self, received: &mut Vec<u8>) -> Result<Step, TunnelError> {
        match &mut self.0 {
            Machine::Connect(machine) => machine.advance(received),
            Machine::Socks4(machine) => machine.advance(received),
            Machine::Socks5(machine) => machine.advance(received),
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is to be written may hold a password.
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// Tells whether this end resolves the name of the server, for which the proxy is asked by address.
#[must_use]
pub fn resolves_here(scheme: ProxyScheme) -> bool {
    matches!(scheme, ProxyScheme::Socks4 | ProxyScheme::Socks5)
}

/// Takes the first octets out of what was received, if there are so many.
fn take<const N: usize>(received: &mut Vec<u8>) -> Option<[u8; N]> {
    let octets = *received.first_chunk::<N>()?;
    received.drain(..N);
    Some(octets)
}
