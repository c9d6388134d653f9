//! The head of an answer, behind interim ones (RFC 9110 §15.2).

use http::StatusCode;

use crate::handshake::{HandshakeError, HeadLimits, HeadReader, ResponseHead};

/// Finds the head of the answer while it comes in; passes over interim ones such as 100 and 103.
///
/// RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a
/// final response". At most 8 are passed over; one more is the answer, which refuses.
///
/// Give it everything read so far, each time from the start; it goes on where it stopped. After an
/// error it is not to be used again.
///
/// ```
/// use motorway::handshake::HeadLimits;
/// use motorway::handshake::client::AnswerReader;
///
/// let octets = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nmore";
/// let mut reader = AnswerReader::new(HeadLimits::default());
/// let (head, length) = reader.response(octets)?.ok_or("half")?;
/// assert_eq!(head.status(), 101);
/// assert_eq!((reader.skipped(), &octets[length..]), (28, &b"more"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnswerReader {
    reader: HeadReader,
    limits: HeadLimits,
    /// Where the head begins that is read now.
    start: usize,
    interim: u8,
}

impl AnswerReader {
    /// Makes a reader of one answer; the limits are those of each head.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            reader: HeadReader::new(limits),
            limits,
            start: 0,
            interim: 0,
        }
    }

    /// Reads the answer; `None` until its head is complete, then with where the head ends.
    ///
    /// # Errors
    ///
    /// Fails on what is no head of HTTP/1, on what is ambiguous and on what is over the limits.
    pub fn response(
        &mut self,
        octets: &[u8],
    ) -> Result<Option<(ResponseHead, usize)>, HandshakeError> {
        loop {
            let rest = octets.get(self.start..).unwrap_or_default();
            let Some((head, length)) = self.reader.response(rest)? else {
                return Ok(None);
            };
            let status = head.status();
            let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
            if !is_interim || self.interim == MOST_INTERIM {
                return Ok(Some((head, self.start + length)));
            }
            self.interim += 1;
            self.start += length;
            self.reader = HeadReader::new(self.limits);
        }
    }

    /// Returns how many octets of interim answers came before.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.start
    }
}

/// How many interim answers are passed over.
const MOST_INTERIM: u8 = 8;
