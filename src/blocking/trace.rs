//! What goes over the wire, for those who want to look.

use std::fmt;
use std::sync::Arc;

/// Octets on their way, as [`Connector::trace`](super::Connector::trace) shows them.
///
/// Printed as Python's websocket-client does: heads between rules, frames as escaped octets.
///
/// ```
/// use motorway::blocking::Trace;
///
/// let trace = Trace::Sent(b"\x81\x05Hello");
/// assert_eq!(trace.to_string(), r#"send: b"\x81\x05Hello""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace<'a> {
    /// The head of the request, as it is sent. It may hold secrets: cookies, passwords, tokens.
    Request(&'a [u8]),
    /// The head of the response, as it came; not shown if it never was complete.
    Response(&'a [u8]),
    /// Octets of frames that the socket took: any number of frames, the last perhaps in part.
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

/// Whoever looks.
pub(super) type Tracer = Arc<dyn Fn(Trace<'_>) + Send + Sync>;
