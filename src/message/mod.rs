//! Messages: what an application sends and receives.
//!
//! Values only. Control frames are not messages; they have callbacks and methods of their own.
//! Covers the data types of RFC 6455 §5.6.

#[cfg(feature = "json")]
mod json;
mod payload;
mod text;

pub use payload::Payload;
pub use text::{NotUtf8, Text};

use bytes::Bytes;

/// A whole message: text or binary, borrowed from the connection's read buffer or owned.
///
/// A callback gets `Message<'_>`; [`into_owned`](Self::into_owned) keeps it beyond the callback,
/// without a copy where it is owned already. Strings, slices, vectors and [`Bytes`] convert into
/// messages, so `ws.send("hello")` and `ws.send(vec![1, 2])` work.
///
/// ```
/// use motorway::Message;
///
/// let message = Message::from("grüezi");
/// assert!(message.is_text());
/// assert_eq!(message.as_bytes().len(), 7);
/// assert_eq!(message.into_text()?, "grüezi");
/// # Ok::<(), motorway::NotUtf8>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text; it is UTF-8 by type.
    Text(Text<'a>),
    /// Arbitrary octets.
    Binary(Payload<'a>),
    /// Text that was received with `utf8_validate_incoming(false)`: nobody has looked at it.
    ///
    /// It is sent as text, unchecked.
    UncheckedText(Payload<'a>),
}

impl<'a> Message<'a> {
    /// Returns the payload as octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) | Self::UncheckedText(payload) => payload,
        }
    }

    /// Returns the length of the payload in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Tells whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether this is a text message, checked or not.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !self.is_binary()
    }

    /// Tells whether this is a binary message.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Returns the payload as text if it is known to be text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) | Self::UncheckedText(_) => None,
        }
    }

    /// Turns the message into text; a payload that is not known to be UTF-8 is checked first.
    ///
    /// # Errors
    ///
    /// Fails if the payload of a binary or unchecked message is not UTF-8.
    pub fn into_text(self) -> Result<Text<'a>, NotUtf8> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(payload) | Self::UncheckedText(payload) => Text::try_from(payload),
        }
    }

    /// Turns the message into its payload.
    #[must_use]
    pub fn into_payload(self) -> Payload<'a> {
        match self {
            Self::Text(text) => text.into_payload(),
            Self::Binary(payload) | Self::UncheckedText(payload) => payload,
        }
    }

    /// Turns the message into its octets; copies them if they are borrowed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.into_payload().into_bytes()
    }

    /// Makes the message independent of the read buffer; copies the payload if it is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(text.into_owned()),
            Self::Binary(payload) => Message::Binary(payload.into_owned()),
            Self::UncheckedText(payload) => Message::UncheckedText(payload.into_owned()),
        }
    }

    /// Returns the same message, borrowing the payload of this one.
    #[must_use]
    pub fn borrowed(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(Text::from(&**text)),
            Self::Binary(payload) => Message::Binary(Payload::from(&**payload)),
            Self::UncheckedText(payload) => Message::UncheckedText(Payload::from(&**payload)),
        }
    }
}

impl<'a> From<Text<'a>> for Message<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Payload<'a>> for Message<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self::Binary(payload)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Binary(octets.into())
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Binary(octets.into())
    }
}

impl From<Bytes> for Message<'_> {
    fn from(octets: Bytes) -> Self {
        Self::Binary(octets.into())
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self::Binary(octets.into())
    }
}

impl<'a> From<&'a Message<'_>> for Message<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        message.borrowed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_pick_the_kind_of_message() {
        assert!(Message::from("a").is_text());
        assert!(Message::from(String::from("a")).is_text());
        assert!(Message::from(&b"a"[..]).is_binary());
        assert!(Message::from(b"a").is_binary());
        assert!(Message::from(vec![1]).is_binary());
        assert!(Message::from(Bytes::from_static(b"a")).is_binary());
    }

    #[test]
    fn binary_becomes_text_only_if_it_is_utf8() {
        assert_eq!(Message::from(b"ok").into_text().unwrap(), "ok");
        assert!(Message::from(b"\xff").into_text().is_err());
        assert!(Message::UncheckedText(b"\xff".into()).into_text().is_err());
    }

    #[test]
    fn owned_payloads_are_kept_without_a_copy() {
        let octets = Bytes::from(vec![7; 100]);
        let message = Message::from(octets.clone()).into_owned();
        assert_eq!(message.as_bytes().as_ptr(), octets.as_ptr());
        assert_eq!(message.into_bytes().as_ptr(), octets.as_ptr());
    }
}
