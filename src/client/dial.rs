//! Dialing: from a URL to a connected stream, with TLS on it where the URL says so.
//!
//! Happy Eyeballs (RFC 8305): the addresses of a host are tried by turns of their families, each a
//! little later than the one before, and the first that connects is taken.

#[cfg(feature = "rustls")]
use crate::connection::TimeoutKind;
use crate::error::{ConnectError, Error, Result};
use crate::handshake::{TransportDetails, Url};
use crate::options::ClientOptions;
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::{ClientTls, TlsStream};
use crate::transport::{Stream, within};
#[cfg(not(feature = "rustls"))]
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What it takes to dial.
pub(super) struct Dialer<'a> {
    pub(super) url: &'a Url,
    pub(super) options: &'a ClientOptions,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<&'a ClientTls>,
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
        let time = self.options.connect_timeout;
        let deadline = time.map(|time| Instant::now() + time);
        let connected = within(deadline, self.connect()).await;
        let dialed = connected.map_err(|_| ConnectError::Timeout {
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
        let stream = self.connect_tcp().await?;
        if self.options.common.tcp_no_delay {
            stream.set_nodelay(true)?;
        }
        let peer = stream.peer_addr()?.into();
        let details = TransportDetails::client(peer).at(stream.local_addr().ok());
        Ok(Dialed::now(Line::Tcp(stream), details))
    }

    async fn connect_tcp(&self) -> Result<TcpStream> {
        let host = self.url.host();
        let addresses = self.resolve().await?;
        let attempts = addresses.len();
        let connected = race(addresses, self.options.local_addr).await;
        connected.map_err(|(address, source)| {
            let host = host.to_owned();
            Error::from(ConnectError::Refused {
                host,
                attempts,
                address,
                source,
            })
        })
    }

    /// Returns the addresses to try in their order, at least one.
    async fn resolve(&self) -> Result<Vec<SocketAddr>> {
        let host = self.url.host();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = lookup_host((name, self.url.port())).await;
        let resolved = resolved.map_err(|source| unresolved(host, source))?;
        let mut addresses = interleave(resolved.collect());
        if addresses.is_empty() {
            return Err(unresolved(host, io::ErrorKind::NotFound.into()));
        }
        if let Some(local) = self.options.local_addr {
            addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
            if addresses.is_empty() {
                let host = host.to_owned();
                return Err(ConnectError::NoAddress { host, local }.into());
            }
        }
        Ok(addresses)
    }
}

#[cfg(feature = "rustls")]
impl Dialer<'_> {
    /// Returns what is to secure the stream, if it is to be secured.
    async fn security(&self) -> Result<Option<ClientTls>> {
        if !self.url.is_secure() {
            return Ok(None);
        }
        if let Some(tls) = self.tls {
            return Ok(Some(tls.clone()));
        }
        // Reads files.
        let platform = tokio::task::spawn_blocking(ClientTls::platform).await;
        Ok(Some(platform.map_err(io::Error::other)??))
    }

    async fn secure(&self, dialed: Dialed, tls: ClientTls) -> Result<Dialed> {
        let Dialed {
            line,
            details,
            since,
        } = dialed;
        let (line, details) = match line {
            Line::Tcp(stream) => {
                let stream = self.shake_hands(&tls, stream, since).await?;
                let details = stream.describe(details);
                (Line::Tls(stream), details)
            }
            Line::Other(stream) => {
                let stream = self.shake_hands(&tls, stream, since).await?;
                let details = stream.describe(details);
                (Line::Other(Box::new(stream)), details)
            }
            line @ Line::Tls(_) => (line, details),
        };
        Ok(Dialed {
            line,
            details,
            since,
        })
    }

    async fn shake_hands<S: Stream>(
        &self,
        tls: &ClientTls,
        stream: S,
        since: Instant,
    ) -> Result<TlsStream<S>> {
        let time = self.options.common.open_handshake_timeout;
        let deadline = time.map(|time| since + time);
        let secured = within(deadline, tls.connect(self.url.host(), stream)).await;
        let secured = match secured {
            Ok(secured) => secured.map_err(Error::from),
            Err(_) => Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
        };
        secured.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::info!(host = self.url.host(), error, "tls handshake failed");
        })
    }
}

#[cfg(not(feature = "rustls"))]
impl Dialer<'_> {
    /// There is nothing that could secure a stream.
    async fn security(&self) -> Result<Option<Infallible>> {
        if !self.url.is_secure() {
            return Ok(None);
        }
        let text = "wss URLs need the feature rustls, or a stream with TLS for connect_stream or run_stream";
        Err(io::Error::new(io::ErrorKind::Unsupported, text).into())
    }

    async fn secure(&self, _: Dialed, impossible: Infallible) -> Result<Dialed> {
        match impossible {}
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

fn unresolved(host: &str, source: io::Error) -> Error {
    let host = host.to_owned();
    ConnectError::Unresolved { host, source }.into()
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

/// Puts addresses in the order in which they are tried: the families by turns, beginning with that
/// of the first (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == preferred);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

/// Connects to the first of the addresses that answers; there is at least one. Dropped, it gives up
/// all attempts.
async fn race(
    addresses: Vec<SocketAddr>,
    local: Option<SocketAddr>,
) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(async move { (address, attempt(address, local).await) });
        }
        let joined = tokio::select! {
            joined = attempts.join_next() => joined,
            () = sleep(STAGGER), if waiting.len() > 0 => continue,
        };
        match joined {
            Some(Ok((_, Ok(stream)))) => return Ok(stream),
            Some(Ok((address, Err(error)))) => failure = Some((address, error)),
            // The runtime is shutting down.
            Some(Err(_)) => {}
            None => {
                let unknown = || (SocketAddr::from(([0; 4], 0)), io::ErrorKind::Other.into());
                return Err(failure.unwrap_or_else(unknown));
            }
        }
    }
}

async fn attempt(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let Some(local) = local else {
        return TcpStream::connect(address).await;
    };
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(local)?;
    socket.connect(address).await
}

/// RFC 8305 §5: "One recommended value for a default delay is 250 milliseconds."
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::{STAGGER, interleave, race};
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::net::TcpListener;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        for (found, ordered) in [
            (&[][..], &[][..]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
            ),
            (
                &["1.1.1.1:1", "1.1.1.2:1", "1.1.1.1:1", "[::1]:1"],
                &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"],
            ),
        ] {
            assert_eq!(interleave(addresses(found)), addresses(ordered));
        }
    }

    /// A listener whose queue is full, so that nothing is answered, and what fills it.
    #[cfg(target_os = "linux")]
    async fn silent() -> (TcpListener, Vec<tokio::net::TcpStream>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let (mut queue, time) = (Vec::new(), std::time::Duration::from_millis(300));
        let connect = || tokio::time::timeout(time, tokio::net::TcpStream::connect(address));
        while let Ok(stream) = connect().await {
            queue.push(stream.unwrap());
        }
        (listener, queue)
    }

    async fn good() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_is_silent_holds_the_next_up_a_moment_only() {
        let (silent, _queue) = silent().await;
        let (_listener, good) = good().await;
        let start = Instant::now();
        let addresses = vec![silent.local_addr().unwrap(), good];
        let stream = race(addresses, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let waited = start.elapsed();
        assert!(waited >= STAGGER && waited < STAGGER * 8, "{waited:?}");
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hold_the_next_up() {
        let (refusing, address) = good().await;
        drop(refusing);
        let (_listener, good) = good().await;
        let mut addresses = vec![address; 20];
        addresses.push(good);
        let start = Instant::now();
        let stream = race(addresses, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(start.elapsed() < STAGGER * 10);
        let (failed, error) = race(vec![address], None).await.unwrap_err();
        assert_eq!(failed, address);
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
