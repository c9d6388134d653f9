//! The opening handshake on a stream: reads one head, writes one head.
//!
//! What the heads say is judged by `handshake`; deadlines are set by the caller.

use super::io::Stream;
use crate::error::Result;
use crate::handshake::client::AnswerReader;
use crate::handshake::{HandshakeError, ProxyHeader, RequestHead, ResponseHead};
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, Timeout, timeout_at};

/// Reads what a trusted proxy says first; returns it with what came after it.
pub(crate) async fn read_proxy_header<S: Stream>(stream: &mut S) -> Result<(ProxyHeader, Vec<u8>)> {
    let mut octets = Vec::new();
    loop {
        fill(stream, &mut octets).await?;
        if let Some((header, length)) = ProxyHeader::parse(&octets)? {
            return Ok((header, octets.split_off(length)));
        }
    }
}

/// As [`read_proxy_header`], but reads not an octet more: what follows is for TLS.
#[cfg(feature = "rustls")]
pub(crate) async fn read_proxy_header_only<S: Stream>(stream: &mut S) -> Result<ProxyHeader> {
    let mut octets = Vec::new();
    loop {
        octets.push(stream.read_u8().await?);
        if let Some((header, _)) = ProxyHeader::parse(&octets)? {
            return Ok(header);
        }
    }
}

/// A head that was read.
pub(crate) struct Read<T> {
    pub(crate) head: T,
    /// Its octets.
    pub(crate) octets: Vec<u8>,
    /// What came after it.
    pub(crate) early: Vec<u8>,
}

impl<T> Read<T> {
    fn new((head, length): (T, usize), mut octets: Vec<u8>) -> Self {
        let early = octets.split_off(length);
        Self {
            head,
            octets,
            early,
        }
    }
}

/// Reads the head of a request, of which these octets are there.
///
/// Fails with an error of the handshake that can be answered, or with one of the stream.
pub(crate) async fn read_request<S: Stream>(
    stream: &mut S,
    mut parse: impl FnMut(&[u8]) -> Parsed,
    mut octets: Vec<u8>,
) -> Result<Read<RequestHead>> {
    loop {
        if octets.is_empty() {
            fill(stream, &mut octets).await?;
        }
        if let Some(head) = parse(&octets)? {
            return Ok(Read::new(head, octets));
        }
        fill(stream, &mut octets).await?;
    }
}

/// What a reader of heads says about the octets so far: a head, and how long it is.
type Parsed = Result<Option<(RequestHead, usize)>, HandshakeError>;

/// Reads the head of a response; its octets are with those of interim ones.
pub(crate) async fn read_response<S: Stream>(
    stream: &mut S,
    reader: &mut AnswerReader,
) -> Result<Read<ResponseHead>> {
    let mut octets = Vec::new();
    loop {
        fill(stream, &mut octets).await?;
        if let Some(head) = reader.response(&octets)? {
            return Ok(Read::new(head, octets));
        }
    }
}

async fn fill<S: Stream>(stream: &mut S, octets: &mut Vec<u8>) -> io::Result<()> {
    octets.reserve(FIRST_READ);
    match stream.read_buf(octets).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Writes a head.
pub(crate) async fn write_all<S: Stream>(stream: &mut S, octets: &[u8]) -> io::Result<()> {
    stream.write_all(octets).await?;
    stream.flush().await
}

/// Closes a stream after a last response: shuts it down for writing and reads to the end, so that
/// no unread octet turns the response into a reset.
pub(crate) async fn close_stream<S: Stream>(stream: &mut S) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut forgotten = [0; 1024];
    while let Ok(1..) = stream.read(&mut forgotten).await {}
}

/// How many octets are asked for at once; most heads fit.
const FIRST_READ: usize = 1 << 10;

/// Waits until a deadline, if there is one.
///
/// No `async fn`, which would have room for the future twice.
pub(crate) fn within<F: Future>(deadline: Option<Instant>, future: F) -> Timeout<F> {
    let deadline = deadline.unwrap_or_else(|| Instant::now() + FOREVER);
    timeout_at(deadline, future)
}

/// As good as no deadline: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A panic of user code.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Runs user code to its end; its panic is reported, not passed on.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}
