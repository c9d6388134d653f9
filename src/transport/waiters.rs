//! Who waits for a connection: for room to send, or for its end.

use super::WebSocket;
use super::shared::Half;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};

/// The tasks that wait for one connection; most connections have none, which then costs nothing.
#[derive(Debug, Default)]
pub(super) struct Waiters(Option<Box<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    room: Queue,
    end: Queue,
}

impl WebSocket {
    /// Waits until a message would be queued at once, or none ever will be.
    pub(crate) async fn room(&self) {
        let mut waiting = Waiting::<false>::new(self);
        poll_fn(|context| waiting.poll(context, Half::may_send)).await;
    }

    /// Waits until the stream has taken everything that was sent, or the connection is at its end.
    pub(crate) async fn written(&self) {
        let mut waiting = Waiting::<false>::new(self);
        poll_fn(|context| waiting.poll(context, Half::is_written)).await;
        if !self.is_open() && self.buffered() > 0 {
            self.closed().await;
        }
    }
}

/// Places that keep their numbers, so that who gives up is forgotten at once.
#[derive(Debug, Default)]
struct Queue {
    places: Vec<Option<Waker>>,
    free: Vec<u32>,
    /// How often all were woken, which ended their places.
    crowd: u32,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Room,
    End,
}

/// A place in a queue.
#[derive(Clone, Copy, Debug)]
struct Place {
    crowd: u32,
    /// One more than its number, so that a future without a place costs no more.
    number: NonZeroU32,
}

impl Waiters {
    fn queue(&mut self, wish: Wish) -> &mut Queue {
        let queues = self.0.get_or_insert_default();
        match wish {
            Wish::Room => &mut queues.room,
            Wish::End => &mut queues.end,
        }
    }

    /// Wakes this with the others that have this wish.
    pub(super) fn wake(&mut self, wish: Wish, waker: Waker) {
        // Not to be taken back, so its place does not matter.
        let _ = self.queue(wish).enter(waker);
    }

    /// Takes out those who have this wish, to be woken.
    pub(super) fn take(&mut self, wish: Wish) -> Vec<Waker> {
        if self.0.is_none() {
            return Vec::new();
        }
        let queue = self.queue(wish);
        queue.crowd = queue.crowd.wrapping_add(1);
        queue.free.clear();
        queue.places.drain(..).flatten().collect()
    }
}

impl Queue {
    fn place(&mut self, place: Place) -> Option<&mut Option<Waker>> {
        let index = usize::try_from(place.number.get() - 1).ok()?;
        match place.crowd == self.crowd {
            true => self.places.get_mut(index),
            false => None,
        }
    }

    fn enter(&mut self, waker: Waker) -> Option<Place> {
        let index = match self.free.pop() {
            Some(free) => free,
            None => {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).ok()?
            }
        };
        let place = Place {
            crowd: self.crowd,
            number: NonZeroU32::new(index.checked_add(1)?)?,
        };
        *self.place(place)? = Some(waker);
        Some(place)
    }

    fn leave(&mut self, place: Place) -> Option<Waker> {
        let waker = self.place(place)?.take();
        self.free.push(place.number.get() - 1);
        waker
    }
}

/// A wait of one future, given up when that is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'w, const END: bool> {
    pub(super) ws: &'w WebSocket,
    place: Option<Place>,
}

impl<'w, const END: bool> Waiting<'w, END> {
    const WISH: Wish = if END { Wish::End } else { Wish::Room };

    #[inline]
    pub(super) fn new(ws: &'w WebSocket) -> Self {
        Self { ws, place: None }
    }

    /// Tells whether it had to wait so far.
    pub(super) fn has_waited(&self) -> bool {
        self.place.is_some()
    }

    /// Waits to be woken, unless `ready` says under the lock that there is no need to.
    pub(super) fn poll(
        &mut self,
        context: &Context<'_>,
        ready: impl FnOnce(&Half) -> bool,
    ) -> Poll<()> {
        let mut half = self.ws.0.lock();
        if ready(&half) {
            return Poll::Ready(());
        }
        let queue = half.waiters.queue(Self::WISH);
        match self.place.and_then(|place| queue.place(place)) {
            Some(Some(known)) if known.will_wake(context.waker()) => {}
            Some(known) => {
                let old = known.replace(context.waker().clone());
                // Dropped without the lock: it may be the last of its task.
                drop(half);
                drop(old);
            }
            None => self.place = queue.enter(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<const END: bool> Waiting<'_, END> {
    #[cold]
    fn leave(&self, place: Place) {
        let waker = self.ws.0.lock().waiters.queue(Self::WISH).leave(place);
        // Dropped without the lock: it may be the last of its task.
        drop(waker);
    }
}

impl<const END: bool> Drop for Waiting<'_, END> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.leave(place);
        }
    }
}
