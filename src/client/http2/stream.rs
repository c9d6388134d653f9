//! One stream of HTTP/2 as a stream of octets (RFC 8441 §5).

use super::desk::Desk;
use super::fault;
use super::inflow::Inflow;
use bytes::Bytes;
use h2::{FlowControl, Reason, RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One stream of HTTP/2: octets in, octets out.
///
/// Dropped before both sides have ended, it is reset with CANCEL, as a TCP connection would be
/// (RFC 8441 §5).
pub(super) struct Http2Stream {
    /// `None` once it is dropped.
    outflow: Option<SendStream<Bytes>>,
    inflow: Arc<Inflow>,
    desk: Arc<Desk>,
    /// Opens the window for what was read.
    window: FlowControl,
    is_shut_down: bool,
}

impl Http2Stream {
    pub(super) fn new(outflow: SendStream<Bytes>, mut body: RecvStream, desk: &Arc<Desk>) -> Self {
        Self {
            outflow: Some(outflow),
            window: body.flow_control().clone(),
            inflow: Inflow::new(body, desk),
            desk: Arc::clone(desk),
            is_shut_down: false,
        }
    }

    /// Waits until octets may be sent; returns how many, no more than wanted. `None` if the server wants
    /// no more.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        let outflow = self.outflow()?;
        loop {
            // Asked for only now, and no more than is sent at once: what is granted to this stream, no
            // other stream of the connection can have.
            outflow.reserve_capacity(wanted);
            let room = outflow.capacity().min(wanted);
            if room > 0 {
                return Poll::Ready(Ok(Some(room)));
            }
            match ready!(outflow.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(fault::of_stream(&error))),
                None => return Poll::Ready(self.why_closed(context).map(|()| None)),
            }
        }
    }

    /// Says why nothing can be sent any more. That is in order if the server has said all and asks for no
    /// more (RFC 9113 §8.1, NO_ERROR): over TCP it would go unnoticed.
    fn why_closed(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        // What came before the reset may not have been looked at yet.
        self.inflow.fill();
        match self.outflow()?.poll_reset(context) {
            Poll::Ready(Ok(Reason::NO_ERROR)) if self.inflow.has_ended() => Ok(()),
            Poll::Ready(Ok(reason)) => Err(fault::of_stream(&reason.into())),
            Poll::Ready(Err(error)) => Err(fault::of_stream(&error)),
            Poll::Pending => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn outflow(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        let outflow = self.outflow.as_mut();
        outflow.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn send(&mut self, octets: Bytes) -> io::Result<usize> {
        let length = octets.len();
        let sent = self.outflow()?.send_data(octets, false);
        sent.map_err(|error| fault::of_stream(&error))?;
        Ok(length)
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = ready!(self.inflow.poll_read(context, buffer))?;
        // Of a stream that is over, nothing needs to be released.
        let _ = self.window.release_capacity(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if octets.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match ready!(self.poll_room(context, octets.len().min(AT_ONCE)))? {
            Some(room) => {
                let octets = octets.get(..room).unwrap_or_default();
                Poll::Ready(self.send(Bytes::copy_from_slice(octets)))
            }
            None => Poll::Ready(Ok(octets.len())),
        }
    }

    /// The task of the connection writes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this side with END_STREAM, which needs no room.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut_down {
            return Poll::Ready(Ok(()));
        }
        if self.outflow()?.send_data(Bytes::new(), true).is_err() {
            self.why_closed(context)?;
        }
        self.is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Http2Stream {
    /// What was written before still goes out, as over TCP.
    fn drop(&mut self) {
        self.inflow.close();
        if let Some(outflow) = self.outflow.take() {
            self.desk.left(outflow);
        }
    }
}

/// How many octets are handed on at once: a frame of HTTP/2, unless its peer takes larger ones.
const AT_ONCE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::super::task::Task;
    use super::Http2Stream;
    use crate::transport::Stream;
    use http::{Request, Response};
    use std::sync::Arc;
    use tokio::io::AsyncReadExt;
    use tokio::time::{Duration, timeout};

    /// What one WebSocket has of the window of all.
    const SHARE: usize = 100_000;

    // RFC 9113 §6.9.1. The window of a connection is for one of them and a half.
    #[tokio::test]
    async fn a_dropped_websocket_gives_its_window_back() {
        let (near, far) = tokio::io::duplex(16 << 10);
        tokio::spawn(async move {
            let mut server = h2::server::handshake(far).await.unwrap();
            let mut open = Vec::new();
            while let Some(asked) = server.accept().await {
                let (_, mut respond) = asked.unwrap();
                let mut outflow = respond.send_response(Response::new(()), false).unwrap();
                outflow.send_data(vec![7; SHARE].into(), false).unwrap();
                open.push(outflow);
            }
        });
        let near: Box<dyn Stream> = Box::new(near);
        let mut builder = h2::client::Builder::new();
        let builder = builder
            .initial_window_size(u32::try_from(SHARE).unwrap())
            .initial_connection_window_size(u32::try_from(SHARE * 3 / 2).unwrap());
        let (mut requests, connection) = builder.handshake(near).await.unwrap();
        let task = Task::new(connection);
        let desk = Arc::clone(task.desk());
        tokio::spawn(task);
        for number in 0..20 {
            let (answer, outflow) = requests.send_request(Request::new(()), false).unwrap();
            let body = answer.await.unwrap().into_body();
            let mut stream = Http2Stream::new(outflow, body, &desk);
            let arriving = async {
                while stream.inflow.waiting() < SHARE {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let arrived = timeout(Duration::from_secs(30), arriving).await;
            arrived.unwrap_or_else(|_| panic!("{number} has no window"));
            // Nothing is read, or a little.
            let mut little = vec![0; number * 100];
            stream.read_exact(&mut little).await.unwrap();
        }
    }
}
