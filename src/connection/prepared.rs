//! A message that is framed once, compressed once, and sent over many connections.

use super::compressed::{CompressedFrames, Shared, window_bits_for};
use super::outgoing::opcode_of;
use super::{Compress, Output};
use crate::extension::deflate::codec::DeflaterConfig;
use crate::frame::{Header, Rsv};
use crate::message::{Message, Payload, Text};
use bytes::Bytes;
use std::sync::Arc;

/// A message with its frame, cheap to clone, for sending to many connections.
///
/// Servers share the octets of the frame; clients mask them, each with a key of its own.
///
/// It is compressed once, too, for all connections with permessage-deflate that compress alike: same
/// level, memory level and strategy, and windows that are no smaller than the message, or else the same
/// window. Clones share what was compressed. It happens when the first connection wants it, and those
/// that want it meanwhile wait. Up to 8 ways to compress are kept of one message; connections beyond
/// that compress for themselves. A message that compression makes no smaller goes out as it is.
///
/// Such a frame refers to nothing that was sent before, so it suits connections with context takeover
/// as well (RFC 7692 §7.1.1): they need no compressor of their own for it. What they give up is that
/// it, and the next message of their own, could refer to earlier ones. Where that is worth more than
/// time and memory, send the message itself to each.
///
/// ```
/// use motorway::connection::{DeflateSettings, Output, Rules, Sender};
/// use motorway::extension::deflate::DeflateParameters;
/// use motorway::{DeflateOptions, PreparedMessage, ServerOptions};
/// use std::sync::Arc;
///
/// let prepared = PreparedMessage::new("to everyone, ".repeat(100));
/// assert_eq!(prepared.message().len(), 1300);
///
/// let rules = Arc::new(Rules::server(&ServerOptions::default()));
/// let deflate = DeflateSettings {
///     parameters: DeflateParameters::default(),
///     options: DeflateOptions::default(),
/// };
/// let mut outputs = Vec::new();
/// for _ in 0..1000 {
///     let mut sender = Sender::new(rules.clone(), Some(&deflate), Box::new(|| [0; 4].into()));
///     let mut output = Output::default();
///     sender.send_prepared(&prepared, &mut output)?; // only the first time it is compressed
///     outputs.push(output);
/// }
/// assert!(outputs.iter().all(|output| output.len() < 50));
/// # Ok::<(), motorway::connection::SendError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    contents: Arc<Contents>,
    compress: Compress,
}

#[derive(Debug)]
struct Contents {
    message: Message<'static>,
    frame: Bytes,
    compressed: CompressedFrames,
}

impl PreparedMessage {
    /// Prepares a message; copies its payload into a frame.
    #[must_use]
    pub fn new<'a>(message: impl Into<Message<'a>>) -> Self {
        let message = message.into();
        let length = message.len() as u64;
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: opcode_of(&message),
            mask: None,
            length,
        };
        let mut frame = Output::default();
        frame.push_frame(&header, Payload::from(message.as_bytes()), None);
        let frame = frame.split().freeze();
        let payload = Payload::from(frame.slice(header.encode().len()..));
        let message = match message {
            Message::Text(_) => Message::Text(Text::from_validated(payload)),
            Message::Binary(_) => Message::Binary(payload),
            Message::UncheckedText(_) => Message::UncheckedText(payload),
        };
        let contents = Contents {
            message,
            frame,
            compressed: CompressedFrames::default(),
        };
        Self {
            contents: contents.into(),
            compress: Compress::Auto,
        }
    }

    /// Keeps the message from being compressed, on whichever connection.
    ///
    /// Servers that compress share the octets of the uncompressed frame then.
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

    /// Tells whether a connection that compresses may do so.
    pub(super) fn compress(&self) -> Compress {
        self.compress
    }

    /// Returns what is sent by connections that compress so.
    #[inline]
    pub(super) fn compressed(&self, config: DeflaterConfig) -> Shared<'_> {
        let message = self.message();
        let config = DeflaterConfig {
            window_bits: window_bits_for(message.len(), config.window_bits),
            context_takeover: false,
            ..config
        };
        let message = (opcode_of(message), message.as_bytes());
        self.contents.compressed.find(&config, message)
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message<'static> {
        &self.contents.message
    }

    /// Returns its unmasked, uncompressed frame.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.contents.frame
    }
}
