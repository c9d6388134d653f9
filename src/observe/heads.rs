//! The heads of the opening handshake, in the log and in the trace, without their secrets.

use super::trace::{Trace, Tracer, show, tracer};
use crate::options::CommonOptions;
use crate::peer::Peer;

/// Shows the heads of one opening handshake where they are wanted.
pub(crate) struct HeadLog {
    logs: bool,
    tracer: Option<Tracer>,
}

impl HeadLog {
    pub(crate) fn new(options: &CommonOptions) -> Self {
        Self {
            logs: options.log_frames || options.log_octets,
            tracer: tracer(),
        }
    }

    /// Tells whether anybody wants to see them.
    pub(crate) fn is_on(&self) -> bool {
        self.logs || self.tracer.is_some()
    }

    pub(crate) fn request(&self, peer: &Peer, head: &[u8]) {
        if self.is_on() {
            let head = redact(head);
            self.show(Trace::Request(&head));
            if self.logs {
                let head = head.escape_ascii().to_string();
                tracing::debug!(target: "motorway::handshake", %peer, head, "request");
            }
        }
    }

    /// A body behind the head is left out.
    pub(crate) fn response(&self, peer: &Peer, head: &[u8]) {
        if self.is_on() {
            let end = head.windows(4).position(|octets| octets == b"\r\n\r\n");
            let head = end.and_then(|end| head.get(..end + 4)).unwrap_or(head);
            let head = redact(head);
            self.show(Trace::Response(&head));
            if self.logs {
                let head = head.escape_ascii().to_string();
                tracing::debug!(target: "motorway::handshake", %peer, head, "response");
            }
        }
    }

    fn show(&self, trace: Trace<'_>) {
        if let Some(tracer) = &self.tracer {
            show(tracer, trace);
        }
    }
}

/// Replaces the values of headers that are secret, with the lines that go on with them.
fn redact(head: &[u8]) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(head.len());
    let mut hides = false;
    for line in head.split_inclusive(|octet| *octet == b'\n') {
        // RFC 9112 §5.2: a line that begins with white space belongs to the one before.
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if !hides {
                redacted.extend_from_slice(line);
            }
            continue;
        }
        let name = line.split(|octet| *octet == b':').next();
        let name = name.unwrap_or_default().trim_ascii();
        hides = line.len() > name.len()
            && SECRET
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret.as_bytes()));
        if hides {
            redacted.extend_from_slice(name);
            redacted.extend_from_slice(b": [redacted]\r\n");
        } else {
            redacted.extend_from_slice(line);
        }
    }
    redacted
}

/// The headers whose values are not shown.
const SECRET: [&str; 4] = [
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
];

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_are_not_shown() {
        let head = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Basic c2VjcmV0\r\nCookie:sid=secret\r\n more=secret\r\n\tsecret\r\nX-Cookie: shown\r\n shown too\r\nset-cookie : secret\r\nProxy-Authorization:\tsecret\r\n\r\n";
        let expected = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: [redacted]\r\nCookie: [redacted]\r\nX-Cookie: shown\r\n shown too\r\nset-cookie: [redacted]\r\nProxy-Authorization: [redacted]\r\n\r\n";
        assert_eq!(
            redact(head).escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
