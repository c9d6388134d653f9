//! When things happened last on a connection.

use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What [`Timings`] takes the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Moment {
    /// The stream was connected, or accepted.
    Connect,
    /// The TLS handshake was done; of a server's and of URLs that are dialed.
    Tls,
    /// The request was read, or written.
    Request,
    /// The response was read, or written.
    Response,
    /// `on_open` was called.
    OnOpen,
    /// The last message began to arrive: of one that came with what was there already, when its
    /// turn came.
    OnMessageBegin,
    /// The last message was given to `on_message`, or its end to `on_message_end`.
    OnMessage,
    /// The last message was queued for sending.
    SendMessage,
}

/// When each [`Moment`] of a connection was last; with the option `track_timings`.
///
/// ```
/// # fn example(ws: &motorway::WebSocket) -> Option<()> {
/// use motorway::Moment;
///
/// let timings = ws.timings()?;
/// println!("the opening handshake took {:?}", timings.diff(Moment::Connect, Moment::Response)?);
/// println!("answered after {:?}", timings.diff(Moment::OnMessage, Moment::SendMessage)?);
/// # Some(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    began: Instant,
    at: [Option<Duration>; MOMENTS.len()],
}

impl Timings {
    /// Begins to take times.
    pub(crate) fn begin(began: Instant) -> Self {
        Self {
            began,
            at: [None; MOMENTS.len()],
        }
    }

    /// Takes the time.
    pub(crate) fn track(&mut self, moment: Moment) {
        self.track_at(moment, Instant::now());
    }

    pub(crate) fn track_at(&mut self, moment: Moment, now: Instant) {
        if let Some(at) = self.at.get_mut(moment as usize) {
            *at = Some(now - self.began);
        }
    }

    /// Returns when a moment was last, from the beginning of the connection: when it began to be
    /// dialed, or when it was accepted. `None` if it was not yet.
    #[must_use]
    pub fn at(&self, moment: Moment) -> Option<Duration> {
        self.at.get(moment as usize).copied().flatten()
    }

    /// Returns the time from one moment to another. `None` if one of them was not yet, or if the
    /// other was before.
    #[must_use]
    pub fn diff(&self, from: Moment, to: Moment) -> Option<Duration> {
        self.at(to)?.checked_sub(self.at(from)?)
    }
}

/// The moments that were, with their times, in microseconds.
impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = MOMENTS.iter().filter_map(|(moment, name)| {
            let at = self.at(*moment)?;
            Some(format!("{name}={}us", at.as_micros()))
        });
        f.write_str(&known.collect::<Vec<_>>().join(" "))
    }
}

/// All moments, in the order of their numbers, by the names that Autobahn has for them.
const MOMENTS: [(Moment, &str); 8] = [
    (Moment::Connect, "connect"),
    (Moment::Tls, "tls"),
    (Moment::Request, "request"),
    (Moment::Response, "response"),
    (Moment::OnOpen, "on_open"),
    (Moment::OnMessageBegin, "on_message_begin"),
    (Moment::OnMessage, "on_message"),
    (Moment::SendMessage, "send_message"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_are_from_one_moment_to_another() {
        let mut timings = Timings::begin(Instant::now());
        tokio::time::advance(Duration::from_millis(3)).await;
        timings.track(Moment::OnMessage);
        tokio::time::advance(Duration::from_millis(4)).await;
        timings.track(Moment::SendMessage);
        let (from, to) = (Moment::OnMessage, Moment::SendMessage);
        assert_eq!(timings.diff(from, to), Some(Duration::from_millis(4)));
        assert_eq!(timings.diff(to, from), None);
        assert_eq!(timings.diff(Moment::Tls, to), None);
        assert_eq!(timings.to_string(), "on_message=3000us send_message=7000us");
    }
}
