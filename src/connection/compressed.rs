//! Frames of one message that are compressed once, for all connections that can share them.
//!
//! A message that is compressed with an empty window can be inflated by every peer whose window is
//! not smaller, whether it remembers earlier messages or not (RFC 7692 §7.2.1). What the octets
//! depend on besides is few: the settings of the compressor. So there are few such frames of a
//! message, each made when the first connection wants it.

use super::Output;
use crate::extension::deflate::codec::{Deflater, DeflaterConfig};
use crate::frame::{Header, Opcode, Rsv};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::sync::OnceLock;

/// The compressed frames of one message, one for each way to compress it. Found without a lock.
#[derive(Default)]
pub(super) struct CompressedFrames {
    first: OnceLock<Box<Entry>>,
}

/// The frame that one way to compress leads to, and those of others behind it.
struct Entry {
    config: DeflaterConfig,
    /// `None` where the message goes out as it is.
    frame: Option<CompressedFrame>,
    next: OnceLock<Box<Self>>,
}

/// An unmasked frame whose payload is compressed.
pub(super) struct CompressedFrame {
    octets: Bytes,
    payload: usize,
}

/// What comes of compressing a message for several connections.
pub(super) enum Shared<'a> {
    /// All of them send this.
    Frame(&'a CompressedFrame),
    /// All of them send the message as it is, since it becomes no smaller.
    Plain,
    /// There are as many frames as are kept: the connection compresses for itself.
    Full,
}

impl CompressedFrames {
    /// Returns what is sent by connections that compress so. The first one compresses; others that
    /// come meanwhile wait for it.
    #[inline]
    pub(super) fn find(
        &self,
        wanted: &DeflaterConfig,
        (opcode, payload): Uncompressed,
    ) -> Shared<'_> {
        let mut place = &self.first;
        for _ in 0..MOST {
            let entry = place.get_or_init(|| Box::new(Entry::new(*wanted, (opcode, payload))));
            if entry.config == *wanted {
                return entry.frame.as_ref().map_or(Shared::Plain, Shared::Frame);
            }
            place = &entry.next;
        }
        Shared::Full
    }
}

impl Entry {
    #[cold]
    fn new(config: DeflaterConfig, message: Uncompressed) -> Self {
        Self {
            config,
            frame: CompressedFrame::new(config, message),
            next: OnceLock::new(),
        }
    }
}

impl CompressedFrame {
    /// Compresses a message; `None` if that makes it no smaller.
    fn new(config: DeflaterConfig, (opcode, message): Uncompressed) -> Option<Self> {
        let mut deflater = Deflater::lease(config).ok()?;
        let mut compressed = BytesMut::new();
        deflater.compress(message, &mut compressed).ok()?;
        deflater.finish(&mut compressed);
        deflater.give_back();
        if compressed.len() >= message.len() {
            return None;
        }
        let header = Header {
            fin: true,
            rsv: Rsv::RSV1,
            opcode,
            mask: None,
            length: compressed.len() as u64,
        };
        let mut frame = Output::default();
        let payload = compressed.len();
        frame.push_frame(&header, compressed[..].into(), None);
        Some(Self {
            octets: frame.split().freeze(),
            payload,
        })
    }

    /// Returns the frame as servers send it.
    pub(super) fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// Returns how many octets the compressed payload has.
    pub(super) fn payload_length(&self) -> usize {
        self.payload
    }
}

impl fmt::Debug for CompressedFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressedFrames").finish_non_exhaustive()
    }
}

/// Returns the window, in bits, with which to compress a message of this length for peers that agreed
/// on this one: the largest if the message is no longer than theirs, as then nothing in it is out of
/// reach. So they share it with peers that have another one.
#[inline]
pub(super) fn window_bits_for(length: usize, agreed: u8) -> u8 {
    match length > 1 << agreed {
        true => agreed,
        false => MAX_WINDOW_BITS,
    }
}

/// A message to be compressed.
pub(super) type Uncompressed<'a> = (Opcode, &'a [u8]);

/// The most frames that are kept of a message: one for each window from 9 to 15 bits, and one more.
const MOST: usize = 8;
const MAX_WINDOW_BITS: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerOptions;
    use crate::connection::{DeflateSettings, PreparedMessage, Rules, Sender};
    use crate::extension::deflate::DeflateParameters;
    use crate::extension::deflate::codec::{count_made, kept};
    use crate::options::DeflateOptions;
    use std::sync::Arc;

    fn senders(options: DeflateOptions) -> Vec<Sender> {
        let rules = Arc::new(Rules::server(&ServerOptions::default()));
        let parameters = DeflateParameters {
            server_no_context_takeover: options.server_no_context_takeover,
            ..DeflateParameters::default()
        };
        let settings = DeflateSettings {
            parameters,
            options,
        };
        let open = || Sender::new(rules.clone(), Some(&settings), Box::new(|| [0; 4].into()));
        std::iter::repeat_with(open).take(500).collect()
    }

    fn message() -> PreparedMessage {
        PreparedMessage::new("to everyone, ".repeat(50))
    }

    // With takeover and without: those that only subscribe hold no compressor.
    #[test]
    fn one_compressor_serves_all_subscribers() {
        let mut all = senders(DeflateOptions::default());
        all.extend(senders(DeflateOptions::no_context()));
        let mut outputs: Vec<Output> = all.iter().map(|_| Output::default()).collect();
        for _ in 0..3 {
            let prepared = message();
            for (sender, output) in all.iter_mut().zip(&mut outputs) {
                sender.send_prepared(&prepared, output).unwrap();
            }
        }
        assert_eq!((count_made(), kept().0), (1, 1));
        assert!(outputs.iter().all(|it| it.len() == outputs[0].len()));
        drop(all);
        assert_eq!(kept().0, 1);
    }

    #[test]
    fn what_is_not_to_be_compressed_makes_no_compressor() {
        let threshold = DeflateOptions::default().threshold(10_000);
        let mut output = Output::default();
        for (options, prepared) in [
            (DeflateOptions::default(), message().uncompressed()),
            (threshold, message()),
        ] {
            for mut sender in senders(options) {
                sender.send_prepared(&prepared, &mut output).unwrap();
            }
        }
        assert_eq!(count_made(), 0);
    }

    // RFC 7692 §7.1.2.1: the bits agreed on bound how far references go.
    #[test]
    fn windows_are_those_agreed_on_unless_they_reach_over_the_message() {
        for (length, agreed, bits) in [
            (0, 9, 15),
            (512, 9, 15),
            (513, 9, 9),
            (16_384, 14, 15),
            (16_385, 14, 14),
            (1 << 20, 15, 15),
        ] {
            assert_eq!(window_bits_for(length, agreed), bits, "{length}, {agreed}");
        }
    }
}
