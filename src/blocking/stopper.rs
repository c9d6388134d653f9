//! What stops a blocking server, and which connections it has.

use super::websocket::{Inner, WebSocket};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::CloseCause;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Stops a [`Server`](super::Server) that is serving; cheap to clone.
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
    pub(super) fn new(address: SocketAddr, stopping: &Arc<Stopping>) -> Self {
        Self {
            address,
            stopping: Arc::clone(stopping),
        }
    }

    /// Stops: no further client is accepted, opening handshakes are answered with 503, every
    /// connection is closed with 1001. Returns when they have ended, at most after `close_handshake_timeout`; handlers may go on for longer.
    pub fn stop(&self) {
        if self.stopping.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        // The thread that accepts wakes up for a connection only.
        let _ = TcpStream::connect_timeout(&self.wake_address(), WAKE);
        let open = self.stopping.open();
        let frame = going_away();
        // All at once, since each that takes nothing costs a moment, and the time of each runs from here.
        for ws in &open {
            ws.announce_close(frame.clone(), CloseCause::Shutdown);
        }
        for ws in &open {
            ws.flush();
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

/// What a server shares with those who may stop it.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    stopped: AtomicBool,
    count: AtomicU32,
    open: Mutex<Vec<Weak<Inner>>>,
}

impl Stopping {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self) -> Counted<'_> {
        Counted {
            before: self.count.fetch_add(1, Ordering::SeqCst),
            stopping: self,
        }
    }

    pub(super) fn register(&self, ws: &WebSocket) {
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
pub(super) struct Counted<'a> {
    stopping: &'a Stopping,
    /// How many there were before this one.
    before: u32,
}

impl Counted<'_> {
    /// Tells whether there were `limit` connections before this one, and there still are: of those
    /// that come together, as many get in as there is room for.
    pub(super) fn exceeds(&self, limit: u32) -> bool {
        self.before >= limit && self.stopping.count.load(Ordering::SeqCst) > limit
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.stopping.count.fetch_sub(1, Ordering::SeqCst);
    }
}

fn going_away() -> CloseFrame {
    CloseFrame::new(CloseCode::GOING_AWAY, "server shuts down")
}

/// How long the thread that accepts is given to take the connection that wakes it.
const WAKE: Duration = Duration::from_secs(1);
