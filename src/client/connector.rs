//! Clients that hold their connection as a stream.

use super::connections::Connections;
use super::opening::{self, OpenedLine};
use super::reconnect::Reconnect;
use super::{WebSocketClientFactory, WebSocketClientProtocol};
use crate::connection::CloseInfo;
use crate::error::{HandlerError, HandlerResult, Result};
use crate::handshake::client::ConnectingRequest;
use crate::handshake::{TransportDetails, Url};
use crate::message::Message;
use crate::observe::{Observer, Stats};
use crate::options::ClientOptions;
use crate::stream::{Inbox, WebSocketStream};
#[cfg(feature = "rustls")]
use crate::tls::ClientTls;
use crate::transport::WebSocket;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Connects to a URL with the default options.
///
/// The connection runs in a task of the runtime as long as the stream is kept. A [`Connector`]
/// takes options, or a stream that is connected already.
///
/// ```no_run
/// # async fn example() -> motorway::Result<()> {
/// let mut ws = motorway::connect("ws://127.0.0.1:8765").await?;
/// ws.send("Hello").await?;
/// println!("{:?}", ws.recv().await?);
/// ws.close(motorway::CloseCode::NORMAL, "").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails if `url` is not a `ws://` or `wss://` URL (RFC 6455 §3), or if the connection does not open.
///
/// # Cancel safety
///
/// Dropping the future before it resolves drops the connection.
pub async fn connect(url: impl AsRef<str>) -> Result<WebSocketStream> {
    Connector::new(url)?.connect().await
}

/// Connects to a URL with options, as often as it is told to.
///
/// ```no_run
/// use motorway::{ClientOptions, Connector};
///
/// # async fn example() -> motorway::Result<()> {
/// let mut connector = Connector::new("ws://127.0.0.1:8765")?;
/// connector.set_protocol_options(ClientOptions::default().protocols(["chat.v1"]))?;
/// let ws = connector.connect().await?;
/// println!("{:?}", ws.subprotocol());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connector {
    pub(super) factory: WebSocketClientFactory<InboxProtocol>,
}

impl Connector {
    /// Makes a connector to `url`, with the default options.
    ///
    /// # Errors
    ///
    /// Fails if `url` is not a `ws://` or `wss://` URL (RFC 6455 §3).
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        let factory = WebSocketClientFactory::new(url, || InboxProtocol(Arc::default()))?;
        Ok(Self { factory })
    }

    /// Replaces the options of the connections made from now on.
    ///
    /// # Errors
    ///
    /// Fails if an option has a value outside of its range, and then changes nothing; the error
    /// names the option, the value and the range.
    pub fn set_protocol_options(&mut self, options: ClientOptions) -> Result<()> {
        self.factory.set_protocol_options(options)
    }

    /// Sets whom the connections made from now on believe, and what they show, with TLS; as
    /// [`WebSocketClientFactory::set_tls`].
    #[cfg(feature = "rustls")]
    pub fn set_tls(&mut self, tls: ClientTls) {
        self.factory.set_tls(tls);
    }

    /// Sets the same for a proxy of `https://`; as [`WebSocketClientFactory::set_proxy_tls`].
    #[cfg(feature = "rustls")]
    pub fn set_proxy_tls(&mut self, tls: ClientTls) {
        self.factory.set_proxy_tls(tls);
    }

    /// Decides before each attempt what is asked for: such as a token that does not last; as
    /// [`WebSocketClientFactory::on_connecting`].
    ///
    /// ```no_run
    /// use motorway::{ConnectingRequest, Connector};
    ///
    /// # async fn fresh_token() -> std::io::Result<String> { Ok(String::new()) }
    /// # async fn example() -> motorway::Result<()> {
    /// let mut connector = Connector::new("ws://127.0.0.1:8765")?;
    /// connector.on_connecting(|_| async {
    ///     let token = fresh_token().await?;
    ///     Ok(ConnectingRequest::new().header("authorization", format!("Bearer {token}")))
    /// });
    /// let ws = connector.connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_connecting<F, A>(&mut self, ask: F)
    where
        F: Fn(TransportDetails) -> A + Send + Sync + 'static,
        A: Future<Output = Result<ConnectingRequest, HandlerError>> + Send + 'static,
    {
        self.factory.on_connecting(ask);
    }

    /// Sets who is told what happens on the connections made from now on; see [`Observer`].
    pub fn set_observer(&mut self, observer: impl Observer) {
        self.factory.set_observer(observer);
    }

    /// Returns what went over all connections so far, those that have ended included, added up.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.factory.stats()
    }

    /// Returns the URL that connections are made to.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.factory.url()
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Fails if the connection does not open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the connection.
    pub async fn connect(&self) -> Result<WebSocketStream> {
        Ok(match Box::pin(self.factory.open()).await? {
            OpenedLine::Tcp(opened) => opened.own(),
            #[cfg(feature = "rustls")]
            OpenedLine::Tls(opened) => opened.own(),
            OpenedLine::Other(opened) => opened.own(),
        })
    }

    /// Connects again whenever a connection is lost, with the default policy: see [`Connections`].
    #[must_use = "nothing is connected until next is called"]
    pub fn reconnecting(self) -> Connections {
        self.reconnecting_with(Reconnect::default())
    }

    /// As [`reconnecting`](Self::reconnecting), with another policy.
    ///
    /// ```no_run
    /// use motorway::{Connector, Reconnect};
    ///
    /// # async fn example() -> motorway::Result<()> {
    /// let policy = Reconnect::default().max_retries(5);
    /// let mut connections = Connector::new("ws://127.0.0.1:8765")?.reconnecting_with(policy);
    /// while let Some(mut ws) = connections.next().await {
    ///     while let Ok(Some(message)) = ws.recv().await {
    ///         println!("{message:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "nothing is connected until next is called"]
    pub fn reconnecting_with(self, policy: Reconnect) -> Connections {
        Connections::new(self, policy)
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
    pub async fn connect_stream<S>(&self, stream: S) -> Result<WebSocketStream>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let details = self.factory.details_of_stream();
        let opened = opening::on_stream(self.factory.target(), details, stream);
        Ok(Box::pin(opened).await?.own())
    }
}

/// The protocol behind a client's stream.
#[derive(Debug)]
pub(super) struct InboxProtocol(pub(super) Arc<Inbox>);

impl WebSocketClientProtocol for InboxProtocol {
    fn on_message(
        &mut self,
        _: &WebSocket,
        message: Message<'_>,
    ) -> impl Future<Output = HandlerResult> + Send {
        self.0.push(message)
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        self.0.end();
        Ok(())
    }
}

impl Drop for InboxProtocol {
    /// The driver may be dropped before the end.
    fn drop(&mut self) {
        self.0.end();
    }
}
