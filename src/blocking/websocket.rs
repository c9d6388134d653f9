//! The handle: what any thread may do with a connection.

use super::core::Core;
use super::shared::{Purpose, Shared};
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, Compress, SendError};
use crate::error::{Error, HandlerResult, Result};
use crate::message::Message;
use crate::peer::Peer;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The handle of a blocking connection: cheap to clone, usable from any thread.
///
/// One thread receives with the [`WebSocketStream`](super::WebSocketStream), the others send with
/// clones of its handle. Each method returns when it is done; while it waits it also answers pings,
/// sends automatic ones and keeps to the timeouts, and reads ahead up to `receive_window` if no other
/// thread receives.
///
/// ```no_run
/// # fn main() -> motorway::Result<()> {
/// let mut ws = motorway::blocking::connect("ws://127.0.0.1:9000")?;
/// let handle = ws.handle().clone();
/// let writer = std::thread::spawn(move || (1..=3).try_for_each(|i| handle.send(i.to_string())));
/// for _ in 1..=3 {
///     println!("{:?}", ws.recv()?);
/// }
/// writer.join().unwrap()?;
/// ws.close(motorway::CloseCode::NORMAL, "")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WebSocket(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Shared,
    pub(super) peer: Peer,
    pub(super) path: String,
    pub(super) subprotocol: Option<String>,
}

impl WebSocket {
    /// Sends a message; returns once the network stack has taken all of it.
    ///
    /// Messages of several threads go out whole, one after the other. A peer that takes nothing of it
    /// for `write_stall_timeout` (60 seconds unless set) is dropped, so that the call does not last for
    /// ever; one that takes a little now and then is waited for, until another thread closes the
    /// connection, which takes `close_handshake_timeout` at most. If the peer sends more than
    /// `receive_window` (256 KiB unless set) meanwhile, and no other thread receives, nothing more is
    /// read.
    ///
    /// # Errors
    ///
    /// Fails if the connection is closing or the message is too large, with nothing sent, or if the
    /// connection ends before all is written.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<()> {
        self.send_with(message.into(), Compress::Auto)
    }

    /// Sends a message without compressing it, whatever was agreed upon; as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails as `send` does.
    pub fn send_uncompressed<'a>(&self, message: impl Into<Message<'a>>) -> Result<()> {
        self.send_with(message.into(), Compress::Never)
    }

    fn send_with(&self, message: Message<'_>, compress: Compress) -> Result<()> {
        let mark = self.shared().lock().send(message, compress)?;
        let written = self.shared().drive(Purpose::Write, None, |core| {
            if core.is_written(mark) {
                return Some(Ok(()));
            }
            if core.is_stalled() {
                core.read_ahead();
            }
            core.write_failure().map(Err)
        });
        written.unwrap_or(Ok(()))
    }

    /// Sends a ping and waits for its answer; returns the round-trip time.
    ///
    /// Without `auto_ping_timeout` it waits as long as the connection lasts. Give pings that overlap
    /// different payloads; a pong answers every ping sent before the one that it matches, too
    /// (RFC 6455 §5.5.3).
    ///
    /// # Errors
    ///
    /// Fails if the payload has more than 125 octets, if the connection is closing or closes before
    /// the answer comes, or with [`Error::ReadAheadFull`] if more messages come before it than
    /// `receive_window` has room for, 256 KiB unless set, and no other thread receives them.
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<Duration> {
        self.wait_for_pong(payload.as_ref(), None)
            .map(|time| time.unwrap_or(Duration::MAX))
    }

    /// As [`ping`](Self::ping), but gives up after `timeout` and returns `None` then.
    ///
    /// # Errors
    ///
    /// Fails as [`ping`](Self::ping) does.
    pub fn ping_timeout(
        &self,
        payload: impl AsRef<[u8]>,
        timeout: Duration,
    ) -> Result<Option<Duration>> {
        self.wait_for_pong(payload.as_ref(), after(timeout))
    }

    fn wait_for_pong(&self, payload: &[u8], until: Option<Instant>) -> Result<Option<Duration>> {
        let id = self.shared().lock().ping(payload)?;
        let answer = self.shared().drive(Purpose::Read, until, |core| {
            core.read_ahead();
            if let Some(time) = core.answer(id) {
                return Some(Ok(time));
            }
            if core.info().is_some() {
                return Some(Err(SendError::Closed.into()));
            }
            let octets = core.full()?;
            Some(Err(Error::ReadAheadFull { octets }))
        });
        self.shared().lock().forget_ping(id);
        answer.transpose()
    }

    /// Sends a pong that nobody asked for (RFC 6455 §5.5.3); pings are answered without it.
    ///
    /// # Errors
    ///
    /// Fails if the payload has more than 125 octets, if the connection is closing, or if it ends
    /// before the pong is written.
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        let mark = self.shared().lock().pong(payload.as_ref())?;
        let written = self.shared().drive(Purpose::Write, None, |core| {
            let written = core.is_written(mark).then_some(Ok(()));
            written.or_else(|| core.write_failure().map(Err))
        });
        written.unwrap_or(Ok(()))
    }

    /// Closes the connection: waits for the closing handshake and the end of TCP, at most for
    /// `close_handshake_timeout` (5 seconds unless set), and returns how the connection ended.
    ///
    /// Also if the connection is closing or closed already; the code and the reason count for
    /// nothing then. Messages that come meanwhile can still be received, up to `receive_window`; what
    /// comes beyond that is dropped. A reason longer than 123 octets is cut at a character boundary.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent: allowed are 1000–1003, 1007–1014 and 3000–4999. An end
    /// that is not clean is no error, but told by [`CloseInfo::was_clean`].
    pub fn close(
        &self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<CloseInfo> {
        let frame = CloseFrame::new(code, reason);
        self.shared().lock().close(frame, CloseCause::Local)?;
        Ok(self.wait_for_end())
    }

    fn wait_for_end(&self) -> CloseInfo {
        let info = self.shared().drive(Purpose::Read, None, |core| {
            core.read_away();
            core.info().cloned()
        });
        info.unwrap_or_else(never)
    }

    /// Closes the connection as a callback or handler ended: with 1000, or for its error.
    pub(super) fn close_after(&self, verdict: HandlerResult) -> CloseInfo {
        let (frame, cause) = match verdict {
            Ok(()) => (CloseFrame::new(CloseCode::NORMAL, ""), CloseCause::Local),
            Err(error) => {
                // One that was told that the connection is over is not to blame.
                if self.is_open()
                    && let Some(error) = error.source()
                {
                    tracing::error!(peer = %self.peer(), error, "callback failed");
                }
                (error.close_frame().clone(), CloseCause::Handler)
            }
        };
        self.close_because(frame, cause)
    }

    pub(super) fn close_because(&self, frame: CloseFrame, cause: CloseCause) -> CloseInfo {
        // Fails for no code that is allowed.
        let _ = self.shared().lock().close(frame, cause);
        self.wait_for_end()
    }

    /// Begins to close without waiting for the end; whoever waits for something sees to the rest.
    pub(super) fn begin_close(&self, frame: CloseFrame, cause: CloseCause) {
        self.announce_close(frame, cause);
        self.flush();
    }

    /// Says that the connection is to be closed; writes nothing.
    pub(super) fn announce_close(&self, frame: CloseFrame, cause: CloseCause) {
        // Fails for no code that is allowed.
        let _ = self.shared().lock().close(frame, cause);
    }

    /// Writes what the socket takes at once.
    pub(super) fn flush(&self) {
        let until = Some(Instant::now());
        self.shared().drive(Purpose::Write, until, |core| {
            core.is_flushed().then_some(())
        });
    }

    /// Drops the connection at once, without a closing handshake. Threads that wait return.
    pub fn abort(&self) {
        self.shared().abort();
    }

    /// Returns how the connection ended, if it has, as far as is known without reading.
    #[must_use]
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.shared().lock().info().cloned()
    }

    /// Tells whether messages can be sent, as far as is known without reading.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared().lock().is_open()
    }

    /// Returns who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Returns the path that was asked for, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the subprotocol that was agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol.as_deref()
    }

    pub(super) fn recv(&self, until: Option<Instant>) -> Option<Result<Option<Message<'static>>>> {
        self.shared()
            .drive(Purpose::Read, until, |core: &mut Core| {
                if let Some(message) = core.next_message() {
                    return Some(Ok(Some(message)));
                }
                Some(core.outcome()?.map(|()| None))
            })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

/// A call without a deadline ends with what it waits for.
fn never() -> CloseInfo {
    let reason = "connection is still closing";
    CloseInfo::never_opened(reason, crate::connection::Endpoint::Local)
}

/// Returns when so much time will have passed; `None` for never.
pub(super) fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}
