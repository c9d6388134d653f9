//! A server that listens, and its shutdown.

use super::accepting::accept_loop;
use super::bind::{Listener, Secured};
use super::lifecycle::{Lifecycle, SHUTDOWN_DEADLINE, going_away};
use super::opening::Serve;
use crate::address::ListenAddress;
use crate::close::{CloseCode, CloseFrame};
use crate::error::Result;
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A server that listens and serves connections in tasks of the runtime.
///
/// Dropping it stops it at once: connections are reset and callbacks dropped.
/// [`shutdown`](Self::shutdown) and [`run_until`](Self::run_until) stop it gracefully,
/// [`detach`](Self::detach) lets it run as long as the runtime does.
#[derive(Debug)]
#[must_use = "dropping a server stops it at once"]
pub struct Server {
    pub(super) lifecycle: Arc<Lifecycle>,
    local_addr: Option<SocketAddr>,
    addresses: Vec<ListenAddress>,
    /// Over which time a shutdown spreads the closing of connections.
    stagger: Duration,
    detached: bool,
}

impl Server {
    pub(super) fn start(listeners: Vec<Secured>, factory: Arc<impl Serve>) -> Result<Self> {
        let server = Self::of(&listeners)?;
        for listener in listeners {
            // Waited for at the shutdown, after which the port is free.
            let accepting = accept_loop(
                listener,
                Arc::clone(&factory),
                Arc::clone(&server.lifecycle),
            );
            server.lifecycle.tasks.spawn(accepting);
        }
        Ok(server)
    }

    /// Serves each listener in a thread of its own, with a runtime of its own.
    pub(super) fn start_workers(
        listeners: Vec<Secured>,
        factory: &Arc<impl Serve>,
    ) -> Result<Self> {
        let server = Self::of(&listeners)?;
        for (listener, security) in listeners {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let runtime = WorkerRuntime(Some(runtime));
            let listener = runtime.adopt(listener)?;
            let lifecycle = Arc::clone(&server.lifecycle);
            let accepting = accept_loop(
                (listener, security),
                Arc::clone(factory),
                Arc::clone(&lifecycle),
            );
            // Counted from here on, so that a shutdown waits for the thread's connections.
            let accepting = lifecycle.tasks.track_future(accepting);
            let work = move || {
                runtime.run(async {
                    accepting.await;
                    // Connections live in this runtime, which ends with the thread.
                    lifecycle.tasks.wait().await;
                });
            };
            thread::Builder::new()
                .name("motorway-worker".to_owned())
                .spawn(work)?;
        }
        Ok(server)
    }

    fn of(listeners: &[Secured]) -> Result<Self> {
        let listeners = listeners.iter().map(|(listener, _)| listener);
        let addresses = listeners.clone().map(Listener::address);
        let mut addresses: Vec<_> = addresses.collect::<io::Result<_>>()?;
        // Workers have the same one each.
        addresses.dedup();
        Ok(Self {
            addresses,
            local_addr: listeners.clone().find_map(Listener::socket_addr),
            lifecycle: Arc::default(),
            stagger: Duration::ZERO,
            detached: false,
        })
    }

    /// Returns the TCP address that the server listens on, the first if there are several; tells
    /// the port where 0 was asked for. `0.0.0.0:0` if it listens on Unix sockets only.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        self.local_addr.unwrap_or(none)
    }

    /// Returns all addresses that the server listens on, with the ports that were taken.
    ///
    /// ```no_run
    /// # use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
    /// # struct Quiet;
    /// # impl WebSocketServerProtocol for Quiet {}
    /// # async fn example() -> motorway::Result<()> {
    /// let factory = WebSocketServerFactory::new(|| Quiet);
    /// let server = factory.listen_all(["tcp:9000", "unix:/run/quiet.sock"]).await?;
    /// for address in server.addresses() {
    ///     println!("listening on {address}");
    /// }
    /// # server.run_until(std::future::pending::<()>()).await
    /// # }
    /// ```
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Spreads the close frames of a shutdown evenly over this time, so that clients which connect
    /// anew do not all come at once; without it they go out together.
    ///
    /// It is part of the deadline of the shutdown, and is cut short by it. Connections that are
    /// still to be told work as before.
    pub fn staggered(mut self, over: Duration) -> Self {
        self.stagger = over;
        self
    }

    /// Runs until `stop` resolves, whatever its output, and then shuts down gracefully: with 1001,
    /// and 10 seconds for the connections to close.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server, which stops it at once.
    pub async fn run_until(self, stop: impl Future) -> Result<()> {
        stop.await;
        let Self {
            lifecycle, stagger, ..
        } = &self;
        lifecycle
            .shut_down(going_away(), *stagger, SHUTDOWN_DEADLINE)
            .await
    }

    /// Shuts down: accepts no more, answers opening handshakes with 503, closes every connection
    /// with this code and reason, and waits for them and their callbacks until the deadline, at
    /// which what is left is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent; the server is dropped then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the server, which stops it at once.
    pub async fn shutdown(
        self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
        deadline: Duration,
    ) -> Result<()> {
        let frame = CloseFrame::new(code, reason);
        self.lifecycle
            .shut_down(frame, self.stagger, deadline)
            .await
    }

    /// Lets the server run without this handle, as long as the runtime does.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.detached {
            self.lifecycle.kill();
        }
    }
}

/// The runtime of a worker. May be dropped where blocking is not allowed, unlike tokio's own.
#[derive(Debug)]
struct WorkerRuntime(Option<Runtime>);

impl WorkerRuntime {
    fn adopt(&self, listener: Listener) -> io::Result<Listener> {
        let _entered = self.0.as_ref().map(Runtime::enter);
        listener.registered_here()
    }

    fn run(&self, work: impl Future) {
        if let Some(runtime) = &self.0 {
            runtime.block_on(work);
        }
    }
}

impl Drop for WorkerRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
