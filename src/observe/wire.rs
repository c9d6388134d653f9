//! What goes over the wire of one connection, in the log and in the trace.

use super::follow::{Followed, Follower, SHOWN_PAYLOAD};
use super::trace::{Trace, Tracer, show};
use crate::connection::Rules;
use crate::frame::Opcode;
use crate::peer::Peer;
use std::fmt::{self, Write};

/// Which way octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

/// Shows the wire of one connection, as its options and those who trace want it.
pub(crate) struct WireLog {
    connection: u64,
    peer: Peer,
    octets: bool,
    /// Follows what is received, and what is sent.
    frames: Option<(Follower, Follower)>,
    tracers: Vec<Tracer>,
}

impl WireLog {
    /// Returns `None` if nobody wants to see anything.
    pub(crate) fn new(
        rules: &Rules,
        (connection, peer): (u64, &Peer),
        tracers: Vec<Tracer>,
    ) -> Option<Self> {
        if !rules.log_octets && !rules.log_frames && tracers.is_empty() {
            return None;
        }
        let follower = || Follower::new(rules.apply_mask);
        Some(Self {
            connection,
            peer: peer.clone(),
            octets: rules.log_octets,
            frames: rules.log_frames.then(|| (follower(), follower())),
            tracers,
        })
    }

    /// Shows octets that one read or write has moved.
    pub(crate) fn show(&mut self, direction: Direction, octets: &[u8]) {
        let trace = match direction {
            Direction::Received => Trace::Received(octets),
            Direction::Sent => Trace::Sent(octets),
        };
        self.tracers.iter().for_each(|tracer| show(tracer, trace));
        if self.octets && tracing::enabled!(target: "motorway::octets", tracing::Level::TRACE) {
            self.log_octets(direction, octets);
        }
        // Followed also while nobody listens, so as to know where frames begin.
        if let Some((received, sent)) = &mut self.frames {
            let (connection, peer) = (self.connection, &self.peer);
            let follower = match direction {
                Direction::Received => received,
                Direction::Sent => sent,
            };
            follower.follow(octets, |frame| {
                if tracing::enabled!(target: "motorway::frames", tracing::Level::DEBUG) {
                    log_frame((connection, peer), direction, frame);
                }
            });
        }
    }

    fn log_octets(&self, direction: Direction, octets: &[u8]) {
        let (connection, peer, length) = (self.connection, &self.peer, octets.len());
        let direction = direction.name();
        let octets = hex(octets, SHOWN_OCTETS);
        tracing::trace!(target: "motorway::octets", connection, %peer, direction, length, octets);
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }
}

impl fmt::Debug for WireLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireLog")
            .field("octets", &self.octets)
            .field("frames", &self.frames.is_some())
            .finish_non_exhaustive()
    }
}

fn log_frame((connection, peer): (u64, &Peer), direction: Direction, frame: &Followed<'_>) {
    let header = frame.header;
    let (fin, rsv, opcode, length) = (
        header.fin,
        header.rsv.bits() >> 4,
        header.opcode,
        header.length,
    );
    let mask = header.mask.map(|key| hex(key.as_bytes(), usize::MAX));
    let (mask, direction) = (mask.as_deref(), direction.name());
    let mut payload = match (frame.payload, frame.is_text) {
        ([high, low, reason @ ..], false) if opcode == Opcode::Close => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("{code} {}", text(reason)).trim_end().to_owned()
        }
        (payload, true) => text(payload),
        (payload, false) => hex(payload, SHOWN_PAYLOAD),
    };
    if length > frame.payload.len() as u64 {
        payload.push('…');
    }
    tracing::debug!(target: "motorway::frames", connection, %peer, direction, fin, rsv, ?opcode, mask, length, payload);
}

/// Octets in hexadecimal, at most so many.
fn hex(octets: &[u8], most: usize) -> String {
    let shown = octets.get(..most).unwrap_or(octets);
    let mut text = String::with_capacity(2 * shown.len());
    for octet in shown {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    if shown.len() < octets.len() {
        text.push('…');
    }
    text
}

/// Text that cannot do anything to a terminal; what is cut off in the middle of a character is
/// replaced.
fn text(octets: &[u8]) -> String {
    let mut escaped = String::with_capacity(octets.len());
    for character in String::from_utf8_lossy(octets).chars() {
        match character.is_control() {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    escaped
}

/// How many octets of one read or write are shown.
const SHOWN_OCTETS: usize = 1 << 10;
