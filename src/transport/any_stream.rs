//! A stream whose type is forgotten.

use super::Stream;
use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any stream: a route must take whatever its router is given, and a mounted factory what the other
/// server has.
pub(crate) struct AnyStream(Box<dyn Named>);

/// A stream that can be asked what it is.
trait Named: Stream {
    fn as_any(&self) -> &dyn Any;
}

impl<S: Stream> Named for S {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl AnyStream {
    pub(crate) fn new(stream: impl Stream) -> Self {
        Self(Box::new(stream))
    }

    /// Returns the stream itself, for a look at its type.
    pub(crate) fn as_any(&self) -> &dyn Any {
        (*self.0).as_any()
    }
}

impl AsyncRead for AnyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for AnyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
