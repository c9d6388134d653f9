//! Connecting again after a connection was lost, or never came about.

use super::{WebSocketClientFactory, WebSocketClientProtocol};
use crate::close::CloseCode;
use crate::connection::{CloseCause, CloseInfo};
use crate::error::{ConnectError, Error, Result};
use crate::handshake::HandshakeError;
use crate::handshake::tunnel::{SocksReply, TunnelError};
use crate::transport::random_octets;
use http::{HeaderMap, StatusCode, header};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// When to connect again, and when to give up.
///
/// The wait before the nth attempt in a row is drawn from zero to `initial` × `factor`ⁿ⁻¹, at most
/// `max` ("full jitter"): clients that lost their server together do not come back together. A
/// connection that lived for `stable_after` begins the row anew.
///
/// ```
/// use motorway::Reconnect;
/// use std::time::Duration;
///
/// let policy = Reconnect::default()
///     .initial(Duration::from_millis(500))
///     .max(Duration::from_secs(30))
///     .max_retries(10);
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct Reconnect {
    initial: Duration,
    factor: f64,
    max: Duration,
    stable_after: Duration,
    max_retries: Option<u32>,
    classify: Option<Arc<Classify>>,
}

type Classify = dyn Fn(&Ended) -> Retry + Send + Sync;

/// How an attempt ended: what [`run`](WebSocketClientFactory::run) returned.
pub type Ended = Result<CloseInfo>;

/// What is to be done after an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Connect again, with the usual back-off.
    Again,
    /// Connect again, but not before this time has passed.
    After(Duration),
    /// Give up.
    Never,
}

impl Reconnect {
    /// Sets the longest wait before the first attempt after a loss. Default: 1 second.
    #[must_use]
    pub fn initial(mut self, wait: Duration) -> Self {
        self.initial = wait;
        self
    }

    /// Sets by what the longest wait grows with each attempt in a row; below 1 counts as 1.
    /// Default: 1.618.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets what the longest wait never exceeds, unless the server asks for more. Default: 90
    /// seconds.
    #[must_use]
    pub fn max(mut self, wait: Duration) -> Self {
        self.max = wait;
        self
    }

    /// Sets how long a connection has to live to begin the row of attempts anew. Default: 10 seconds.
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = time;
        self
    }

    /// Sets how many attempts in a row are made after a loss; `None` never gives up. Default: `None`.
    #[must_use]
    pub fn max_retries(mut self, retries: impl Into<Option<u32>>) -> Self {
        self.max_retries = retries.into();
        self
    }

    /// Decides instead of [`Retry::of`] whether to connect again.
    ///
    /// ```
    /// use motorway::{CloseCode, Reconnect, Retry};
    ///
    /// let policy = Reconnect::default().classify(|ended| match ended {
    ///     Ok(info) if info.code == CloseCode::from(4001) => Retry::Never, // logged out
    ///     ended => Retry::of(ended),
    /// });
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn classify(mut self, decide: impl Fn(&Ended) -> Retry + Send + Sync + 'static) -> Self {
        self.classify = Some(Arc::new(decide));
        self
    }

    /// Returns how long to wait before an attempt, `None` to give up; `row` attempts failed before it.
    fn wait(&self, ended: &Ended, row: u32) -> Option<Duration> {
        let verdict = match &self.classify {
            Some(decide) => decide(ended),
            None => Retry::of(ended),
        };
        self.wait_for(verdict, row)
    }

    fn wait_for(&self, verdict: Retry, row: u32) -> Option<Duration> {
        if self.max_retries.is_some_and(|most| row >= most) {
            return None;
        }
        let jittered = self.longest(row).mul_f64(chance());
        match verdict {
            Retry::Never => None,
            Retry::Again => Some(jittered),
            Retry::After(least) => Some(least.saturating_add(jittered)),
        }
    }

    /// Returns the longest wait after so many failures in a row.
    fn longest(&self, row: u32) -> Duration {
        let growth = self
            .factor
            .max(1.0)
            .powi(i32::try_from(row).unwrap_or(i32::MAX));
        let seconds = self.initial.as_secs_f64() * growth;
        Duration::try_from_secs_f64(seconds).map_or(self.max, |wait| wait.min(self.max))
    }
}

/// Draws a number from 0 to 1.
fn chance() -> f64 {
    f64::from(u32::from_ne_bytes(random_octets())) / f64::from(u32::MAX)
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 1.618,
            max: Duration::from_secs(90),
            stable_after: Duration::from_secs(10),
            max_retries: None,
            classify: None,
        }
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("initial", &self.initial)
            .field("factor", &self.factor)
            .field("max", &self.max)
            .field("stable_after", &self.stable_after)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

impl Retry {
    /// Decides by what usually passes: a host that cannot be reached, a stream that failed, a timeout, a server that restarts (1001,
    /// 1012), is overloaded (1013, 503 and the like, with its `Retry-After`) or has failed (1011).
    ///
    /// Not so a closing handshake that this end began, a normal end (1000), what a request or
    /// protocol got wrong, and codes of applications.
    #[must_use]
    pub fn of(ended: &Ended) -> Self {
        match ended {
            Ok(info) => Self::of_close(info),
            Err(Error::Io(_) | Error::Timeout(_)) => Self::Again,
            Err(Error::Connect(error)) => Self::of_connect(error),
            Err(Error::Handshake(error)) => match &**error {
                HandshakeError::Refused {
                    status, headers, ..
                } => Self::of_status(*status, headers),
                _ => Self::Never,
            },
            Err(_) => Self::Never,
        }
    }

    fn of_connect(error: &ConnectError) -> Self {
        match error {
            #[cfg(feature = "rustls")]
            ConnectError::ProxyTls { .. } => Self::Never,
            ConnectError::Tunnel { source, .. } => match source {
                TunnelError::Closed => Self::Again,
                TunnelError::Refused {
                    status, headers, ..
                } => Self::of_status(*status, headers),
                TunnelError::Socks(
                    SocksReply::GeneralFailure
                    | SocksReply::NetworkUnreachable
                    | SocksReply::HostUnreachable
                    | SocksReply::ConnectionRefused
                    | SocksReply::TtlExpired
                    | SocksReply::Rejected,
                ) => Self::Again,
                _ => Self::Never,
            },
            _ => Self::Again,
        }
    }

    fn of_close(info: &CloseInfo) -> Self {
        match info.cause {
            CloseCause::Dropped | CloseCause::Io(_) | CloseCause::Timeout(_) => Self::Again,
            CloseCause::Peer => match info.code {
                CloseCode::GOING_AWAY
                | CloseCode::ABNORMAL
                | CloseCode::INTERNAL_ERROR
                | CloseCode::SERVICE_RESTART
                | CloseCode::BAD_GATEWAY => Self::Again,
                CloseCode::TRY_AGAIN_LATER => Self::After(OVERLOADED),
                _ => Self::Never,
            },
            _ => Self::Never,
        }
    }

    fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let passes = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
        match (passes, retry_after(headers)) {
            (false, _) => Self::Never,
            (true, Some(least)) => Self::After(least),
            (true, None) => Self::Again,
        }
    }
}

/// Reads the seconds of `Retry-After` (RFC 9110 §10.2.3); a date is not looked at.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REQUEST))
}

/// How long a server that is overloaded is left alone (1013) at least.
const OVERLOADED: Duration = Duration::from_secs(5);
/// The longest wait that a server can ask for.
const LONGEST_REQUEST: Duration = Duration::from_secs(60 * 60);

/// A client that connects again; made by [`WebSocketClientFactory::reconnect`].
#[derive(Debug)]
#[must_use = "nothing is connected until it runs"]
pub struct Reconnecting<P> {
    factory: WebSocketClientFactory<P>,
    policy: Reconnect,
}

impl<P: WebSocketClientProtocol> Reconnecting<P> {
    pub(super) fn new(factory: WebSocketClientFactory<P>, policy: Reconnect) -> Self {
        Self { factory, policy }
    }

    /// Connects, runs the connection to its end, and begins again with a fresh protocol instance
    /// until the policy gives up; returns how the last attempt ended.
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocketClientFactory::run`] does if the last attempt never opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection, or the wait for the next one.
    pub async fn run(&self) -> Result<CloseInfo> {
        let mut backoff = Backoff::new(self.policy.clone());
        loop {
            let start = Instant::now();
            let ended = self.factory.run().await;
            let Some(wait) = backoff.after(&ended, start.elapsed()) else {
                return ended;
            };
            drop(ended);
            sleep(wait).await;
        }
    }
}

/// How far a client has got with its policy.
pub(super) struct Backoff {
    policy: Reconnect,
    /// How many attempts in a row were made after a loss.
    row: u32,
}

impl Backoff {
    pub(super) fn new(policy: Reconnect) -> Self {
        Self { policy, row: 0 }
    }

    /// Returns how long to wait after an attempt that took so long; `None` to give up.
    pub(super) fn after(&mut self, ended: &Ended, lived: Duration) -> Option<Duration> {
        self.begin_anew(ended, lived);
        let wait = self.policy.wait(ended, self.row);
        self.count(ended, wait)
    }

    /// As [`after`](Self::after), for a stream that was dropped while it was open: that passes, unless
    /// the user says otherwise.
    pub(super) fn after_drop(&mut self, ended: &Ended, lived: Duration) -> Option<Duration> {
        if self.policy.classify.is_some() {
            return self.after(ended, lived);
        }
        self.begin_anew(ended, lived);
        let wait = self.policy.wait_for(Retry::Again, self.row);
        self.count(ended, wait)
    }

    fn begin_anew(&mut self, ended: &Ended, lived: Duration) {
        if ended.is_ok() && lived >= self.policy.stable_after {
            self.row = 0;
        }
    }

    fn count(&mut self, ended: &Ended, wait: Option<Duration>) -> Option<Duration> {
        let wait = wait?;
        self.row = self.row.saturating_add(1);
        let attempt = self.row;
        match ended {
            Ok(info) => tracing::info!(%info, ?wait, attempt, "reconnecting"),
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::info!(error, ?wait, attempt, "connecting again");
            }
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Endpoint;

    #[test]
    fn the_longest_wait_grows_to_the_maximum() {
        let policy = Reconnect::default().factor(2.0);
        let longest: Vec<_> = (0..9).map(|row| policy.longest(row).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 90, 90]);
        assert_eq!(policy.longest(u32::MAX).as_secs(), 90);
        assert_eq!(policy.factor(0.0).longest(5).as_secs(), 1);
    }

    fn refused(status: u16, after: Option<&'static str>) -> Ended {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let body = Box::default();
        let refused = HandshakeError::Refused {
            status,
            headers,
            body,
        };
        Err(refused.into())
    }

    #[test]
    fn what_passes_is_tried_again() {
        let seconds = |seconds| Retry::After(Duration::from_secs(seconds));
        for (ended, expected) in [
            (refused(503, None), Retry::Again),
            (refused(503, Some("7")), seconds(7)),
            (refused(429, Some("999999999")), seconds(3600)),
            (refused(502, Some("tomorrow")), Retry::Again),
            (refused(403, Some("7")), Retry::Never),
            (refused(404, None), Retry::Never),
            (Err(std::io::Error::other("x").into()), Retry::Again),
            (Err(HandshakeError::InvalidTarget.into()), Retry::Never),
        ] {
            assert_eq!(Retry::of(&ended), expected, "{ended:?}");
        }
    }

    fn closed(cause: CloseCause, code: u16) -> Ended {
        let mut info = CloseInfo::never_opened("", Endpoint::Peer);
        info.cause = cause;
        info.code = code.into();
        Ok(info)
    }

    #[test]
    fn a_server_that_comes_back_is_tried_again() {
        for (code, again) in [(1001, true), (1011, true), (1012, true), (1013, true)]
            .into_iter()
            .chain([(1000, false), (1008, false), (4000, false), (1002, false)])
        {
            let retry = Retry::of(&closed(CloseCause::Peer, code));
            assert_eq!(retry != Retry::Never, again, "{code}");
        }
        assert_eq!(Retry::of(&closed(CloseCause::Dropped, 1006)), Retry::Again);
        for ours in [CloseCause::Local, CloseCause::Handler, CloseCause::Panic] {
            assert_eq!(Retry::of(&closed(ours, 1001)), Retry::Never);
        }
    }

    #[test]
    fn it_gives_up_after_so_many_attempts() {
        let policy = Reconnect::default().max_retries(2);
        let ended = refused(503, Some("9"));
        let wait = policy.wait(&ended, 1).unwrap();
        assert!(
            (9.0..=9.0 + 1.618).contains(&wait.as_secs_f64()),
            "{wait:?}"
        );
        assert_eq!(policy.wait(&ended, 2), None);
        let never = Reconnect::default().classify(|_| Retry::Never);
        assert_eq!(never.wait(&ended, 0), None);
    }
}
