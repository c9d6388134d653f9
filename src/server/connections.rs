//! All connections of a server at once.

use super::Server;
use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, PreparedMessage, SendError};
use crate::error::Result;
use crate::message::Message;
use crate::observe::Stats;
use crate::transport::WebSocket;
use std::borrow::Cow;

impl Server {
    /// Returns the handles of the connections that are open.
    #[must_use]
    pub fn connections(&self) -> Vec<WebSocket> {
        self.lifecycle.connections()
    }

    /// Returns how many connections are open; those in the opening handshake are not.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.lifecycle.count()
    }

    /// Returns what went over all connections so far, those that have ended included, added up.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lifecycle.stats()
    }

    /// Queues a message for every connection that is open, framed once and compressed once for all
    /// that can share it (see [`PreparedMessage`]), without waiting. Returns those that did not take it, with the reason: [`SendError::Full`] where the peer reads too
    /// slowly, [`SendError::Busy`] where another message is sent in parts, or
    /// [`SendError::Closed`].
    ///
    /// ```
    /// # use motorway::SendError;
    /// # fn example(server: &motorway::Server) {
    /// for (ws, error) in server.broadcast("to everyone") {
    ///     eprintln!("{}: {error}", ws.peer());
    ///     // One that is closing is left to it.
    ///     if let SendError::Full { .. } = error {
    ///         ws.abort();
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use = "these connections have not got the message"]
    pub fn broadcast<'a>(&self, message: impl Into<Message<'a>>) -> Vec<(WebSocket, SendError)> {
        let prepared = PreparedMessage::new(message);
        let connections = self.connections().into_iter();
        let refused = connections.filter_map(|ws| {
            let error = ws.try_send_prepared(&prepared).err()?;
            Some((ws, error))
        });
        refused.collect()
    }

    /// Begins the closing handshake on every connection that is open, with this code and reason; the
    /// server goes on to accept others.
    ///
    /// # Errors
    ///
    /// Fails if the code must not be sent, and closes none then.
    pub fn close_connections(
        &self,
        code: impl Into<CloseCode>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<()> {
        let frame = CloseFrame::new(code, reason);
        if !frame.code.is_sendable() {
            let code = frame.code.as_u16();
            return Err(SendError::InvalidCloseCode { code }.into());
        }
        for ws in self.connections() {
            ws.close_because(frame.clone(), CloseCause::Local);
        }
        Ok(())
    }
}
