//! Clients.

use super::dial::{Dialer, describe};
use super::opening::Shaking;
use super::stream::{Opened, Opening, WebSocketStream};
use super::transport::Plain;
use super::websocket::after;
use crate::connection::Rules;
use crate::error::{Error, HandlerError, Result};
use crate::handshake::client::{self, AnswerReader, BodyReader, ConnectingRequest, Journey};
use crate::handshake::{HeadLimits, TransportDetails, Url};
use crate::observe::{HeadLog, Trace, Tracer};
use crate::options::ClientOptions;
use crate::random;
use crate::socket::set_up;
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use http::StatusCode;
use socket2::SockRef;
use std::fmt;
use std::net::TcpStream;
use std::sync::Arc;

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
    on_connecting: Option<Arc<Ask>>,
    tracer: Option<Tracer>,
    #[cfg(feature = "rustls")]
    tls: Option<ClientTls>,
    #[cfg(feature = "rustls")]
    proxy_tls: Option<ClientTls>,
}

type Ask = dyn Fn(&TransportDetails) -> Result<ConnectingRequest, HandlerError> + Send + Sync;

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
            on_connecting: None,
            tracer: None,
            #[cfg(feature = "rustls")]
            tls: None,
            #[cfg(feature = "rustls")]
            proxy_tls: None,
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

    /// Sets whom a proxy of `https://` is believed by, and what it is shown.
    ///
    /// Default: what [`tls`](Self::tls) was given, but for a name that it asks for.
    #[cfg(feature = "rustls")]
    pub fn proxy_tls(mut self, tls: ClientTls) -> Self {
        self.proxy_tls = Some(tls);
        self
    }

    /// Decides before each attempt what is asked for, such as a token that does not last, in place of
    /// [`request`](Self::request).
    ///
    /// Called by the thread that connects, with a stream that is connected, TLS included; what it
    /// takes counts towards `open_handshake_timeout`. Once an attempt: where redirects are followed,
    /// what it has asked for goes along, but for host, port and resource. An error fails the attempt
    /// with [`Error::Handler`], before anything is sent.
    ///
    /// ```
    /// use motorway::{ConnectingRequest, blocking::Connector};
    ///
    /// let connector = Connector::new("ws://127.0.0.1:9000")?.on_connecting(|_| {
    ///     let token = std::fs::read_to_string("token")?;
    ///     Ok(ConnectingRequest::new().header("authorization", format!("Bearer {token}")))
    /// });
    /// # let _ = connector;
    /// # Ok::<(), motorway::Error>(())
    /// ```
    pub fn on_connecting(
        mut self,
        ask: impl Fn(&TransportDetails) -> Result<ConnectingRequest, HandlerError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.on_connecting = Some(Arc::new(ask));
        self
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Connects and waits for the opening handshake: for the stream `connect_timeout` (30 seconds
    /// unless set), to be shared by all addresses of the host and the proxy, if there is one, and then
    /// `open_handshake_timeout` (5 seconds), of which TLS is part; both again for each redirect that
    /// is followed. How long the name of a host is looked up is up to the system.
    ///
    /// # Errors
    ///
    /// Fails if an option is out of its range, with [`Error::Connect`] if there is no stream to the
    /// server, if the server refuses ([`HandshakeError::Refused`](crate::HandshakeError::Refused),
    /// with its status, headers and body), if time runs out
    /// ([`TimeoutKind::OpeningHandshake`](crate::connection::TimeoutKind::OpeningHandshake)), or if the
    /// TLS handshake fails. Without the feature `rustls` a `wss://` URL, and a proxy of `https://`, is
    /// [`Error::TlsUnsupported`].
    pub fn connect(&self) -> Result<WebSocketStream> {
        self.options.validate()?;
        let journey = Journey::new(self.url.clone(), self.options.clone());
        let line = self.dial(&journey)?;
        self.open(journey, line)
    }

    /// As [`connect`](Self::connect), on a stream that is connected already. Its timeouts are
    /// replaced. Octets are sent as they are, also for a `wss://` URL; redirects are not followed.
    ///
    /// # Errors
    ///
    /// Fails as [`connect`](Self::connect) does.
    pub fn connect_stream(&self, stream: TcpStream) -> Result<WebSocketStream> {
        self.options.validate()?;
        let common = &self.options.common;
        set_up(&SockRef::from(&stream), common)?;
        let details = describe(&stream)?;
        let shaking = Shaking {
            transport: Box::new(Plain::new(stream)?),
            deadline: common.open_handshake_timeout.and_then(after),
        };
        let options = self.options.clone().max_redirects(0);
        self.open(Journey::new(self.url.clone(), options), (shaking, details))
    }

    fn open(&self, mut journey: Journey, mut line: Line) -> Result<WebSocketStream> {
        journey.set_connecting(self.ask(&line.1)?);
        loop {
            match self.exchange(&journey, line)? {
                Answer::Opened(ws) => return Ok(*ws),
                Answer::Redirected(location) => journey.follow(&location)?,
            }
            line = self.dial(&journey)?;
        }
    }

    fn dial(&self, journey: &Journey) -> Result<Line> {
        // A name that is asked for is that of the first server.
        #[cfg(feature = "rustls")]
        let tls = self.tls.clone().map(|tls| match journey.has_crossed() {
            true => tls.nameless(),
            false => tls,
        });
        let dialer = Dialer {
            url: journey.url(),
            options: journey.options(),
            #[cfg(feature = "rustls")]
            tls: tls.as_ref(),
            #[cfg(feature = "rustls")]
            proxy_tls: self.proxy_tls.as_ref(),
        };
        dialer.dial()
    }

    fn ask(&self, details: &TransportDetails) -> Result<Option<ConnectingRequest>> {
        let Some(ask) = &self.on_connecting else {
            return Ok(self.request.clone());
        };
        let asked = ask(details).map_err(|error| Error::Handler(error.into()))?;
        Ok(Some(asked))
    }

    fn exchange(&self, journey: &Journey, line: Line) -> Result<Answer> {
        let ((shaking, details), options) = (line, journey.options());
        let (url, peer) = (journey.url(), details.peer().clone());
        let key = random::octets();
        let (request, sent) = client::request(url, options, journey.connecting(), key)?;
        let heads = HeadLog::new(&options.common);
        self.show(Trace::Request(&request));
        heads.request(&peer, &request);
        shaking.write_all(&request)?;
        let mut reader = AnswerReader::new(HeadLimits::from(options));
        let read = shaking.read_head(|octets| reader.response(octets))?;
        self.show(Trace::Response(&read.octets));
        let head = read.octets.get(reader.skipped()..).unwrap_or_default();
        heads.response(&peer, head);
        if read.head.status() != StatusCode::SWITCHING_PROTOCOLS {
            let location = client::location(&read.head);
            if let Some(location) = location.filter(|_| options.max_redirects > 0) {
                return Ok(Answer::Redirected(location.to_owned()));
            }
            let mut body = BodyReader::new(&read.head);
            body.receive(&read.early);
            shaking.read_body(&mut body);
            return Err(client::refused(read.head, body.finish()).into());
        }
        let (mut response, agreed) = client::check(read.head, &sent)?;
        response.set_peer(peer.clone());
        response.set_url(url.clone());
        let opened = Opened {
            transport: shaking.transport,
            opening: Opening::Response(Box::new(response)),
            agreed,
            early: read.early,
            path: url.resource().split('?').next().unwrap_or("/").into(),
            peer,
        };
        let ws = WebSocketStream::new(opened, Rules::client(options), self.tracer.clone());
        Ok(Answer::Opened(Box::new(ws)))
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

/// A stream that is ready for the opening handshake, and what is known of it.
type Line = (Shaking, TransportDetails);

enum Answer {
    Opened(Box<WebSocketStream>),
    /// The server leads there.
    Redirected(String),
}
