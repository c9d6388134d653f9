//! Close codes and reasons.
//!
//! Values only: which code goes out when is decided by `connection`. Covers
//! RFC 6455 §5.5.1 and §7.4, and the codes that IANA registered since.

use std::borrow::Cow;
use std::fmt;

/// A close code (RFC 6455 §7.4).
///
/// Any `u16` fits, since a peer may report anything; [`is_sendable`](Self::is_sendable) tells
/// which of them an endpoint may put on the wire.
///
/// ```
/// use motorway::CloseCode;
///
/// assert!(CloseCode::NORMAL.is_sendable());
/// assert!(!CloseCode::ABNORMAL.is_sendable());
/// assert_eq!(CloseCode::from(4001).to_string(), "4001");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000. The purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001. The endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002. The peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003. The peer sent a kind of data that this endpoint does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005. Stands for a close frame without a code; never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006. Stands for a connection that ended without a close frame; never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007. The data of a message do not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008. A policy of the endpoint was broken, and no other code says it better.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009. A message is too big to be handled.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010. The client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011. An unexpected condition kept the endpoint from fulfilling the request.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012. The service restarts; a client may reconnect.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013. The service is overloaded; a client may try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014. A gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015. Stands for a failed TLS handshake; never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Returns the code as a number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Tells whether an endpoint may send this code in a close frame: 1000–1003, 1007–1014 and
    /// 3000–4999 (RFC 6455 §7.4.2 and the IANA registry).
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// The body of a close frame: a code and a reason (RFC 6455 §5.5.1).
///
/// ```
/// use motorway::{CloseCode, CloseFrame};
///
/// let frame = CloseFrame::new(CloseCode::GOING_AWAY, "maintenance");
/// assert_eq!(frame.code, CloseCode::GOING_AWAY);
/// assert_eq!(frame.reason, "maintenance");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection ends.
    pub code: CloseCode,
    /// A text for the log of the peer, at most [`MAX_REASON`](Self::MAX_REASON) octets on the wire.
    pub reason: Cow<'static, str>,
}

impl CloseFrame {
    /// The most octets that a reason can have: 125 of a control frame less 2 for the code.
    pub const MAX_REASON: usize = 123;

    /// Makes a close frame; a longer reason than fits is cut at a character boundary when sent.
    pub fn new(code: impl Into<CloseCode>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            reason: reason.into(),
        }
    }

    /// Returns the part of the reason that fits in a close frame.
    #[must_use]
    pub fn fitting_reason(&self) -> &str {
        let mut end = self.reason.len().min(Self::MAX_REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        self.reason.get(..end).unwrap_or_default()
    }

    /// Cuts the reason to what fits in a close frame.
    pub(crate) fn cut_reason(&mut self) {
        let length = self.fitting_reason().len();
        if length < self.reason.len() {
            self.reason.to_mut().truncate(length);
        }
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.reason {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason:?}", self.code),
        }
    }
}
