//! What arrives on one stream of HTTP/2, from where the connection reads it to where the driver takes it.
//!
//! `h2` keeps what arrives frame by frame until somebody asks, and ends the whole connection if too many
//! small frames wait; a WebSocket that nobody reads would end all others. So the task of the connection takes
//! frames out as they come, and what waits are octets, no more than the window of the stream
//! (RFC 9113 §5.2): the window opens again only for what the driver takes.

use super::desk::Desk;
use super::fault;
use bytes::{Buf, BytesMut};
use h2::RecvStream;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::ReadBuf;

/// What has arrived on one stream.
pub(super) struct Inflow {
    arrived: Mutex<Arrived>,
    desk: Arc<Desk>,
}

struct Arrived {
    /// `None` once nobody reads any more. What `h2` wakes holds this: kept longer, it would hold itself.
    body: Option<RecvStream>,
    octets: BytesMut,
    reader: Option<Waker>,
    end: Option<End>,
}

/// How the stream has ended.
enum End {
    /// END_STREAM: what the end of TCP is to HTTP/1.1 (RFC 8441 §5).
    Orderly,
    Fault(h2::Error),
}

impl Inflow {
    pub(super) fn new(body: RecvStream, desk: &Arc<Desk>) -> Arc<Self> {
        let arrived = Arrived {
            body: Some(body),
            octets: BytesMut::new(),
            reader: None,
            end: None,
        };
        let inflow = Arc::new(Self {
            arrived: Mutex::new(arrived),
            desk: Arc::clone(desk),
        });
        // What is there already, and so that `h2` knows whom to wake.
        inflow.fill();
        inflow
    }

    /// Takes what has arrived out of `h2`, and wakes the driver.
    pub(super) fn fill(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let mut arrived = self.lock();
        let reader = arrived.fill(&mut context);
        drop(arrived);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Reads octets; none at the end of the stream.
    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut arrived = self.lock();
        let length = arrived.octets.len().min(buffer.remaining());
        if let Some(octets) = arrived.octets.get(..length).filter(|_| length > 0) {
            buffer.put_slice(octets);
            arrived.octets.advance(length);
            if arrived.octets.is_empty() {
                // A WebSocket that is idle holds no buffer.
                arrived.octets = BytesMut::new();
            }
            return Poll::Ready(Ok(length));
        }
        match &arrived.end {
            Some(End::Orderly) => Poll::Ready(Ok(0)),
            Some(End::Fault(error)) => Poll::Ready(Err(fault::of_stream(error))),
            None => {
                let waker = context.waker();
                if !arrived
                    .reader
                    .as_ref()
                    .is_some_and(|old| old.will_wake(waker))
                {
                    let old = arrived.reader.replace(waker.clone());
                    drop(arrived);
                    // The last of its task, perhaps.
                    drop(old);
                }
                Poll::Pending
            }
        }
    }

    /// Tells whether the server has ended its side in order.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lock().end, Some(End::Orderly))
    }

    /// Returns how many octets wait to be read.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().octets.len()
    }

    /// Reads no more.
    pub(super) fn close(&self) {
        let mut arrived = self.lock();
        let left = (arrived.body.take(), arrived.reader.take());
        drop(arrived);
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrived {
    /// Returns who is to be told.
    fn fill(&mut self, context: &mut Context<'_>) -> Option<Waker> {
        let body = self.body.as_mut()?;
        let mut is_news = false;
        while self.end.is_none() {
            match body.poll_data(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(octets))) => self.octets.extend_from_slice(&octets),
                Poll::Ready(Some(Err(error))) => self.end = Some(End::Fault(error)),
                Poll::Ready(None) => self.end = Some(End::Orderly),
            }
            is_news = true;
        }
        self.reader.take_if(|_| is_news)
    }
}

/// Called by `h2`, which holds a lock then: nothing is asked of it here.
impl Wake for Inflow {
    fn wake(self: Arc<Self>) {
        let desk = Arc::clone(&self.desk);
        desk.arrived(self);
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::Task;
    use super::Inflow;
    use crate::transport::Stream;
    use bytes::Bytes;
    use http::{Request, Response};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::oneshot;

    // Each in a DATA frame of its own, which takes up much more memory than its octets.
    #[tokio::test]
    async fn what_nobody_reads_waits_as_octets() {
        let (near, far) = tokio::io::duplex(1 << 10);
        let (ready, begin) = oneshot::channel();
        tokio::spawn(async move {
            let mut server = h2::server::handshake(far).await.unwrap();
            let (_, mut respond) = server.accept().await.unwrap().unwrap();
            let mut outflow = respond.send_response(Response::new(()), false).unwrap();
            let begun = async { begin.await.unwrap() };
            tokio::select! {
                () = begun => {}
                _ = server.accept() => panic!("there is one request"),
            }
            for number in 0..10_000_u32 {
                let octets = number.to_be_bytes().to_vec();
                outflow.send_data(octets.into(), number == 9_999).unwrap();
            }
            while server.accept().await.is_some() {}
        });
        let near: Box<dyn Stream> = Box::new(near);
        // Of frames that wait, each costs 252 of it.
        let mut builder = h2::client::Builder::new();
        let builder = builder.data_frame_budget(500_000);
        let (mut requests, connection) = builder.handshake(near).await.unwrap();
        let task = Task::new(connection);
        let desk = Arc::clone(task.desk());
        tokio::spawn(task);
        let request = Request::new(());
        let (answer, _outflow) = requests.send_request(request, true).unwrap();
        let inflow = Inflow::new(answer.await.unwrap().into_body(), &desk);
        ready.send(()).unwrap();
        let ended = async {
            while inflow.lock().end.is_none() {
                tokio::task::yield_now().await;
            }
        };
        let time = Duration::from_secs(60);
        tokio::time::timeout(time, ended).await.unwrap();
        assert!(inflow.has_ended());
        let numbers = (0..10_000_u32).flat_map(u32::to_be_bytes);
        let expected: Bytes = numbers.collect();
        assert!(inflow.lock().octets == expected);
    }
}
