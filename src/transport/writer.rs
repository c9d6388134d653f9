//! A message that is sent in parts.

use super::shared::Half;
use super::{HIGH_WATER, WebSocket};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, Part, SendError};
use crate::error::Result;
use crate::message::Payload;
use std::future::poll_fn;
use std::task::Poll;

/// Writes one message in parts; made by [`WebSocket::begin_message`].
///
/// ```
/// # async fn example(ws: &motorway::WebSocket) -> motorway::Result<()> {
/// use motorway::MessageKind;
///
/// let mut writer = ws.begin_message(MessageKind::Binary).await?;
/// for chunk in [b"first", b"other"] {
///     writer.write(chunk).await?;
/// }
/// writer.finish().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping an unfinished writer fails the connection"]
pub struct MessageWriter {
    ws: WebSocket,
    finished: bool,
}

impl MessageWriter {
    pub(super) fn new(ws: WebSocket) -> Self {
        Self {
            ws,
            finished: false,
        }
    }

    /// Sends a part as a frame; waits while more than 256 KiB are buffered.
    ///
    /// The caller of a text message makes sure that its parts are UTF-8 together.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed, or if the message grows larger than
    /// `max_message_payload_size`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has sent nothing of this part.
    pub async fn write<'a>(&mut self, part: impl Into<Payload<'a>>) -> Result<()> {
        self.put(part.into(), Part::More).await
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the writer is dropped unfinished, which fails the connection.
    pub async fn finish(mut self) -> Result<()> {
        let finished = self.put(Payload::from(&b""[..]), Part::Last).await;
        self.finished = true;
        finished
    }

    async fn put(&mut self, payload: Payload<'_>, part: Part) -> Result<()> {
        let ws = &self.ws;
        poll_fn(|context| {
            let result = ws.0.command(|half| {
                if half.buffered() > HIGH_WATER && half.sender.state().is_open() {
                    half.was_full = true;
                    return Err(SendError::Full {
                        buffered: half.buffered(),
                    });
                }
                half.sender.part(payload.clone(), part, &mut half.output)?;
                if part == Part::Last {
                    half.messages_sent += 1;
                    half.wake_waiters();
                }
                Ok(())
            });
            match result {
                Err(SendError::Full { .. }) => ws.wait_or(context, may_write),
                result => Poll::Ready(Some(result)),
            }
        })
        .await
        .unwrap_or(Err(SendError::Closed))
        .map_err(Into::into)
    }
}

fn may_write(_: &WebSocket, half: &Half) -> bool {
    half.buffered() <= HIGH_WATER
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.finished {
            // The peer has the beginning of a message that will never end. §7.1.7 is all that is
            // left: fail the connection.
            let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "");
            self.ws.0.command(|half| {
                // Behind a close frame nobody waits for the rest of the message.
                if half.sender.state().is_open() {
                    half.sender
                        .fail(Some(frame), CloseCause::UnfinishedMessage, &mut half.output);
                }
            });
        }
    }
}
