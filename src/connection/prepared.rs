//! A message that is framed once and sent over many connections.

use super::{Compress, Output};
use crate::frame::{Header, Opcode, Rsv};
use crate::message::{Message, Payload};
use bytes::Bytes;

/// A message with its frame, cheap to clone, for sending to many connections.
///
/// Connections that send unmasked and uncompressed share the octets of the frame; others encode
/// the message for themselves.
///
/// ```
/// use motorway::PreparedMessage;
///
/// let prepared = PreparedMessage::new("to everyone");
/// assert_eq!(prepared.message().len(), 11);
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    message: Message<'static>,
    frame: Bytes,
    compress: Compress,
}

impl PreparedMessage {
    /// Prepares a message; copies its payload into a frame.
    #[must_use]
    pub fn new<'a>(message: impl Into<Message<'a>>) -> Self {
        let message = message.into();
        let opcode = match message.is_binary() {
            true => Opcode::Binary,
            false => Opcode::Text,
        };
        let length = message.len() as u64;
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode,
            mask: None,
            length,
        };
        let mut frame = Output::default();
        frame.push_frame(&header, Payload::from(message.as_bytes()), None);
        let frame = frame.split().freeze();
        let payload = Payload::from(frame.slice(header.encode().len()..));
        let message = match message {
            Message::Text(_) => Message::Text(crate::message::Text::from_validated(payload)),
            Message::Binary(_) => Message::Binary(payload),
            Message::UncheckedText(_) => Message::UncheckedText(payload),
        };
        Self {
            message,
            frame,
            compress: Compress::Auto,
        }
    }

    /// Keeps the message from being compressed, on whichever connection.
    ///
    /// Connections that compress share the octets of the frame then, too, if they send unmasked.
    ///
    /// ```
    /// use motorway::PreparedMessage;
    ///
    /// let picture = PreparedMessage::new(&b"\x89PNG..."[..]).uncompressed();
    /// assert!(picture.message().is_binary());
    /// ```
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compress = Compress::Never;
        self
    }

    pub(super) fn compress(&self) -> Compress {
        self.compress
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message<'static> {
        &self.message
    }

    /// Returns its unmasked, uncompressed frame.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }
}
