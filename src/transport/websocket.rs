//! The handle of a connection.

use super::backlog::Parcel;
use super::sending::Sending;
use super::shared::{Half, Order, Refused, Shared, Why};
use super::waiters::Waiting;
use super::writer::MessageWriter;
use super::{Facts, cork, random};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{
    CloseCause, CloseInfo, Compress, MessageKind, PreparedMessage, SendError, Sender,
};
use crate::error::Result;
use crate::message::{Message, Payload, Text};
use crate::observe::Observation;
use crate::peer::Peer;
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::span::Entered;

/// The handle of one connection: cheap to clone, usable from any task and thread.
///
/// Callbacks get it by reference; clone it to send from elsewhere. A handle does not keep the
/// connection open, and outlives it: `send` then fails.
///
/// ```
/// use motorway::{HandlerResult, WebSocket, WebSocketServerProtocol};
///
/// struct Ticker;
///
/// impl WebSocketServerProtocol for Ticker {
///     async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
///         let ws = ws.clone();
///         tokio::spawn(async move {
///             for n in 0.. {
///                 if ws.send(format!("tick {n}")).await.is_err() {
///                     break; // closed
///                 }
///                 tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///             }
///         });
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct WebSocket(pub(super) Arc<Shared>);

impl WebSocket {
    pub(crate) fn new(facts: Facts, sender: Sender, rules: Arc<crate::connection::Rules>) -> Self {
        Self(Arc::new(Shared::new(facts, sender, rules)))
    }

    /// Sends a message: waits while more than 256 KiB are buffered (`send_high_water`), then queues all
    /// of it at once. Where the option `overflow_policy` says so, it fails, drops or closes instead of
    /// waiting; see [`OverflowPolicy`](crate::OverflowPolicy).
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed, or if the message is larger than
    /// `max_message_payload_size`. The connection is unharmed by a message that is too large. With
    /// `OverflowPolicy::Error` also with [`SendError::Full`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has queued nothing, so it may be tried again; nor has it dropped
    /// or closed anything, whatever the policy.
    ///
    /// # Compression
    ///
    /// Where it was agreed upon, messages are compressed from the threshold of the options on;
    /// [`Sending::uncompressed`] leaves one alone.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Sending<'_, 'a> {
        Sending::new(self, message.into())
    }

    /// Sends a text message; as [`send`](Self::send).
    pub fn send_text<'a>(&self, text: impl Into<Text<'a>>) -> Sending<'_, 'a> {
        self.send(Message::Text(text.into()))
    }

    /// Sends a binary message; as [`send`](Self::send).
    pub fn send_binary<'a>(&self, payload: impl Into<Payload<'a>>) -> Sending<'_, 'a> {
        self.send(Message::Binary(payload.into()))
    }

    /// Queues a message without waiting.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does, and with [`SendError::Full`] or [`SendError::Busy`] where
    /// `send` would wait, or do what the `overflow_policy` says.
    pub fn try_send<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), SendError> {
        let message = message.into();
        if self.0.queue_short(&message) {
            return Ok(());
        }
        self.0.queue(message).map_err(|refused| match refused {
            Refused::Later(_, error) | Refused::Never(error) => error,
        })
    }

    /// Queues a message without waiting and without compressing it.
    ///
    /// # Errors
    ///
    /// Fails as [`try_send`](Self::try_send) does.
    pub fn try_send_uncompressed<'a>(
        &self,
        message: impl Into<Message<'a>>,
    ) -> Result<(), SendError> {
        let queued = self.0.queue_uncompressed(message.into());
        queued.map_err(|refused| match refused {
            Refused::Later(_, error) | Refused::Never(error) => error,
        })
    }

    /// Sends a message that was prepared once for many connections; as [`send`](Self::send).
    ///
    /// With permessage-deflate it is compressed once for all that can share it; see
    /// [`PreparedMessage`].
    ///
    /// # Errors
    ///
    /// Fails as `send` does.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has queued nothing, so it may be tried again.
    pub async fn send_prepared(&self, prepared: &PreparedMessage) -> Result<()> {
        self.queue_prepared(prepared).await
    }

    /// Queues a message that was prepared once for many connections, without waiting.
    ///
    /// # Errors
    ///
    /// Fails as [`try_send`](Self::try_send) does.
    pub fn try_send_prepared(&self, prepared: &PreparedMessage) -> Result<(), SendError> {
        self.0.put(Parcel::Prepared(prepared))
    }

    /// Begins a message that is sent in parts, each as a frame of its own.
    ///
    /// Waits while another message is being sent in parts. Until the writer is finished, other
    /// messages wait; control frames do not. Dropping the writer unfinished fails the connection
    /// with 1011, since a half message cannot be taken back.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has begun nothing.
    pub async fn begin_message(&self, kind: MessageKind) -> Result<MessageWriter> {
        self.begin(kind, Compress::Auto).await
    }

    /// Begins a message that is sent in parts and not compressed, whatever was agreed upon; as
    /// [`begin_message`](Self::begin_message).
    ///
    /// # Errors
    ///
    /// Fails as `begin_message` does.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has begun nothing.
    pub async fn begin_uncompressed_message(&self, kind: MessageKind) -> Result<MessageWriter> {
        self.begin(kind, Compress::Never).await
    }

    async fn begin(&self, kind: MessageKind, compress: Compress) -> Result<MessageWriter> {
        self.wait_for_room(Half::may_begin, |half| half.begin(kind, compress))
            .await?;
        Ok(MessageWriter::new(self.clone(), kind))
    }

    /// Sends a ping and waits for its answer; returns the round-trip time.
    ///
    /// May be awaited inside of a callback. Give pings that overlap different payloads; a pong
    /// answers every ping sent before the one that it matches, too (RFC 6455 §5.5.3).
    ///
    /// # Errors
    ///
    /// Fails if the payload has more than 125 octets, or if the connection is closing or closes
    /// before the answer comes.
    ///
    /// # Cancel safety
    ///
    /// The ping is sent at the first poll; dropping the future later only gives up the answer.
    pub async fn ping(&self, payload: impl AsRef<[u8]>) -> Result<Duration> {
        let payload = payload.as_ref().to_vec();
        let (answer, answered) = oneshot::channel();
        self.0.command(|half| {
            half.sender.ping(&payload, &mut half.output)?;
            half.pings.sent(payload, Some(answer));
            Ok::<_, SendError>(())
        })?;
        answered.await.map_err(|_| SendError::Closed.into())
    }

    /// Sends a pong that nobody asked for (RFC 6455 §5.5.3); pings are answered without it.
    ///
    /// While an earlier pong waits behind more than 4 KiB, only the newest is kept, so that a peer that
    /// reads nothing costs no memory.
    ///
    /// # Errors
    ///
    /// Fails if the payload has more than 125 octets or the connection is closing or closed.
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.0
            .command(|half| half.send_pong(payload.as_ref(), Why::Own))
    }

    /// Begins the closing handshake: returns once the close frame is queued, behind all that was
    /// sent before. Does nothing if the connection is closing already.
    ///
    /// Wait for [`closed`](Self::closed) to learn how it ended. A reason longer than 123 octets is
    /// cut at a character boundary.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent: allowed are 1000–1003, 1007–1014 and 3000–4999.
    ///
    /// # Cancel safety
    ///
    /// Does not wait, so it cannot be cancelled half-way.
    pub async fn close(
        &self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<()> {
        let frame = CloseFrame::new(code, reason);
        Ok(self.0.close(Some(frame), CloseCause::Local)?)
    }

    /// Drops the connection at once, without a closing handshake; TCP is reset where the stream is
    /// a TCP connection.
    ///
    /// So is one that is closing: its peer sees 1006 in the place of the code that was sent. Abort those that
    /// do not keep up on [`SendError::Full`], not on any error.
    pub fn abort(&self) {
        self.0.order(Order::Abort);
    }

    /// Lets the driver write what the stream takes at once, and drop the connection; whatever else the
    /// peer sends, the next poll of the driver comes to an end.
    pub(crate) fn leave(&self) {
        self.0.order(Order::Leave);
    }

    pub(crate) fn kill(&self) {
        self.0.order(Order::Kill);
    }

    pub(crate) fn shut_down(&self, frame: CloseFrame) {
        self.close_because(frame, CloseCause::Shutdown);
    }

    pub(crate) fn close_because(&self, frame: CloseFrame, cause: CloseCause) {
        // A code that must not be sent was refused before.
        let _ = self.0.close(Some(frame), cause);
    }

    /// Waits for the end of the connection and says how it ended. Resolves before `on_close` is
    /// called, so it may be awaited anywhere.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn closed(&self) -> CloseInfo {
        let closed = &self.0.closed;
        let mut waiting = Waiting::<true>::new(self);
        poll_fn(|context| {
            // Looked at under the lock: the driver sets it before it wakes those who wait.
            ready!(waiting.poll(context, |_| closed.get().is_some()));
            closed
                .get()
                .map_or(Poll::Pending, |info| Poll::Ready(CloseInfo::clone(info)))
        })
        .await
    }

    /// Returns how the connection ended, if it has.
    #[must_use]
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.0.closed.get().map(|info| &**info)
    }

    /// Tells whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.0.is_closing()
    }

    /// Returns how many octets wait to be written to the network.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.0.lock().buffered() + cork::len(self.0.facts.id)
    }

    /// Returns the most octets that a message may have.
    pub(crate) fn max_message_payload_size(&self) -> u64 {
        self.0.rules.max_message
    }

    /// Returns the number of the connection, unique in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.facts.id
    }

    /// Returns who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.facts.peer
    }

    /// Returns the path of the opening request, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.facts.path
    }

    /// Returns the subprotocol that was agreed upon, if any.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.facts.subprotocol.as_deref()
    }

    /// Enters the span of the connection, if there is one, until what is returned is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.0.observation().map(Observation::enter)
    }

    /// Does what may have to wait for room, or for the end of another message.
    pub(super) async fn wait_for_room(
        &self,
        ready: fn(&Half) -> bool,
        mut command: impl FnMut(&mut Half) -> Result<(), SendError>,
    ) -> Result<()> {
        let mut waiting = Waiting::<false>::new(self);
        poll_fn(|context| {
            loop {
                match self.0.command(&mut command) {
                    Err(error @ (SendError::Full { .. } | SendError::Busy)) => {
                        self.0.tell_queued(&Err(error), None);
                        ready!(waiting.poll(context, ready));
                    }
                    result => return Poll::Ready(result.map_err(Into::into)),
                }
            }
        })
        .await
    }
}

impl PartialEq for WebSocket {
    fn eq(&self, other: &Self) -> bool {
        self.0.facts.id == other.0.facts.id
    }
}

impl Eq for WebSocket {}

impl std::hash::Hash for WebSocket {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.facts.id.hash(state);
    }
}

/// Draws what makes a ping unlike others.
pub(super) fn random_payload() -> [u8; 4] {
    random::octets()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Rules;
    use crate::options::ServerOptions;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn pings_that_are_given_up_are_forgotten() {
        let rules = Arc::new(Rules::server(&ServerOptions::default()));
        let sender = Sender::new(Arc::clone(&rules), None, Box::new(random::masking_key));
        let facts = Facts {
            id: crate::observe::next_id(),
            ..Facts::default()
        };
        let ws = WebSocket::new(facts, sender, rules);
        for _ in 0..100 {
            let given_up = timeout(Duration::from_secs(1), ws.ping("")).await;
            assert!(given_up.is_err());
        }
        assert_eq!(ws.0.lock().pings.len(), 1);
    }
}
