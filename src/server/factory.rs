//! The factory of a server's connections.

use super::companion::Companion;
use super::lifecycle::{Counter, Lifecycle};
use super::listen::Security;
use super::opening::{self, Incoming};
use super::{Server, WebSocketServerProtocol};
use crate::connection::{CloseInfo, Rules};
use crate::error::Result;
use crate::handshake::TransportDetails;
use crate::handshake::server::ConnectionRequest;
use crate::options::ServerOptions;
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::ServerTls;
use crate::transport::WebSocket;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, ToSocketAddrs};

/// Makes one protocol instance for each connection, and says what connections may do.
///
/// ```no_run
/// use motorway::{ServerOptions, WebSocketServerFactory, WebSocketServerProtocol};
/// use std::time::Duration;
///
/// struct Quiet;
/// impl WebSocketServerProtocol for Quiet {}
///
/// # async fn example() -> motorway::Result<()> {
/// let mut factory = WebSocketServerFactory::new(|| Quiet);
/// factory.set_protocol_options(
///     ServerOptions::default().auto_ping_interval(Duration::from_secs(10)).max_connections(1000),
/// )?;
/// let server = factory.listen("127.0.0.1:9000").await?;
/// println!("listening on {}", server.local_addr());
/// server.run_until(async { tokio::signal::ctrl_c().await }).await
/// # }
/// ```
pub struct WebSocketServerFactory<P> {
    shared: Arc<FactoryShared<P>>,
    /// For streams that are served without a server.
    lifecycle: Arc<Lifecycle>,
}

/// What the connections of a factory share.
pub(super) struct FactoryShared<P> {
    pub(super) make: Box<dyn Fn() -> P + Send + Sync>,
    /// Makes what runs beside the driver of a connection.
    pub(super) beside: Option<Beside<P>>,
    settings: Mutex<Arc<Settings>>,
    pub(super) counter: Arc<Counter>,
}

/// Makes a companion for an instance whose connection has just opened.
pub(super) type Beside<P> = fn(&P, WebSocket, Box<ConnectionRequest>) -> Companion;

/// The options of a factory, and the rules that follow from them.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) options: ServerOptions,
    pub(super) rules: Arc<Rules>,
}

impl Settings {
    fn new(options: ServerOptions) -> Arc<Self> {
        Arc::new(Self {
            rules: Arc::new(Rules::server(&options)),
            options,
        })
    }
}

impl<P> FactoryShared<P> {
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<P: WebSocketServerProtocol> WebSocketServerFactory<P> {
    /// Makes a factory that calls `make` for each connection, with the default options.
    pub fn new(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self::beside(make, None)
    }

    pub(super) fn beside(
        make: impl Fn() -> P + Send + Sync + 'static,
        beside: Option<Beside<P>>,
    ) -> Self {
        let shared = FactoryShared {
            make: Box::new(make),
            beside,
            settings: Mutex::new(Settings::new(ServerOptions::default())),
            counter: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            lifecycle: Arc::default(),
        }
    }

    /// Replaces the options of the connections that are accepted from now on; those that run keep
    /// the options that they started with.
    ///
    /// # Errors
    ///
    /// Fails if an option has a value outside of its range, and then changes nothing; the error
    /// names the option, the value and the range.
    pub fn set_protocol_options(&mut self, options: ServerOptions) -> Result<()> {
        options.validate()?;
        let mut settings = self
            .shared
            .settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *settings = Settings::new(options);
        Ok(())
    }

    /// Listens on a TCP address and serves connections from now on, in tasks of the runtime.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be resolved or bound.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> Result<Server> {
        self.listen_on(TcpListener::bind(address).await?)
    }

    /// Serves the connections of a listener that is bound already.
    ///
    /// # Errors
    ///
    /// Fails if the listener has no local address.
    pub fn listen_on(&self, listener: TcpListener) -> Result<Server> {
        Server::start(listener, Arc::clone(&self.shared), Security::None)
    }

    /// As [`listen`](Self::listen), with TLS: clients connect to `wss://` URLs.
    ///
    /// The TLS handshake counts towards `open_handshake_timeout`. One that fails is logged, and
    /// concerns no other connection.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be resolved or bound.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    #[cfg(feature = "rustls")]
    pub async fn listen_tls(&self, address: impl ToSocketAddrs, tls: &ServerTls) -> Result<Server> {
        self.listen_tls_on(TcpListener::bind(address).await?, tls)
    }

    /// As [`listen_on`](Self::listen_on), with TLS.
    ///
    /// # Errors
    ///
    /// Fails if the listener has no local address.
    #[cfg(feature = "rustls")]
    pub fn listen_tls_on(&self, listener: TcpListener, tls: &ServerTls) -> Result<Server> {
        let security = Security::Tls(tls.clone());
        Server::start(listener, Arc::clone(&self.shared), security)
    }

    /// Serves one connection on any stream, from the opening handshake to the end.
    ///
    /// # Errors
    ///
    /// Fails if the connection never opened: the request was refused or denied, was not one for
    /// WebSocket, took too long, or the stream failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection, and the callback that runs; `on_close` is then not
    /// called.
    pub fn serve_stream<S>(
        &self,
        stream: S,
    ) -> impl Future<Output = Result<CloseInfo>> + Send + use<P, S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_stream_from(stream, Peer::Unknown)
    }

    /// Serves one connection on any stream, and says who is at its other end; as
    /// [`serve_stream`](Self::serve_stream).
    ///
    /// # Errors
    ///
    /// Fails as `serve_stream` does.
    ///
    /// # Cancel safety
    ///
    /// As `serve_stream`.
    pub fn serve_stream_from<S>(
        &self,
        stream: S,
        peer: Peer,
    ) -> impl Future<Output = Result<CloseInfo>> + Send + use<P, S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let counted = self.shared.counter.count();
        let incoming = Incoming::new(stream, TransportDetails::server(peer), counted);
        opening::serve(
            Arc::clone(&self.shared),
            Arc::clone(&self.lifecycle),
            incoming,
        )
    }

    /// As [`serve_stream_from`](Self::serve_stream_from), with TLS, whose handshake is still to be
    /// made.
    ///
    /// # Errors
    ///
    /// Fails as `serve_stream` does, and if the TLS handshake fails.
    ///
    /// # Cancel safety
    ///
    /// As `serve_stream`.
    #[cfg(feature = "rustls")]
    pub fn serve_tls_stream<S>(
        &self,
        stream: S,
        peer: Peer,
        tls: &ServerTls,
    ) -> impl Future<Output = Result<CloseInfo>> + Send + use<P, S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let counted = self.shared.counter.count();
        let incoming = Incoming::new(stream, TransportDetails::server(peer), counted);
        let (shared, lifecycle) = (Arc::clone(&self.shared), Arc::clone(&self.lifecycle));
        opening::serve_tls(shared, lifecycle, incoming, tls.clone())
    }

    /// Returns the URL under which clients know the server, as the options say.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.shared.settings().options.url.clone()
    }

    /// Returns how many connections there are, those in the opening handshake included.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.counter.get()
    }
}

impl<P> Clone for WebSocketServerFactory<P> {
    /// Makes a second handle of the same factory, with the same options and counts.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            lifecycle: Arc::clone(&self.lifecycle),
        }
    }
}

impl<P> fmt::Debug for WebSocketServerFactory<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketServerFactory")
            .field("options", &self.shared.settings().options)
            .field("connections", &self.shared.counter.get())
            .finish_non_exhaustive()
    }
}
