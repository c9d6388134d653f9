//! Everything that looks at one connection.

use super::trace::tracer;
use super::wire::{Direction, WireLog};
use crate::connection::Rules;
use crate::peer::Peer;
use std::sync::{Mutex, PoisonError};
use tracing::span::{Entered, Span};

/// What looks at one connection. Most connections have none.
#[derive(Debug)]
pub(crate) struct Observation {
    span: Span,
    /// Locked by the driver alone.
    wire: Option<Mutex<WireLog>>,
}

/// Who wants to look at a connection, besides its options and the process.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) span: Span,
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
        let Interest { span } = interest;
        if wire.is_none() && span.is_disabled() {
            return None;
        }
        Some(Box::new(Self {
            span,
            wire: wire.map(Mutex::new),
        }))
    }

    /// Enters the span of the connection until what is returned is dropped.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.span.enter()
    }

    /// Takes note of octets that one read or write has moved.
    #[cold]
    pub(crate) fn moved(&self, direction: Direction, octets: &[u8]) {
        if let Some(wire) = &self.wire {
            let mut wire = wire.lock().unwrap_or_else(PoisonError::into_inner);
            wire.show(direction, octets);
        }
    }
}

/// Makes the span of a connection; what the opening handshake is to tell is recorded in it then.
pub(crate) fn span(connection: u64, peer: &Peer) -> Span {
    use tracing::field::Empty;
    tracing::info_span!(target: "motorway", "connection", id = connection, %peer, path = Empty, subprotocol = Empty)
}
