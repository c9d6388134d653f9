//! A handler beside the driver of its connection, in one task.

use super::lifecycle::Lifecycle;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, Endpoint, SendError};
use crate::error::{Error, HandlerResult};
use crate::stream::{Driving, Inbox, Owner, WebSocketStream, go_away, poll_last};
use crate::transport::{Panicked, WebSocket, catch_panic};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

/// A user's handler.
pub(super) type Calls =
    dyn Fn(WebSocketStream) -> Pin<Box<dyn Future<Output = HandlerResult> + Send>> + Send + Sync;

/// What runs beside the driver of a connection.
#[must_use]
pub(super) struct Companion {
    ws: WebSocket,
    stream: WebSocketStream,
    inbox: Arc<Inbox>,
    handler: Arc<Calls>,
    lifecycle: Arc<Lifecycle>,
}

impl Companion {
    pub(super) fn new(owner: Owner, inbox: Arc<Inbox>, handler: Arc<Calls>) -> Self {
        let stream = WebSocketStream::new(owner);
        Self {
            ws: stream.handle().clone(),
            stream,
            inbox,
            handler,
            lifecycle: Arc::default(),
        }
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Says whose shutdown drops the handler.
    pub(super) fn belonging_to(self, lifecycle: Arc<Lifecycle>) -> Self {
        Self { lifecycle, ..self }
    }

    /// Runs the connection and the handler to their ends, whichever comes first; `kept` is dropped
    /// after both.
    pub(super) fn run<K: Send>(
        self,
        driving: Driving,
        kept: K,
    ) -> impl Future<Output = CloseInfo> + Send {
        let Self {
            ws,
            stream,
            inbox,
            handler,
            lifecycle,
        } = self;
        // Called inside, so that a panic before the first await is caught, too.
        let handling = catch_panic(async move { handler(stream).await });
        async move {
            let mut driving = Some(driving);
            let mut handling = pin!(Some(handling));
            let mut killed = pin!(lifecycle.killed.cancelled());
            poll_fn(|context| {
                inbox.keep_task(context.waker());
                if let Some(driver) = &mut driving
                    && driver.as_mut().poll(context).is_ready()
                {
                    driving = None;
                }
                if let Some(handler) = handling.as_mut().as_pin_mut() {
                    let _entered = ws.enter();
                    match handler.poll(context) {
                        Poll::Ready(outcome) => {
                            handling.set(None);
                            settle(&ws, outcome);
                        }
                        Poll::Pending if inbox.is_abandoned() => leave(&ws, driving.take()),
                        Poll::Pending => {}
                    }
                }
                // At the deadline of a shutdown the driver ends by itself.
                if driving.is_none() && killed.as_mut().poll(context).is_ready() {
                    handling.set(None);
                }
                match driving.is_none() && handling.is_none() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            drop(kept);
            let info = ws.close_info().cloned();
            info.unwrap_or_else(|| CloseInfo::never_opened("", Endpoint::Local))
        }
    }
}

/// Ends a connection whose stream was dropped: with 1001, if the socket takes it at once.
fn leave(ws: &WebSocket, driving: Option<Driving>) {
    if let Some(driving) = driving {
        go_away(ws);
        poll_last(driving);
    }
}

/// Tells whether an error comes from this crate.
fn is_ours(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<Error>() || error.is::<SendError>()
}

/// Closes the connection as its handler has ended.
fn settle(ws: &WebSocket, outcome: Result<HandlerResult, Panicked>) {
    let (connection, peer) = (ws.id(), ws.peer());
    let (frame, cause) = match outcome {
        Ok(Ok(())) => (CloseFrame::new(CloseCode::NORMAL, ""), CloseCause::Local),
        Ok(Err(error)) => {
            match error.source() {
                // It has noticed that the connection is at its end, as `?` makes it.
                Some(error) if !ws.is_open() && is_ours(error) => {
                    tracing::debug!(connection, %peer, error, "handler ends with its connection");
                }
                Some(error) => tracing::error!(connection, %peer, error, "handler failed"),
                None => tracing::debug!(connection, %peer, %error, "handler closes"),
            }
            (error.close_frame().clone(), CloseCause::Handler)
        }
        Err(Panicked) => {
            tracing::error!(connection, %peer, "handler panicked");
            let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "");
            (frame, CloseCause::Panic)
        }
    };
    ws.close_because(frame, cause);
}
