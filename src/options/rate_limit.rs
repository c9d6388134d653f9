//! How much a peer may send in a time.

use super::OptionsError;
use std::time::Duration;

/// How much the peer of a connection may send each second, and what happens if it sends more.
///
/// Each rate has a bucket of its own, which fills at the rate and holds what [`burst`](Self::burst)
/// gives it; whoever was quiet for that long may send so much at once. Rates that are not set do not
/// limit. Looked at after each read and within what one has brought after each 32 frames, so that a
/// few messages more may get through; what was too much is made up for by a longer pause.
///
/// ```
/// use motorway::{RateLimit, ServerOptions};
/// use std::time::Duration;
///
/// // Whoever sends more is read more slowly.
/// let patient = RateLimit::pause().messages(100).octets(1 << 20).control_frames(20);
/// // Whoever sends more than 10 messages in a second, or 50 at once, is put out with 1008.
/// let strict = RateLimit::close().messages(10).burst(Duration::from_secs(5));
/// for limit in [patient, strict] {
///     ServerOptions::default().rate_limit(limit).validate()?;
/// }
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    pub(crate) messages: Option<u32>,
    pub(crate) octets: Option<u64>,
    pub(crate) control_frames: Option<u32>,
    pub(crate) burst: Duration,
    pub(crate) excess: Excess,
}

/// What happens to those who send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Excess {
    Pause,
    Close,
}

impl RateLimit {
    /// Reads no more from whoever sends more, until that is made up for: TCP pushes back, and
    /// nothing is lost. Control frames wait with the messages.
    #[must_use]
    pub fn pause() -> Self {
        Self::of(Excess::Pause)
    }

    /// Fails the connection of whoever sends more with close code 1008 (RFC 6455 §7.4.1).
    ///
    /// With a rate of octets let the [burst](Self::burst) hold the largest message.
    #[must_use]
    pub fn close() -> Self {
        Self::of(Excess::Close)
    }

    /// Sets how many messages may come each second; a message counts when it is whole.
    ///
    /// At least 1, and 1 within the burst. Default: off.
    #[must_use]
    pub fn messages(mut self, per_second: impl Into<Option<u32>>) -> Self {
        self.messages = per_second.into();
        self
    }

    /// Sets how many octets may come each second, as they are read from the stream: headers and what
    /// is compressed as it is, but not what TLS adds.
    ///
    /// At least 1, and 1 within the burst. Default: off.
    #[must_use]
    pub fn octets(mut self, per_second: impl Into<Option<u64>>) -> Self {
        self.octets = per_second.into();
        self
    }

    /// Sets how many pings, pongs and close frames may come each second.
    ///
    /// At least 1, and 1 within the burst. Default: off.
    #[must_use]
    pub fn control_frames(mut self, per_second: impl Into<Option<u32>>) -> Self {
        self.control_frames = per_second.into();
        self
    }

    /// Sets how much may come at once: as much as the rates allow in this time.
    ///
    /// 1 millisecond to 1 hour. Default: 1 second.
    #[must_use]
    pub fn burst(mut self, time: Duration) -> Self {
        self.burst = time;
        self
    }

    fn of(excess: Excess) -> Self {
        Self {
            messages: None,
            octets: None,
            control_frames: None,
            burst: Duration::from_secs(1),
            excess,
        }
    }

    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        let error = |value: String, allowed| Err(OptionsError::value("rate_limit", value, allowed));
        if !(SHORTEST_BURST..=LONGEST_BURST).contains(&self.burst) {
            let value = format!("one with a burst of {:?}", self.burst);
            return error(value, "one with a burst of 1 millisecond to 1 hour");
        }
        for (what, rate) in [
            ("messages", self.messages.map(u64::from)),
            ("octets", self.octets),
            ("control frames", self.control_frames.map(u64::from)),
        ] {
            let Some(rate) = rate else {
                continue;
            };
            if u128::from(rate) * self.burst.as_nanos() < NANOSECONDS {
                let value = format!("{rate} {what} a second in bursts of {:?}", self.burst);
                return error(value, "at least 1 a second, and 1 within the burst");
            }
        }
        Ok(())
    }
}

const SHORTEST_BURST: Duration = Duration::from_millis(1);
const LONGEST_BURST: Duration = Duration::from_secs(60 * 60);
/// In a second.
const NANOSECONDS: u128 = 1_000_000_000;
