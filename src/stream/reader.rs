//! The receiving half of a stream.

use super::owner::Owner;
use crate::error::{Error, Result};
use crate::message::{Message, Text};
use crate::transport::WebSocket;
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The receiving half of a [`WebSocketStream`](super::WebSocketStream), made by
/// [`into_split`](super::WebSocketStream::into_split).
///
/// Once it is dropped, messages that arrive are discarded. The connection is dropped with the last
/// of both halves.
#[derive(Debug)]
pub struct WebSocketReader {
    pub(super) owner: Arc<Owner>,
    /// Messages that were taken out of the inbox together.
    taken: VecDeque<Message<'static>>,
    /// Whether iterating has come to its end.
    is_over: bool,
}

impl WebSocketReader {
    pub(super) fn new(owner: Owner) -> Self {
        Self {
            owner: Arc::new(owner),
            taken: VecDeque::new(),
            is_over: false,
        }
    }

    /// Receives the next message; as [`WebSocketStream::recv`](super::WebSocketStream::recv).
    ///
    /// # Errors
    ///
    /// Fails if the connection was lost.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a message is either returned or still there.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Receives the next message as text, also a binary one.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::NotUtf8`], which has the message, if it is binary and not UTF-8; the next
    /// one can be received then. Fails as `recv` does.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a message is either returned or still there.
    pub async fn recv_text(&mut self) -> Result<Option<Text<'static>>> {
        let Some(message) = self.recv().await? else {
            return Ok(None);
        };
        if let Message::Text(text) = message {
            return Ok(Some(text));
        }
        let payload = message.into_payload();
        let text = Text::try_from(payload.clone());
        text.map(Some).map_err(|_| Error::NotUtf8(payload))
    }

    /// Receives the octets of the next message, be it text or binary.
    ///
    /// Text was checked to be UTF-8 as it arrived, unless `utf8_validate_incoming` is off: then it
    /// is not looked at at all.
    ///
    /// # Errors
    ///
    /// Fails as `recv` does.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a message is either returned or still there.
    pub async fn recv_bytes(&mut self) -> Result<Option<Bytes>> {
        let message = self.recv().await?;
        Ok(message.map(Message::into_bytes))
    }

    /// Returns the handle of the connection.
    #[must_use]
    pub fn handle(&self) -> &WebSocket {
        &self.owner.ws
    }

    fn poll_recv(&mut self, context: &Context<'_>) -> Poll<Result<Option<Message<'static>>>> {
        loop {
            if let Some(message) = self.taken.pop_front() {
                return Poll::Ready(Ok(Some(message)));
            }
            if !ready!(self.owner.inbox.poll_take(context, &mut self.taken)) {
                return Poll::Ready(self.end());
            }
        }
    }

    /// Tells how the connection ended; nothing is wrong with one that is still closing.
    fn end(&self) -> Result<Option<Message<'static>>> {
        match self.owner.ws.close_info() {
            Some(info) if !info.was_clean => Err(Error::from_end(info)),
            _ => Ok(None),
        }
    }

    /// Receives nothing more.
    pub(super) fn discard(&mut self) {
        self.taken.clear();
        self.owner.inbox.discard();
    }
}

impl Stream for WebSocketReader {
    type Item = Result<Message<'static>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let received = ready!(self.poll_recv(context));
        self.is_over = !matches!(received, Ok(Some(_)));
        Poll::Ready(received.transpose())
    }
}

impl FusedStream for WebSocketReader {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl Drop for WebSocketReader {
    fn drop(&mut self) {
        self.owner.inbox.discard();
    }
}
