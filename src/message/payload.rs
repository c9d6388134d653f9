//! The octets of a message, borrowed or owned.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// Octets that are borrowed from the read buffer of a connection, or owned.
///
/// Derefs to `[u8]`. Payloads that fit the read buffer arrive borrowed; larger, fragmented and
/// compressed ones arrive owned, and then [`into_bytes`](Self::into_bytes) costs nothing.
///
/// ```
/// use motorway::Payload;
///
/// let payload = Payload::from(&b"octets"[..]);
/// assert_eq!(payload.len(), 6);
/// assert_eq!(payload.into_bytes(), "octets");
/// ```
#[derive(Clone)]
pub struct Payload<'a>(Octets<'a>);

#[derive(Clone)]
enum Octets<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
}

impl Payload<'_> {
    /// Makes the payload independent of the read buffer; copies it if it is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        Payload(Octets::Owned(self.into_bytes()))
    }

    /// Turns the payload into [`Bytes`]; copies it if it is borrowed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Octets::Borrowed(octets) => Bytes::copy_from_slice(octets),
            Octets::Owned(octets) => octets,
        }
    }

    /// Tells whether the payload is owned, so that keeping it costs no copy.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        matches!(self.0, Octets::Owned(_))
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Octets::Borrowed(octets) => octets,
            Octets::Owned(octets) => octets,
        }
    }
}

impl AsRef<[u8]> for Payload<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(Octets::Borrowed(octets))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self(Octets::Borrowed(octets))
    }
}

impl<'a> From<&'a str> for Payload<'a> {
    fn from(text: &'a str) -> Self {
        Self(Octets::Borrowed(text.as_bytes()))
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(octets: Bytes) -> Self {
        Self(Octets::Owned(octets))
    }
}

impl From<Vec<u8>> for Payload<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self(Octets::Owned(octets.into()))
    }
}

impl From<String> for Payload<'_> {
    fn from(text: String) -> Self {
        Self(Octets::Owned(text.into()))
    }
}

impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload<'_> {}

impl PartialEq<[u8]> for Payload<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Payload<'_> {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Payload<'_> {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Payload<'_> {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        match self.get(..SHOWN) {
            Some(start) if self.len() > SHOWN => {
                write!(f, "b\"{}\"… {} octets", start.escape_ascii(), self.len())
            }
            _ => write!(f, "b\"{}\"", self.escape_ascii()),
        }
    }
}
