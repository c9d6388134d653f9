//! What becomes of messages for which there is no room.

use super::OptionsError;
use crate::close::CloseCode;

/// What `send` does while more octets wait to be written than `send_high_water` says: what becomes of
/// messages for a peer that reads too slowly.
///
/// It is asked only once the connection has had a turn to write, so that a peer which keeps up is not
/// taken for a slow one, however much a callback sends at once. It is for whole messages: control
/// frames are sent regardless, and so is a close frame, behind all that was queued; the parts of a
/// message that was begun with `begin_message` wait, as does whoever begins one. `try_send` queues or
/// fails, whatever the policy; an octet stream (`into_io`) waits, since it must lose nothing.
///
/// What is published to a [`Hub`](crate::Hub) has a policy of its own there.
///
/// ```
/// use motorway::{CloseCode, OverflowPolicy, ServerOptions};
///
/// let prices = ServerOptions::default().overflow_policy(OverflowPolicy::DropOldest);
/// let chat = ServerOptions::default()
///     .overflow_policy(OverflowPolicy::Close(CloseCode::TRY_AGAIN_LATER));
/// assert!(prices.validate().is_ok() && chat.validate().is_ok());
///
/// // Stands for a connection without a close frame; it is never sent.
/// let never = OverflowPolicy::Close(CloseCode::ABNORMAL);
/// assert!(ServerOptions::default().overflow_policy(never).validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// Waits until no more than `send_low_water` octets are left. Nothing is lost, and whoever sends is
    /// as slow as the peer.
    #[default]
    Wait,
    /// Fails with [`SendError::Full`](crate::SendError::Full); the message is not queued.
    Error,
    /// Drops the message that is to be sent, and returns `Ok`. Those that were queued arrive.
    DropNewest,
    /// Drops the messages that have waited longest, and queues the new one, so that what arrives is as
    /// fresh as can be.
    ///
    /// Dropped are whole messages of which nothing was given to the stream: up to `send_low_water`
    /// octets are on their way, and what is more waits behind them as it is, neither framed nor
    /// compressed, so that the peer's decompressor misses nothing. What waits counts for 64 octets a
    /// message more than it has, and together with what is on its way it is no more than
    /// `send_high_water` and one message.
    DropOldest,
    /// Closes the connection with this code, as a rule 1013, behind what was queued;
    /// [`SendError::Closed`](crate::SendError::Closed) is returned. A peer that does not take that in
    /// `close_handshake_timeout` is dropped.
    ///
    /// A code that may be sent: 1000–1003, 1007–1014 and 3000–4999 (RFC 6455 §7.4).
    /// [`CloseCause::Overflow`](crate::CloseCause::Overflow).
    Close(CloseCode),
}

impl OverflowPolicy {
    /// Returns the code that it would close with, if that must not be sent.
    pub(crate) fn unsendable_code(self) -> Option<CloseCode> {
        match self {
            Self::Close(code) if !code.is_sendable() => Some(code),
            _ => None,
        }
    }

    pub(super) fn validate(self) -> Result<(), OptionsError> {
        match self.unsendable_code() {
            Some(code) => Err(OptionsError::value(
                "overflow_policy",
                format!("Close({code})"),
                "one that closes with 1000-1003, 1007-1014 or 3000-4999, or another policy",
            )),
            None => Ok(()),
        }
    }
}
