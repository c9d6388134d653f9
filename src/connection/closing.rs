//! How a connection ended, and who ended it (RFC 6455 §7.1).

use super::state::State;
use super::{ProtocolError, TimeoutKind};
use crate::close::{CloseCode, CloseFrame};
use std::io;
use std::sync::Arc;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// This end.
    Local,
    /// The other end.
    Peer,
}

/// What made a connection end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloseCause {
    /// This end called `close`.
    Local,
    /// The peer sent a close frame.
    Peer,
    /// The peer broke a rule of the protocol.
    Protocol(ProtocolError),
    /// A callback returned an error.
    Handler,
    /// A callback panicked.
    Panic,
    /// A writer was dropped in the middle of its message.
    UnfinishedMessage,
    /// Something took too long.
    Timeout(TimeoutKind),
    /// The peer sent more than `rate_limit` allows.
    RateLimit,
    /// All connections held more than `memory_budget` allows, and this one the most.
    MemoryBudget,
    /// More waited to be sent than `send_high_water` allows, and `overflow_policy` is to close then.
    Overflow,
    /// The peer dropped TCP without a close frame.
    Dropped,
    /// The stream failed.
    Io(Arc<io::Error>),
    /// This end called `abort`.
    Aborted,
    /// The server shut down.
    Shutdown,
    /// The opening handshake failed.
    Opening,
}

impl CloseCause {
    /// Returns which end a connection ended by if no closing handshake had begun.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Peer | Self::Dropped | Self::Io(_) => Endpoint::Peer,
            _ => Endpoint::Local,
        }
    }
}

/// How a connection ended.
///
/// ```
/// # async fn on_close(info: motorway::CloseInfo) {
/// if !info.was_clean {
///     eprintln!("lost: {info}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseInfo {
    /// Whether the connection was ever open.
    pub opened: bool,
    /// Whether both close frames were exchanged and TCP then ended as it should.
    pub was_clean: bool,
    /// The peer's close code; 1005 if its close frame had none, 1006 if no close frame came
    /// (RFC 6455 §7.1.5).
    pub code: CloseCode,
    /// The peer's reason; if no close frame came, what happened instead.
    pub reason: String,
    /// Which end began to close.
    pub closed_by: Endpoint,
    /// Why the connection ended.
    pub cause: CloseCause,
    /// The close frame that this end sent, if it sent one with a code.
    pub local: Option<CloseFrame>,
    /// The close frame that the peer sent, if it sent one with a code.
    pub remote: Option<CloseFrame>,
    /// How many octets were queued but not given to the network.
    pub unsent_octets: usize,
}

impl CloseInfo {
    /// Tells whether the connection ended as planned: cleanly, with 1000, 1001 or no code.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let planned = [
            CloseCode::NORMAL,
            CloseCode::GOING_AWAY,
            CloseCode::NO_STATUS,
        ];
        self.was_clean && planned.contains(&self.code)
    }

    /// Describes a connection whose opening handshake did not succeed.
    #[must_use]
    pub fn never_opened(reason: impl Into<String>, closed_by: Endpoint) -> Self {
        Self {
            opened: false,
            was_clean: false,
            code: CloseCode::ABNORMAL,
            reason: reason.into(),
            closed_by,
            cause: CloseCause::Opening,
            local: None,
            remote: None,
            unsent_octets: 0,
        }
    }
}

impl std::fmt::Display for CloseInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let clean = if self.was_clean {
            "cleanly"
        } else {
            "uncleanly"
        };
        let by = match self.closed_by {
            Endpoint::Local => "this end",
            Endpoint::Peer => "the peer",
        };
        write!(f, "closed {clean} by {by}, code {}", self.code)?;
        match self.reason.as_str() {
            "" => Ok(()),
            // The reason of one that no close frame came for says this, with more words.
            _ if self.opened && self.code == CloseCode::ABNORMAL => write!(f, ", {}", self.cause),
            reason => write!(f, ", {reason:?}"),
        }
    }
}

/// What has happened of the closing handshake; made when it begins.
#[derive(Debug, Default)]
pub(super) struct Closing {
    begun: Option<(Endpoint, CloseCause)>,
    local: Option<CloseFrame>,
    remote: Option<CloseFrame>,
}

impl Closing {
    /// Takes note of who began, and why; only the first call counts.
    pub(super) fn begin(&mut self, by: Endpoint, cause: CloseCause) {
        self.begun.get_or_insert((by, cause));
    }

    /// Takes note of a failure, which outweighs a closing handshake that had begun.
    pub(super) fn fail(&mut self, cause: CloseCause) {
        let by = self.begun.take().map_or(Endpoint::Local, |(by, _)| by);
        self.begun = Some((by, cause));
    }

    pub(super) fn send(&mut self, frame: Option<CloseFrame>) {
        self.local = frame;
    }

    pub(super) fn receive(&mut self, frame: Option<CloseFrame>) {
        self.remote = frame;
    }

    /// Describes the end, at which the connection was in `state` and TCP ended for `last`.
    pub(super) fn info(&mut self, state: State, last: CloseCause) -> CloseInfo {
        let tcp_ended_well = matches!(last, CloseCause::Local | CloseCause::Peer);
        let was_clean = state == State::Complete && tcp_ended_well;
        let begun = self.begun.take();
        let (closed_by, begun) = begun.unwrap_or_else(|| (last.endpoint(), last.clone()));
        let cause = match (&begun, tcp_ended_well) {
            // A handshake that began well and ended badly is told by its end.
            (CloseCause::Local | CloseCause::Peer | CloseCause::Shutdown, false) => last,
            _ => begun,
        };
        let received = matches!(state, State::Complete | State::CloseReceived);
        let (code, reason) = match (&self.remote, received) {
            (Some(frame), _) => (frame.code, frame.reason.clone().into_owned()),
            (None, true) => (CloseCode::NO_STATUS, String::new()),
            (None, false) => (
                CloseCode::ABNORMAL,
                format!("connection was closed uncleanly ({cause})"),
            ),
        };
        CloseInfo {
            opened: true,
            was_clean,
            code,
            reason,
            closed_by,
            cause,
            local: self.local.take(),
            remote: self.remote.take(),
            unsent_octets: 0,
        }
    }
}

impl std::fmt::Display for CloseCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("this end closed"),
            Self::Peer => f.write_str("the peer closed"),
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::Handler => f.write_str("a callback failed"),
            Self::Panic => f.write_str("a callback panicked"),
            Self::UnfinishedMessage => f.write_str("a message was left unfinished"),
            Self::Timeout(kind) => write!(f, "{kind}"),
            Self::RateLimit => f.write_str("the peer sent more than it may"),
            Self::MemoryBudget => f.write_str("this end was short of memory"),
            Self::Overflow => f.write_str("the peer read too slowly"),
            Self::Dropped => f.write_str("the peer dropped the connection without a close frame"),
            Self::Io(error) => write!(f, "the stream failed: {error}"),
            Self::Aborted => f.write_str("this end aborted"),
            Self::Shutdown => f.write_str("the server shut down"),
            Self::Opening => f.write_str("the opening handshake failed"),
        }
    }
}
