//! A server for tests and small tools: one thread a connection.

use super::opening::Shaking;
use super::security::Security;
use super::stream::{Opened, Opening, WebSocketStream};
use super::transport::{Plain, is_pause};
use super::websocket::{Inner, WebSocket, after};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, Rules};
use crate::error::{Error, HandlerResult, Result};
use crate::handshake::server::{
    self, Checked, ConnectionAccept, ConnectionDeny, ConnectionRequest,
};
use crate::handshake::{HandshakeError, HeadLimits, HeadReader, TransportDetails};
use crate::observe::HeadLog;
use crate::options::ServerOptions;
use crate::socket::set_up;
#[cfg(feature = "rustls")]
use crate::tls::ServerTls;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// Serves connections until the process ends: calls `handler` for each, in a thread of its own.
///
/// When the handler returns, the connection is closed: with 1000, or with 1011 if it failed or
/// panicked, unless [`HandlerError::close`](crate::HandlerError::close) says otherwise.
///
/// # Errors
///
/// Fails if the address cannot be listened on.
///
/// ```no_run
/// motorway::blocking::serve("127.0.0.1:8765", |ws| {
///     while let Some(message) = ws.recv()? {
///         ws.send(message)?;
///     }
///     Ok(())
/// })?;
/// # Ok::<(), motorway::Error>(())
/// ```
pub fn serve<F>(address: impl ToSocketAddrs, handler: F) -> Result<()>
where
    F: Fn(&mut WebSocketStream) -> HandlerResult + Send + Sync,
{
    Server::bind(address)?.serve(handler)
}

/// A server that listens, for tests and small tools; it costs a thread for each connection.
///
/// ```
/// use motorway::{CloseCode, blocking};
///
/// let server = blocking::Server::bind("127.0.0.1:0")?;
/// let url = format!("ws://{}", server.local_addr());
/// let serving = std::thread::spawn(move || server.accept()?.recv());
///
/// let mut ws = blocking::connect(url)?;
/// ws.send("Hello")?;
/// assert_eq!(serving.join().unwrap()?, Some("Hello".into()));
/// # Ok::<(), motorway::Error>(())
/// ```
#[must_use = "nothing is accepted until accept or serve is called"]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    options: ServerOptions,
    security: Security,
    on_connect: Option<Box<OnConnect>>,
    stopping: Arc<Stopping>,
}

type OnConnect =
    dyn Fn(&ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> + Send + Sync;

/// What a server shares with those who may stop it.
#[derive(Debug, Default)]
struct Stopping {
    stopped: AtomicBool,
    count: AtomicU32,
    open: Mutex<Vec<Weak<Inner>>>,
}

impl Server {
    /// Listens on an address, with the default options.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be listened on.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self {
            local_addr: listener.local_addr()?,
            listener,
            options: ServerOptions::default(),
            security: Security::None,
            on_connect: None,
            stopping: Arc::default(),
        })
    }

    /// Replaces the options.
    ///
    /// # Errors
    ///
    /// Fails if an option has a value outside of its range.
    pub fn options(mut self, options: ServerOptions) -> Result<Self> {
        options.validate()?;
        self.options = options;
        Ok(self)
    }

    /// Speaks TLS: clients connect to `wss://` URLs. The TLS handshake counts towards
    /// `open_handshake_timeout`.
    ///
    /// ```no_run
    /// use motorway::{ServerTls, blocking};
    ///
    /// let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?;
    /// blocking::Server::bind("0.0.0.0:443")?.tls(&tls).serve(|ws| {
    ///     while let Some(message) = ws.recv()? {
    ///         ws.send(message)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), motorway::Error>(())
    /// ```
    #[cfg(feature = "rustls")]
    pub fn tls(mut self, tls: &ServerTls) -> Self {
        self.security = Security::Server(tls.clone());
        self
    }

    /// Sets what accepts or denies valid requests; without a subprotocol of its choice the first one
    /// offered is taken that is one of the options'.
    pub fn on_connect(
        mut self,
        call: impl Fn(&ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.on_connect = Some(Box::new(call));
        self
    }

    /// Returns the address that the server listens on; tells the port where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns what stops [`serve`](Self::serve) from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            address: self.local_addr,
            stopping: Arc::clone(&self.stopping),
        }
    }

    /// Waits for the next client and for its opening handshake, at most for
    /// `open_handshake_timeout` (5 seconds unless set). Clients behind it wait meanwhile. Connections
    /// made so do not count for `max_connections`.
    ///
    /// # Errors
    ///
    /// Fails if the socket does, or if the opening handshake of this client does, which has been
    /// answered then; the server can go on.
    pub fn accept(&self) -> Result<WebSocketStream> {
        let (stream, peer) = self.listener.accept()?;
        self.shake_hands(stream, peer)
    }

    /// Serves connections until it is [stopped](Self::stopper): calls `handler` for each, in a
    /// thread of its own, and returns when all of these have ended.
    ///
    /// When the handler returns, the connection is closed: with 1000, or with 1011 if it failed or
    /// panicked, unless [`HandlerError::close`](crate::HandlerError::close) says otherwise.
    ///
    /// # Errors
    ///
    /// Does not fail at present: what the listening socket reports is logged, and tried again.
    pub fn serve<F>(&self, handler: F) -> Result<()>
    where
        F: Fn(&mut WebSocketStream) -> HandlerResult + Send + Sync,
    {
        let handler = &handler;
        thread::scope(|scope| {
            while !self.stopping.is_stopped() {
                let (stream, peer) = match self.listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        pause_after(&error);
                        continue;
                    }
                };
                if self.stopping.is_stopped() {
                    break;
                }
                let serve = move || self.serve_one(stream, peer, handler);
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, serve) {
                    tracing::warn!(%error, "cannot make a thread for a connection");
                }
            }
        });
        Ok(())
    }

    fn serve_one(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        handler: &(impl Fn(&mut WebSocketStream) -> HandlerResult + Sync),
    ) {
        let _counted = self.stopping.count();
        let mut ws = match self.shake_hands(stream, peer) {
            Ok(ws) => ws,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::info!(%peer, error, "opening handshake failed");
                return;
            }
        };
        let handle = ws.handle().clone();
        self.stopping.register(&handle);
        match catch_unwind(AssertUnwindSafe(|| handler(&mut ws))) {
            Ok(verdict) => handle.close_after(verdict),
            Err(_) => {
                let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "");
                handle.close_because(frame, CloseCause::Panic)
            }
        };
    }

    fn shake_hands(&self, stream: TcpStream, peer: SocketAddr) -> Result<WebSocketStream> {
        let options = &self.options;
        set_up(&SockRef::from(&stream), &options.common)?;
        let details = TransportDetails::server(peer.into()).at(stream.local_addr().ok());
        let deadline = options.common.open_handshake_timeout.and_then(after);
        let plain = Box::new(Plain::new(stream)?);
        let (shaking, details) = self.security.shake_hands(plain, details, deadline)?;
        let (heads, named) = (HeadLog::new(&options.common), details.peer().clone());
        let mut reader = HeadReader::new(HeadLimits::from(options));
        let read = match shaking.read_head(|octets| reader.request(octets)) {
            Err(Error::Handshake(error)) => return self.refuse(shaking, *error),
            read => read?,
        };
        heads.request(&named, &read.octets);
        if self.stopping.exceeds(options.max_connections) {
            return self.refuse(shaking, HandshakeError::TooManyConnections);
        }
        let request = match server::check(read.head, options, details) {
            Checked::Upgrade(request) => request,
            Checked::Http(request) => {
                shaking.answer(&server::status_page(&request, options));
                return Err(HandshakeError::UpgradeRequired.into());
            }
            Checked::Refused { error, response } => {
                shaking.answer(&response);
                return Err(error.into());
            }
        };
        let accept = match &self.on_connect {
            None => ConnectionAccept::new(),
            Some(call) => match call(&request) {
                Ok(accept) => accept,
                Err(deny) => return Err(refuse_denied(shaking, &deny)),
            },
        };
        let options = match accept.own_options() {
            Some(own) => match own.validate() {
                Ok(()) => &own.clone(),
                Err(error) => {
                    return Err(refuse_denied(shaking, &ConnectionDeny::internal(error)));
                }
            },
            None => options,
        };
        let (response, agreed) =
            match server::accept(&request, &choose(&request, accept, options), options) {
                Ok(accepted) => accepted,
                Err(error) => return self.refuse(shaking, error),
            };
        heads.response(&named, &response);
        shaking.write_all(&response)?;
        let opened = Opened {
            transport: shaking.transport,
            path: request.path().to_owned(),
            peer: request.peer().clone(),
            opening: Opening::Request(request),
            agreed,
            early: read.early,
        };
        Ok(WebSocketStream::new(opened, Rules::server(options), None))
    }

    fn refuse(&self, shaking: Shaking, error: HandshakeError) -> Result<WebSocketStream> {
        shaking.answer(&server::refuse(&error, &self.options));
        Err(error.into())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn choose(
    request: &ConnectionRequest,
    accept: ConnectionAccept,
    options: &ServerOptions,
) -> ConnectionAccept {
    if accept.subprotocol().is_some() {
        return accept;
    }
    match ConnectionAccept::default_for(request, options).subprotocol() {
        Some(protocol) => accept.protocol(protocol),
        None => accept,
    }
}

fn refuse_denied(shaking: Shaking, deny: &ConnectionDeny) -> Error {
    if let Some(error) = deny.source_error() {
        tracing::error!(error = error as &dyn std::error::Error, "on_connect failed");
    }
    shaking.answer(&server::deny(deny));
    let status = deny.status();
    HandshakeError::Denied { status }.into()
}

/// Stops a [`Server`] that is serving; cheap to clone.
///
/// ```
/// use motorway::{CloseCode, blocking};
///
/// let server = blocking::Server::bind("127.0.0.1:0")?;
/// let (url, stopper) = (format!("ws://{}", server.local_addr()), server.stopper());
/// let serving = std::thread::spawn(move || server.serve(|ws| {
///     ws.send("welcome")?;
///     while ws.recv()?.is_some() {}
///     Ok(())
/// }));
///
/// let mut ws = blocking::connect(url)?;
/// assert_eq!(ws.recv()?, Some("welcome".into()));
/// let reading = std::thread::spawn(move || { ws.recv()?; Ok::<_, motorway::Error>(ws.close_info()) });
/// stopper.stop();
/// assert_eq!(reading.join().unwrap()?.unwrap().code, CloseCode::GOING_AWAY);
/// serving.join().unwrap()?;
/// # Ok::<(), motorway::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    address: SocketAddr,
    stopping: Arc<Stopping>,
}

impl Stopper {
    /// Stops: no further client is accepted, every connection is closed with 1001. Returns when they
    /// have ended, at most after `close_handshake_timeout`; handlers may go on for longer.
    pub fn stop(&self) {
        if self.stopping.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        // The thread that accepts wakes up for a connection only.
        let _ = TcpStream::connect_timeout(&self.wake_address(), WAKE);
        let open = self.stopping.open();
        let frame = going_away();
        for ws in &open {
            ws.begin_close(frame.clone(), CloseCause::Shutdown);
        }
        for ws in &open {
            ws.close_because(frame.clone(), CloseCause::Shutdown);
        }
    }

    /// A server on every address is woken on this host's own.
    fn wake_address(&self) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        address
    }
}

impl Stopping {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn count(&self) -> Counted<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        Counted(self)
    }

    fn exceeds(&self, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.count.load(Ordering::SeqCst) > limit)
    }

    fn register(&self, ws: &WebSocket) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|ws| ws.strong_count() > 0);
        open.push(Arc::downgrade(&ws.0));
        drop(open);
        // One that opens while the server stops was perhaps not listed yet.
        if self.is_stopped() {
            ws.begin_close(going_away(), CloseCause::Shutdown);
        }
    }

    fn open(&self) -> Vec<WebSocket> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .filter_map(Weak::upgrade)
            .map(WebSocket)
            .collect()
    }
}

/// A connection that counts until it is dropped.
struct Counted<'a>(&'a Stopping);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

fn going_away() -> CloseFrame {
    CloseFrame::new(CloseCode::GOING_AWAY, "server shuts down")
}

/// Waits a little after what concerns the process, such as a lack of descriptors; a connection that
/// was gone before it was accepted concerns nobody.
fn pause_after(error: &io::Error) {
    let concerns_one = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !concerns_one && !is_pause(error) {
        tracing::warn!(%error, "cannot accept connections for now");
        thread::sleep(PAUSE);
    }
}

const PAUSE: Duration = Duration::from_millis(100);
/// How long the thread that accepts is given to take the connection that wakes it.
const WAKE: Duration = Duration::from_secs(1);
