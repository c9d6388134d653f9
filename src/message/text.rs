//! Text: octets that are known to be UTF-8.
//!
//! Apart from `payload`, because this is the one file of the crate with a line of `unsafe` code:
//! octets that were validated when they came off the wire become `str` without a second look.

use super::Payload;
use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// The text of a message: UTF-8 by type, borrowed from the read buffer or owned. Derefs to `str`.
///
/// ```
/// use motorway::Text;
///
/// let text = Text::from("hello");
/// assert!(text.starts_with("he"));
/// assert_eq!(text.to_string(), "hello");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Text<'a>(Payload<'a>);

/// The octets are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payload is not UTF-8")]
pub struct NotUtf8;

impl<'a> Text<'a> {
    /// Takes octets that the caller has validated as UTF-8.
    ///
    /// Every path to this function runs the whole payload through `crate::utf8` first.
    #[inline]
    pub(crate) fn from_validated(payload: Payload<'a>) -> Self {
        debug_assert!(std::str::from_utf8(&payload).is_ok());
        Self(payload)
    }

    /// Returns the text as `str`.
    #[must_use]
    #[inline]
    #[expect(
        unsafe_code,
        reason = "validated octets become text without a second pass over them"
    )]
    pub fn as_str(&self) -> &str {
        // SAFETY: the field is private to this file, never changed after construction, and every
        // constructor takes a `str`, a `String`, checks the octets, or (`from_validated`) is given
        // octets that the UTF-8 validator has accepted from the first to the last.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// Makes the text independent of the read buffer; copies it if it is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(self.0.into_owned())
    }

    /// Turns the text into its octets.
    #[must_use]
    pub fn into_payload(self) -> Payload<'a> {
        self.0
    }

    /// Turns the text into [`Bytes`]; copies them if they are borrowed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

impl<'a> From<&'a String> for Text<'a> {
    fn from(text: &'a String) -> Self {
        Self(text.as_str().into())
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        text.as_str().to_owned()
    }
}

impl<'a> TryFrom<Payload<'a>> for Text<'a> {
    type Error = NotUtf8;

    fn try_from(payload: Payload<'a>) -> Result<Self, NotUtf8> {
        match simdutf8::basic::from_utf8(&payload) {
            Ok(_) => Ok(Self(payload)),
            Err(_) => Err(NotUtf8),
        }
    }
}

impl TryFrom<Bytes> for Text<'_> {
    type Error = NotUtf8;

    fn try_from(octets: Bytes) -> Result<Self, NotUtf8> {
        Payload::from(octets).try_into()
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text<'_> {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
