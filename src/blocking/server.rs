//! A server for tests and small tools: one thread a connection.

use super::accepting::{Visitor, shake_hands};
use super::lobby::Lobby;
use super::security::Security;
use super::stopper::{Stopper, Stopping};
use super::stream::WebSocketStream;
use super::transport::is_pause;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, Rules};
use crate::error::{HandlerResult, Result};
use crate::handshake::server::{ConnectionAccept, ConnectionDeny, ConnectionRequest};
use crate::options::{OptionsError, ServerOptions};
#[cfg(feature = "rustls")]
use crate::tls::ServerTls;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
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
    pub(super) options: ServerOptions,
    /// What the connections obey; they share what is one for all of them.
    pub(super) rules: Rules,
    pub(super) security: Security,
    pub(super) on_connect: Option<Box<OnConnect>>,
    pub(super) stopping: Arc<Stopping>,
}

pub(super) type OnConnect =
    dyn Fn(&ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> + Send + Sync;

impl Server {
    /// Listens on an address, with the default options.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be listened on.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let options = ServerOptions::default();
        listen(&listener, &options);
        Ok(Self {
            local_addr: listener.local_addr()?,
            listener,
            rules: Rules::server(&options),
            options,
            security: Security::None,
            on_connect: None,
            stopping: Arc::default(),
        })
    }

    /// Replaces the options.
    ///
    /// # Errors
    ///
    /// Fails if an option has a value outside of its range, and with `reuse_port`: the address is bound
    /// by now, and cannot be shared any more.
    pub fn options(mut self, options: ServerOptions) -> Result<Self> {
        options.validate()?;
        if options.reuse_port {
            let allowed = "false with blocking, where the address is bound before";
            return Err(OptionsError::value("reuse_port", true, allowed).into());
        }
        listen(&self.listener, &options);
        self.rules = Rules::server(&options);
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
        Stopper::new(self.local_addr, &self.stopping)
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
        let visitor = Visitor {
            stream,
            peer,
            counted: None,
            seat: None,
        };
        shake_hands(self, visitor)
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
        let lobby = Lobby::default();
        let lobby = self.options.max_handshaking.map(|limit| (limit, &lobby));
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
                let seat = lobby.map(|(limit, lobby)| {
                    lobby.wait_for_room(limit);
                    lobby.seat()
                });
                let serve = move || {
                    let counted = self.stopping.count();
                    let visitor = Visitor {
                        stream,
                        peer,
                        counted: Some(&counted),
                        seat,
                    };
                    // A panic of whatever is called here is to concern this client alone.
                    let served = AssertUnwindSafe(|| self.serve_one(visitor, handler));
                    if catch_unwind(served).is_err() {
                        tracing::error!(%peer, "connection panicked");
                    }
                };
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, serve) {
                    tracing::warn!(%error, "cannot make a thread for a connection");
                }
            }
        });
        Ok(())
    }

    fn serve_one(
        &self,
        visitor: Visitor<'_>,
        handler: &(impl Fn(&mut WebSocketStream) -> HandlerResult + Sync),
    ) {
        let peer = visitor.peer;
        let mut ws = match shake_hands(self, visitor) {
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
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Tells the system how many may wait. It has been told before, and may know no other number.
fn listen(listener: &TcpListener, options: &ServerOptions) {
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    if let Err(error) = SockRef::from(listener).listen(backlog) {
        tracing::warn!(%error, "cannot set the backlog");
    }
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
