//! What keeps a connection open: the stream, or its halves.

use super::Inbox;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::CloseCause;
use crate::handshake::client::ConnectionResponse;
use crate::handshake::server::ConnectionRequest;
use crate::transport::WebSocket;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, unconstrained};

/// What the opening handshake said, as a stream shows it.
#[derive(Debug)]
pub(crate) struct Heads {
    pub(crate) request: Box<ConnectionRequest>,
    /// Only a client has got one.
    pub(crate) response: Option<Box<ConnectionResponse>>,
}

/// A connection that is dropped when this is.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(super) ws: WebSocket,
    pub(super) inbox: Arc<Inbox>,
    pub(super) heads: Heads,
    /// The driver, if it has a task of its own.
    seat: Option<Arc<Seat>>,
}

impl Owner {
    pub(crate) fn new(ws: WebSocket, inbox: Arc<Inbox>, heads: Heads) -> Self {
        Self {
            ws,
            inbox,
            heads,
            seat: None,
        }
    }

    /// Lets the driver run in a task of its own.
    pub(crate) fn driven_by(mut self, driver: Driving) -> Self {
        let seat = Arc::new(Seat::new(driver));
        let task = tokio::spawn(Driven(Arc::clone(&seat)));
        // Set once, here.
        let _ = seat.task.set(task.abort_handle());
        self.seat = Some(seat);
        self
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        match &self.seat {
            Some(seat) => seat.leave(&self.ws),
            None => self.inbox.abandon(),
        }
    }
}

/// The driver of a connection, run to its end.
pub(crate) type Driving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The future of a driver's task.
struct Driven(Arc<Seat>);

impl Future for Driven {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll(context)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // The stream may outlive the runtime, and nobody would ever poll the driver again: whoever
        // waits for the connection is to learn of its end.
        let driver = self.0.lock().driver.take();
        drop(driver);
    }
}

/// Where a driver sits: its task polls it, and who drops the stream may take it away.
struct Seat {
    place: Mutex<Place>,
    task: OnceLock<AbortHandle>,
    runtime: Handle,
}

struct Place {
    /// `None` while it is polled, and at the end.
    driver: Option<Driving>,
    /// The stream was dropped while the driver was polled.
    is_left: bool,
}

impl Seat {
    fn new(driver: Driving) -> Self {
        let place = Place {
            driver: Some(driver),
            is_left: false,
        };
        Self {
            place: Mutex::new(place),
            task: OnceLock::new(),
            runtime: Handle::current(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the driver, without the lock: what it wakes may be what drops the stream.
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(mut driver) = self.lock().driver.take() else {
            return Poll::Ready(());
        };
        if driver.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut place = self.lock();
        if !place.is_left {
            place.driver = Some(driver);
            return Poll::Pending;
        }
        drop(place);
        self.say_farewell(driver);
        Poll::Ready(())
    }

    /// The stream was dropped: sends a close frame if the socket takes it at once, and drops the
    /// connection.
    fn leave(&self, ws: &WebSocket) {
        let mut place = self.lock();
        place.is_left = true;
        let driver = place.driver.take();
        drop(place);
        go_away(ws);
        if let Some(driver) = driver {
            self.say_farewell(driver);
            // Its task has nothing left to be woken by.
            self.task.get().inspect(|task| task.abort());
        }
    }

    fn say_farewell(&self, driver: Driving) {
        // The stream may be dropped outside of the runtime, whose clocks and sockets are needed.
        let _entered = self.runtime.enter();
        poll_last(driver);
    }
}

/// Begins to close with 1001, unless the connection closes already, and to drop the connection.
pub(crate) fn go_away(ws: &WebSocket) {
    ws.close_because(
        CloseFrame::new(CloseCode::GOING_AWAY, ""),
        CloseCause::Local,
    );
    ws.leave();
}

/// Polls a driver for the last time: what is to be sent goes out as far as the socket takes it.
pub(crate) fn poll_last<F: Future>(driver: F) {
    let driver = pin!(unconstrained(driver));
    // Whether it has ended or not, it is dropped now.
    let _ = driver.poll(&mut Context::from_waker(Waker::noop()));
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}
