//! Messages of JSON, sent.

use super::WebSocket;
use crate::error::{Error, Result};
use serde::Serialize;

impl WebSocket {
    /// Sends a value as a text message of JSON; as [`send`](Self::send).
    ///
    /// ```
    /// # async fn example(ws: &motorway::WebSocket) -> motorway::Result<()> {
    /// ws.send_json(&[("answer", 42)]).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the value cannot be written as JSON, and as `send` does.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    pub async fn send_json<T: Serialize + Sync + ?Sized>(&self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).map_err(Error::Json)?;
        self.send_text(text).await
    }
}
