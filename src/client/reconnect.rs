//! Connecting again after a connection was lost, or never came about.

use super::retry::Retry;
use super::{WebSocketClientFactory, WebSocketClientProtocol};
use crate::connection::CloseInfo;
use crate::error::Result;
use crate::transport::random_octets;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// When to connect again, and when to give up.
///
/// The wait before the nth attempt in a row is drawn from zero to `initial` × `factor`ⁿ⁻¹, at most
/// `max` ("full jitter"): clients that lost their server together do not come back together. A
/// connection that lived for `stable_after` begins the row anew. After which ends there is another
/// attempt is said by [`Retry::of`]: not after a normal end, nor where this end has closed.
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
    tell: Option<Arc<Tell>>,
}

type Classify = dyn Fn(&Ended) -> Retry + Send + Sync;
type Tell = dyn Fn(&Attempt<'_>) + Send + Sync;

/// How an attempt ended: what [`run`](WebSocketClientFactory::run) returned.
pub type Ended = Result<CloseInfo>;

/// An attempt to connect again that is about to be made, as [`Reconnect::on_reconnect`] is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    number: u32,
    wait: Duration,
    ended: &'a Ended,
}

impl Attempt<'_> {
    /// Returns which attempt in a row it is, from 1; a connection that lived begins the row anew.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns how long is waited before it.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Returns how the connection before ended, or why the attempt before failed.
    pub fn ended(&self) -> &Ended {
        self.ended
    }
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

    /// Sets who is told before each wait for another attempt: for a line on the screen, a counter, an
    /// alarm after the fifth in a row. Not told of the first connection, nor when the policy gives up.
    ///
    /// Called in the task that connects; must not block. Default: nobody.
    ///
    /// ```
    /// use motorway::Reconnect;
    ///
    /// let policy = Reconnect::default().on_reconnect(|attempt| {
    ///     eprintln!("attempt {} in {:?}: {:?}", attempt.number(), attempt.wait(), attempt.ended());
    /// });
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn on_reconnect(mut self, tell: impl Fn(&Attempt<'_>) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
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
        let longest = self.longest(row);
        let jittered = Duration::try_from_secs_f64(longest.as_secs_f64() * chance());
        let jittered = jittered.unwrap_or(longest);
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
            tell: None,
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
            let opened = Box::pin(self.factory.open()).await;
            // How long it took to connect says nothing about how long it lives.
            let since = Instant::now();
            let ended = match opened {
                Ok(opened) => Ok(opened.run().await),
                Err(error) => Err(error),
            };
            let Some(wait) = backoff.after(&ended, since.elapsed()) else {
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

    /// Returns how long to wait after a connection that lived so long, or an attempt that failed; `None` to give up.
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
        let wait = wait?.min(LONGEST_WAIT);
        self.row = self.row.saturating_add(1);
        let attempt = self.row;
        match ended {
            Ok(info) => tracing::info!(%info, ?wait, attempt, "reconnecting"),
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::info!(error, ?wait, attempt, "connecting again");
            }
        }
        if let Some(tell) = &self.policy.tell {
            tell(&Attempt {
                number: attempt,
                wait,
                ended,
            });
        }
        Some(wait)
    }
}

/// So far the clock can be added to.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn lost() -> Ended {
        Err(Error::Io(std::io::ErrorKind::ConnectionReset.into()))
    }

    #[test]
    fn the_longest_wait_grows_to_the_maximum() {
        let policy = Reconnect::default().factor(2.0);
        let longest: Vec<_> = (0..9).map(|row| policy.longest(row).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 90, 90]);
        assert_eq!(policy.longest(u32::MAX).as_secs(), 90);
        assert_eq!(policy.factor(0.0).longest(5).as_secs(), 1);
    }

    #[test]
    fn it_gives_up_after_so_many_attempts() {
        let policy = Reconnect::default().max_retries(2);
        let nine = Duration::from_secs(9);
        let policy = policy.classify(move |_| Retry::After(nine));
        let ended = lost();
        let wait = policy.wait(&ended, 1).unwrap();
        assert!(
            (9.0..=9.0 + 1.618).contains(&wait.as_secs_f64()),
            "{wait:?}"
        );
        assert_eq!(policy.wait(&ended, 2), None);
        let never = Reconnect::default().classify(|_| Retry::Never);
        assert_eq!(never.wait(&ended, 0), None);
    }

    #[test]
    fn no_wait_is_too_long_for_the_clock() {
        let ended = lost();
        for policy in [
            Reconnect::default().classify(|_| Retry::After(Duration::MAX)),
            Reconnect::default()
                .initial(Duration::MAX)
                .max(Duration::MAX),
        ] {
            let wait = Backoff::new(policy).after(&ended, Duration::ZERO).unwrap();
            assert!(Instant::now().checked_add(wait).is_some(), "{wait:?}");
        }
    }
}
