//! Seeing what happens: logs of the wire, a trace, counters, times, observers.
//!
//! Below `transport` and `blocking`, which both say here what they see. Nothing here is asked for
//! while nobody looks: a connection that is not observed has no [`Observation`], and that is the one
//! thing it tests.

mod follow;
mod heads;
#[cfg(feature = "tokio")]
mod observation;
#[cfg(feature = "tokio")]
mod observer;
#[cfg(feature = "tokio")]
mod stats;
#[cfg(feature = "tokio")]
mod timings;
mod trace;
mod wire;

pub(crate) use heads::HeadLog;
#[cfg(feature = "tokio")]
pub(crate) use observation::{Interest, Observation, shortened, span, tell_observer};
pub use trace::{Trace, disable_trace, enable_trace, enable_trace_with};
#[cfg(feature = "blocking")]
pub(crate) use trace::{Tracer, tracer};
pub(crate) use wire::Direction;
#[cfg(feature = "blocking")]
pub(crate) use wire::WireLog;
#[cfg(feature = "tokio")]
pub use {
    observer::{Observed, Observer},
    stats::Stats,
    timings::{Moment, Timings},
};

use std::sync::atomic::{AtomicU64, Ordering};

/// Draws the number of a connection, unique in this process.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
