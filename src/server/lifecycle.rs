//! Which connections a server has, and how they are told to end.

use super::lobby::Lobby;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseInfo, SendError};
use crate::handshake::HandshakeError;
use crate::observe::Stats;
use crate::transport::{ById, Entry, WebSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The connections of one server.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    /// The server accepts no more; opening handshakes are answered with 503.
    pub(super) draining: CancellationToken,
    /// The deadline of the shutdown has passed.
    pub(super) killed: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) lobby: Arc<Lobby>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Each with its place in the list of its factory.
    live: ById<(WebSocket, Entry)>,
    /// What went over those that have ended.
    past: Stats,
}

impl Lifecycle {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a connection until what is returned is dropped.
    pub(super) fn register(self: &Arc<Self>, ws: WebSocket, entry: Entry) -> Registered {
        let id = ws.id();
        self.lock().live.insert(id, (ws, entry));
        Registered {
            lifecycle: Arc::clone(self),
            id,
        }
    }

    pub(super) fn connections(&self) -> Vec<WebSocket> {
        let open = self.lock();
        open.live.values().map(|(ws, _)| ws.clone()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().live.len()
    }

    /// Returns what went over all connections so far.
    pub(super) fn stats(&self) -> Stats {
        let open = self.lock();
        let live = open.live.values().map(|(ws, _)| ws.total_stats());
        live.fold(open.past, |sum, stats| sum + stats)
    }

    /// Waits for something, but not beyond the deadline of a shutdown.
    ///
    /// For what is pinned elsewhere: this would have room for it twice.
    pub(super) async fn unless_killed<F: Future + Unpin>(
        &self,
        future: F,
    ) -> Result<F::Output, HandshakeError> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.killed.cancelled() => Err(HandshakeError::ShuttingDown),
        }
    }

    /// Takes no more connections, closes those there are, over this time, and waits for them and their
    /// callbacks until the deadline, at which what is left is dropped.
    pub(super) async fn shut_down(
        &self,
        frame: CloseFrame,
        stagger: Duration,
        deadline: Duration,
    ) -> crate::error::Result<()> {
        if !frame.code.is_sendable() {
            let code = frame.code.as_u16();
            return Err(SendError::InvalidCloseCode { code }.into());
        }
        self.draining.cancel();
        self.tasks.close();
        let ending = async {
            self.close_all(&frame, stagger).await;
            self.tasks.wait().await;
        };
        if timeout(deadline, ending).await.is_err() {
            let left = self.connections().len();
            tracing::warn!(left, "connections dropped at the deadline of the shutdown");
            self.kill();
            if timeout(LAST_WAIT, self.tasks.wait()).await.is_err() {
                let left = self.tasks.len();
                tracing::error!(
                    left,
                    "connections that nobody runs, or that block their thread"
                );
            }
        }
        Ok(())
    }

    /// Closes all connections, one after the other where that was asked for.
    async fn close_all(&self, frame: &CloseFrame, stagger: Duration) {
        let connections = self.connections();
        let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        let step = stagger / count.max(1);
        for (place, ws) in connections.into_iter().enumerate() {
            if place > 0 && !step.is_zero() {
                sleep(step).await;
            }
            ws.shut_down(frame.clone());
        }
    }

    /// Ends everything at once.
    pub(super) fn kill(&self) {
        // In this order: a connection that is just opening is to be killed, not to say goodbye.
        self.killed.cancel();
        self.draining.cancel();
        self.tasks.close();
        self.connections().iter().for_each(WebSocket::kill);
    }
}

/// A connection in the list of its server.
#[derive(Debug)]
pub(super) struct Registered {
    lifecycle: Arc<Lifecycle>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.lifecycle.lock();
        let left = open.live.remove(&self.id);
        if let Some((ws, _)) = &left {
            open.past += ws.total_stats();
        }
        // What it holds may be dropped with it, which is to happen without the lock.
        drop(open);
        drop(left);
    }
}

/// Counts connections from the moment they are accepted.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicUsize);

/// One counted connection, which may not be let in.
#[derive(Debug)]
pub(super) struct Counted {
    place: Place,
    /// How many there were before this one.
    before: usize,
}

/// The place of a connection among those that are counted; free when dropped, on whatever path.
#[derive(Debug)]
pub(super) struct Place(Arc<Counter>);

impl Counter {
    pub(super) fn count(self: &Arc<Self>) -> Counted {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        Counted {
            place: Place(Arc::clone(self)),
            before,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Counted {
    /// Tells whether there were `limit` connections before this one, and there still are.
    pub(super) fn exceeds(&self, limit: u32) -> bool {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.before >= limit && self.place.0.get() > limit
    }

    pub(super) fn into_place(self) -> Place {
        self.place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(counter) = self;
        counter.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What became of a connection that a server has accepted.
pub(super) type Served = crate::error::Result<CloseInfo>;

/// The close frame of a server that ends, unless it says otherwise.
pub(super) fn going_away() -> CloseFrame {
    CloseFrame::new(CloseCode::GOING_AWAY, "server shuts down")
}

/// How long connections that were dropped are waited for; one that its owner does not poll stays.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// How long connections may take to close then.
pub(super) const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);
