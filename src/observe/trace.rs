//! What goes over the wire, for those who want to look.

use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

/// Octets on their way, as [`enable_trace_with`] shows them.
///
/// Printed as Python's websocket-client does: heads between rules, frames as escaped octets.
///
/// ```
/// use motorway::Trace;
///
/// let trace = Trace::Sent(b"\x81\x05Hello");
/// assert_eq!(trace.to_string(), r#"send: b"\x81\x05Hello""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace<'a> {
    /// The head of the request.
    Request(&'a [u8]),
    /// The head of the response; not shown if it never was complete.
    Response(&'a [u8]),
    /// Octets of frames that the stream took: any number of frames, the last perhaps in part.
    Sent(&'a [u8]),
    /// Octets of frames that came: any number of frames, the last perhaps in part.
    Received(&'a [u8]),
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, head) = match self {
            Self::Request(head) => ("request", head),
            Self::Response(head) => ("response", head),
            Self::Sent(octets) => return write!(f, "send: b\"{}\"", octets.escape_ascii()),
            Self::Received(octets) => return write!(f, "receive: b\"{}\"", octets.escape_ascii()),
        };
        writeln!(f, "--- {name} header ---")?;
        let lines = head.split(|octet| *octet == b'\n');
        for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
            writeln!(f, "{}", line.trim_ascii_end().escape_ascii())?;
        }
        f.write_str("-----------------------")
    }
}

/// Shows the wire of every connection that is made from now on in this process on the standard
/// error, whatever its options: requests, responses, and the octets of frames as they are sent and
/// received. What `enableTrace(True)` of Python's websocket-client does; no subscriber of `tracing`
/// is needed.
///
/// For the search of faults, and not for production: messages are shown in full. Of the heads the
/// values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` are not; tokens in the
/// query of a URL are.
/// Replaces what was enabled before.
///
/// ```
/// motorway::enable_trace();
/// # motorway::disable_trace();
/// ```
pub fn enable_trace() {
    enable_trace_with(|trace| {
        // There is nobody to tell that it cannot be told.
        let _ = writeln!(io::stderr().lock(), "{trace}");
    });
}

/// As [`enable_trace`], but gives it to `show`, whose panics are passed over.
///
/// Called by whoever reads and writes, so it should not take long.
///
/// ```
/// motorway::enable_trace_with(|trace| println!("{trace}"));
/// # motorway::disable_trace();
/// ```
pub fn enable_trace_with(show: impl Fn(Trace<'_>) + Send + Sync + 'static) {
    let mut tracer = TRACER.write().unwrap_or_else(PoisonError::into_inner);
    *tracer = Some(Arc::new(show));
}

/// Shows connections that are made from now on no more; those that run go on as they are.
///
/// ```
/// motorway::disable_trace();
/// ```
pub fn disable_trace() {
    let mut tracer = TRACER.write().unwrap_or_else(PoisonError::into_inner);
    *tracer = None;
}

/// Returns who looks at the connections of this process, if anyone does.
pub(crate) fn tracer() -> Option<Tracer> {
    let tracer = TRACER.read().unwrap_or_else(PoisonError::into_inner);
    tracer.clone()
}

/// Shows something to whoever looks; a panic of theirs, which was printed, harms no connection.
pub(super) fn show(tracer: &Tracer, trace: Trace<'_>) {
    let _ = catch_unwind(AssertUnwindSafe(|| tracer(trace)));
}

/// Whoever looks.
pub(crate) type Tracer = Arc<dyn Fn(Trace<'_>) + Send + Sync>;

static TRACER: RwLock<Option<Tracer>> = RwLock::new(None);
