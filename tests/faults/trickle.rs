//! A stream that lets a few octets through at a time, and makes its user wait before each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

pub(crate) struct Trickle {
    inner: DuplexStream,
    /// How many octets pass at a time.
    step: usize,
    /// Whether the next read, and the next write, waits.
    waits: [bool; 2],
}

impl Trickle {
    pub(crate) fn new(inner: DuplexStream, step: usize) -> Self {
        Self {
            inner,
            step,
            waits: [true; 2],
        }
    }

    /// Tells whether this one waits, which every other one does.
    fn waits(&mut self, direction: usize, context: &Context<'_>) -> bool {
        let waits = self.waits[direction];
        self.waits[direction] = !waits;
        if waits {
            context.waker().wake_by_ref();
        }
        waits
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits(0, context) {
            return Poll::Pending;
        }
        let mut space = vec![0; self.step.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut self.inner).poll_read(context, &mut part);
        buffer.put_slice(part.filled());
        polled
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(1, context) {
            return Poll::Pending;
        }
        let octets = &octets[..octets.len().min(self.step)];
        Pin::new(&mut self.inner).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waits(1, context) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
