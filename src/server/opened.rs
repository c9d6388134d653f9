//! Connections whose opening handshake is done.

use super::WebSocketServerProtocol;
use super::companion::Companion;
use super::lifecycle::{Place, Registered, Served};
use super::protocol::ServerHandler;
use crate::connection::CloseInfo;
use crate::error::Result;
use crate::transport::{Driver, Stream};
use std::pin::Pin;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A connection whose opening handshake is done.
#[expect(
    clippy::large_enum_variant,
    reason = "plain connections are the many, and are to be one allocation"
)]
pub(super) enum Opened<S, P> {
    Plain(Listed<S, P>),
    /// Boxed, so that those without a companion do not carry the room for it.
    WithCompanion(Pin<Box<dyn Future<Output = CloseInfo> + Send>>),
}

/// A driver, listed and counted as long as it is kept.
pub(super) struct Listed<S, P> {
    pub(super) driver: Driver<S, ServerHandler<P>>,
    pub(super) registered: Registered,
    pub(super) place: Place,
    /// Lets a shutdown wait; dropped last, when nothing of the connection is left.
    pub(super) token: TaskTrackerToken,
}

impl<S: Stream, P: WebSocketServerProtocol> Listed<S, P> {
    /// Begins to run the connection beside a companion, if there is one.
    pub(super) fn beside(mut self, companion: Option<Companion>) -> Opened<S, P> {
        let Some(companion) = companion else {
            return Opened::Plain(self);
        };
        self.driver.hold_close(companion.inbox());
        let Self {
            mut driver,
            registered,
            place,
            token,
        } = self;
        // Boxed by itself, since each future around it would have room for it twice.
        let driving = Box::pin(async move {
            driver.run().await;
        });
        let running = companion.run(driving, (registered, place, token));
        Opened::WithCompanion(Box::pin(running))
    }
}

/// Opens a connection and runs it. The opening handshake is boxed, so that an open connection does
/// not carry the room for it.
pub(super) async fn run_opened<S, P, O>(opening: Pin<Box<O>>) -> Served
where
    S: Stream,
    P: WebSocketServerProtocol,
    O: Future<Output = Result<Opened<S, P>>> + Send + 'static,
{
    // Bound once: what is moved is twice in the future.
    let mut opened = opening.await?;
    match &mut opened {
        Opened::Plain(listed) => Ok(listed.driver.run().await),
        Opened::WithCompanion(running) => Ok(running.await),
    }
}
