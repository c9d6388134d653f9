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

    /// What came instead of the head of a request, as far as it was read; the first 4 KiB of it.
    pub(crate) fn unreadable(&self, peer: &Peer, octets: &[u8]) {
        if self.is_on() {
            let head = redact_unreadable(octets.get(..MOST_UNREADABLE).unwrap_or(octets));
            self.show(Trace::Request(&head));
            if self.logs {
                let head = head.escape_ascii().to_string();
                tracing::debug!(target: "motorway::handshake", %peer, head, "unreadable request");
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

/// As [`redact`], for what is no head of HTTP: who knows what a recipient would take for the end of a
/// line or for a name. From the name of a secret header on nothing is shown up to the next line that
/// begins with a name.
fn redact_unreadable(octets: &[u8]) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(octets.len());
    let mut hides = false;
    for line in octets.split_inclusive(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        let secret = SECRET.iter().filter_map(|name| end_of(line, name)).min();
        match secret {
            Some(end) => {
                redacted.extend_from_slice(line.get(..end).unwrap_or_default());
                redacted.extend_from_slice(b" [redacted]\r\n");
                hides = true;
            }
            None if hides && !has_name(line) => {}
            None => {
                redacted.extend_from_slice(line);
                hides = false;
            }
        }
    }
    redacted
}

/// Returns where a name ends, wherever it stands in a line and in whatever case.
fn end_of(line: &[u8], name: &str) -> Option<usize> {
    let mut places = line.windows(name.len());
    let place = places.position(|octets| octets.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(place + name.len())
}

fn has_name(line: &[u8]) -> bool {
    let name = line
        .split(|octet| *octet == b':')
        .next()
        .unwrap_or_default();
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_".contains(octet);
    name.len() < line.len() && !name.is_empty() && name.iter().all(is_token)
}

/// How much of a request that cannot be read is shown, in octets.
const MOST_UNREADABLE: usize = 4 << 10;

/// The headers whose values are not shown.
const SECRET: [&str; 4] = [
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
];

#[cfg(test)]
mod tests {
    use super::{redact, redact_unreadable};

    #[test]
    fn secrets_are_not_shown() {
        let head = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Basic c2VjcmV0\r\nCookie:sid=secret\r\n more=secret\r\n\tsecret\r\nX-Cookie: shown\r\n shown too\r\nset-cookie : secret\r\nProxy-Authorization:\tsecret\r\n\r\n";
        let expected = b"GET /a?b HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: [redacted]\r\nCookie: [redacted]\r\nX-Cookie: shown\r\n shown too\r\nset-cookie: [redacted]\r\nProxy-Authorization: [redacted]\r\n\r\n";
        assert_eq!(
            redact(head).escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn secrets_are_not_shown_of_what_is_no_head() {
        for (octets, expected) in [
            ("Cookie: s3cret", "Cookie [redacted]\r\n"),
            (
                "GET / HTTP/1.1\nCOOKIE : s3cret\nHost: x\n",
                "GET / HTTP/1.1\nCOOKIE [redacted]\r\nHost: x\n",
            ),
            (
                "GET /\r\n Authorization: s3cret\r\n s3cret\r\nA: b\r\n",
                "GET /\r\n Authorization [redacted]\r\nA: b\r\n",
            ),
            (
                "A: b\rset-cookie: s3cret\rs3cret\r\rs3cret",
                "A: b\rset-cookie [redacted]\r\n",
            ),
            (
                "A: b\0Proxy-Authorization\0s3cret",
                "A: b\0Proxy-Authorization [redacted]\r\n",
            ),
            (
                "A: Authorization: s3cret",
                "A: Authorization [redacted]\r\n",
            ),
            ("\u{16}\u{3}\u{1}", "\u{16}\u{3}\u{1}"),
        ] {
            let shown = redact_unreadable(octets.as_bytes());
            assert_eq!(
                shown.escape_ascii().to_string(),
                expected.as_bytes().escape_ascii().to_string()
            );
        }
    }
}
