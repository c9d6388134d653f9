//! Limits on what a connection may take: time without data, time in all, time for a message, and
//! messages, octets and control frames each second.
//!
//! Only connections that have such a limit have one of these. It is told how far the connection has
//! got, and compares that with what it was told before.

use super::budget::Share;
use super::keepalive::{Due, TimeoutKind, after, excuse};
use super::rules::Rules;
use crate::options::{Excess, RateLimit};
use std::time::{Duration, Instant};

/// How far a connection has got: what its limits are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many octets were received.
    pub octets_received: u64,
    /// How many whole messages were received.
    pub messages_received: u64,
    /// How many control frames were received.
    pub controls_received: u64,
    /// A number that differs whenever data were sent.
    pub sent: u64,
    /// How many octets are held: of a message that has begun, and of what is to be sent.
    pub buffered: u64,
    /// Whether a message has begun to arrive that has not ended.
    pub is_partial: bool,
    /// How many octets of that message have arrived, as they were sent.
    pub partial_octets: u64,
    /// Whether what has arrived is not dealt with yet, so that the peer cannot be judged.
    pub is_busy: bool,
}

/// The limits of one connection, and how near it is to them.
#[derive(Debug)]
pub(super) struct Watch {
    idle: Option<Idle>,
    lifetime: Option<Lifetime>,
    message: Option<Arriving>,
    meters: Option<Meters>,
    share: Option<Share>,
    last: Progress,
    /// Since when this end is what waits.
    held: Option<Instant>,
    /// A deadline was noticed late, and was put off for that.
    excused: bool,
}

#[derive(Debug)]
struct Idle {
    timeout: Duration,
    ends: Instant,
}

#[derive(Debug)]
struct Lifetime {
    /// The part of the time that each connection has, and what may be added to it.
    least: Instant,
    spread: Duration,
    /// Drawn late, since it takes randomness.
    ends: Option<Instant>,
}

#[derive(Debug)]
struct Arriving {
    timeout: Duration,
    /// When the message that arrives has to be whole.
    ends: Option<Instant>,
}

/// The rates, in the order messages, octets, control frames.
#[derive(Debug)]
struct Meters {
    limit: RateLimit,
    meters: [Option<Meter>; 3],
    /// Until when nothing is read.
    until: Option<Instant>,
}

/// One bucket, as the point in time at which it is full again.
#[derive(Debug)]
struct Meter {
    per_second: u64,
    full: Instant,
}

impl Watch {
    /// Makes the watch of a connection that opens now, if there is anything to watch for.
    pub(super) fn new(rules: &Rules, now: Instant) -> Option<Box<Self>> {
        let watch = Self {
            idle: rules.idle_timeout.map(|timeout| Idle {
                timeout,
                ends: after(now, timeout),
            }),
            lifetime: rules.max_lifetime.map(|most| Lifetime {
                least: after(now, most - most / SPREAD),
                spread: most / SPREAD,
                ends: None,
            }),
            message: (rules.message_timeout).map(|timeout| Arriving {
                timeout,
                ends: None,
            }),
            meters: rules.rate_limit.map(|limit| Meters::new(limit, now)),
            share: rules.budget.as_ref().map(Share::new),
            last: Progress::default(),
            held: None,
            excused: false,
        };
        let is_idle = watch.idle.is_none() && watch.lifetime.is_none();
        let is_lenient = watch.message.is_none() && watch.meters.is_none();
        let watches = !is_idle || !is_lenient || watch.share.is_some();
        watches.then(|| Box::new(watch))
    }

    /// Compares with what was before; tells whether the peer has sent too much.
    pub(super) fn progressed(&mut self, progress: &Progress, now: Instant) -> Option<Due> {
        let last = std::mem::replace(&mut self.last, *progress);
        let exceeds = match &mut self.meters {
            Some(meters) => meters.take(&last, progress, now),
            None => false,
        };
        let was_held = self.held.is_some();
        let holds = progress.is_busy || self.is_throttled();
        self.hold(holds, now);
        let is_same = last.messages_received == progress.messages_received;
        self.excused &= is_same;
        // Not for the pings between its fragments.
        let has_grown = progress.is_partial
            && (!last.is_partial || last.partial_octets != progress.partial_octets);
        if let Some(idle) = &mut self.idle
            && (holds || was_held || !is_same || has_grown || last.sent != progress.sent)
        {
            idle.ends = after(now, idle.timeout);
        }
        if let Some(message) = &mut self.message {
            message.ends = match (progress.is_partial, message.ends) {
                (false, _) => None,
                (true, Some(ends)) if is_same => Some(ends),
                (true, _) => Some(after(now, message.timeout)),
            };
        }
        if exceeds {
            return Some(Due::Exceeded);
        }
        let share = self.share.as_mut()?;
        if share.hold(progress.buffered) {
            self.share = None;
            return Some(Due::Shed);
        }
        None
    }

    /// Forgets all but what the connection holds, since it closes; `None` if that is not counted.
    pub(super) fn closing(mut self: Box<Self>) -> Option<Box<Self>> {
        (self.idle, self.lifetime, self.message, self.meters) = (None, None, None, None);
        self.share.is_some().then_some(self)
    }

    #[cfg(feature = "tokio")]
    pub(super) fn woken_by(&mut self, waker: &std::task::Waker) {
        if let Some(share) = &mut self.share {
            share.woken_by(waker);
        }
    }

    /// Stops the clock of the message that arrives, or lets it go on.
    fn hold(&mut self, holds: bool, now: Instant) {
        if holds {
            self.held.get_or_insert(now);
        } else if let Some(since) = self.held.take()
            && let Some(message) = &mut self.message
        {
            message.ends = message.ends.map(|ends| after(ends, now - since));
        }
    }

    /// Tells whether nothing is to be read for now.
    pub(super) fn is_throttled(&self) -> bool {
        let meters = self.meters.as_ref();
        meters.is_some_and(|meters| meters.until.is_some())
    }

    /// Returns when there is something to look at.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let judged = self.held.is_none();
        let idle = self.idle.as_ref().filter(|_| judged).map(|idle| idle.ends);
        let message = self.message.as_ref().filter(|_| judged);
        let message = message.and_then(|message| message.ends);
        let lifetime = self.lifetime.as_ref();
        let lifetime = lifetime.map(|lifetime| lifetime.ends.unwrap_or(lifetime.least));
        let until = self.meters.as_ref().and_then(|meters| meters.until);
        [idle, message, lifetime, until].into_iter().flatten().min()
    }

    /// Returns what is due. What is due once is not due again.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut() -> [u8; 4],
    ) -> Option<Due> {
        if let Some(meters) = &mut self.meters {
            meters.until.take_if(|until| *until <= now);
        }
        if let Some(lifetime) = &mut self.lifetime {
            if lifetime.ends.is_none() && lifetime.least <= now {
                let part = f64::from(u32::from_be_bytes(random())) / f64::from(u32::MAX);
                lifetime.ends = Some(after(lifetime.least, lifetime.spread.mul_f64(part)));
            }
            if lifetime.ends.is_some_and(|ends| ends <= now) {
                self.lifetime = None;
                return Some(Due::Close(TimeoutKind::Lifetime));
            }
        }
        if self.held.is_some() {
            return None;
        }
        if let Some(message) = &mut self.message
            && let Some(ends) = message.ends.as_mut().filter(|ends| **ends <= now)
            && !excuse(&mut self.excused, ends, now)
        {
            self.message = None;
            return Some(Due::Fail(TimeoutKind::Message));
        }
        if let Some(idle) = self.idle.as_mut().filter(|idle| idle.ends <= now)
            && !excuse(&mut self.excused, &mut idle.ends, now)
        {
            self.idle = None;
            return Some(Due::Close(TimeoutKind::Idle));
        }
        None
    }
}

impl Meters {
    fn new(limit: RateLimit, now: Instant) -> Self {
        let rates = [
            limit.messages.map(u64::from),
            limit.octets,
            limit.control_frames.map(u64::from),
        ];
        let meter = |per_second| Meter {
            per_second,
            full: now,
        };
        Self {
            limit,
            meters: rates.map(|rate| rate.map(meter)),
            until: None,
        }
    }

    /// Takes out what has come since; tells whether there was not enough, and the connection is to be
    /// failed for it.
    fn take(&mut self, last: &Progress, progress: &Progress, now: Instant) -> bool {
        let came = [
            (last.messages_received, progress.messages_received),
            (last.octets_received, progress.octets_received),
            (last.controls_received, progress.controls_received),
        ];
        let mut until = now;
        for (meter, (before, count)) in self.meters.iter_mut().zip(came) {
            if let Some(meter) = meter {
                meter.take(count.saturating_sub(before), now);
                let allowed = meter.full.checked_sub(self.limit.burst).unwrap_or(now);
                until = until.max(allowed);
            }
        }
        let exceeds = until > now;
        let closes = exceeds && self.limit.excess == Excess::Close;
        self.until = (exceeds && !closes).then_some(until);
        closes
    }
}

impl Meter {
    fn take(&mut self, count: u64, now: Instant) {
        let nanoseconds = u128::from(count) * NANOSECONDS / u128::from(self.per_second.max(1));
        let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.full = after(self.full.max(now), time);
    }
}

/// Which part of a lifetime is left to chance.
const SPREAD: u32 = 10;
/// In a second.
const NANOSECONDS: u128 = 1_000_000_000;
