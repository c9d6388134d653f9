//! The body of an answer that refuses (RFC 9112 §6), as far as it is of use.
//!
//! Read for whoever looks for the fault: what is malformed or too long is cut off, not an error.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use crate::handshake::ResponseHead;

/// The body of an answer that refuses a handshake: at most 1 MiB of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ResponseBody {
    octets: Bytes,
    is_truncated: bool,
}

impl ResponseBody {
    /// Returns the octets, without the marks of a transfer coding; compressed ones as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.octets
    }

    /// Returns the body as text, in which what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.octets)
    }

    /// Tells whether there was more, or should have been: it was too long, came too late, was
    /// malformed, or the stream failed.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("length", &self.octets.len())
            .field("is_truncated", &self.is_truncated)
            .finish()
    }
}

/// Reads the body of an answer while it comes in.
///
/// ```
/// use motorway::handshake::client::BodyReader;
/// use motorway::handshake::{HeadLimits, HeadReader};
///
/// let answer = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n";
/// let (head, length) = HeadReader::new(HeadLimits::default()).response(answer)?.ok_or("half")?;
/// let mut reader = BodyReader::new(&head);
/// reader.receive(&answer[length..]);
/// assert!(reader.is_done());
/// assert_eq!(reader.finish().text(), "not here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    body: Vec<u8>,
    /// The beginning of a line between chunks.
    line: Vec<u8>,
    is_truncated: bool,
}

#[derive(Debug)]
enum State {
    /// So many octets to come.
    Octets(u64),
    UntilEnd,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Done,
}

impl BodyReader {
    /// Prepares for the body of an answer with this head.
    #[must_use]
    pub fn new(head: &ResponseHead) -> Self {
        Self {
            state: framing(head.status(), head.headers()),
            body: Vec::new(),
            line: Vec::new(),
            is_truncated: false,
        }
    }

    /// Prepares for a body that lasts until the end of its stream, as all do over HTTP/2
    /// (RFC 9113 §8.1).
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn until_end() -> Self {
        Self {
            state: State::UntilEnd,
            body: Vec::new(),
            line: Vec::new(),
            is_truncated: false,
        }
    }

    /// Takes in what came next.
    pub fn receive(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            octets = match self.state {
                State::Octets(left) => self.take(octets, left, State::Octets),
                State::Chunk(left) => self.take(octets, left, State::Chunk),
                State::UntilEnd => self.take(octets, u64::MAX, |_| State::UntilEnd),
                State::ChunkSize | State::ChunkEnd => self.take_line(octets),
                State::Done => return,
            };
        }
    }

    /// Takes note of the end of the stream.
    pub fn receive_eof(&mut self) {
        if matches!(self.state, State::UntilEnd) {
            self.state = State::Done;
        }
    }

    /// Tells whether there is nothing more to read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Returns the body as far as it came.
    #[must_use]
    pub fn finish(self) -> ResponseBody {
        ResponseBody {
            is_truncated: self.is_truncated || !self.is_done(),
            octets: self.body.into(),
        }
    }

    /// Takes octets of the body, of which so many are left; returns those behind them.
    fn take<'a>(&mut self, octets: &'a [u8], left: u64, state: fn(u64) -> State) -> &'a [u8] {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let (now, later) = octets.split_at(octets.len().min(most));
        let room = MAX_BODY.saturating_sub(self.body.len());
        self.body.extend(now.iter().take(room));
        if now.len() > room {
            return self.give_up();
        }
        let left = left.saturating_sub(now.len() as u64);
        self.state = match (left, &self.state) {
            (0, State::Chunk(_)) => State::ChunkEnd,
            (0, _) => State::Done,
            (left, _) => state(left),
        };
        later
    }

    /// Takes octets of the line before or behind a chunk; returns those behind them.
    fn take_line<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let end = octets.iter().position(|octet| *octet == b'\n');
        let (now, later) = octets.split_at(end.map_or(octets.len(), |end| end + 1));
        self.line.extend_from_slice(now);
        if self.line.len() > MAX_LINE {
            return self.give_up();
        }
        if end.is_none() {
            return later;
        }
        let line = std::mem::take(&mut self.line);
        self.state = match (&self.state, httparse::parse_chunk_size(&line)) {
            (State::ChunkEnd, _) if line == b"\r\n" => State::ChunkSize,
            (State::ChunkSize, Ok(httparse::Status::Complete((_, 0)))) => State::Done,
            (State::ChunkSize, Ok(httparse::Status::Complete((_, size)))) => State::Chunk(size),
            _ => return self.give_up(),
        };
        later
    }

    fn give_up(&mut self) -> &'static [u8] {
        self.is_truncated = true;
        self.state = State::Done;
        &[]
    }
}

/// Tells how long the body is (RFC 9112 §6.3).
fn framing(status: StatusCode, headers: &HeaderMap) -> State {
    let has_none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    if has_none || status.is_informational() {
        return State::Done;
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return State::ChunkSize;
    }
    let length = headers.get(header::CONTENT_LENGTH);
    match length.and_then(|length| length.to_str().ok()?.parse().ok()) {
        Some(0) => State::Done,
        Some(length) => State::Octets(length),
        None => State::UntilEnd,
    }
}

/// How much of a body is kept, in octets.
const MAX_BODY: usize = 1 << 20;
/// The longest line between chunks, in octets.
const MAX_LINE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::{BodyReader, MAX_BODY};
    use crate::handshake::{HeadLimits, HeadReader};

    /// The body of an answer, and whether it is truncated; `size` octets come at once.
    fn read(answer: &[u8], size: usize) -> (Vec<u8>, bool) {
        let mut heads = HeadReader::new(HeadLimits::default());
        let (head, length) = heads.response(answer).unwrap().unwrap();
        let mut reader = BodyReader::new(&head);
        answer[length..]
            .chunks(size)
            .for_each(|it| reader.receive(it));
        reader.receive_eof();
        let body = reader.finish();
        (body.as_bytes().to_vec(), body.is_truncated())
    }

    #[test]
    fn bodies_are_framed_by_length_chunks_or_the_end() {
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        for (status, rest, body, is_truncated) in [
            (403, "Content-Length: 3\r\n\r\nabcdef", "abc", false),
            (403, "Content-Length: 0\r\n\r\nabc", "", false),
            (403, "Content-Length: 9\r\n\r\nabc", "abc", true),
            (403, "\r\nabc", "abc", false),
            (403, "\r\n", "", false),
            (403, "Content-Length: x\r\n\r\nabc", "abc", false),
            (204, "\r\nabc", "", false),
            (304, "Content-Length: 3\r\n\r\nabc", "", false),
            (
                403,
                &format!("{chunked}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"),
                "abc0123456789",
                false,
            ),
            (403, &format!("{chunked}3\r\nabc\r\n"), "abc", true),
            (403, &format!("{chunked}3\r\nab"), "ab", true),
            (
                403,
                &format!("{chunked}3\r\nabcd\r\n0\r\n\r\n"),
                "abc",
                true,
            ),
            (403, &format!("{chunked}x\r\nabc"), "", true),
            (403, &format!("{chunked}{}", "0".repeat(5000)), "", true),
        ] {
            let answer = format!("HTTP/1.1 {status} No\r\n{rest}");
            for size in [1, 4096] {
                let found = read(answer.as_bytes(), size);
                assert_eq!(found, (body.into(), is_truncated), "{rest}");
            }
        }
    }

    #[test]
    fn no_more_than_a_mebibyte_is_kept() {
        for (length, is_truncated) in [(MAX_BODY, false), (MAX_BODY + 1, true)] {
            let body = vec![b'x'; length];
            for head in [
                "HTTP/1.1 403 No\r\n\r\n".to_owned(),
                format!("HTTP/1.1 403 No\r\nContent-Length: {length}\r\n\r\n"),
                format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"),
            ] {
                let end: &[u8] = if head.contains("chunked") {
                    b"\r\n0\r\n\r\n"
                } else {
                    b""
                };
                let answer = [head.as_bytes(), &body, end].concat();
                let (found, truncated) = read(&answer, 1000);
                assert_eq!((found.len(), truncated), (MAX_BODY, is_truncated), "{head}");
            }
        }
    }
}
