//! The receiving end of a connection, which one thread owns.

use super::core::Core;
use super::shared::Shared;
use super::transport::Transport;
use super::websocket::{Inner, WebSocket, after};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, DeflateSettings, Rules};
use crate::error::{Error, Result};
use crate::handshake::Agreed;
use crate::handshake::client::ConnectionResponse;
use crate::handshake::server::ConnectionRequest;
use crate::message::{Message, Text};
use crate::observe::{Direction, Tracer, WireLog, next_id, tracer};
use crate::peer::Peer;
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A blocking connection: made by [`connect`](super::connect), or by a [`Server`](super::Server).
///
/// It is an iterator over the messages; [`handle`](Self::handle) is for other threads. Dropping it
/// sends a close frame with 1001 if the socket takes it at once, and drops the connection.
///
/// ```no_run
/// # fn main() -> motorway::Result<()> {
/// let mut ws = motorway::blocking::connect("ws://127.0.0.1:9000")?;
/// ws.send("Hello")?;
/// for message in ws.by_ref().take(3) {
///     println!("{:?}", message?);
/// }
/// println!("{}", ws.close(motorway::CloseCode::NORMAL, "")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocketStream {
    handle: WebSocket,
    opening: Opening,
    /// Whether the iterator has told the end.
    finished: bool,
}

/// What [`WebSocketStream::recv_timeout`] found.
///
/// ```no_run
/// use motorway::blocking::{Received, connect};
///
/// let mut ws = connect("ws://127.0.0.1:9000")?;
/// match ws.recv_timeout(std::time::Duration::from_secs(1))? {
///     Received::Message(message) => println!("{message:?}"),
///     Received::Nothing => println!("nothing yet"),
///     Received::Closed => println!("closed"),
/// }
/// # Ok::<(), motorway::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message<'static>),
    /// Nothing yet; the connection goes on.
    Nothing,
    /// The connection was closed in order.
    Closed,
}

/// What the opening handshake said.
#[derive(Debug)]
pub(super) enum Opening {
    Request(Box<ConnectionRequest>),
    Response(Box<ConnectionResponse>),
}

/// What a connection is made of once its opening handshake is done.
pub(super) struct Opened {
    pub(super) transport: Box<dyn Transport>,
    pub(super) opening: Opening,
    pub(super) agreed: Agreed,
    pub(super) early: Vec<u8>,
    pub(super) path: String,
    pub(super) peer: Peer,
}

impl WebSocketStream {
    pub(super) fn new(opened: Opened, rules: Rules, own: Option<Tracer>) -> Self {
        let deflate = opened.agreed.deflate.map(|parameters| DeflateSettings {
            parameters,
            options: opened.agreed.deflate_options,
        });
        let now = Instant::now();
        let tracers = own.into_iter().chain(tracer()).collect();
        let mut wire = WireLog::new(&rules, (next_id(), &opened.peer), tracers);
        let mut core = Core::new(rules, deflate.as_ref(), now);
        let early = BytesMut::from(&*opened.early);
        if !early.is_empty() {
            if let Some(wire) = &mut wire {
                wire.show(Direction::Received, &early);
            }
            core.received(Ok(early));
        }
        let inner = Inner {
            shared: Shared::new(core, opened.transport, wire),
            peer: opened.peer,
            path: opened.path,
            subprotocol: opened.agreed.subprotocol,
        };
        Self {
            handle: WebSocket(Arc::new(inner)),
            opening: opened.opening,
            finished: false,
        }
    }

    /// Waits for the next message; `None` once the connection was closed in order.
    ///
    /// While it waits it answers pings and close frames, sends automatic pings and keeps to the
    /// timeouts. Nothing of that happens between calls. The end takes until TCP has ended, too.
    ///
    /// # Errors
    ///
    /// Fails if the connection ended in another way: the peer broke the protocol, dropped TCP,
    /// or took too long. Further calls fail in the same way.
    pub fn recv(&mut self) -> Result<Option<Message<'static>>> {
        self.handle.recv(None).unwrap_or(Ok(None))
    }

    /// As [`recv`](Self::recv), but gives up after `timeout`.
    ///
    /// Loses nothing: what has come of a message by then is kept for the next call. The system
    /// rounds the time up to some milliseconds; a timeout of zero takes what is there.
    ///
    /// # Errors
    ///
    /// Fails as [`recv`](Self::recv) does.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received> {
        match self.handle.recv(after(timeout)) {
            Some(received) => Ok(received?.map_or(Received::Closed, Received::Message)),
            None => Ok(Received::Nothing),
        }
    }

    /// Waits for the next message, as text, also a binary one; `None` once the connection was closed
    /// in order.
    ///
    /// ```no_run
    /// let mut ws = motorway::blocking::connect("ws://127.0.0.1:9000")?;
    /// while let Some(line) = ws.recv_text()? {
    ///     println!("{line}");
    /// }
    /// # Ok::<(), motorway::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails with [`Error::NotUtf8`], which has the message, if it is binary and not UTF-8; the next
    /// one can be received then. Fails as [`recv`](Self::recv) does.
    pub fn recv_text(&mut self) -> Result<Option<Text<'static>>> {
        let Some(message) = self.recv()? else {
            return Ok(None);
        };
        if let Message::Text(text) = message {
            return Ok(Some(text));
        }
        let payload = message.into_payload();
        let text = Text::try_from(payload.clone());
        text.map(Some).map_err(|_| Error::NotUtf8(payload))
    }

    /// Waits for the next message and returns its octets, be it text or binary; `None` once the
    /// connection was closed in order.
    ///
    /// Text was checked to be UTF-8 as it arrived, unless `utf8_validate_incoming` is off: then it
    /// is not looked at at all.
    ///
    /// ```no_run
    /// let mut ws = motorway::blocking::connect("ws://127.0.0.1:9000")?;
    /// while let Some(octets) = ws.recv_bytes()? {
    ///     println!("{} octets", octets.len());
    /// }
    /// # Ok::<(), motorway::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails as [`recv`](Self::recv) does.
    pub fn recv_bytes(&mut self) -> Result<Option<Bytes>> {
        Ok(self.recv()?.map(Message::into_bytes))
    }

    /// Sends a message; see [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocket::send`] does.
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<()> {
        self.handle.send(message)
    }

    /// Sends a message without compressing it; see [`WebSocket::send_uncompressed`].
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocket::send`] does.
    pub fn send_uncompressed<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<()> {
        self.handle.send_uncompressed(message)
    }

    /// Sends a ping and waits for its answer; see [`WebSocket::ping`].
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocket::ping`] does.
    pub fn ping(&mut self, payload: impl AsRef<[u8]>) -> Result<Duration> {
        self.handle.ping(payload)
    }

    /// Closes the connection and waits for the end; see [`WebSocket::close`].
    ///
    /// # Errors
    ///
    /// Fails as [`WebSocket::close`] does.
    pub fn close(
        &mut self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<CloseInfo> {
        self.handle.close(code, reason)
    }

    /// Returns the handle, to be cloned for other threads.
    #[must_use]
    pub fn handle(&self) -> &WebSocket {
        &self.handle
    }

    /// Returns how the connection ended, if it has, as far as is known without reading.
    #[must_use]
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.handle.close_info()
    }

    /// Returns the request that a server accepted; `None` on a client.
    #[must_use]
    pub fn request(&self) -> Option<&ConnectionRequest> {
        match &self.opening {
            Opening::Request(request) => Some(request),
            Opening::Response(_) => None,
        }
    }

    /// Returns the response that a client got; `None` on a server.
    #[must_use]
    pub fn response(&self) -> Option<&ConnectionResponse> {
        match &self.opening {
            Opening::Request(_) => None,
            Opening::Response(response) => Some(response),
        }
    }
}

/// The messages, up to the end; an end that was not in order is told once.
impl Iterator for WebSocketStream {
    type Item = Result<Message<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.recv().transpose();
        self.finished = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for WebSocketStream {
    fn drop(&mut self) {
        self.handle.shared().give_up(|core| {
            let goodbye = CloseFrame::new(CloseCode::GOING_AWAY, "");
            // Fails for no code that is allowed.
            let _ = core.close(goodbye, CloseCause::Aborted);
        });
    }
}
