//! Clients that were accepted and have not sent all of their request yet.
//!
//! Each has a thread. Whoever opens many and says nothing must not keep others out, so where there is
//! a bound (`max_handshaking`) the oldest make room for those that come, once they had time enough.

use socket2::Socket;
use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where they wait.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    seats: Mutex<Seats>,
    /// Told whenever one leaves.
    left: Condvar,
}

#[derive(Debug, Default)]
struct Seats {
    /// Counts up, so that the first is the oldest.
    taken: BTreeMap<u64, (Instant, Option<Arc<Socket>>)>,
    next: u64,
}

/// The place of one that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    lobby: &'a Lobby,
    number: u64,
}

impl Lobby {
    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `limit` are there; sends the oldest away if it had time enough.
    pub(super) fn wait_for_room(&self, limit: u32) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut seats = self.lock();
        while seats.taken.len() >= limit {
            let Some(oldest) = seats.taken.first_entry() else {
                return;
            };
            let age = oldest.get().0.elapsed();
            if age >= PATIENCE {
                if let (_, Some(socket)) = oldest.remove() {
                    end(&socket);
                }
                return;
            }
            let waited = self.left.wait_timeout(seats, PATIENCE.saturating_sub(age));
            seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a place, whether there is room or not.
    pub(super) fn seat(&self) -> Seat<'_> {
        let mut seats = self.lock();
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, (Instant::now(), None));
        Seat {
            lobby: self,
            number,
        }
    }
}

impl Seat<'_> {
    /// Says what is to be ended where the place is needed.
    pub(super) fn sit(&self, socket: Arc<Socket>) {
        match self.lobby.lock().taken.get_mut(&self.number) {
            Some((_, taken)) => *taken = Some(socket),
            None => end(&socket),
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.lobby.lock().taken.remove(&self.number);
        self.lobby.left.notify_all();
    }
}

/// Lets the thread that reads find the end of the stream.
fn end(socket: &Socket) {
    // Fails only on a socket that is gone already.
    let _ = socket.shutdown(Shutdown::Both);
}

/// How long everyone may take, however many others there are.
const PATIENCE: Duration = Duration::from_secs(1);
