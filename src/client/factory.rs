//! The factory of a client's connections.

use super::WebSocketClientProtocol;
use super::dial::{Dialed, Dialer};
use super::opening::{self, Hook, OpenedLine, Target};
use super::reconnect::{Reconnect, Reconnecting};
use crate::connection::{CloseInfo, Rules};
use crate::error::{Error, HandlerError, Result};
use crate::handshake::client::ConnectingRequest;
use crate::handshake::{TransportDetails, Url};
use crate::observe::{Moment, Observer, Stats, Timings, tell_observer};
use crate::options::ClientOptions;
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use crate::transport::{Stream, Tally, WebSocket};
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Connects to a URL, and makes one protocol instance for each connection.
///
/// ```no_run
/// use motorway::{ClientOptions, WebSocketClientFactory, WebSocketClientProtocol};
///
/// struct Listener;
/// impl WebSocketClientProtocol for Listener {}
///
/// # async fn example() -> motorway::Result<()> {
/// let mut factory = WebSocketClientFactory::new("ws://127.0.0.1:9000", || Listener)?;
/// factory.set_protocol_options(ClientOptions::default().protocols(["chat.v1"]))?;
/// let ws = factory.connect().await?;
/// ws.send("hello").await?;
/// println!("{}", ws.closed().await);
/// # Ok(())
/// # }
/// ```
pub struct WebSocketClientFactory<P> {
    url: Url,
    make: Box<dyn Fn() -> P + Send + Sync>,
    options: Arc<ClientOptions>,
    rules: Arc<Rules>,
    hook: Option<Arc<Hook>>,
    observer: Option<Arc<dyn Observer>>,
    tally: Arc<Tally>,
    #[cfg(feature = "rustls")]
    tls: Option<ClientTls>,
    #[cfg(feature = "rustls")]
    proxy_tls: Option<ClientTls>,
}

impl<P: WebSocketClientProtocol> WebSocketClientFactory<P> {
    /// Makes a factory for connections to `url`, with the default options.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a `ws://` or `wss://` URL (RFC 6455 §3).
    pub fn new(url: impl AsRef<str>, make: impl Fn() -> P + Send + Sync + 'static) -> Result<Self> {
        let url = url
            .as_ref()
            .parse()
            .map_err(crate::handshake::HandshakeError::from)?;
        let options = ClientOptions::default();
        let rules = Arc::new(Rules::client(&options));
        Ok(Self {
            url,
            make: Box::new(make),
            options: Arc::new(options),
            rules,
            hook: None,
            observer: None,
            tally: Arc::default(),
            #[cfg(feature = "rustls")]
            tls: None,
            #[cfg(feature = "rustls")]
            proxy_tls: None,
        })
    }

    /// Replaces the options of the connections made from now on.
    ///
    /// # Errors
    ///
    /// Fails if an option has a value outside of its range, and then changes nothing; the error
    /// names the option, the value and the range.
    pub fn set_protocol_options(&mut self, options: ClientOptions) -> Result<()> {
        options.validate()?;
        self.rules = Arc::new(Rules::client(&options));
        self.options = Arc::new(options);
        Ok(())
    }

    /// Sets whom the connections made from now on believe, and what they show, with TLS.
    ///
    /// Of effect where the URL is one of `wss://`. Default: [`ClientTls::platform`].
    #[cfg(feature = "rustls")]
    pub fn set_tls(&mut self, tls: ClientTls) {
        self.tls = Some(tls);
    }

    /// Sets whom the connections made from now on believe, and what they show, where the proxy is
    /// one of `https://`.
    ///
    /// Default: what [`set_tls`](Self::set_tls) was given, but for a name that it asks for.
    #[cfg(feature = "rustls")]
    pub fn set_proxy_tls(&mut self, tls: ClientTls) {
        self.proxy_tls = Some(tls);
    }

    /// Decides before each attempt what is asked for, such as a token that does not last, where the
    /// instance's own [`on_connecting`](WebSocketClientProtocol::on_connecting) says nothing.
    ///
    /// An error fails the attempt with [`Error::Handler`](crate::Error::Handler), before anything is
    /// sent; it has as long as the opening handshake may take.
    ///
    /// ```
    /// use motorway::{ConnectingRequest, WebSocketClientFactory, WebSocketClientProtocol};
    ///
    /// struct Listener;
    /// impl WebSocketClientProtocol for Listener {}
    ///
    /// let mut factory = WebSocketClientFactory::new("ws://127.0.0.1:9000", || Listener)?;
    /// factory.on_connecting(|_| async {
    ///     let token = std::fs::read_to_string("token")?;
    ///     Ok(ConnectingRequest::new().header("authorization", format!("Bearer {token}")))
    /// });
    /// # Ok::<(), motorway::Error>(())
    /// ```
    pub fn on_connecting<F, A>(&mut self, ask: F)
    where
        F: Fn(TransportDetails) -> A + Send + Sync + 'static,
        A: Future<Output = Result<ConnectingRequest, HandlerError>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |details| Box::pin(ask(details))));
    }

    /// Sets who is told what happens on the connections made from now on; replaces who was before.
    /// See [`Observer`] for an example.
    pub fn set_observer(&mut self, observer: impl Observer) {
        self.observer = Some(Arc::new(observer));
    }

    /// Returns what went over all connections so far, those that have ended included, added up.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.tally.stats()
    }

    /// Returns the handles of the connections that are open.
    #[must_use]
    pub fn connections(&self) -> Vec<WebSocket> {
        self.tally.connections()
    }

    /// Returns the URL that connections are made to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Connects and runs the connection to its end.
    ///
    /// A `wss://` URL needs the feature `rustls`, and its server a certificate that
    /// the platform's roots or those given to `set_tls` vouch for.
    ///
    /// # Errors
    ///
    /// Fails if the connection never opened: with [`Error::Connect`](crate::Error::Connect) if it did not
    /// get as far as a stream. One that opened is described by what is returned,
    /// however it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn run(&self) -> Result<CloseInfo> {
        Ok(Box::pin(self.open()).await?.run().await)
    }

    /// Connects again whenever the policy says so, with a fresh protocol instance each time.
    ///
    /// ```no_run
    /// # use motorway::{Reconnect, WebSocketClientFactory, WebSocketClientProtocol};
    /// # struct Listener;
    /// # impl WebSocketClientProtocol for Listener {}
    /// # async fn example() -> motorway::Result<()> {
    /// let factory = WebSocketClientFactory::new("ws://127.0.0.1:9000", || Listener)?;
    /// let closed = factory.reconnect(Reconnect::default()).run().await?;
    /// println!("{closed}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnect(self, policy: Reconnect) -> Reconnecting<P> {
        Reconnecting::new(self, policy)
    }

    /// As [`run`](Self::run), but lets the connection run in a task of the runtime; returns its handle
    /// once the opening handshake is done.
    ///
    /// # Errors
    ///
    /// Fails if the connection does not open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the connection.
    pub async fn connect(&self) -> Result<WebSocket> {
        Ok(match Box::pin(self.open()).await? {
            OpenedLine::Tcp(opened) => opened.spawn(),
            #[cfg(feature = "rustls")]
            OpenedLine::Tls(opened) => opened.spawn(),
            OpenedLine::Other(opened) => opened.spawn(),
        })
    }

    /// As [`connect`](Self::connect), on a stream that is connected already; for a `wss://` URL one on
    /// which TLS was set up.
    ///
    /// # Errors
    ///
    /// Fails if the connection does not open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the connection.
    pub async fn connect_stream<S>(&self, stream: S) -> Result<WebSocket>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = opening::on_stream(self.target(), self.details_of_stream(), stream);
        Ok(Box::pin(opened).await?.spawn())
    }

    /// As [`run`](Self::run), on a stream that is connected already.
    ///
    /// # Errors
    ///
    /// Fails if the connection never opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn run_stream<S: Stream>(&self, stream: S) -> Result<CloseInfo> {
        let opened = opening::on_stream(self.target(), self.details_of_stream(), stream);
        Ok(Box::pin(opened).await?.run().await)
    }

    /// A stream that was given for a `wss://` URL has TLS.
    pub(super) fn details_of_stream(&self) -> TransportDetails {
        let details = TransportDetails::client(Peer::Unknown);
        match self.url.is_secure() {
            true => details.secure(),
            false => details,
        }
    }

    pub(super) fn target(&self) -> Target<P> {
        Target {
            url: self.url.clone(),
            options: Arc::clone(&self.options),
            rules: Arc::clone(&self.rules),
            instance: (self.make)(),
            hook: self.hook.clone(),
            timings: Timings::begin(Instant::now()),
            observer: self.observer.clone(),
            tally: Arc::clone(&self.tally),
        }
    }

    #[cfg(feature = "http2")]
    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(super) fn dialer(&self) -> Dialer<'_> {
        Dialer {
            url: &self.url,
            options: &self.options,
            #[cfg(feature = "rustls")]
            tls: self.tls.as_ref(),
            #[cfg(feature = "rustls")]
            proxy_tls: self.proxy_tls.as_ref(),
        }
    }

    /// Dials, and tells the observer if nothing comes of it.
    pub(super) async fn dial(&self, dialer: Dialer<'_>) -> Result<Dialed> {
        dialer
            .dial()
            .await
            .inspect_err(|error| self.tell_refused(error))
    }

    pub(super) fn tell_refused(&self, error: &Error) {
        if let Some(observer) = &self.observer {
            let peer = Peer::Unknown;
            tell_observer(&**observer, |observer| observer.refused(&peer, error));
        }
    }

    /// Dials and opens a connection; no instance is made before it is connected.
    pub(super) async fn open(&self) -> Result<OpenedLine<P>> {
        let dialer = self.dialer();
        let mut timings = Timings::begin(Instant::now());
        let dialed = self.dial(dialer).await?;
        timings.track_at(Moment::Connect, dialed.since);
        if dialed.details.is_secure() {
            timings.track(Moment::Tls);
        }
        let target = Target {
            timings,
            ..self.target()
        };
        opening::on_line(target, dialed, dialer).await
    }
}

impl<P> fmt::Debug for WebSocketClientFactory<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketClientFactory")
            .field("url", &self.url)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
