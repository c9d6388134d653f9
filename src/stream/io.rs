//! A connection as a stream of octets, for what was made for TCP.
//!
//! Apart from the stream of messages, since here their bounds mean nothing: the other end may cut
//! and join them as it likes.

use super::WebSocketStream;
use super::wrapping::{Wrapping, WrappingError};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, SendError};
use crate::error::Error;
use crate::transport::WebSocket;
use bytes::{Buf, Bytes};
use futures_core::Stream;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// A connection as a stream of octets, made by [`into_io`](WebSocketStream::into_io): any protocol
/// that is made for TCP runs through it, TLS and WebSocket included.
///
/// ```no_run
/// use motorway::WebSocketServerFactory;
/// use motorway::ServerOptions;
/// use tokio::net::TcpStream;
///
/// # async fn example() -> motorway::Result<()> {
/// // A service of TCP, for clients that have WebSocket only.
/// let mut factory = WebSocketServerFactory::from_handler(|ws| async move {
///     let mut outside = ws.into_io();
///     let mut service = TcpStream::connect("127.0.0.1:5900").await?;
///     tokio::io::copy_bidirectional(&mut outside, &mut service).await?;
///     Ok(())
/// });
/// factory.set_protocol_options(ServerOptions::default().protocols(["binary", "base64"]))?;
/// factory.listen("127.0.0.1:6080").await?.run_until(tokio::signal::ctrl_c()).await
/// # }
/// ```
///
/// # Messages
///
/// Octets travel in binary messages; where the subprotocol `base64` was agreed upon, in text messages
/// with base64 (RFC 4648 §4, with padding), each decoded by itself. A message has at most 16 KiB, or
/// `max_message_payload_size` if that is less; `auto_fragment_size` cuts it further. How the other end
/// cuts its own does not matter, and an empty message is no end. A message of the wrong type fails the
/// connection with 1003, and one that is not base64 with 1007; reading then fails with
/// [`WrappingError`] inside of the [`io::Error`].
///
/// # Reading
///
/// Ends once the connection was closed in order with 1000, 1001 or without a code. Any other end is an
/// error, since something may be missing: [`io::Error::get_ref`] gives the [`Error`].
/// What came before is read first.
///
/// # Writing
///
/// Waits while more than 256 KiB are buffered, whatever the `overflow_policy`, and queues whole
/// messages. Flushing waits until the socket has taken what was written; without it the connection
/// writes by itself, as soon as it can.
///
/// # Shutting down
///
/// Closes with 1000, behind all that was written, and waits for the end of the connection, no longer
/// than `close_handshake_timeout`. WebSocket cannot close one direction only: what the peer sent before
/// its close frame can still be read, but it cannot answer to the end of what it reads. If nobody reads
/// while more than 64 KiB wait, the end is not seen before that timeout.
///
/// Dropping it is as dropping a [`WebSocketStream`].
///
/// # Cancel safety
///
/// A read that is dropped has lost nothing, and a write that is dropped has written nothing;
/// `read_exact` and `write_all` are not cancel safe, as ever.
pub struct WebSocketIo {
    stream: WebSocketStream,
    wrapping: Wrapping,
    /// The most octets in one message.
    room: usize,
    /// The rest of a message.
    unread: Bytes,
    fault: Option<WrappingError>,
    waiting: Option<(Wish, Waits)>,
}

type Waits = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What a writer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Room,
    Written,
    Closed,
}

impl WebSocketIo {
    pub(super) fn new(stream: WebSocketStream) -> Self {
        let wrapping = Wrapping::of(stream.subprotocol());
        let room = wrapping.capacity(stream.handle().max_message_payload_size());
        Self {
            stream,
            wrapping,
            room,
            unread: Bytes::new(),
            fault: None,
            waiting: None,
        }
    }

    /// Returns the connection below: the request of its opening handshake, its handle, how it ended.
    ///
    /// Messages that are sent by its handle come in between what is written here.
    #[must_use]
    pub fn stream(&self) -> &WebSocketStream {
        &self.stream
    }

    fn ws(&self) -> &WebSocket {
        self.stream.handle()
    }

    /// Waits until there is something to read, or nothing will come any more.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            if let Some(fault) = self.fault {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
            match ready!(Pin::new(&mut self.stream.reader).poll_next(context)) {
                Some(Ok(message)) => match self.wrapping.unwrap(message) {
                    Ok(octets) => self.unread = octets,
                    Err(fault) => self.fail(fault),
                },
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => return Poll::Ready(self.check_end()),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, fault: WrappingError) {
        self.fault = Some(fault);
        let frame = fault.close_frame();
        self.ws().close_because(frame, CloseCause::Local);
        self.stream.reader.discard();
    }

    /// Tells whether the connection, which is at its end, ended in a way that leaves nothing out.
    fn check_end(&self) -> io::Result<()> {
        match self.stream.close_info() {
            Some(info) if info.is_ok() => Ok(()),
            Some(info) => Err(io_error(Error::from_end(info))),
            // The driver was dropped with its runtime.
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// The error of a write that comes too late.
    fn too_late(&self) -> io::Error {
        match self.stream.close_info() {
            Some(info) if !info.is_ok() => io_error(Error::from_end(info)),
            _ => io::Error::new(io::ErrorKind::BrokenPipe, SendError::Closed),
        }
    }

    /// Queues a message of as much of these octets as it takes.
    fn poll_put(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            let (length, message) = self.wrapping.wrap(slices, self.room);
            if length == 0 {
                let (size, limit) = (4, self.ws().max_message_payload_size());
                let error = SendError::MessageTooLarge { size, limit };
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, error)));
            }
            match self.ws().try_send(message) {
                Ok(()) => return Poll::Ready(Ok(length)),
                Err(SendError::Full { .. } | SendError::Busy) => {
                    ready!(self.poll_wish(Wish::Room, context));
                }
                Err(SendError::Closed) => return Poll::Ready(Err(self.too_late())),
                Err(error) => {
                    let kind = io::ErrorKind::InvalidInput;
                    return Poll::Ready(Err(io::Error::new(kind, error)));
                }
            }
        }
    }

    fn poll_wish(&mut self, wish: Wish, context: &mut Context<'_>) -> Poll<()> {
        let ws = self.stream.handle();
        // What an earlier call waited for is given up if this one waits for something else.
        let (_, waits) = match &mut self.waiting {
            Some(waiting) if waiting.0 == wish => waiting,
            waiting => waiting.insert((wish, wait(ws.clone(), wish))),
        };
        ready!(waits.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(())
    }
}

fn wait(ws: WebSocket, wish: Wish) -> Waits {
    Box::pin(async move {
        match wish {
            Wish::Room => ws.room().await,
            Wish::Written => ws.written().await,
            Wish::Closed => {
                ws.closed().await;
            }
        }
    })
}

impl WebSocketStream {
    /// Makes a stream of octets out of this one, for protocols that were made for TCP.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
    ///
    /// let ws = motorway::connect("ws://127.0.0.1:6080").await?;
    /// let mut mail = ws.into_io();
    /// mail.write_all(b"EHLO localhost\r\n").await?;
    /// let mut line = String::new();
    /// mail.read_line(&mut line).await?;
    /// mail.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_io(self) -> WebSocketIo {
        WebSocketIo::new(self)
    }
}

impl AsyncRead for WebSocketIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_fill(context))?;
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for WebSocketIo {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let io = self.get_mut();
        ready!(io.poll_fill(context))?;
        Poll::Ready(Ok(&io.unread))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        let amount = amount.min(self.unread.len());
        self.unread.advance(amount);
    }
}

impl AsyncWrite for WebSocketIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_put(context, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_put(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Waits until the socket has taken what was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ws().buffered() > 0 {
            ready!(self.poll_wish(Wish::Written, context));
        }
        match self.stream.close_info() {
            Some(info) if is_lost(info) => Poll::Ready(Err(self.too_late())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Closes with 1000 and waits for the end of the connection.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let frame = CloseFrame::new(CloseCode::NORMAL, "");
        // Does nothing the second time, nor if the peer has closed.
        self.ws().close_because(frame, CloseCause::Local);
        ready!(self.poll_wish(Wish::Closed, context));
        Poll::Ready(self.check_end())
    }
}

/// Tells whether something that was written may not have arrived.
fn is_lost(info: &CloseInfo) -> bool {
    info.unsent_octets > 0 || !info.was_clean
}

fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::Io(error) => error.kind(),
        Error::Timeout(_) => io::ErrorKind::TimedOut,
        Error::Protocol(_) => io::ErrorKind::InvalidData,
        Error::Closed(info) => match info.cause {
            CloseCause::Dropped => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::ConnectionAborted,
        },
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl fmt::Debug for WebSocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketIo")
            .field("stream", &self.stream)
            .field("wrapping", &self.wrapping)
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}
