//! Streams that misbehave, or count.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts writes, and fails when told to.
pub(crate) struct Watched<S> {
    pub(crate) inner: S,
    pub(crate) watch: Watch,
}

/// What a `Watched` stream tells and is told.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Inner>);

#[derive(Default)]
struct Inner {
    writes: AtomicUsize,
    dropped: AtomicBool,
    fails_reads: AtomicBool,
    /// How many octets more are taken before writes fail.
    takes: Mutex<Option<usize>>,
}

impl Watch {
    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.0.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn fail_reads(&self) {
        self.0.fails_reads.store(true, Ordering::SeqCst);
    }

    pub(crate) fn fail_writes(&self) {
        self.fail_writes_after(0);
    }

    pub(crate) fn fail_writes_after(&self, octets: usize) {
        *self.0.takes.lock().unwrap() = Some(octets);
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.watch.0.dropped.store(true, Ordering::SeqCst);
    }
}

fn reset<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.watch.0.fails_reads.load(Ordering::SeqCst) {
            return reset();
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let takes = *self.watch.0.takes.lock().unwrap();
        let octets = match takes {
            Some(0) => return reset(),
            Some(takes) => &octets[..octets.len().min(takes)],
            None => octets,
        };
        self.watch.0.writes.fetch_add(1, Ordering::SeqCst);
        let polled = Pin::new(&mut self.inner).poll_write(context, octets);
        if let (Some(takes), Poll::Ready(Ok(written))) = (takes, &polled) {
            self.watch.fail_writes_after(takes - written);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.watch.0.takes.lock().unwrap().is_some() {
            return self.poll_write(context, slices.first().map_or(&[], |slice| slice));
        }
        self.watch.0.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Reads and writes in small pieces, and makes its user wait now and then.
pub(crate) struct Choppy<S> {
    pub(crate) inner: S,
    pub(crate) seed: u64,
}

impl<S> Choppy<S> {
    /// The next number of a xorshift sequence.
    fn draw(&mut self) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let [.., high, low] = self.seed.to_le_bytes();
        usize::from(u16::from_le_bytes([high, low]))
    }

    /// How many octets to let pass: often one, sometimes many; `None` to wait.
    fn allowance(&mut self, context: &Context<'_>) -> Option<usize> {
        match self.draw() % 8 {
            0 => {
                context.waker().wake_by_ref();
                None
            }
            1..=3 => Some(1),
            4 | 5 => Some(self.draw() % 200 + 1),
            _ => Some(self.draw() % 9000 + 1),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Choppy<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(most) = self.allowance(context) else {
            return Poll::Pending;
        };
        let mut space = vec![0; most.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut self.inner).poll_read(context, &mut part);
        buffer.put_slice(part.filled());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Choppy<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(most) = self.allowance(context) else {
            return Poll::Pending;
        };
        let octets = &octets[..octets.len().min(most)];
        Pin::new(&mut self.inner).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = slices.iter().map(|slice| &**slice);
        self.poll_write(context, &slices.collect::<Vec<_>>().concat())
    }

    // Its user may find either way to write shorter.
    fn is_write_vectored(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.draw().is_multiple_of(4) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
