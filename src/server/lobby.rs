//! Connections that were accepted and have not sent all of their request yet.
//!
//! Whoever opens many and says nothing must not keep others out, so where there is a bound
//! (`max_handshaking`) the oldest make room for those that come, once they had time enough.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

/// Where they wait.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    seats: Mutex<Seats>,
    /// Told whenever one leaves.
    left: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    /// Counts up, so that the first is the oldest.
    taken: BTreeMap<u64, (Instant, Arc<Notify>)>,
    next: u64,
}

/// The place of one that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    lobby: Arc<Lobby>,
    number: u64,
    evicted: Arc<Notify>,
}

impl Lobby {
    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `limit` are there; sends the oldest away if it had time enough.
    pub(super) async fn room(&self, limit: u32) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            let Some(patience) = self.make_room(limit) else {
                return;
            };
            tokio::select! {
                () = left => {}
                () = sleep_until(patience) => {}
            }
        }
    }

    /// Makes room if it can; returns when it can if not.
    fn make_room(&self, limit: usize) -> Option<Instant> {
        let mut seats = self.lock();
        if seats.taken.len() < limit {
            return None;
        }
        let oldest = seats.taken.first_entry()?;
        let patience = oldest.get().0 + PATIENCE;
        if patience > Instant::now() {
            return Some(patience);
        }
        let (_, evicted) = oldest.remove();
        drop(seats);
        evicted.notify_one();
        None
    }

    /// Takes a place, whether there is room or not.
    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        let evicted = Arc::new(Notify::new());
        let mut seats = self.lock();
        let number = seats.next;
        seats.next += 1;
        let taken = (Instant::now(), Arc::clone(&evicted));
        seats.taken.insert(number, taken);
        Seat {
            lobby: Arc::clone(self),
            number,
            evicted,
        }
    }
}

impl Seat {
    /// Waits until it has to make room; without a seat, for ever.
    pub(super) async fn evicted(seat: Option<&Self>) {
        match seat {
            Some(seat) => seat.evicted.notified().await,
            None => pending().await,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lobby.lock().taken.remove(&self.number);
        self.lobby.left.notify_waiters();
    }
}

/// How long everyone may take, however many others there are.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_after_a_second_and_no_sooner() {
        let lobby = Arc::new(Lobby::default());
        let start = Instant::now();
        lobby.room(2).await;
        let (first, second) = (lobby.seat(), lobby.seat());
        lobby.room(2).await;
        assert_eq!(start.elapsed(), PATIENCE);
        Seat::evicted(Some(&first)).await;
        // It has left already, whenever it learns of it.
        lobby.room(2).await;
        drop(first);
        let third = lobby.seat();
        // The second has had its time.
        lobby.room(2).await;
        assert_eq!(start.elapsed(), PATIENCE);
        Seat::evicted(Some(&second)).await;
        drop((second, third));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_makes_room_at_once() {
        let lobby = Arc::new(Lobby::default());
        let start = Instant::now();
        let seat = lobby.seat();
        let leaving = async {
            sleep_until(start + PATIENCE / 2).await;
            drop(seat);
        };
        tokio::join!(lobby.room(1), leaving);
        assert_eq!(start.elapsed(), PATIENCE / 2);
    }
}
