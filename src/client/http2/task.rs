//! The task of a connection: reads and writes for all its WebSockets.

use super::inflow::Arrivals;
use bytes::Bytes;
use h2::client::Connection;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::transport::Stream;

/// Drives a connection until the last of its handles and WebSockets is gone, or until it fails.
pub(super) struct Task {
    /// `None` at the end.
    connection: Option<Connection<Box<dyn Stream>, Bytes>>,
    arrivals: Arc<Arrivals>,
}

impl Task {
    pub(super) fn new(connection: Connection<Box<dyn Stream>, Bytes>) -> Self {
        Self {
            connection: Some(connection),
            arrivals: Arc::default(),
        }
    }

    pub(super) fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection<Box<dyn Stream>, Bytes>> {
        self.connection.as_mut()
    }

    /// Tells everybody whose stream is still open that it is over.
    fn end(&mut self) {
        self.connection = None;
        self.arrivals.distribute(Waker::noop());
    }
}

impl Future for Task {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            connection: Some(connection),
            arrivals,
        } = &mut *self
        else {
            return Poll::Ready(Ok(()));
        };
        arrivals.begin();
        let driven = Pin::new(connection).poll(context);
        arrivals.distribute(context.waker());
        if driven.is_ready() {
            self.end();
        }
        driven
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end();
    }
}
