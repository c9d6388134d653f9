//! The futures of sending a message.

use super::WebSocket;
use super::backlog::Parcel;
use super::shared::{Refused, Shared};
use super::waiters::Waiting;
use crate::connection::Compress;
use crate::error::Result;
use crate::message::Message;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of [`WebSocket::send`].
#[derive(Debug)]
#[must_use = "nothing is sent until the future is awaited"]
pub struct Sending<'w, 'a> {
    waiting: Waiting<'w, false>,
    message: Option<Message<'a>>,
}

impl<'w, 'a> Sending<'w, 'a> {
    #[inline]
    pub(super) fn new(ws: &'w WebSocket, message: Message<'a>) -> Self {
        Self {
            waiting: Waiting::new(ws),
            message: Some(message),
        }
    }

    /// Sends the message without compressing it, whatever was agreed upon: for what is compressed
    /// already, or must not be together with what an attacker chooses (RFC 7692 §8).
    ///
    /// ```
    /// # async fn example(ws: &motorway::WebSocket, jpeg: &[u8]) -> motorway::Result<()> {
    /// ws.send(jpeg).uncompressed().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`].
    pub fn uncompressed(self) -> UncompressedSending<'w, 'a> {
        UncompressedSending(self)
    }

    /// Queues the message if it is one that asks for nothing but to be queued; tells whether it was.
    // A call that returns nothing large costs less than what its own code would do to the callback
    // around it.
    #[inline(never)]
    fn queue_short(&mut self) -> bool {
        // Looked at where it lies: moving it about would cost more than sending it.
        let queued = match &self.message {
            Some(message) => self.waiting.ws.0.queue_short(message),
            None => false,
        };
        if queued {
            self.message = None;
        }
        queued
    }

    /// Apart, so that the short way stays short.
    #[cold]
    fn poll_long(&mut self, context: &Context<'_>) -> Poll<Result<()>> {
        self.poll_with(context, (Shared::queue, Compress::Auto))
    }

    fn poll_with(
        &mut self,
        context: &Context<'_>,
        (queue, compress): (
            impl Fn(&Shared, Message<'a>) -> Result<(), Refused<'a>>,
            Compress,
        ),
    ) -> Poll<Result<()>> {
        while let Some(message) = self.message.take() {
            match queue(&self.waiting.ws.0, message) {
                Ok(()) => {}
                Err(Refused::Never(error)) => return Poll::Ready(Err(error.into())),
                Err(Refused::Later(message, error)) => {
                    let message = self.message.insert(message);
                    let parcel = Parcel::Message(message, compress);
                    if let Some(done) = ready!(self.waiting.poll_refused(context, parcel, error)) {
                        self.message = None;
                        return Poll::Ready(done.map_err(Into::into));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Future for Sending<'_, '_> {
    type Output = Result<()>;

    // What it returns is large, and would be stored and loaded again at once.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.queue_short() {
            true => Poll::Ready(Ok(())),
            false => self.poll_long(context),
        }
    }
}

/// The future of [`Sending::uncompressed`].
// A type of its own, so that who compresses, or does not, has no larger future.
#[derive(Debug)]
#[must_use = "nothing is sent until the future is awaited"]
pub struct UncompressedSending<'w, 'a>(Sending<'w, 'a>);

impl Future for UncompressedSending<'_, '_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_with(context, (Shared::queue_uncompressed, Compress::Never))
    }
}
