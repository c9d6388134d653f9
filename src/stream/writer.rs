//! The sending half of a stream.

use super::owner::Owner;
use crate::close::CloseCode;
use crate::connection::{CloseInfo, SendError};
use crate::error::{Error, Result};
use crate::message::{Message, Payload, Text};
use crate::transport::{Sending, WebSocket};
use futures_sink::Sink;
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// The sending half of a [`WebSocketStream`](super::WebSocketStream), made by
/// [`into_split`](super::WebSocketStream::into_split).
///
/// The connection is dropped with the last of both halves; a half that is left can go on.
pub struct WebSocketWriter {
    owner: Arc<Owner>,
    /// What the sink waits for. In a mutex, never contended, only so that the writer is `Sync`.
    waits: Mutex<Option<Waits>>,
    is_closing: bool,
}

type Waits = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl WebSocketWriter {
    pub(super) fn new(owner: Arc<Owner>) -> Self {
        Self {
            owner,
            waits: Mutex::new(None),
            is_closing: false,
        }
    }

    /// Sends a message; as [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed, or the message is too large.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has queued nothing, so it may be tried again.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Sending<'_, 'a> {
        self.owner.ws.send(message)
    }

    /// Sends a text message; as [`WebSocket::send_text`].
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    pub fn send_text<'a>(&self, text: impl Into<Text<'a>>) -> Sending<'_, 'a> {
        self.owner.ws.send_text(text)
    }

    /// Sends a binary message; as [`WebSocket::send_binary`].
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    pub fn send_binary<'a>(&self, payload: impl Into<Payload<'a>>) -> Sending<'_, 'a> {
        self.owner.ws.send_binary(payload)
    }

    /// Begins the closing handshake and waits for the end of the connection.
    ///
    /// The other half receives what comes before the peer's close frame; if it is kept and not
    /// read, the end may take as long as `close_handshake_timeout`.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent: allowed are 1000–1003, 1007–1014 and 3000–4999.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, it has begun to close; it may be called again to wait.
    pub async fn close(
        &mut self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<CloseInfo> {
        self.owner.ws.close(code, reason).await?;
        Ok(self.owner.ws.closed().await)
    }

    /// Returns the handle of the connection.
    #[must_use]
    pub fn handle(&self) -> &WebSocket {
        &self.owner.ws
    }

    fn waits(&mut self) -> &mut Option<Waits> {
        self.waits.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_waits(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(future) = self.waits() else {
            return Poll::Ready(Ok(()));
        };
        let result = ready!(future.as_mut().poll(context));
        *self.waits() = None;
        Poll::Ready(result)
    }
}

impl Sink<Message<'static>> for WebSocketWriter {
    type Error = Error;

    /// Waits until the message before has room: more than 256 KiB are never buffered but for it. Where
    /// the `overflow_policy` is not to wait, fails if it was to be refused or to close the connection.
    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_waits(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'static>) -> Result<(), Self::Error> {
        // A clone of an owned payload shares its octets.
        match self.owner.ws.try_send(message.clone()) {
            Err(SendError::Full { .. } | SendError::Busy) => {}
            result => return Ok(result?),
        }
        let ws = self.owner.ws.clone();
        *self.waits() = Some(Box::pin(async move { ws.send(message).await }));
        Ok(())
    }

    /// Waits until every message is queued; the connection writes them by itself.
    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_waits(context)
    }

    /// Closes with 1000 and waits for the end of the connection.
    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        if !self.is_closing {
            ready!(self.poll_waits(context))?;
            self.is_closing = true;
            let ws = self.owner.ws.clone();
            *self.waits() = Some(Box::pin(async move {
                ws.close(CloseCode::NORMAL, "").await?;
                ws.closed().await;
                Ok(())
            }));
        }
        self.poll_waits(context)
    }
}

impl fmt::Debug for WebSocketWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketWriter")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
