//! A message that is sent in parts.

use super::WebSocket;
use super::shared::Half;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, MessageKind, Part};
use crate::error::Result;
use crate::message::Payload;

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
    kind: MessageKind,
    octets: u64,
    finished: bool,
}

impl MessageWriter {
    pub(super) fn new(ws: WebSocket, kind: MessageKind) -> Self {
        Self {
            ws,
            kind,
            octets: 0,
            finished: false,
        }
    }

    /// Sends a part as a frame; waits while more than 256 KiB are buffered, whatever the
    /// `overflow_policy`.
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
        let part = part.into();
        let octets = part.len() as u64;
        self.put(part, Part::More).await?;
        self.octets += octets;
        Ok(())
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
        let shared = &self.ws.0;
        self.ws
            .wait_for_room(Half::has_room_for_part, |half| {
                half.check_room_for_part()?;
                half.sender.part(payload.clone(), part, &mut half.output)?;
                half.messages_sent += u64::from(part == Part::Last);
                Ok(())
            })
            .await?;
        if part == Part::Last {
            shared.wake_senders();
            shared.tell_sent(self.kind, self.octets);
        }
        Ok(())
    }
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
                    half.fail(frame, CloseCause::UnfinishedMessage);
                }
            });
        }
    }
}
