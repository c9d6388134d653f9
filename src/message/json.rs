//! Messages of JSON, received.

use super::Message;
use serde::Deserialize;

impl Message<'_> {
    /// Reads the message, text or binary, as JSON; the value may borrow from it.
    ///
    /// ```
    /// use motorway::Message;
    ///
    /// let message = Message::from(r#"{"answer": 42}"#);
    /// let value: std::collections::HashMap<&str, u32> = message.json()?;
    /// assert_eq!(value["answer"], 42);
    /// # Ok::<(), motorway::serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if it is not JSON, or not of this type.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.as_bytes())
    }
}
