//! A mounted connection, from the response to the end.

use crate::connection::CloseInfo;
use crate::error::Result;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A connection of [`WebSocketServerFactory::upgrade`](crate::WebSocketServerFactory::upgrade), which
/// is to be run in a task of its own; resolves when it has ended, and says how.
///
/// ```
/// # use motorway::{CloseInfo, MountedConnection};
/// fn run(connection: MountedConnection) {
///     tokio::spawn(async move {
///         match connection.await {
///             Ok(info) => println!("{info}"),
///             Err(error) => eprintln!("not opened: {error:?}"),
///         }
///     });
/// }
/// ```
///
/// # Errors
///
/// Fails if it never opened: the request was refused or denied, was not one for WebSocket, or the
/// other server did not hand over its stream. An open connection that is lost is no error: it is told
/// by the `CloseInfo`.
///
/// # Cancel safety
///
/// Dropping it drops the connection, and the callback that runs; `on_close` is then not called.
#[must_use = "a connection does nothing unless it is run, such as by tokio::spawn"]
pub struct MountedConnection(pub(super) State);

pub(super) enum State {
    Running(Pin<Box<dyn Future<Output = Result<CloseInfo>> + Send>>),
    /// Over before it was waited for: refused, as a rule.
    Over(Option<Result<CloseInfo>>),
}

impl Future for MountedConnection {
    type Output = Result<CloseInfo>;

    /// # Panics
    ///
    /// When it is polled after it has resolved.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Running(running) => running.as_mut().poll(context),
            State::Over(result) => match result.take() {
                Some(result) => Poll::Ready(result),
                None => panic!("a connection was polled after its end"),
            },
        }
    }
}

impl fmt::Debug for MountedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedConnection").finish_non_exhaustive()
    }
}
