//! The stream face: a connection as a value that is received from and sent to.
//!
//! Apart from the protocol traits, for those who think in loops. It is one more protocol instance
//! on the same driver: `on_message` puts messages into an inbox, and waits while it is full.

mod inbox;
mod io;
mod owner;
mod reader;
mod wrapping;
mod writer;

pub(crate) use inbox::Inbox;
pub use io::WebSocketIo;
pub(crate) use owner::{Driving, Heads, Owner, go_away, poll_last};
pub use reader::WebSocketReader;
pub use wrapping::WrappingError;
pub use writer::WebSocketWriter;

use crate::close::CloseCode;
use crate::connection::CloseInfo;
use crate::error::{Error, Result};
use crate::handshake::client::ConnectionResponse;
use crate::handshake::server::ConnectionRequest;
use crate::message::{Message, Payload, Text};
use crate::peer::Peer;
use crate::transport::{Sending, WebSocket};
use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An open connection, to be received from and sent to; made by [`connect`](crate::connect), and
/// given to the handlers of [`serve`](crate::serve).
///
/// ```no_run
/// # async fn example() -> motorway::Result<()> {
/// use motorway::CloseCode;
///
/// let mut ws = motorway::connect("ws://127.0.0.1:8765").await?;
/// ws.send("Hello").await?;
/// while let Some(message) = ws.recv().await? {
///     println!("{message:?}");
/// }
/// ws.close(CloseCode::NORMAL, "").await?;
/// # Ok(())
/// # }
/// ```
///
/// # While nobody receives
///
/// The connection goes on by itself, in a task of the runtime (that of [`connect`](crate::connect)
/// spawns one; handlers run in the task of their connection): pings are answered, the peer's close
/// frame is seen, timeouts hold, and what was sent goes out, by whichever handle. Up to 64 KiB of
/// messages wait to be received, and 256 KiB are read ahead behind them; then TCP holds the peer
/// back. A message that is larger waits by itself.
///
/// The peer's close frame is answered once the messages before it are handled, which is when `recv`
/// is called again, so that answers to them are not lost; but no later than a second after it came.
/// After that `send` fails, and what is left can still be received.
///
/// # Dropping it
///
/// Dropping an open stream sends close 1001 if the socket takes it at once, and drops the
/// connection; what waits to be received is discarded. In a handler that returns in the same moment,
/// what it returns decides about the close instead. [`close`](Self::close) is the way to end in order.
#[derive(Debug)]
pub struct WebSocketStream {
    reader: WebSocketReader,
    writer: WebSocketWriter,
}

impl WebSocketStream {
    pub(crate) fn new(owner: Owner) -> Self {
        let reader = WebSocketReader::new(owner);
        let writer = WebSocketWriter::new(Arc::clone(&reader.owner));
        Self { reader, writer }
    }

    /// Receives the next message, in order; `None` when the connection is closed in order, with
    /// whatever code: see [`close_info`](Self::close_info).
    ///
    /// Messages that arrived before the end are received first, however it came.
    ///
    /// ```no_run
    /// # async fn example(ws: &mut motorway::WebSocketStream) -> motorway::Result<()> {
    /// use std::time::Duration;
    ///
    /// match tokio::time::timeout(Duration::from_secs(5), ws.recv()).await {
    ///     Ok(message) => println!("{:?}", message?),
    ///     Err(_) => println!("nothing for five seconds"), // and nothing is lost
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the connection was lost: the peer broke the protocol or dropped TCP without a close
    /// frame, something took too long, the network failed, or this end aborted. Fails again each
    /// time then.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a message is either returned or still there.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>> {
        self.reader.recv().await
    }

    /// Receives the next message as text, also a binary one.
    ///
    /// ```no_run
    /// # async fn example(ws: &mut motorway::WebSocketStream) -> motorway::Result<()> {
    /// while let Some(line) = ws.recv_text().await? {
    ///     println!("{line}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
        self.reader.recv_text().await
    }

    /// Receives the octets of the next message, be it text or binary.
    ///
    /// ```no_run
    /// # async fn example(ws: &mut motorway::WebSocketStream) -> motorway::Result<()> {
    /// while let Some(octets) = ws.recv_bytes().await? {
    ///     println!("{} octets", octets.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
        self.reader.recv_bytes().await
    }

    /// Sends a message: waits while more than 256 KiB are buffered, then queues all of it at once;
    /// as [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or closed, or if the message is larger than
    /// `max_message_payload_size`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has queued nothing, so it may be tried again.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Sending<'_, 'a> {
        self.writer.send(message)
    }

    /// Sends a text message; as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails as `send` does.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    pub fn send_text<'a>(&self, text: impl Into<Text<'a>>) -> Sending<'_, 'a> {
        self.writer.send_text(text)
    }

    /// Sends a binary message; as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails as `send` does.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    pub fn send_binary<'a>(&self, payload: impl Into<Payload<'a>>) -> Sending<'_, 'a> {
        self.writer.send_binary(payload)
    }

    /// Closes the connection: begins the closing handshake, behind all that was sent, and waits for
    /// the end, no longer than `close_handshake_timeout`. Returns how the connection ended; if it has
    /// ended already, at once.
    ///
    /// What waits to be received, or comes before the peer's close frame, is discarded.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent: allowed are 1000–1003, 1007–1014 and 3000–4999. The
    /// connection goes on then.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, it has begun to close; it may be called again to wait.
    pub async fn close(
        &mut self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<CloseInfo> {
        self.handle().close(code, reason).await?;
        self.reader.discard();
        Ok(self.handle().closed().await)
    }

    /// Splits the stream in two, for two tasks: one that receives and one that sends.
    #[must_use]
    pub fn into_split(self) -> (WebSocketReader, WebSocketWriter) {
        (self.reader, self.writer)
    }

    /// Returns the handle of the connection: cheap to clone, usable from any task, with everything
    /// else that can be done, such as [`ping`](WebSocket::ping) and [`try_send`](WebSocket::try_send).
    ///
    /// A handle does not keep the connection open; the stream does.
    #[must_use]
    pub fn handle(&self) -> &WebSocket {
        self.reader.handle()
    }

    /// Returns the request of the opening handshake: the client's, on both ends.
    #[must_use]
    pub fn request(&self) -> &ConnectionRequest {
        &self.reader.owner.heads.request
    }

    /// Returns the server's response to the opening handshake; `None` on the server itself.
    #[must_use]
    pub fn response(&self) -> Option<&ConnectionResponse> {
        self.reader.owner.heads.response.as_deref()
    }

    /// Returns the subprotocol that was agreed upon, if any.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.handle().subprotocol()
    }

    /// Returns who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.handle().peer()
    }

    /// Returns how the connection ended, if it has.
    #[must_use]
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.handle().close_info()
    }
}

/// Yields messages; after an error, or the end, nothing.
impl Stream for WebSocketStream {
    type Item = Result<Message<'static>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.reader).poll_next(context)
    }
}

impl FusedStream for WebSocketStream {
    fn is_terminated(&self) -> bool {
        self.reader.is_terminated()
    }
}

/// Queues messages; flushing waits until they are queued, and the connection writes them by itself.
/// Closing closes with 1000.
impl Sink<Message<'static>> for WebSocketStream {
    type Error = Error;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.writer).poll_ready(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'static>) -> Result<(), Self::Error> {
        Pin::new(&mut self.writer).start_send(message)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.writer).poll_close(context)
    }
}
