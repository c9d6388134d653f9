//! The factory of a client's connections.

use super::WebSocketClientProtocol;
use super::opening::{self, Target};
use super::reconnect::{Reconnect, Reconnecting};
use crate::connection::{CloseInfo, Rules, TimeoutKind};
use crate::error::{Error, Result};
use crate::handshake::{TransportDetails, Url};
use crate::options::ClientOptions;
use crate::peer::Peer;
use crate::transport::{Stream, WebSocket, within};
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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

    /// Returns the URL that connections are made to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Connects and runs the connection to its end.
    ///
    /// # Errors
    ///
    /// Fails if the connection never opened. One that opened is described by what is returned,
    /// however it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn run(&self) -> Result<CloseInfo> {
        let (stream, details) = self.dial().await?;
        opening::run(self.target(), details, stream).await
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

    /// Connects, and lets the connection run in a task of the runtime; returns its handle once the
    /// opening handshake is done.
    ///
    /// # Errors
    ///
    /// Fails if the connection does not open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the connection.
    pub async fn connect(&self) -> Result<WebSocket> {
        let (stream, details) = self.dial().await?;
        opening::spawn(self.target(), details, stream).await
    }

    /// As [`connect`](Self::connect), on a stream that is connected already.
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
            self.target(),
            TransportDetails::client(Peer::Unknown),
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
            self.target(),
            TransportDetails::client(Peer::Unknown),
            stream,
        )
        .await
    }

    pub(super) fn target(&self) -> Target<P> {
        Target {
            url: self.url.clone(),
            options: Arc::clone(&self.options),
            rules: Arc::clone(&self.rules),
            instance: (self.make)(),
        }
    }

    pub(super) async fn dial(&self) -> Result<(TcpStream, TransportDetails)> {
        if self.url.is_secure() {
            let text =
                "wss URLs need a TLS stream: connect it and use connect_stream or run_stream";
            return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text).into());
        }
        let deadline = self
            .options
            .connect_timeout
            .map(|time| Instant::now() + time);
        let host = self
            .url
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let connecting = TcpStream::connect((host, self.url.port()));
        let stream = within(deadline, connecting)
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
        if self.options.common.tcp_no_delay {
            stream.set_nodelay(true)?;
        }
        let peer = stream.peer_addr()?.into();
        let details = TransportDetails::client(peer).at(stream.local_addr().ok());
        Ok((stream, details))
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
