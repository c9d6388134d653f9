//! Clients.

use super::opening::Shaking;
use super::proxy::{dial_through, proxy_for};
use super::security::Security;
use super::stream::{Opened, Opening, WebSocketStream};
use super::transport::Tcp;
use crate::connection::{Rules, TimeoutKind};
use crate::error::{Error, Result};
use crate::handshake::client::{self, BodyReader, ConnectingRequest};
use crate::handshake::{HeadLimits, HeadReader, TransportDetails, Url};
use crate::observe::{HeadLog, Trace, Tracer};
use crate::options::ClientOptions;
use crate::peer::Peer;
use crate::random;
use crate::socket::set_up;
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use http::StatusCode;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connects to a `ws://` or `wss://` URL with the default options; waits for the opening handshake.
///
/// A `wss://` URL needs the feature `rustls`, and its server a certificate that the platform trusts;
/// for others there is [`Connector`].
///
/// # Errors
///
/// Fails as [`Connector::connect`] does.
///
/// ```no_run
/// let mut ws = motorway::blocking::connect("ws://localhost:4040/")?;
/// ws.send("Hello, Server")?;
/// println!("{}", ws.recv()?.expect("an answer").into_text()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn connect(url: impl AsRef<str>) -> Result<WebSocketStream> {
    Connector::new(url)?.connect()
}

/// Connects to a URL, any number of times.
///
/// ```no_run
/// use motorway::{ClientOptions, ConnectingRequest, DeflateOptions, blocking::Connector};
///
/// let ws = Connector::new("ws://127.0.0.1:9000/chat")?
///     .options(ClientOptions::default().per_message_deflate(DeflateOptions::default()))
///     .request(ConnectingRequest::new().header("authorization", "Bearer 0123"))
///     .trace(|trace| eprintln!("{trace}"))
///     .connect()?;
/// # Ok::<(), motorway::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is connected until connect is called"]
pub struct Connector {
    url: Url,
    options: ClientOptions,
    request: Option<ConnectingRequest>,
    tracer: Option<Tracer>,
    #[cfg(feature = "rustls")]
    tls: Option<ClientTls>,
}

impl Connector {
    /// Makes a connector with the default options.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a `ws://` or `wss://` URL (RFC 6455 §3).
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            url: url.as_ref().parse::<Url>()?,
            options: ClientOptions::default(),
            request: None,
            tracer: None,
            #[cfg(feature = "rustls")]
            tls: None,
        })
    }

    /// Replaces the options; [`connect`](Self::connect) checks them.
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets which servers are believed, and what they are shown, for a `wss://` URL.
    ///
    /// Default: [`ClientTls::platform`].
    ///
    /// ```no_run
    /// use motorway::{ClientTls, Roots, blocking::Connector};
    ///
    /// let tls = ClientTls::new(&Roots::from_pem_file("localhost.pem")?)?;
    /// let mut ws = Connector::new("wss://localhost:8765/")?.tls(tls).connect()?;
    /// ws.send("Hello")?;
    /// # Ok::<(), motorway::Error>(())
    /// ```
    #[cfg(feature = "rustls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Says what the request has besides the options: headers, host, resource, subprotocols.
    pub fn request(mut self, request: ConnectingRequest) -> Self {
        self.request = Some(request);
        self
    }

    /// Shows everything that goes over the wire to `tracer`: for the search of faults, since it may
    /// hold secrets, also in the heads: cookies, passwords, tokens. A panic of it is passed over.
    /// [`enable_trace`](crate::enable_trace) shows all connections of the process.
    pub fn trace(mut self, tracer: impl Fn(Trace<'_>) + Send + Sync + 'static) -> Self {
        self.tracer = Some(Arc::new(tracer));
        self
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Connects and waits for the opening handshake: for TCP `connect_timeout` (30 seconds unless
    /// set), to be shared by all addresses of the host, and then `open_handshake_timeout`
    /// (5 seconds), of which TLS is part. How long the name of the host is looked up is up to the
    /// system.
    ///
    /// # Errors
    ///
    /// Fails if an option is out of its range, if the host cannot be found or connected to, if the
    /// server refuses ([`HandshakeError::Refused`](crate::HandshakeError::Refused), with its status,
    /// headers and body), if time runs out ([`TimeoutKind::OpeningHandshake`]), or if the TLS handshake
    /// fails. Without the feature `rustls` a `wss://` URL is [`Error::TlsUnsupported`], and so is always a
    /// proxy of `https://`; what other proxies do wrong is [`Error::Connect`].
    pub fn connect(&self) -> Result<WebSocketStream> {
        self.options.validate()?;
        let security = self.security()?;
        let stream = match proxy_for(&self.url, &self.options) {
            Some(proxy) => dial_through(proxy, &self.url, &self.options)?,
            None => dial(&self.url, self.options.connect_timeout)?,
        };
        self.open(stream, &security)
    }

    /// Says what is between TCP and the opening handshake, before there is any connection.
    #[cfg(feature = "rustls")]
    fn security(&self) -> Result<Security> {
        if !self.url.is_secure() {
            return Ok(Security::None);
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => ClientTls::platform()?,
        };
        Ok(Security::Client(tls, self.url.host().to_owned()))
    }

    #[cfg(not(feature = "rustls"))]
    fn security(&self) -> Result<Security> {
        match self.url.is_secure() {
            true => Err(Error::TlsUnsupported),
            false => Ok(Security::None),
        }
    }

    /// As [`connect`](Self::connect), on a stream that is connected already, such as one through a
    /// proxy. Its timeouts are replaced. Octets are sent as they are, also for a `wss://` URL.
    ///
    /// # Errors
    ///
    /// Fails as [`connect`](Self::connect) does.
    pub fn connect_stream(&self, stream: TcpStream) -> Result<WebSocketStream> {
        self.options.validate()?;
        self.open(stream, &Security::None)
    }

    fn open(&self, stream: TcpStream, security: &Security) -> Result<WebSocketStream> {
        let common = &self.options.common;
        set_up(&SockRef::from(&stream), common)?;
        let peer = stream.peer_addr()?.into();
        let details = TransportDetails::client(peer).at(stream.local_addr().ok());
        let (shaking, details) =
            security.shake_hands(Tcp::new(stream)?, details, common.open_handshake_timeout)?;
        self.shake_hands(shaking, details.peer().clone())
    }

    fn shake_hands(&self, shaking: Shaking, peer: Peer) -> Result<WebSocketStream> {
        let options = &self.options;
        let key = random::octets();
        let (request, sent) = client::request(&self.url, options, self.request.as_ref(), key)?;
        let heads = HeadLog::new(&options.common);
        self.show(Trace::Request(&request));
        heads.request(&peer, &request);
        shaking.write_all(&request)?;
        let mut reader = HeadReader::new(HeadLimits::from(options));
        let read = shaking.read_head(|octets| reader.response(octets))?;
        self.show(Trace::Response(&read.octets));
        heads.response(&peer, &read.octets);
        if read.head.status() != StatusCode::SWITCHING_PROTOCOLS {
            let mut body = BodyReader::new(&read.head);
            body.receive(&read.early);
            shaking.read_body(&mut body);
            return Err(client::refused(read.head, body.finish()).into());
        }
        let (mut response, agreed) = client::check(read.head, &sent)?;
        response.set_peer(peer.clone());
        response.set_url(self.url.clone());
        let opened = Opened {
            transport: shaking.transport,
            opening: Opening::Response(Box::new(response)),
            agreed,
            early: read.early,
            path: self.url.resource().split('?').next().unwrap_or("/").into(),
            peer,
        };
        let rules = Rules::client(options);
        Ok(WebSocketStream::new(opened, rules, self.tracer.clone()))
    }

    fn show(&self, trace: Trace<'_>) {
        if let Some(tracer) = &self.tracer {
            tracer(trace);
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("url", &self.url)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Connects to the first address of the host that answers.
fn dial(url: &Url, time: Option<Duration>) -> Result<TcpStream> {
    let deadline = time.and_then(super::websocket::after);
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "host has no address");
    for address in (host, url.port()).to_socket_addrs()? {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let connected = match left {
            Some(Duration::ZERO) => return Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
            Some(left) => TcpStream::connect_timeout(&address, left),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    match failure.kind() {
        io::ErrorKind::TimedOut => Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
        _ => Err(failure.into()),
    }
}
