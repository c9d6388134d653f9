//! Everything that looks at one connection.

use super::observer::{Observed, Observer};
use super::timings::{Moment, Timings};
use super::trace::tracer;
use super::wire::{Direction, WireLog};
use crate::connection::{MessageKind, Rules};
use crate::peer::Peer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::span::{Entered, Span};

/// What looks at one connection. Most connections have none.
#[derive(Debug)]
pub(crate) struct Observation {
    span: Span,
    observer: Option<Arc<dyn Observer>>,
    timings: Option<Mutex<Timings>>,
    /// Locked by the driver alone.
    wire: Option<Mutex<WireLog>>,
    /// The message that comes in pieces, and how many octets of it have come.
    pieces: Mutex<(Option<MessageKind>, u64)>,
}

/// Who wants to look at a connection, besides its options and the process.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) span: Span,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) timings: Timings,
}

impl Observation {
    /// Returns `None` if nobody wants to look.
    pub(crate) fn new(
        rules: &Rules,
        (connection, peer): (u64, &Peer),
        interest: Interest,
    ) -> Option<Box<Self>> {
        let tracers = tracer().into_iter().collect();
        let wire = WireLog::new(rules, (connection, peer), tracers);
        let Interest {
            span,
            observer,
            timings,
        } = interest;
        let timings = rules.track_timings.then_some(timings);
        if wire.is_none() && span.is_disabled() && observer.is_none() && timings.is_none() {
            return None;
        }
        Some(Box::new(Self {
            span,
            observer,
            timings: timings.map(Mutex::new),
            wire: wire.map(Mutex::new),
            pieces: Mutex::default(),
        }))
    }

    /// Tells whether it is to be told of each message that is sent.
    pub(crate) fn wants_messages(&self) -> bool {
        self.observer.is_some() || self.timings.is_some()
    }

    /// Enters the span of the connection until what is returned is dropped.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.span.enter()
    }

    /// Takes note of octets that one read or write has moved.
    #[cold]
    pub(crate) fn moved(&self, direction: Direction, octets: &[u8]) {
        if let Some(wire) = &self.wire {
            lock(wire).show(direction, octets);
        }
    }

    #[cold]
    pub(crate) fn track(&self, moment: Moment) {
        if let Some(timings) = &self.timings {
            lock(timings).track(moment);
        }
    }

    pub(crate) fn timings(&self) -> Option<Timings> {
        self.timings.as_ref().map(|timings| lock(timings).clone())
    }

    /// Tells the observer something, if there is one.
    #[cold]
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell_observer(&**observer, tell);
        }
    }

    /// Takes note that a message begins, unless it has.
    #[cold]
    pub(crate) fn message_begins(&self, kind: MessageKind) {
        let mut pieces = lock(&self.pieces);
        if pieces.0.is_none() {
            *pieces = (Some(kind), 0);
            drop(pieces);
            self.track(Moment::OnMessageBegin);
        }
    }

    /// Takes note of a piece of a message.
    #[cold]
    pub(crate) fn piece(&self, octets: usize) {
        lock(&self.pieces).1 += octets as u64;
    }

    /// Takes note that a message has come in full, and tells the observer; `whole` if it came as one.
    #[cold]
    pub(crate) fn message_ends(
        &self,
        connection: &Observed<'_>,
        whole: Option<(MessageKind, u64)>,
    ) {
        if let Some((kind, _)) = whole {
            self.message_begins(kind);
        }
        let pieces = std::mem::take(&mut *lock(&self.pieces));
        self.track(Moment::OnMessage);
        let (kind, octets) = match (whole, pieces) {
            (Some(whole), _) => whole,
            (None, (kind, octets)) => (kind.unwrap_or(MessageKind::Binary), octets),
        };
        self.tell(|observer| observer.received(connection, kind, octets));
    }
}

/// Tells an observer something; a panic of it, which was printed, harms no connection.
pub(crate) fn tell_observer(observer: &dyn Observer, tell: impl FnOnce(&dyn Observer)) {
    let _ = catch_unwind(AssertUnwindSafe(|| tell(observer)));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts what a peer chose to a length that may stand in every line of a log: 256 characters.
pub(crate) fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(256).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Makes the span of a connection; what the opening handshake is to tell is recorded in it then.
pub(crate) fn span(connection: u64, peer: &Peer) -> Span {
    use tracing::field::Empty;
    tracing::info_span!(target: "motorway", "connection", id = connection, %peer, path = Empty, subprotocol = Empty)
}
