//! The factory of a client's connections.

use super::WebSocketClientProtocol;
use super::dial::{Dialed, Dialer, Line};
use super::opening::{self, Target};
use super::reconnect::{Reconnect, Reconnecting};
use crate::connection::{CloseInfo, Rules};
use crate::error::Result;
use crate::handshake::{TransportDetails, Url};
use crate::options::ClientOptions;
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use crate::transport::{Stream, WebSocket};
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
        let Dialed {
            line,
            details,
            since,
        } = Box::pin(self.dial()).await?;
        let target = self.target(since);
        match line {
            Line::Tcp(stream) => opening::run(target, details, stream).await,
            #[cfg(feature = "rustls")]
            Line::Tls(stream) => opening::run(target, details, stream).await,
            Line::Other(stream) => opening::run(target, details, stream).await,
        }
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
        let Dialed {
            line,
            details,
            since,
        } = Box::pin(self.dial()).await?;
        let target = self.target(since);
        match line {
            Line::Tcp(stream) => opening::spawn(target, details, stream).await,
            #[cfg(feature = "rustls")]
            Line::Tls(stream) => opening::spawn(target, details, stream).await,
            Line::Other(stream) => opening::spawn(target, details, stream).await,
        }
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
        opening::spawn(
            self.target(Instant::now()),
            self.details_of_stream(),
            stream,
        )
        .await
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
        opening::run(
            self.target(Instant::now()),
            self.details_of_stream(),
            stream,
        )
        .await
    }

    /// A stream that was given for a `wss://` URL has TLS.
    pub(super) fn details_of_stream(&self) -> TransportDetails {
        let details = TransportDetails::client(Peer::Unknown);
        match self.url.is_secure() {
            true => details.secure(),
            false => details,
        }
    }

    pub(super) fn target(&self, since: Instant) -> Target<P> {
        Target {
            url: self.url.clone(),
            options: Arc::clone(&self.options),
            rules: Arc::clone(&self.rules),
            instance: (self.make)(),
            since,
        }
    }

    pub(super) async fn dial(&self) -> Result<Dialed> {
        let dialer = Dialer {
            url: &self.url,
            options: &self.options,
            #[cfg(feature = "rustls")]
            tls: self.tls.as_ref(),
            #[cfg(feature = "rustls")]
            proxy_tls: self.proxy_tls.as_ref(),
        };
        dialer.dial().await
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
