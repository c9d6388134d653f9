//! Reading, writing and waiting, by whichever thread is there to do it.
//!
//! No thread belongs to a connection. Whoever waits for something, in `recv`, `send`, `ping` or
//! `close`, drives the connection meanwhile: at most one thread reads, at most one writes, and the
//! others wait for those two to tell them.

use super::core::Core;
use super::transport::{Transport, is_pause};
use crate::connection::CloseCause;
use crate::observe::{Direction, WireLog};
use bytes::BytesMut;
use std::fmt;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One connection, as its handles share it.
pub(super) struct Shared {
    core: Mutex<Core>,
    changed: Condvar,
    transport: Box<dyn Transport>,
    wire: Option<Mutex<WireLog>>,
    /// What the stream was told of its end.
    shut_down: Mutex<Option<Shutdown>>,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Something that the peer sends.
    Read,
    /// That the socket takes something; what the peer sends is of interest only if it does not.
    Write,
}

/// A call that waits.
struct Call {
    purpose: Purpose,
    until: Option<Instant>,
    /// Whether the socket was found empty, so that the peer may be judged.
    drained: bool,
    /// How many octets were read since something was due of the peer.
    late: usize,
    /// Whether it was looked at, which also a call without any time does once.
    looked: bool,
}

type Locked<'a> = MutexGuard<'a, Core>;

impl Shared {
    pub(super) fn new(core: Core, transport: Box<dyn Transport>, wire: Option<WireLog>) -> Self {
        Self {
            core: Mutex::new(core),
            changed: Condvar::new(),
            transport,
            wire: wire.map(Mutex::new),
            shut_down: Mutex::new(None),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        // Nothing under the lock is left half done.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives the connection until `done` has something to say, or until the time is up, and then
    /// returns `None`.
    pub(super) fn drive<T>(
        &self,
        purpose: Purpose,
        until: Option<Instant>,
        mut done: impl FnMut(&mut Core) -> Option<T>,
    ) -> Option<T> {
        let mut call = Call {
            purpose,
            until,
            drained: false,
            late: 0,
            looked: false,
        };
        let mut core = self.lock();
        let outcome = loop {
            let outcome = done(&mut core);
            self.end_stream(&core);
            if outcome.is_some() {
                break outcome;
            }
            let now = Instant::now();
            if core.handle_timeout(now, call.drained) {
                continue;
            }
            if call.looked && until.is_some_and(|until| until <= now) {
                break None;
            }
            core = self.step(core, &mut call);
        };
        // Such as a pong behind the message that was waited for.
        while core.may_write() {
            let progressed;
            (core, progressed) = self.write(core);
            if !progressed {
                break;
            }
        }
        self.end_stream(&core);
        drop(core);
        self.changed.notify_all();
        outcome
    }

    /// Ends the connection without a word.
    pub(super) fn abort(&self) {
        let mut core = self.lock();
        core.end(CloseCause::Aborted);
        self.end_stream(&core);
        drop(core);
        self.changed.notify_all();
    }

    /// Ends the connection without waiting: says goodbye if the socket takes it at once.
    pub(super) fn give_up(&self, goodbye: impl FnOnce(&mut Core)) {
        let mut core = self.lock();
        goodbye(&mut core);
        if core.may_write() {
            (core, _) = self.write(core);
        }
        drop(core);
        self.abort();
    }

    fn step<'a>(&'a self, mut core: Locked<'a>, call: &mut Call) -> Locked<'a> {
        if core.may_write() {
            let progressed;
            (core, progressed) = self.write(core);
            // While the peer takes octets there is no need to look at what it sends.
            if progressed {
                return core;
            }
        }
        let reads = call.purpose == Purpose::Read || core.is_stalled() && !core.writing;
        if core.is_throttled() {
            // Nobody reads, and what comes meanwhile is not known.
            call.drained = false;
        }
        if reads && core.may_read(call.purpose) {
            return self.read(core, call);
        }
        call.looked = true;
        if core.may_write() {
            return core;
        }
        self.wait(core, call)
    }

    /// Writes for a moment; tells whether the socket took anything, or never will.
    fn write<'a>(&'a self, mut core: Locked<'a>) -> (Locked<'a>, bool) {
        let octets = core.take_output();
        core.writing = true;
        drop(core);
        let wrote = match self.transport.write(&octets, Some(MOMENT)) {
            Ok(count) => Ok(Some(count)),
            Err(error) if is_pause(&error) => Ok(None),
            Err(error) => Err(error),
        };
        if let Ok(Some(count)) = wrote {
            self.show(Direction::Sent, octets.get(..count).unwrap_or_default());
        }
        let mut core = self.lock();
        core.writing = false;
        let progressed = core.wrote(octets, wrote);
        self.changed.notify_all();
        (core, progressed)
    }

    /// Reads, or waits for something to read.
    fn read<'a>(&'a self, mut core: Locked<'a>, call: &mut Call) -> Locked<'a> {
        let time = match core.is_flushed() {
            // There may soon be something to write for this thread.
            false => Some(MOMENT),
            true => earlier(call.until, core.deadline())
                .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        };
        core.reading = true;
        let size = core.read_size();
        drop(core);
        let mut buffer = BytesMut::zeroed(size);
        let read = self.transport.read(&mut buffer, time);
        if let Ok(count) = read {
            buffer.truncate(count);
        }
        if let Ok(1..) = read {
            self.show(Direction::Received, &buffer);
        }
        let mut core = self.lock();
        core.reading = false;
        call.looked = true;
        if let Ok(count) = read {
            // Octets that come all the while are not to put off a judgement for ever.
            call.late += if core.is_overdue() { count } else { 0 };
            call.drained |= call.late > MOST_LATE || self.transport.is_emptied_by(count, size);
        }
        match read {
            Err(error) if is_pause(&error) => call.drained = true,
            read => core.received(read.map(|_| buffer)),
        }
        self.changed.notify_all();
        core
    }

    /// Waits for the threads that read and write.
    fn wait<'a>(&self, core: Locked<'a>, call: &Call) -> Locked<'a> {
        let Some(deadline) = earlier(call.until, core.deadline()) else {
            return self
                .changed
                .wait(core)
                .unwrap_or_else(PoisonError::into_inner);
        };
        // What is overdue and not to be judged by this thread is the business of the one that reads.
        let time = deadline
            .saturating_duration_since(Instant::now())
            .max(MOMENT);
        let waited = self.changed.wait_timeout(core, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn show(&self, direction: Direction, octets: &[u8]) {
        if let Some(wire) = &self.wire {
            let mut wire = wire.lock().unwrap_or_else(PoisonError::into_inner);
            // The other threads wait for this one to come back, so that it must not panic.
            let _ = catch_unwind(AssertUnwindSafe(|| wire.show(direction, octets)));
        }
    }

    /// Shuts the stream down as far as the connection has come to its end.
    fn end_stream(&self, core: &Core) {
        let how = match core.info() {
            Some(_) => Shutdown::Both,
            None if core.shuts_down() => Shutdown::Write,
            None => return,
        };
        let mut told = self
            .shut_down
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *told != Some(how) {
            *told = Some(how);
            // Fails only on a socket that is gone already.
            let _ = self.transport.shut_down(how);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("is_open", &self.lock().is_open())
            .finish_non_exhaustive()
    }
}

fn earlier(first: Option<Instant>, second: Option<Instant>) -> Option<Instant> {
    [first, second].into_iter().flatten().min()
}

/// How long one direction is tried before the other gets its turn.
const MOMENT: Duration = Duration::from_millis(10);
/// More octets than a socket holds: who has sent them since something was due has sent them late.
const MOST_LATE: usize = 16 << 20;
