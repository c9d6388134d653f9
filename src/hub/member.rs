//! A connection in a hub: how it takes publications.

use super::backlog::{Backlog, Waiting};
use super::overflow::{Overflow, Policy};
use super::publication::{Publication, Published};
use super::topic::Topic;
use crate::connection::{CloseCause, SendError};
use crate::transport::WebSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

/// A connection that has joined at least one topic, or had an overflow policy set.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) ws: WebSocket,
    overflow: Mutex<Overflow>,
    /// Of the policy, for those who have no need of the rest.
    above: AtomicUsize,
    /// What it has joined; `None` once the connection has ended.
    pub(super) topics: Mutex<Option<Vec<Arc<Topic>>>>,
    /// Whether publications wait in the backlog, so that none may overtake them.
    is_behind: AtomicBool,
    backlog: Mutex<Backlog>,
}

impl Member {
    pub(super) fn new(ws: WebSocket, overflow: Overflow) -> Arc<Self> {
        Arc::new(Self {
            ws,
            above: AtomicUsize::new(overflow.above),
            overflow: Mutex::new(overflow),
            topics: Mutex::new(Some(Vec::new())),
            is_behind: AtomicBool::new(false),
            backlog: Mutex::default(),
        })
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Option<Vec<Arc<Topic>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn overflow(&self) -> Overflow {
        let overflow = self.overflow.lock();
        overflow.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_overflow(&self, overflow: Overflow) {
        let mut place = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        self.above.store(overflow.above, Ordering::Relaxed);
        *place = overflow;
    }

    /// Waits until the connection keeps up, if that is its policy.
    pub(super) async fn keeps_up(&self) {
        let overflow = self.overflow();
        if matches!(overflow.policy, Policy::Wait) {
            self.ws.room_below(overflow.above).await;
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a publication; never waits.
    pub(super) fn deliver(
        self: &Arc<Self>,
        topic: &Arc<str>,
        publication: &Publication,
    ) -> Published {
        let mut published = Published::default();
        if !self.is_behind.load(Ordering::Acquire) {
            match self.ws.offer(&publication.message, self.above()) {
                Ok(()) => {
                    published.sent = 1;
                    return published;
                }
                Err(SendError::Full { .. }) => {
                    self.overflowed(topic, publication, &mut published);
                    return published;
                }
                // A message is being sent in parts, behind which this one waits.
                Err(SendError::Busy) => {}
                Err(SendError::Closed) => {
                    published.skipped = 1;
                    return published;
                }
                // It is larger than this connection may send, or cannot be sent at all.
                Err(_) => {
                    published.dropped = 1;
                    return published;
                }
            }
        }
        if publication.message().len() as u64 > self.ws.max_message_payload_size() {
            published.dropped = 1;
            return published;
        }
        let overflow = self.overflow();
        let fits = self.backlog().fits(&publication.message, overflow.above);
        match fits {
            true => self.keep_back(topic, publication, &mut published),
            false => self.overflowed(topic, publication, &mut published),
        }
        published
    }

    /// How much may wait to be written.
    fn above(&self) -> usize {
        self.above.load(Ordering::Relaxed)
    }

    /// Does what the policy says.
    fn overflowed(
        self: &Arc<Self>,
        topic: &Arc<str>,
        publication: &Publication,
        published: &mut Published,
    ) {
        let overflow = self.overflow();
        match overflow.policy {
            Policy::Wait | Policy::DropNewest => published.dropped += 1,
            Policy::DropOldest | Policy::Conflate => self.keep_back(topic, publication, published),
            Policy::Close(frame) => {
                published.dropped += 1 + self.backlog().clear();
                self.ws.close_because(frame, CloseCause::Local);
            }
        }
    }

    /// Lets a publication wait in the backlog.
    fn keep_back(
        self: &Arc<Self>,
        topic: &Arc<str>,
        publication: &Publication,
        published: &mut Published,
    ) {
        let overflow = self.overflow();
        let conflates = matches!(overflow.policy, Policy::Conflate);
        let key = publication.key.as_ref().unwrap_or(topic);
        let waiting = Waiting {
            message: publication.message.clone(),
            key: conflates.then(|| (Arc::clone(topic), Arc::clone(key))),
        };
        published.sent += 1;
        published.dropped += self.backlog().push(waiting, overflow.above);
        self.is_behind.store(true, Ordering::Release);
        self.catch_up();
    }

    /// Sends what waits, as far as the connection takes it, and asks to be woken for the rest.
    ///
    /// Nothing of the connection is touched under the lock, since whoever it wakes may come here.
    fn catch_up(self: &Arc<Self>) {
        loop {
            let mut backlog = self.backlog();
            let Some(waiting) = backlog.take() else {
                if !backlog.is_cared_for() {
                    self.is_behind.store(false, Ordering::Release);
                }
                return;
            };
            drop(backlog);
            let above = self.above();
            let offered = self.ws.offer(&waiting.message, above);
            let is_later = matches!(offered, Err(SendError::Full { .. } | SendError::Busy));
            let again = self.backlog().give_back(is_later.then_some(waiting));
            if is_later && !again {
                // Noted before, since the connection may wake at once.
                self.backlog().await_room(true);
                let waker = Waker::from(Arc::new(CatchUp(Arc::downgrade(self))));
                if self.ws.wake_at_room(waker, above) {
                    return;
                }
                self.backlog().await_room(false);
            }
        }
    }

    /// Forgets what waits, since the connection has ended.
    pub(super) fn end(&self) {
        self.backlog().clear();
        self.is_behind.store(false, Ordering::Release);
    }
}

/// Catches up as soon as the connection has room.
struct CatchUp(Weak<Member>);

impl Wake for CatchUp {
    fn wake(self: Arc<Self>) {
        if let Some(member) = self.0.upgrade() {
            member.backlog().await_room(false);
            member.catch_up();
        }
    }
}
