//! The two directions of permessage-deflate as a connection uses them (RFC 7692 §7.2).
//!
//! The zlib states behind them take tens to hundreds of KiB, so they are made on first use, and
//! without context takeover they are dropped after each message.

use super::{ProtocolError, Role};
use crate::extension::deflate::DeflateParameters;
use crate::extension::deflate::codec::{
    Deflater, DeflaterConfig, InflateError, Inflater, InflaterConfig,
};
use crate::options::DeflateOptions;
use bytes::BytesMut;

/// What both ends agreed upon, and how this end compresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeflateSettings {
    /// What the opening handshake settled.
    pub parameters: DeflateParameters,
    /// Level, memory and threshold of this end.
    pub options: DeflateOptions,
}

/// Inflates the messages of the peer.
#[derive(Debug)]
pub(super) struct Inflation {
    context_takeover: bool,
    /// The most octets that a compressed message may have, besides the limit of all messages.
    limit: u64,
    inflater: Option<Inflater>,
}

impl Inflation {
    pub(super) fn new(role: Role, settings: &DeflateSettings) -> Self {
        let parameters = &settings.parameters;
        let without = match role {
            Role::Server => parameters.client_no_context_takeover,
            Role::Client => parameters.server_no_context_takeover,
        };
        Self {
            context_takeover: !without,
            limit: settings.options.max_message_size.unwrap_or(u64::MAX),
            inflater: None,
        }
    }

    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut BytesMut,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        let limit = limit.min(self.limit);
        self.inflater()
            .inflate(input, out, Some(limit))
            .map_err(|error| fault(&error))
    }

    /// Ends a message; fails if the compressed data break off.
    pub(super) fn finish(&mut self) -> Result<(), ProtocolError> {
        self.inflater().finish().map_err(|error| fault(&error))?;
        if !self.context_takeover {
            self.inflater = None;
        }
        Ok(())
    }

    fn inflater(&mut self) -> &mut Inflater {
        // A window of 15 bits inflates whatever a peer compressed with fewer.
        let config = InflaterConfig {
            context_takeover: self.context_takeover,
        };
        self.inflater.get_or_insert_with(|| Inflater::new(config))
    }
}

fn fault(error: &InflateError) -> ProtocolError {
    match *error {
        InflateError::TooLarge { limit } => ProtocolError::MessageTooLarge { limit },
        _ => ProtocolError::CorruptDeflate,
    }
}

/// Compresses the messages of this end.
#[derive(Debug)]
pub(super) struct Deflation {
    config: DeflaterConfig,
    threshold: usize,
    deflater: Option<Deflater>,
    compressed: BytesMut,
}

impl Deflation {
    /// Returns `None` where messages have to go out uncompressed: a client that was asked for a
    /// window of 8 bits, with which zlib cannot compress.
    pub(super) fn new(role: Role, settings: &DeflateSettings) -> Option<Self> {
        let parameters = &settings.parameters;
        let (window_bits, without) = match role {
            Role::Server => (
                parameters.server_max_window_bits,
                parameters.server_no_context_takeover,
            ),
            Role::Client => (
                parameters.client_max_window_bits,
                parameters.client_no_context_takeover,
            ),
        };
        let config = DeflaterConfig {
            window_bits,
            context_takeover: !without,
            level: settings.options.level,
            mem_level: settings.options.mem_level,
        };
        (window_bits >= 9).then(|| Self {
            config,
            threshold: settings.options.threshold,
            deflater: None,
            compressed: BytesMut::new(),
        })
    }

    /// Tells whether a message of this length is worth compressing.
    pub(super) fn is_worth(&self, length: usize) -> bool {
        length >= self.threshold
    }

    /// Compresses a piece of a message; `None` if the compressor gave up, which a valid
    /// configuration rules out.
    pub(super) fn compress(&mut self, piece: &[u8], part: Part) -> Option<&[u8]> {
        self.compressed.clear();
        if self.deflater.is_none() {
            self.deflater = Some(Deflater::new(self.config).ok()?);
        }
        let deflater = self.deflater.as_mut()?;
        deflater.compress(piece, &mut self.compressed).ok()?;
        if part == Part::Last {
            deflater.finish(&mut self.compressed);
        }
        Some(&self.compressed)
    }

    /// Gives memory back after a message: a large scratch buffer, and without context takeover the
    /// compressor.
    pub(super) fn end_message(&mut self) {
        if self.compressed.capacity() > KEPT {
            self.compressed = BytesMut::new();
        }
        if !self.config.context_takeover {
            self.deflater = None;
            self.compressed = BytesMut::new();
        }
    }
}

/// Whether more of a message follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// More follows.
    More,
    /// This is the end of the message.
    Last,
}

/// The capacity of the scratch buffer that is kept between messages.
const KEPT: usize = 4 << 10;
