//! The factory of a server's connections.

use super::bind::{Listener, bind_all, bind_shared, parse_all};
use super::companion::Companion;
use super::http::{Pages, PagesCell, pages};
use super::incoming::{Incoming, Security};
use super::lifecycle::{Counter, Lifecycle, SHUTDOWN_DEADLINE, going_away};
use super::opening::Serve;
use super::{Server, WebSocketServerProtocol};
use crate::address::ListenAddress;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseInfo, Rules};
use crate::error::Result;
use crate::handshake::TransportDetails;
use crate::handshake::server::{ConnectionRequest, HttpRequest, HttpResponse};
use crate::observe::{Observer, Stats};
use crate::options::{OptionsError, ServerOptions};
use crate::peer::Peer;
use crate::transport::{Tally, WebSocket};
use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::time::Duration;

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
    pub(super) shared: Arc<FactoryShared<P>>,
    /// For streams that are served without a server.
    pub(super) lifecycle: Arc<Lifecycle>,
}

/// What the connections of a factory share.
pub(super) struct FactoryShared<P> {
    pub(super) make: Box<dyn Fn() -> P + Send + Sync>,
    /// Makes what runs beside the driver of a connection.
    pub(super) beside: Option<Beside<P>>,
    settings: Mutex<Arc<Settings>>,
    pub(super) counter: Arc<Counter>,
    pub(super) tally: Arc<Tally>,
    pages: PagesCell,
}

/// Makes a companion for an instance whose connection has just opened.
pub(super) type Beside<P> = fn(&P, WebSocket, Box<ConnectionRequest>) -> Companion;

/// The options of a factory, and the rules that follow from them.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) options: ServerOptions,
    pub(super) rules: Arc<Rules>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl Settings {
    pub(super) fn new(options: ServerOptions, observer: Option<Arc<dyn Observer>>) -> Arc<Self> {
        Arc::new(Self {
            rules: Arc::new(Rules::server(&options)),
            options,
            observer,
        })
    }
}

impl<P> FactoryShared<P> {
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn pages(&self) -> Option<Pages> {
        self.pages.get()
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
            settings: Mutex::new(Settings::new(ServerOptions::default(), None)),
            counter: Arc::default(),
            tally: Arc::default(),
            pages: PagesCell::default(),
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
        *settings = Settings::new(options, settings.observer.clone());
        Ok(())
    }

    /// Sets who is told what happens on the connections that are accepted from now on; replaces who
    /// was before. See [`Observer`] for an example.
    pub fn set_observer(&mut self, observer: impl Observer) {
        let mut settings = self
            .shared
            .settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *settings = Settings::new(settings.options.clone(), Some(Arc::new(observer)));
    }

    /// Answers plain requests of HTTP, so that a server can serve its own page, or tell a monitor
    /// that it is well.
    ///
    /// Called for each GET and HEAD that asks for no WebSocket, after `max_connections`; no
    /// instance is made. With `None` the status page answers, or 426 where `web_status` is off.
    /// One response is sent, which the client may take 60 seconds to read, and the connection is
    /// closed. Set again, it replaces what was set before.
    ///
    /// The time that it takes counts towards `open_handshake_timeout`, at which the client is
    /// dropped, but not the future. A panic is answered with 500.
    ///
    /// ```
    /// use motorway::{HttpResponse, StatusCode, WebSocketServerFactory, WebSocketServerProtocol};
    ///
    /// struct Clock;
    /// impl WebSocketServerProtocol for Clock {}
    ///
    /// let mut factory = WebSocketServerFactory::new(|| Clock);
    /// factory.on_http(|request| async move {
    ///     Some(match request.path() {
    ///         "/" => HttpResponse::html("<script>new WebSocket(location.origin.replace('http', 'ws'))</script>"),
    ///         _ => StatusCode::NOT_FOUND.into(),
    ///     })
    /// });
    /// ```
    pub fn on_http<F, A>(&mut self, answer: F)
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Option<HttpResponse>> + Send + 'static,
    {
        self.shared.pages.set(pages(answer));
    }

    /// Listens on an address and serves connections from now on, in tasks of the runtime.
    ///
    /// The address is one of TCP, such as `127.0.0.1:9000`, or an endpoint string, such as
    /// `unix:/run/chat.sock`; see [`ListenAddress`].
    ///
    /// # Errors
    ///
    /// Fails if the address is not valid, or cannot be resolved or bound.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    pub async fn listen<A>(&self, address: A) -> Result<Server>
    where
        A: TryInto<ListenAddress>,
        OptionsError: From<A::Error>,
    {
        self.listen_all([address]).await
    }

    /// Listens on several addresses, as one server; as [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// Fails if one of the addresses is not valid or cannot be resolved or bound, and then listens on
    /// none; so if there is no address at all.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    pub async fn listen_all<A>(&self, addresses: impl IntoIterator<Item = A>) -> Result<Server>
    where
        A: TryInto<ListenAddress>,
        OptionsError: From<A::Error>,
    {
        let addresses = parse_all(addresses)?;
        let listeners =
            bind_all(&addresses, &self.shared.settings().options, &Security::None).await?;
        Server::start(listeners, Arc::clone(&self.shared))
    }

    /// Listens on a TCP address with so many threads, each with a runtime and a socket of its own,
    /// among which the system shares out connections (`SO_REUSEPORT`).
    ///
    /// A connection stays on its thread, and what its callbacks spawn too; nothing is stolen, so
    /// long computations in callbacks hold up the other connections of the thread. The threads end
    /// with the server.
    ///
    /// ```no_run
    /// # use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
    /// # struct Quiet;
    /// # impl WebSocketServerProtocol for Quiet {}
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let cores = std::thread::available_parallelism()?;
    /// let factory = WebSocketServerFactory::new(|| Quiet);
    /// let server = factory.listen_workers("127.0.0.1:9000", cores).await?;
    /// # server.run_until(std::future::pending::<()>()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the address is not valid, is not one of TCP or cannot be bound, also where the system
    /// knows no such sockets and there is more than one worker, or if a thread cannot be started.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    pub async fn listen_workers<A>(&self, address: A, workers: NonZeroUsize) -> Result<Server>
    where
        A: TryInto<ListenAddress>,
        OptionsError: From<A::Error>,
    {
        let address = address.try_into().map_err(OptionsError::from)?;
        let listeners = bind_shared(
            &address,
            (&self.shared.settings().options, &Security::None),
            workers,
        )
        .await?;
        Server::start_workers(listeners, &self.shared)
    }

    /// Serves the connections of a TCP listener that is bound already.
    ///
    /// # Errors
    ///
    /// Fails if the listener has no local address.
    pub fn listen_on(&self, listener: TcpListener) -> Result<Server> {
        let listeners = vec![(Listener::Tcp(listener), Security::None)];
        Server::start(listeners, Arc::clone(&self.shared))
    }

    /// Serves the connections of a Unix socket that is bound already; its file stays when the
    /// server ends.
    ///
    /// # Errors
    ///
    /// Fails if the listener has no local address.
    #[cfg(unix)]
    pub fn listen_on_unix(&self, listener: UnixListener) -> Result<Server> {
        let listeners = vec![(Listener::Unix(listener.into()), Security::None)];
        Server::start(listeners, Arc::clone(&self.shared))
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
        let lifecycle = Arc::clone(&self.lifecycle);
        Arc::clone(&self.shared).serve(lifecycle, ready(Ok(incoming)))
    }

    pub(super) fn into_shared(self) -> Arc<FactoryShared<P>> {
        self.shared
    }

    /// Shuts down what the factory serves without a [`Server`]: connections of
    /// [`serve_stream`](Self::serve_stream), and those mounted in another HTTP server. Answers
    /// opening handshakes with 503 from now on, for good, closes every connection with this code and
    /// reason, and waits for them and their callbacks until the deadline, counted from the first
    /// poll, at which what is left is dropped.
    ///
    /// A reason longer than 123 octets is cut at a character boundary. Connections of a `Server` go
    /// on; it has a [`shutdown`](Server::shutdown) of its own.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use motorway::{CloseCode, Connector, WebSocketServerFactory};
    /// use std::time::Duration;
    ///
    /// let factory = WebSocketServerFactory::from_handler(|mut ws| async move {
    ///     while ws.recv().await?.is_some() {}
    ///     Ok(())
    /// });
    /// let (near, far) = tokio::io::duplex(1 << 16);
    /// tokio::spawn(factory.serve_stream(near));
    /// let mut ws = Connector::new("ws://localhost/")?.connect_stream(far).await?;
    /// let (_, shut_down) = tokio::join!(
    ///     ws.recv(),
    ///     factory.shutdown(1012, "restarting", Duration::from_secs(5)),
    /// );
    /// shut_down?;
    /// assert_eq!(ws.handle().closed().await.code, CloseCode::SERVICE_RESTART);
    /// # Ok::<_, motorway::Error>(()) })?; Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent, and does nothing then: allowed are 1000–1003, 1007–1014
    /// and 3000–4999.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, it has closed the connections; none is dropped then, and it may
    /// be called again to wait.
    pub async fn shutdown(
        &self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
        deadline: Duration,
    ) -> Result<()> {
        let frame = CloseFrame::new(code, reason);
        self.lifecycle
            .shut_down(frame, Duration::ZERO, deadline)
            .await
    }

    /// Waits for `stop`, whatever its output, and then [shuts down](Self::shutdown): with 1001, and
    /// 10 seconds for the connections to close.
    ///
    /// For the HTTP server that the factory is mounted in, which is to stop after that; it goes on to
    /// accept meanwhile, but for opening handshakes. Of several factories, let one wait for the
    /// other: `first.shutdown_after(second.shutdown_after(stop))`. What is returned holds the
    /// factory's connections, not the factory, and may outlive it.
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # async fn example(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// let factory = motorway::WebSocketServerFactory::from_handler(|mut ws| async move {
    ///     Ok(ws.send("welcome").await?)
    /// });
    /// let app = axum::Router::new().route_service("/", factory.clone().into_service());
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(factory.shutdown_after(tokio::signal::ctrl_c()))
    ///     .await
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped before `stop` resolves, it does nothing; later, as `shutdown`.
    pub fn shutdown_after<F>(&self, stop: F) -> impl Future<Output = ()> + Send + use<P, F>
    where
        F: Future + Send,
    {
        let lifecycle = Arc::clone(&self.lifecycle);
        async move {
            stop.await;
            // Fails with a code only that must not be sent.
            let _ = lifecycle
                .shut_down(going_away(), Duration::ZERO, SHUTDOWN_DEADLINE)
                .await;
        }
    }

    /// Returns the URL under which clients know the server, as the options say.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.shared.settings().options.url.clone()
    }

    /// Returns what went over all connections so far, those that have ended included, added up.
    ///
    /// ```
    /// # use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
    /// # struct Quiet;
    /// # impl WebSocketServerProtocol for Quiet {}
    /// let factory = WebSocketServerFactory::new(|| Quiet);
    /// println!("{} connections: {}", factory.connections().len(), factory.stats());
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.tally.stats()
    }

    /// Returns the handles of the connections that are open.
    #[must_use]
    pub fn connections(&self) -> Vec<WebSocket> {
        self.shared.tally.connections()
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
