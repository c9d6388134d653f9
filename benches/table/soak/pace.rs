//! How much is on its way at a time, how long it takes, and whether anything moves at all.
//!
//! Clients that send as they like offer more than a slow machine serves, and then every echo comes
//! late. So what they have on its way together is bounded, and they send when it has arrived: the
//! load follows the machine. Nothing is lost because it is late, then; it is where nothing at all
//! arrives any more, and somebody waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use table::histogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep};

/// What the clients of one process share.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Octets.
    room: Arc<Semaphore>,
    most: usize,
    opening: Semaphore,
    /// How many clients have not opened their first connection.
    to_come: watch::Sender<usize>,
    moves: AtomicU64,
    echoes: Mutex<Histogram>,
    still: watch::Sender<bool>,
}

impl Pace {
    /// Room for so many octets of so many clients.
    pub(crate) fn new(room: usize, clients: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(room)),
            most: room,
            opening: Semaphore::new(OPENING),
            to_come: watch::Sender::new(clients),
            moves: AtomicU64::new(0),
            echoes: Mutex::default(),
            still: watch::Sender::new(false),
        }
    }

    /// Waits until there is room for so many octets.
    pub(crate) async fn room_for(&self, octets: usize) -> table::Result<OwnedSemaphorePermit> {
        let octets = u32::try_from(octets.min(self.most))?;
        Ok(Arc::clone(&self.room).acquire_many_owned(octets).await?)
    }

    /// Waits until there are few enough opening handshakes, and has one in the meantime.
    pub(crate) async fn opening<T>(&self, handshake: impl Future<Output = T>) -> table::Result<T> {
        let _place = self.opening.acquire().await?;
        let opened = handshake.await;
        self.moved();
        Ok(opened)
    }

    /// Says that a client has come; returns once all have.
    pub(crate) async fn come(&self) {
        self.to_come.send_modify(|clients| *clients -= 1);
        // Fails if the sender is gone, which is borrowed here.
        let _ = self
            .to_come
            .subscribe()
            .wait_for(|clients| *clients == 0)
            .await;
    }

    /// Notes that something has arrived or ended.
    pub(crate) fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes an echo of what was sent then.
    pub(crate) fn echoed(&self, sent: Instant) {
        self.moved();
        let nanoseconds = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let echoes = self.echoes.lock();
        echoes
            .unwrap_or_else(PoisonError::into_inner)
            .add(nanoseconds, 1);
    }

    /// Half, 99 % and all of the echoes took at most so long.
    pub(crate) fn tell(&self) -> String {
        let echoes = self.echoes.lock().unwrap_or_else(PoisonError::into_inner);
        let shares = [0.5, 0.99, 1.0].map(|share| echoes.quantile(share).unwrap_or_default() / 1e6);
        format!(
            "echoes took {:.3}, {:.2}, {:.1} s",
            shares[0], shares[1], shares[2]
        )
    }

    /// Looks whether anything moves, until nothing has for a while.
    ///
    /// Counts looks, not time: while this process stands, nothing can arrive.
    pub(crate) async fn watch(&self) {
        let (mut seen, mut looks) = (0, 0);
        while looks < LOOKS {
            sleep(Duration::from_millis(500)).await;
            let moves = self.moves.load(Ordering::Relaxed);
            looks = if moves == seen { looks + 1 } else { 0 };
            seen = moves;
        }
        self.still.send_replace(true);
    }

    /// Returns once nothing moves any more.
    pub(crate) async fn stillness(&self) {
        let _ = self.still.subscribe().wait_for(|still| *still).await;
    }
}

/// How many opening handshakes a process makes at a time.
const OPENING: usize = 256;
/// For how many looks nothing moves before all is given up: half a minute.
const LOOKS: u32 = 60;
