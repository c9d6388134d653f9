//! What becomes of publications for a connection that does not keep up.

use crate::close::{CloseCode, CloseFrame};
use crate::options::HIGH_WATER;

/// What becomes of publications for a connection whose peer reads too slowly.
///
/// Each connection of a [`Hub`](super::Hub) has one. It is asked while more than so many octets wait
/// to be written to the network ([`above`](Self::above), 256 KiB unless said otherwise); until then
/// everything is queued. Nobody else waits for such a connection.
///
/// ```
/// use motorway::{CloseCode, Overflow};
///
/// let impatient = Overflow::close(CloseCode::TRY_AGAIN_LATER);
/// let prices = Overflow::conflate().above(16 << 10);
/// let pictures = Overflow::drop_oldest().above(0);
/// let somebody_types = Overflow::drop_newest();
/// let game = Overflow::wait();
/// ```
#[derive(Clone, Debug)]
pub struct Overflow {
    pub(super) policy: Policy,
    pub(super) above: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Policy {
    Wait,
    DropNewest,
    DropOldest,
    Conflate,
    Close(CloseFrame),
}

impl Overflow {
    /// Closes the connection with this code, as a rule 1013: its client is told, and may come again.
    /// The default. A code that must not be sent stands for 1013.
    #[must_use]
    pub fn close(code: impl Into<CloseCode>) -> Self {
        let code = code.into();
        let code = match code.is_sendable() {
            true => code,
            false => CloseCode::TRY_AGAIN_LATER,
        };
        Self::of(Policy::Close(CloseFrame::new(code, "reads too slowly")))
    }

    /// Drops what is published while the connection does not keep up.
    #[must_use]
    pub fn drop_newest() -> Self {
        Self::of(Policy::DropNewest)
    }

    /// Keeps what is published last, and drops what has waited longest: as many octets as
    /// [`above`](Self::above) says wait besides those that are being written, where each message
    /// counts for 64 more than it has.
    #[must_use]
    pub fn drop_oldest() -> Self {
        Self::of(Policy::DropOldest)
    }

    /// Keeps the last publication of each key, in the place of an earlier one that still waits; the
    /// key is the topic, unless the [publication](super::Publication::key) has another. What waits is
    /// bounded as with [`drop_oldest`](Self::drop_oldest).
    #[must_use]
    pub fn conflate() -> Self {
        Self::of(Policy::Conflate)
    }

    /// Lets the connection's own publications, those of
    /// [`publish_from`](super::Hub::publish_from), wait until it keeps up; those of others are
    /// dropped meanwhile, as with [`drop_newest`](Self::drop_newest).
    #[must_use]
    pub fn wait() -> Self {
        Self::of(Policy::Wait)
    }

    /// Sets how many octets may wait to be written before this comes into effect: 0 to 262,144
    /// (256 KiB), which is the default; more counts as that, and as the option `send_high_water` of the
    /// connection.
    #[must_use]
    pub fn above(mut self, octets: usize) -> Self {
        self.above = octets.min(HIGH_WATER);
        self
    }

    fn of(policy: Policy) -> Self {
        Self {
            policy,
            above: HIGH_WATER,
        }
    }
}

impl Default for Overflow {
    /// Closes with 1013.
    fn default() -> Self {
        Self::close(CloseCode::TRY_AGAIN_LATER)
    }
}
