//! Several factories behind one address, told apart by the path of the request.

use super::bind::{Listener, bind_all, bind_shared, parse_all};
use super::factory::{FactoryShared, Settings};
use super::http::{Pages, pages};
use super::incoming::{Incoming, Security};
use super::lifecycle::{Counted, Counter, Lifecycle, Served};
use super::opening::{Opening, Serve};
use super::reading::Arrived;
use super::{Server, WebSocketServerFactory, WebSocketServerProtocol};
use crate::address::ListenAddress;
use crate::error::{Error, Result};
use crate::handshake::server::{HttpRequest, HttpResponse, RoutePattern, path_of};
use crate::handshake::{HandshakeError, TransportDetails};
use crate::options::{OptionsError, ServerOptions};
use crate::peer::Peer;
use crate::transport::{AnyStream, Stream};
use http::StatusCode;
use std::fmt;
use std::future::ready;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// Leads each connection to a factory by the path of its request.
///
/// Patterns are `/chat`, `/chat/{room}` or `/files/{*rest}`; see [`RoutePattern`]. Where several
/// match, the one that says most about the path from the left is taken, whatever their order. A
/// path that matches none is answered with 404. The callbacks read the values with
/// [`ConnectionRequest::path_param`](crate::ConnectionRequest::path_param).
///
/// Each factory keeps its own options, count, limit and pages. What is settled before the path is
/// known follows the router's options: `open_handshake_timeout`, the limits of the head,
/// `tcp_no_delay`, trusted proxies, and `max_connections` for all together.
///
/// ```no_run
/// use motorway::{ConnectionAccept, ConnectionDeny, ConnectionRequest, Router};
/// use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
///
/// struct Chat(String);
///
/// impl WebSocketServerProtocol for Chat {
///     async fn on_connect(&mut self, request: &ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> {
///         self.0 = request.path_param("room").unwrap_or_default().to_owned();
///         Ok(ConnectionAccept::default())
///     }
/// }
///
/// struct Clock;
/// impl WebSocketServerProtocol for Clock {}
///
/// # async fn example() -> motorway::Result<()> {
/// let router = Router::new()
///     .route("/chat/{room}", WebSocketServerFactory::new(|| Chat(String::new())))
///     .route("/clock", WebSocketServerFactory::new(|| Clock));
/// let server = router.listen("127.0.0.1:9000").await?;
/// server.run_until(tokio::signal::ctrl_c()).await
/// # }
/// ```
#[derive(Clone)]
pub struct Router {
    /// The most particular first.
    routes: Vec<(RoutePattern, Arc<dyn Route>)>,
    fault: Option<OptionsError>,
    settings: Arc<Settings>,
    pages: Pages,
    counter: Arc<Counter>,
    /// For streams that are served without a server.
    lifecycle: Arc<Lifecycle>,
}

impl Router {
    /// Makes a router without routes, which answers everything with 404.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            fault: None,
            settings: Settings::new(ServerOptions::default(), None),
            pages: pages(|_| async { Some(StatusCode::NOT_FOUND.into()) }),
            counter: Arc::default(),
            lifecycle: Arc::default(),
        }
    }

    /// Leads requests for paths of this pattern to a factory.
    ///
    /// A pattern that is not valid, or that matches the same paths as an earlier one, is told when
    /// the router is to listen.
    #[must_use]
    pub fn route<P: WebSocketServerProtocol>(
        mut self,
        pattern: &str,
        factory: WebSocketServerFactory<P>,
    ) -> Self {
        let Some(parsed) = RoutePattern::parse(pattern) else {
            let allowed = "a path with whole segments such as {name}, or {*name} as the last";
            self.fault
                .get_or_insert_with(|| OptionsError::text("route", pattern, allowed));
            return self;
        };
        if self.routes.iter().any(|(one, _)| one.is_same_as(&parsed)) {
            let allowed = "different from the other routes";
            self.fault
                .get_or_insert_with(|| OptionsError::text("route", pattern, allowed));
            return self;
        }
        let is_before = |route: &(RoutePattern, _)| route.0.ranks().le(parsed.ranks());
        let place = self.routes.partition_point(is_before);
        self.routes.insert(place, (parsed, factory.into_shared()));
        self
    }

    /// Replaces the router's own options, for listeners that start from now on.
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocketServerFactory::set_protocol_options`] does.
    pub fn set_protocol_options(&mut self, options: ServerOptions) -> Result<()> {
        options.validate()?;
        self.settings = Settings::new(options, None);
        Ok(())
    }

    /// Answers plain requests for paths that no route matches; with `None`, as without it, they
    /// get 404. Those that a route matches are for its factory's
    /// [`on_http`](WebSocketServerFactory::on_http), which says more.
    pub fn on_http<F, A>(&mut self, answer: F)
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Option<HttpResponse>> + Send + 'static,
    {
        let missing = || HttpResponse::from(StatusCode::NOT_FOUND);
        self.pages = pages(move |request| {
            let answer = answer(request);
            async move { Some(answer.await.unwrap_or_else(missing)) }
        });
    }

    /// Listens on an address and serves connections from now on, in tasks of the runtime.
    ///
    /// The address is one of TCP, such as `127.0.0.1:9000`, or an endpoint string, such as
    /// `unix:/run/chat.sock`; see [`ListenAddress`].
    ///
    /// # Errors
    ///
    /// Fails if a pattern is not valid or comes twice, or if the address is not valid, or cannot be
    /// resolved or bound.
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
    /// Fails if a pattern is not valid or comes twice, or if one of the addresses is not valid or
    /// cannot be resolved or bound, and then listens on none; so if there is no address at all.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it listens to nothing.
    pub async fn listen_all<A>(&self, addresses: impl IntoIterator<Item = A>) -> Result<Server>
    where
        A: TryInto<ListenAddress>,
        OptionsError: From<A::Error>,
    {
        self.check()?;
        let addresses = parse_all(addresses)?;
        let listeners = bind_all(&addresses, &self.settings.options, &Security::None).await?;
        Server::start(listeners, Arc::new(self.clone()))
    }

    /// Listens on a TCP address with so many threads, each with a runtime and a socket of its own,
    /// among which the system shares out connections (`SO_REUSEPORT`).
    ///
    /// A connection stays on its thread, and what its callbacks spawn too; nothing is stolen, so
    /// long computations in callbacks hold up the other connections of the thread. The threads end
    /// with the server.
    ///
    /// ```no_run
    /// # use motorway::Router;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let cores = std::thread::available_parallelism()?;
    /// let server = Router::new().listen_workers("127.0.0.1:9000", cores).await?;
    /// # server.run_until(std::future::pending::<()>()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if a pattern is not valid or comes twice, or if the address is not valid, is not one of TCP or cannot be bound, also where the system
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
        self.check()?;
        let address = address.try_into().map_err(OptionsError::from)?;
        let listeners =
            bind_shared(&address, (&self.settings.options, &Security::None), workers).await?;
        Server::start_workers(listeners, &Arc::new(self.clone()))
    }

    /// Serves the connections of a TCP listener that is bound already.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is not valid or comes twice, or if the listener has no local address.
    pub fn listen_on(&self, listener: TcpListener) -> Result<Server> {
        self.check()?;
        let listeners = vec![(Listener::Tcp(listener), Security::None)];
        Server::start(listeners, Arc::new(self.clone()))
    }

    /// Serves the connections of a Unix socket that is bound already; its file stays when the
    /// server ends.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is not valid or comes twice, or if the listener has no local address.
    #[cfg(unix)]
    pub fn listen_on_unix(&self, listener: UnixListener) -> Result<Server> {
        self.check()?;
        let listeners = vec![(Listener::Unix(listener.into()), Security::None)];
        Server::start(listeners, Arc::new(self.clone()))
    }

    /// Serves one connection on any stream, as
    /// [`WebSocketServerFactory::serve_stream_from`] does.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is not valid or comes twice, or if the connection never opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection, and the callback that runs; `on_close` is then not
    /// called.
    pub fn serve_stream_from<S>(
        &self,
        stream: S,
        peer: Peer,
    ) -> impl Future<Output = Served> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let checked = self.check();
        let details = TransportDetails::server(peer);
        let incoming = Incoming::new(stream, details, self.counter.count());
        let lifecycle = Arc::clone(&self.lifecycle);
        let serving = Arc::new(self.clone()).serve(lifecycle, ready(Ok(incoming)));
        async move {
            checked?;
            serving.await
        }
    }

    /// Returns how many connections there are, those in the opening handshake included.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.counter.get()
    }

    /// Returns what serves connections, if all patterns are valid.
    #[cfg(feature = "rustls")]
    pub(super) fn checked(&self) -> Result<Arc<Self>> {
        self.check()?;
        Ok(Arc::new(self.clone()))
    }

    fn check(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(fault.clone().into()),
            None => Ok(()),
        }
    }

    /// Reads the request and finds its route; answers one that has none.
    async fn find(
        &self,
        opening: &mut Opening<AnyStream>,
        counted: &Counted,
    ) -> Result<(Arc<dyn Route>, Arrived)> {
        let mut arrived = opening.read().await?;
        opening.admit(counted).await?;
        let path = path_of(&arrived.head).unwrap_or_default();
        let mut routes = self.routes.iter();
        let found = routes.find_map(|(pattern, route)| Some((route, pattern.matches(path)?)));
        if let Some((route, path_params)) = found {
            arrived.path_params = path_params;
            return Ok((Arc::clone(route), arrived));
        }
        // What is wrong with the request itself is told first.
        let pages = Some(Arc::clone(&self.pages));
        opening.judge(arrived, pages).await?;
        opening.refuse(HandshakeError::NoRoute).await
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.routes.iter().map(|(pattern, _)| pattern);
        f.debug_struct("Router")
            .field("routes", &patterns.collect::<Vec<_>>())
            .field("options", &self.settings.options)
            .finish_non_exhaustive()
    }
}

impl Serve for Router {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }

    fn serve<S: Stream>(
        self: Arc<Self>,
        lifecycle: Arc<Lifecycle>,
        arriving: impl Future<Output = Result<Incoming<S>>> + Send + 'static,
    ) -> impl Future<Output = Served> + Send + 'static {
        let finding = Box::pin(async move {
            let incoming = arriving.await?;
            let stream = AnyStream::new(incoming.stream);
            let incoming = Incoming {
                stream,
                details: incoming.details,
                counted: incoming.counted,
                since: incoming.since,
                timings: incoming.timings,
                token: incoming.token,
                seat: incoming.seat,
            };
            let (mut opening, counted) = Opening::new(self.settings(), lifecycle, incoming);
            let found = self.find(&mut opening, &counted).await;
            opening.log(found.as_ref().err());
            let (route, arrived) = found?;
            Ok::<_, Error>((route.run(opening, arrived), counted))
        });
        async move {
            let (running, _counted) = finding.await?;
            running.await
        }
    }
}

/// A factory, whatever its protocol.
trait Route: Send + Sync {
    fn run(
        self: Arc<Self>,
        opening: Opening<AnyStream>,
        arrived: Arrived,
    ) -> Pin<Box<dyn Future<Output = Served> + Send>>;
}

impl<P: WebSocketServerProtocol> Route for FactoryShared<P> {
    fn run(
        self: Arc<Self>,
        mut opening: Opening<AnyStream>,
        arrived: Arrived,
    ) -> Pin<Box<dyn Future<Output = Served> + Send>> {
        opening.adopt(Self::settings(&self));
        let counted = self.counter.count();
        Box::pin(opening.finish(self, arrived, counted))
    }
}
