//! The task of a connection: reads and writes for all its WebSockets.

use super::desk::Desk;
use crate::transport::Stream;
use bytes::Bytes;
use h2::client::Connection;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Drives a connection until the last of its handles and WebSockets is gone, or until it fails.
pub(super) struct Task {
    /// `None` at the end.
    connection: Option<Connection<Box<dyn Stream>, Bytes>>,
    desk: Arc<Desk>,
}

impl Task {
    pub(super) fn new(connection: Connection<Box<dyn Stream>, Bytes>) -> Self {
        Self {
            connection: Some(connection),
            desk: Arc::default(),
        }
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection<Box<dyn Stream>, Bytes>> {
        self.connection.as_mut()
    }

    /// Tells everybody whose stream is still open that it is over.
    fn end(&mut self) {
        self.connection = None;
        self.desk.close();
    }
}

impl Future for Task {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            connection: Some(connection),
            desk,
        } = &mut *self
        else {
            return Poll::Ready(Ok(()));
        };
        let left = desk.begin();
        let driven = Pin::new(connection).poll(context);
        // What was written on them is out, unless TCP takes no more; what has not ended is reset with CANCEL.
        drop(left);
        desk.distribute(context.waker());
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
