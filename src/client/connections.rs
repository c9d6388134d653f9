//! One stream after the other, from a client that connects again.

use super::Connector;
use super::reconnect::{Backoff, Ended, Reconnect};
use crate::connection::CloseCause;
use crate::error::{Error, Result};
use crate::stream::WebSocketStream;
use crate::transport::WebSocket;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// The connections of a client that connects again, one at a time; made by
/// [`Connector::reconnecting`].
///
/// ```no_run
/// use motorway::Connector;
///
/// # async fn example() -> motorway::Result<()> {
/// let mut connections = Connector::new("ws://127.0.0.1:8765")?.reconnecting();
/// while let Some(mut ws) = connections.next().await {
///     ws.send("Hello again").await?;
///     while let Ok(Some(message)) = ws.recv().await {
///         println!("{message:?}");
///     }
/// }
/// println!("given up: {:?}", connections.ended());
/// # Ok(())
/// # }
/// ```
pub struct Connections {
    connector: Arc<Connector>,
    backoff: Backoff,
    phase: Phase,
    ended: Option<Ended>,
}

enum Phase {
    Connecting(Pin<Box<dyn Future<Output = Result<WebSocketStream>> + Send>>),
    /// There is a stream, or was, which was handed out then.
    Running(WebSocket, Instant),
    Waiting(Instant),
    Over,
}

impl Connections {
    pub(super) fn new(connector: Connector, policy: Reconnect) -> Self {
        Self {
            connector: Arc::new(connector),
            backoff: Backoff::new(policy),
            phase: Phase::Waiting(Instant::now()),
            ended: None,
        }
    }

    /// Waits for the end of the connection before, as long as the policy says, and for the next
    /// connection; `None` when the policy gives up, and from then on.
    ///
    /// How the connection before ended decides whether there is a next one, as with
    /// [`Retry::of`](crate::Retry::of): not after a normal end, nor if this end has closed it. A
    /// stream that was dropped or aborted while it was open counts as lost. The first attempt is made at once,
    /// and if it fails is judged as all others.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it goes on where it was when it is called again: no connection is
    /// lost, and none is made meanwhile.
    pub async fn next(&mut self) -> Option<WebSocketStream> {
        loop {
            match &mut self.phase {
                Phase::Waiting(until) => {
                    sleep_until(*until).await;
                    let connector = Arc::clone(&self.connector);
                    let connecting = async move { connector.connect().await };
                    self.phase = Phase::Connecting(Box::pin(connecting));
                }
                Phase::Connecting(connecting) => match connecting.await {
                    Ok(ws) => {
                        self.phase = Phase::Running(ws.handle().clone(), Instant::now());
                        return Some(ws);
                    }
                    Err(error) => self.settle(Err(error), Instant::now()),
                },
                Phase::Running(ws, since) => {
                    let (info, since) = (ws.closed().await, *since);
                    self.settle(Ok(info), since);
                }
                Phase::Over => return None,
            }
        }
    }

    /// Returns how the last connection ended, or why the last attempt failed; `None` before the
    /// first of them has, as [`next`](Self::next) has seen it.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Returns why the last attempt failed; `None` if there was a connection since.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.ended.as_ref()?.as_ref().err()
    }

    /// Decides what comes after an attempt that began then.
    fn settle(&mut self, ended: Ended, since: Instant) {
        // Nobody closes in order by dropping; `close` waits for the answer.
        let was_dropped = matches!(&ended, Ok(info)
            if matches!(info.cause, CloseCause::Local | CloseCause::Aborted) && !info.was_clean);
        let wait = match was_dropped {
            true => self.backoff.after_drop(&ended, since.elapsed()),
            false => self.backoff.after(&ended, since.elapsed()),
        };
        self.phase = match wait {
            Some(wait) => Phase::Waiting(Instant::now() + wait),
            None => Phase::Over,
        };
        self.ended = Some(ended);
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("connector", &self.connector)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
