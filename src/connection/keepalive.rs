//! Deadlines: automatic pings, writes that stall, the closing handshake, and what `watch` adds.
//!
//! Time is an argument, so nothing here sleeps: [`Timers::poll_timeout`] says when to call
//! [`Timers::handle_timeout`], and that says what is due.

use super::rules::AutoPing;
use super::watch::{Progress, Watch};
use super::{Role, Rules, State};
use crate::close::CloseCode;
use std::fmt;
use std::time::{Duration, Instant};

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// The opening handshake; see `open_handshake_timeout`.
    OpeningHandshake,
    /// The closing handshake, or the end of TCP after it; see `close_handshake_timeout`.
    ClosingHandshake,
    /// The server did not drop TCP; see `server_connection_drop_timeout`.
    ServerConnectionDrop,
    /// An automatic ping was not answered; see `auto_ping_timeout`.
    AutoPing,
    /// The peer took nothing of what was to be sent; see `write_stall_timeout`.
    WriteStall,
    /// Neither end has sent data; see `idle_timeout`.
    Idle,
    /// The connection was as old as it may get; see `max_lifetime`.
    Lifetime,
    /// A message did not arrive as a whole; see `message_timeout`.
    Message,
}

impl TimeoutKind {
    /// Returns the code that the connection is closed with, where it is closed and not dropped.
    pub(crate) fn close_code(self, role: Role) -> CloseCode {
        match (self, role) {
            (Self::Lifetime, Role::Server) => CloseCode::SERVICE_RESTART,
            (Self::Message, _) => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::GOING_AWAY,
        }
    }
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpeningHandshake => "opening handshake timeout",
            Self::ClosingHandshake => "closing handshake timeout",
            Self::ServerConnectionDrop => "server did not drop the connection in time",
            Self::AutoPing => "peer did not answer a ping in time",
            Self::WriteStall => "peer took nothing of what was to be sent in time",
            Self::Idle => "no data for too long",
            Self::Lifetime => "connection has reached its age",
            Self::Message => "message did not arrive in time",
        })
    }
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send this payload as a ping.
    Ping(Vec<u8>),
    /// Drop the connection.
    Timeout(TimeoutKind),
    /// Begin the closing handshake: with 1001, or with 1012 where a server's connection has reached
    /// its age.
    Close(TimeoutKind),
    /// Fail the connection, with 1008.
    Fail(TimeoutKind),
    /// Fail the connection, with 1008: the peer has sent more than it may.
    Exceeded,
    /// Fail the connection, with 1013, and free what it holds: all connections hold too much.
    Shed,
}

/// The deadlines of one connection.
#[derive(Debug, Default)]
pub struct Timers {
    /// What few connections have at a time is kept apart, so that the others stay small.
    rare: Option<Box<Rare>>,
    ping: Option<Box<PingTimer>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// What the closing handshake waits for; without a deadline it waits for ever.
    closing: Option<(Option<Instant>, TimeoutKind)>,
    /// The deadline of the closing handshake was noticed late, and was put off for that.
    excused: bool,
    /// When a peer that takes nothing is given up.
    stall: Option<Instant>,
    watch: Option<Box<Watch>>,
}

#[derive(Debug)]
struct PingTimer {
    rules: AutoPing,
    sequence: u32,
    /// When the next ping goes out.
    next: Instant,
    /// When the peer is given up.
    expires: Option<Instant>,
    /// The payload of the last ping, and when it went out.
    unanswered: Option<(Vec<u8>, Instant)>,
    /// Since when our own reading is what waits.
    paused: Option<Instant>,
    /// The end of the time for the answer was noticed late, and was put off for that.
    excused: bool,
}

impl Timers {
    /// Makes the timers of a connection that opens now.
    #[must_use]
    pub fn new(rules: &Rules, now: Instant) -> Self {
        let ping = rules.auto_ping.map(|ping| {
            Box::new(PingTimer {
                rules: ping,
                sequence: 0,
                next: after(now, ping.interval),
                expires: None,
                unanswered: None,
                paused: None,
                excused: false,
            })
        });
        let watch = Watch::new(rules, now);
        let rare = watch.is_some().then(|| {
            Box::new(Rare {
                watch,
                ..Rare::default()
            })
        });
        Self { rare, ping }
    }

    /// Tells whether [`received`](Self::received) has any use for being called.
    #[must_use]
    pub fn watches_traffic(&self) -> bool {
        self.ping
            .as_ref()
            .is_some_and(|ping| ping.rules.restart_on_any_traffic)
    }

    /// Tells whether [`progressed`](Self::progressed) has any use for being called.
    #[must_use]
    pub fn watches_progress(&self) -> bool {
        self.watch().is_some()
    }

    /// Takes note of how far the connection has got; to be called after each read and write, and
    /// before [`handle_timeout`](Self::handle_timeout). Returns what is due at once.
    pub fn progressed(&mut self, progress: &Progress, now: Instant) -> Option<Due> {
        let watch = self.rare.as_mut()?.watch.as_mut()?;
        watch.progressed(progress, now)
    }

    /// Tells whether the peer has sent so much that nothing is to be read for now.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.watch().is_some_and(Watch::is_throttled)
    }

    /// Says whom to wake when this connection has to give up what it holds.
    #[cfg(feature = "tokio")]
    pub(crate) fn woken_by(&mut self, waker: &std::task::Waker) {
        if let Some(rare) = &mut self.rare
            && let Some(watch) = &mut rare.watch
        {
            watch.woken_by(waker);
        }
    }

    fn watch(&self) -> Option<&Watch> {
        self.rare.as_ref()?.watch.as_deref()
    }

    /// Takes note that octets arrived.
    pub fn received(&mut self, now: Instant) {
        if let Some(ping) = &mut self.ping
            && ping.rules.restart_on_any_traffic
        {
            ping.answered(now);
        }
    }

    /// Takes note of a pong; returns the round-trip time if it answers the last automatic ping.
    pub fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let ping = self.ping.as_mut()?;
        let (_, sent) = ping
            .unanswered
            .take_if(|(expected, _)| expected == payload)?;
        ping.answered(now);
        Some(now - sent)
    }

    /// Stops the clocks of automatic pings: our own reading waits, so the peer cannot be judged.
    pub fn pause(&mut self, now: Instant) {
        if let Some(ping) = &mut self.ping {
            ping.paused.get_or_insert(now);
        }
    }

    /// Takes note that the stream took octets while the last automatic ping was still waiting behind
    /// them: the time for its answer begins anew, since the peer does read.
    pub fn ping_progressed(&mut self, now: Instant) {
        if let Some(ping) = &mut self.ping
            && let (Some(timeout), Some(_)) = (ping.rules.timeout, ping.expires)
        {
            ping.expires = Some(after(now, timeout));
            if let Some((_, sent)) = &mut ping.unanswered {
                *sent = now;
            }
        }
    }

    /// Tells whether the clocks stand.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.ping.as_ref().is_some_and(|ping| ping.paused.is_some())
    }

    /// Lets the clocks go on; there is a deadline to look at then.
    pub fn resume(&mut self, now: Instant) {
        if let Some(ping) = &mut self.ping
            && let Some(since) = ping.paused.take()
        {
            let pause = now - since;
            ping.next = after(ping.next, pause);
            ping.expires = ping.expires.map(|expires| after(expires, pause));
        }
    }

    /// Takes note that a close frame went out or came in: pings end, the closing deadline begins,
    /// and a client whose closing handshake is done waits for the server to drop TCP. Further calls
    /// do not postpone a deadline.
    pub fn closing(&mut self, rules: &Rules, state: State, now: Instant) {
        self.ping = None;
        let drops = rules
            .drop_timeout
            .filter(|_| state == State::Complete && rules.role == Role::Client);
        let (timeout, kind) = match drops {
            Some(_) => (drops, TimeoutKind::ServerConnectionDrop),
            None => (rules.close_timeout, TimeoutKind::ClosingHandshake),
        };
        let rare = self.rare.get_or_insert_default();
        rare.watch = rare.watch.take().and_then(Watch::closing);
        match rare.closing {
            Some((_, before)) if before == kind || drops.is_none() => {}
            _ => {
                rare.closing = Some((timeout.map(|timeout| after(now, timeout)), kind));
                rare.excused = false;
            }
        }
    }

    /// Takes note that the stream takes no more of what is to be sent; further calls do not
    /// postpone the deadline.
    pub fn stalled(&mut self, rules: &Rules, now: Instant) {
        let Some(timeout) = rules.write_stall else {
            return;
        };
        let rare = self.rare.get_or_insert_default();
        rare.stall.get_or_insert_with(|| after(now, timeout));
    }

    /// Takes note that the stream has taken some of it.
    pub fn unstalled(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.stall = None;
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rare = self.rare.as_ref();
        let closing = rare.and_then(|rare| rare.closing?.0);
        let stall = rare.and_then(|rare| rare.stall);
        let ping = self
            .ping
            .as_ref()
            .and_then(|ping| match (ping.paused, ping.expires) {
                (Some(_), _) => None,
                (None, Some(expires)) => Some(expires),
                (None, None) => Some(ping.next),
            });
        let watch = self.watch().and_then(Watch::poll_timeout);
        [closing, stall, ping, watch].into_iter().flatten().min()
    }

    /// Returns what is due; `random` fills the payload of a ping.
    ///
    /// Where it is called over 10 ms late, the thread was held up, and what the peer has sent may still
    /// be unread: the peer is given up at most a second later then, once for each deadline.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut() -> [u8; 4],
    ) -> Option<Due> {
        if let Some(rare) = &mut self.rare {
            match &mut rare.closing {
                Some((Some(deadline), kind)) if *deadline <= now => {
                    let kind = *kind;
                    return (!excuse(&mut rare.excused, deadline, now))
                        .then_some(Due::Timeout(kind));
                }
                _ if rare.stall.is_some_and(|deadline| deadline <= now) => {
                    return Some(Due::Timeout(TimeoutKind::WriteStall));
                }
                _ => {}
            }
            if let Some(watch) = &mut rare.watch
                && let Some(due) = watch.handle_timeout(now, random)
            {
                return Some(due);
            }
        }
        let ping = self.ping.as_mut().filter(|ping| ping.paused.is_none())?;
        if let Some(expires) = &mut ping.expires
            && *expires <= now
        {
            return (!excuse(&mut ping.excused, expires, now))
                .then_some(Due::Timeout(TimeoutKind::AutoPing));
        }
        if ping.expires.is_some() || ping.next > now {
            return None;
        }
        Some(Due::Ping(ping.begin(now, random)))
    }
}

impl PingTimer {
    /// Begins a new interval. A pause that is going on counts from here, since no deadline is left
    /// from before.
    fn answered(&mut self, now: Instant) {
        self.next = after(now, self.rules.interval);
        self.expires = None;
        self.paused = self.paused.map(|_| now);
    }

    fn begin(&mut self, now: Instant, random: &mut dyn FnMut() -> [u8; 4]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut payload = self.sequence.to_be_bytes().to_vec();
        while payload.len() < self.rules.size {
            payload.extend_from_slice(&random());
        }
        payload.truncate(self.rules.size);
        self.unanswered = Some((payload.clone(), now));
        self.excused = false;
        self.expires = self.rules.timeout.map(|timeout| after(now, timeout));
        self.next = after(now, self.rules.interval);
        payload
    }
}

/// Puts off a deadline that is noticed late, once; tells whether it did.
pub(super) fn excuse(excused: &mut bool, deadline: &mut Instant, now: Instant) -> bool {
    if *excused || now.saturating_duration_since(*deadline) <= LATE {
        return false;
    }
    *excused = true;
    *deadline = after(now, GRACE);
    true
}

/// By how much timers go off late on a machine that is well.
const LATE: Duration = Duration::from_millis(10);
/// How long it takes at most to read what has arrived meanwhile.
const GRACE: Duration = Duration::from_secs(1);

/// Adds to a point in time; one that is too far away is never reached, a century will do.
pub(super) fn after(time: Instant, duration: Duration) -> Instant {
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    time.checked_add(duration).unwrap_or(time + century)
}
