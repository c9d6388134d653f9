//! The end of a connection: the closing handshake, the end of TCP, failures.

use super::any_stream::AnyStream;
use super::backlog::Kept;
use super::cork;
use super::io::{Io, Stream, now};
use super::pings::Pings;
use super::pool::{Lease, SizeClass};
use super::shared::{Half, Shared};
use super::waiters::Wish;
use crate::close::CloseFrame;
use crate::connection::{CloseCause, Output, ProtocolError, Role, State, Timers};
#[cfg(feature = "rustls")]
use crate::tls::TlsStream;
use socket2::SockRef;
use std::any::Any;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;

impl<S: Stream> Io<S> {
    /// A close frame came while a callback waits. It is answered at once, unless messages wait
    /// before it whose answers would be lost; those get as long as a closing handshake may take.
    ///
    /// `rest` octets wait for the receiver besides those that were read ahead.
    pub(super) fn hold_close(&mut self, frame: Option<CloseFrame>, rest: usize) {
        let state = self.ws.0.lock().sender.state();
        match &mut self.ahead {
            Some(ahead)
                if state.is_open()
                    && (self.hold.is_some()
                        || self.receiver.owes_events()
                        || ahead.has_data(rest)) =>
            {
                ahead.held_close = Some(frame);
                let rules = Arc::clone(self.receiver.rules());
                self.timers.closing(&rules, State::CloseReceived, now());
            }
            _ => self.receive_close(frame),
        }
    }

    /// Takes note of the peer's close frame and answers it.
    pub(super) fn receive_close(&mut self, frame: Option<CloseFrame>) {
        self.ws.0.update(|half| half.receive_close(frame));
    }

    /// Takes the closing handshake further, and then the end of TCP.
    pub(super) fn poll_closing(&mut self, context: &mut Context<'_>) {
        let (state, written) = {
            let half = self.ws.0.lock();
            (
                half.sender.state(),
                half.buffered() == 0 && half.held.is_none(),
            )
        };
        // The server has no reason to drop TCP before our close frame is out.
        let reached = match state {
            State::Complete if !written || self.unflushed => State::CloseReceived,
            state => state,
        };
        self.timers
            .closing(&Arc::clone(self.receiver.rules()), reached, now());
        if state == State::Failed && self.receiver.rules().fail_by_drop {
            return self.abort(CloseCause::Local);
        }
        if state.is_over() && written && !self.unflushed {
            self.poll_end_of_tcp(context, state);
        }
        // Not before: a peer that has gone already needs no clock.
        if self.stream.is_some() {
            self.poll_timers(context);
        }
    }

    /// Ends TCP after the closing handshake.
    fn poll_end_of_tcp(&mut self, context: &mut Context<'_>, state: State) {
        if state == State::Failed {
            self.receiver.finish();
        }
        // §7.1.1: the server closes TCP first; whoever fails a connection does so too.
        let first = self.receiver.rules().role == Role::Server || state == State::Failed;
        if state == State::Complete && !self.shut_down && self.ends_at_once(0) {
            if self.poll_linger(context).is_ready() {
                // A peer that keeps to the protocol sends nothing behind its close frame, so that
                // there is nothing to wait for: closing the socket ends it as cleanly.
                self.end(CloseCause::Peer);
            }
            return;
        }
        if let Some(stream) = &mut self.stream
            && first
            && !self.shut_down
        {
            match poll_shut_down(stream, context) {
                Poll::Ready(Ok(())) => self.shut_down = true,
                // As where reading tells: both close frames were exchanged.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                    return self.end(CloseCause::Peer);
                }
                Poll::Ready(Err(_)) => return self.end(CloseCause::Local),
                Poll::Pending => return,
            }
        }
        let _ = self.poll_linger(context);
    }

    /// Reads and forgets until the peer closes, so that no unread octet turns our close frame into
    /// a reset. Ready once nothing is left to be read for now.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(stream) = &mut self.stream {
            let proceed = ready!(poll_proceed(context));
            let mut lease = Lease::new(SizeClass::default());
            let mut buffer = ReadBuf::new(lease.space());
            match Pin::new(stream).poll_read(context, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => proceed.made_progress(),
                // Reset or not, both close frames were exchanged. Cut off without the `close_notify`
                // of TLS or not: the close frames have told all that it could.
                Poll::Ready(end) => {
                    if end.is_ok() && !self.shut_down {
                        self.answer_end(context);
                    }
                    self.end(CloseCause::Peer);
                }
            }
        }
        Poll::Ready(())
    }

    /// Returns the socket if nothing lies between it and the connection, such as TLS.
    fn plain_tcp(&self) -> Option<&TcpStream> {
        (self.stream.as_ref()? as &dyn Any).downcast_ref()
    }

    /// Has the system wait with the last octets for the end of TCP, which follows at once: one
    /// segment tells the peer of both. Returns whether it does.
    pub(super) fn join_end(&self, last: &Output) -> bool {
        last.len() <= LAST_OCTETS && self.ends_at_once(last.len()) && self.hold_back(true)
    }

    /// Tells whether the socket may be closed as soon as `more` octets are written: where the system may
    /// have much left to send, the peer is to take it within the time for closing.
    fn ends_at_once(&self, more: usize) -> bool {
        let sent = self.ws.0.traffic.octets_sent.load(Ordering::Relaxed);
        let is_server = self.receiver.rules().role == Role::Server;
        is_server && sent + more as u64 <= FEW_OCTETS && self.plain_tcp().is_some()
    }

    /// Holds back, or lets go, what does not fill a segment. The system lets it go by itself after
    /// 200 ms.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn hold_back(&self, held: bool) -> bool {
        let tcp = self.plain_tcp();
        tcp.is_some_and(|tcp| SockRef::from(tcp).set_tcp_cork(held).is_ok())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn hold_back(&self, _: bool) -> bool {
        false
    }

    /// Ends our side of the stream as the peer has ended its own; TLS asks for a `close_notify` of
    /// both (RFC 8446 §6.1).
    fn answer_end(&mut self, context: &mut Context<'_>) {
        if let Some(stream) = &mut self.stream {
            // What is not taken at once is not waited for: the peer has gone.
            let _ = Pin::new(stream).poll_shutdown(context);
        }
    }

    /// Fails the connection because the peer broke the protocol.
    pub(super) fn fail(&mut self, error: ProtocolError) {
        let frame = CloseFrame::new(error.close_code(), error.to_string());
        self.fail_with(frame, CloseCause::Protocol(error));
    }

    /// Fails the connection: what was sent before goes out, then the close frame.
    pub(super) fn fail_with(&mut self, frame: CloseFrame, cause: CloseCause) {
        self.ws.0.update(|half| half.fail(frame, cause));
    }

    pub(super) fn end_of_stream(&mut self) {
        let state = self.ws.0.lock().sender.state();
        self.end(match state {
            State::Complete => CloseCause::Peer,
            _ => CloseCause::Dropped,
        });
    }

    /// Drops the stream at once; a TCP connection is reset.
    pub(super) fn abort(&mut self, cause: CloseCause) {
        if self.ws.0.is_closing() {
            // A last frame that waits for the end of TCP is not to be lost with it.
            let _ = self.hold_back(false);
        }
        if let Some(tcp) = self.stream.as_ref().and_then(|stream| tcp_below(stream)) {
            // Fails only on a socket that is gone already.
            let _ = tcp.set_zero_linger();
        }
        self.end(cause);
    }

    /// Ends the connection: the stream and the buffers are freed, and everyone who waits is told.
    pub(super) fn end(&mut self, cause: CloseCause) {
        if self.stream.take().is_none() {
            return;
        }
        let keeps_input = matches!(
            cause,
            CloseCause::Peer | CloseCause::Local | CloseCause::Dropped
        );
        if !keeps_input {
            self.ahead = None;
            self.receiver.finish();
        }
        self.timers = Timers::default();
        self.timer = None;
        let shared = &self.ws.0;
        let mut half = shared.lock();
        half.is_deaf |= !keeps_input;
        let told = shared.finish(&mut half, cause);
        drop(half);
        told.wake();
    }
}

/// More than this before the end of TCP is sent as ever: it fills segments, or nearly.
const LAST_OCTETS: usize = 512;

/// As many as a connection may have sent in all for its socket to be left to the system, with what of
/// them the peer has not taken.
const FEW_OCTETS: u64 = 16 << 10;

/// Shuts a stream down for writing; unlike tokio, tells of a TCP connection that is gone already.
fn poll_shut_down<S: Stream>(stream: &mut S, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    match (stream as &dyn Any).downcast_ref::<TcpStream>() {
        Some(tcp) => Poll::Ready(SockRef::from(tcp).shutdown(Shutdown::Write)),
        None => Pin::new(stream).poll_shutdown(context),
    }
}

/// Returns the TCP stream that a stream is or lies on.
pub(crate) fn tcp_below(stream: &dyn Any) -> Option<&TcpStream> {
    if let Some(any) = stream.downcast_ref::<AnyStream>() {
        return tcp_below(any.as_any());
    }
    #[cfg(feature = "rustls")]
    if let Some(tls) = stream.downcast_ref::<TlsStream<TcpStream>>() {
        return Some(tls.get_ref());
    }
    stream.downcast_ref()
}

impl<S> Drop for Io<S> {
    fn drop(&mut self) {
        if self.corked {
            cork::release(|_, _| {});
        }
        let shared = &self.ws.0;
        let mut half = shared.lock();
        // The waker is what keeps the task alive, and with it the protocol instance.
        let driver = half.driver.take();
        let told = shared
            .closed
            .get()
            .is_none()
            .then(|| shared.finish(&mut half, CloseCause::Aborted));
        drop(half);
        drop(driver);
        if let Some(told) = told {
            told.wake();
        }
        self.ws.tell_closed();
    }
}

/// Those who are to be told of the end, once the lock is given back.
struct Told {
    waiting: Vec<Waker>,
    /// Payloads may have owners of their own, who do what they like when they are dropped.
    output: Output,
    backlog: Vec<Kept>,
    /// Dropping what would answer them tells those who wait for pongs.
    pings: Pings,
}

impl Told {
    fn wake(self) {
        drop(self.output);
        drop(self.backlog);
        drop(self.pings);
        self.waiting.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// Takes note of the end, once, and gives up what was not sent.
    fn finish(&self, half: &mut Half, cause: CloseCause) -> Told {
        let unsent = half.framed();
        let backlog = half.backlog.as_mut().map(|backlog| backlog.end());
        let (behind, backlog) = backlog.unwrap_or_default();
        let mut info = half.sender.end(cause);
        info.unsent_octets = unsent + behind;
        half.held = None;
        // Set already if the driver is dropped after the end.
        let _ = self.closed.set(Box::new(info));
        self.publish(half);
        let mut waiting = half.waiters.take(Wish::Room);
        waiting.extend(half.waiters.take(Wish::End));
        Told {
            waiting,
            output: std::mem::take(&mut half.output),
            backlog,
            pings: std::mem::take(&mut half.pings),
        }
    }
}
