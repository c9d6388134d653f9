//! The two directions of permessage-deflate as a connection uses them (RFC 7692 §7.2).
//!
//! The zlib states behind them take tens to hundreds of KiB, so they are made on first use, and
//! without context takeover they are lent to one message at a time.

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
    pub(super) squeeze: Squeeze,
}

/// How many octets there were before and after compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Squeeze {
    pub(crate) plain: u64,
    pub(crate) compressed: u64,
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
            squeeze: Squeeze::default(),
        }
    }

    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut BytesMut,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        let limit = limit.min(self.limit);
        let before = out.len();
        let inflated = self.inflater().inflate(input, out, Some(limit));
        self.squeeze.compressed += input.len() as u64;
        self.squeeze.plain += (out.len() - before) as u64;
        inflated.map_err(|error| fault(&error))
    }

    /// Ends a message; fails if the compressed data break off.
    pub(super) fn finish(&mut self) -> Result<(), ProtocolError> {
        self.inflater().finish().map_err(|error| fault(&error))?;
        if !self.context_takeover
            && let Some(inflater) = self.inflater.take()
        {
            inflater.give_back();
        }
        Ok(())
    }

    fn inflater(&mut self) -> &mut Inflater {
        // A window of 15 bits inflates whatever a peer compressed with fewer.
        let config = InflaterConfig {
            context_takeover: self.context_takeover,
        };
        self.inflater.get_or_insert_with(|| Inflater::lease(config))
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
    /// The peer has seen what the deflater has not, so that its references would be off.
    is_stale: bool,
    compressed: BytesMut,
    pub(super) squeeze: Squeeze,
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
            strategy: settings.options.strategy,
        };
        (window_bits >= 9).then(|| Self {
            config,
            threshold: settings.options.threshold,
            deflater: None,
            is_stale: false,
            compressed: BytesMut::new(),
            squeeze: Squeeze::default(),
        })
    }

    pub(super) fn config(&self) -> DeflaterConfig {
        self.config
    }

    /// Takes note of a message that went out between two of our own, compressed by somebody else
    /// with a window that was empty.
    #[inline]
    pub(super) fn pass(&mut self, plain: usize, compressed: usize) {
        // Reset not before there is another message of our own: to a subscriber none ever goes.
        self.is_stale = self.deflater.is_some();
        self.squeeze.plain += plain as u64;
        self.squeeze.compressed += compressed as u64;
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
            self.deflater = Some(Deflater::lease(self.config).ok()?);
        }
        let deflater = self.deflater.as_mut()?;
        if std::mem::take(&mut self.is_stale) {
            deflater.reset();
        }
        deflater.compress(piece, &mut self.compressed).ok()?;
        if part == Part::Last {
            deflater.finish(&mut self.compressed);
        }
        self.squeeze.plain += piece.len() as u64;
        self.squeeze.compressed += self.compressed.len() as u64;
        Some(&self.compressed)
    }

    /// Gives memory back after a message: a large scratch buffer, and without context takeover the
    /// compressor.
    pub(super) fn end_message(&mut self) {
        if self.compressed.capacity() > KEPT {
            self.compressed = BytesMut::new();
        }
        if !self.config.context_takeover {
            if let Some(deflater) = self.deflater.take() {
                deflater.give_back();
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::deflate::codec::{count_made, kept};

    type Pair = (Deflation, Inflation);

    fn pair(options: DeflateOptions) -> Pair {
        let parameters = DeflateParameters {
            server_no_context_takeover: options.server_no_context_takeover,
            client_no_context_takeover: options.client_no_context_takeover,
            ..DeflateParameters::default()
        };
        let settings = DeflateSettings {
            parameters,
            options,
        };
        let deflation = Deflation::new(Role::Server, &settings).unwrap();
        (deflation, Inflation::new(Role::Client, &settings))
    }

    fn compress(deflation: &mut Deflation, message: &[u8]) -> Vec<u8> {
        let compressed = deflation.compress(message, Part::Last).unwrap().to_vec();
        deflation.end_message();
        compressed
    }

    fn inflate(inflation: &mut Inflation, input: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut out = BytesMut::new();
        inflation.inflate(input, &mut out, 1 << 20)?;
        inflation.finish()?;
        Ok(out.to_vec())
    }

    fn message(number: usize) -> Vec<u8> {
        format!("message {number} of a connection, ")
            .repeat(20)
            .into_bytes()
    }

    #[test]
    fn idle_connections_without_takeover_hold_no_state() {
        let mut pairs: Vec<Pair> = (0..2000)
            .map(|_| pair(DeflateOptions::no_context()))
            .collect();
        assert_eq!(count_made(), 0, "made before the first message");
        for round in 0..2 {
            for (number, (deflation, inflation)) in pairs.iter_mut().enumerate() {
                let sent = message(number + round);
                let compressed = compress(deflation, &sent);
                assert_eq!(inflate(inflation, &compressed).unwrap(), sent);
                assert!(deflation.deflater.is_none() && inflation.inflater.is_none());
                assert_eq!(deflation.compressed.capacity(), 0);
            }
        }
        // One state of each kind has served them all.
        assert_eq!((count_made(), kept()), (2, (1, 1)));
    }

    #[test]
    fn states_with_takeover_are_made_at_first_use_and_stay() {
        let mut pairs: Vec<Pair> = (0..10).map(|_| pair(DeflateOptions::default())).collect();
        assert_eq!(count_made(), 0);
        for (number, (deflation, inflation)) in pairs.iter_mut().take(3).enumerate() {
            let compressed = compress(deflation, &message(number));
            inflate(inflation, &compressed).unwrap();
            assert!(deflation.deflater.is_some() && inflation.inflater.is_some());
        }
        drop(pairs);
        assert_eq!((count_made(), kept()), (6, (0, 0)));
    }

    // What one connection has sent or received is out of reach of the next that has its state.
    #[test]
    fn nothing_leaks_from_one_connection_to_another() {
        let secret = message(7);
        let (mut fresh, _) = pair(DeflateOptions::no_context());
        let alone = compress(&mut fresh, &secret);
        let (mut next, mut inflation) = pair(DeflateOptions::no_context());
        // If the state remembered the secret, this would be a reference to it.
        assert_eq!(compress(&mut next, &secret), alone);
        assert_eq!(inflate(&mut inflation, &alone).unwrap(), secret);
        // A message that refers to the one before it, as with takeover.
        let (mut takeover, _) = pair(DeflateOptions::default());
        compress(&mut takeover, &secret);
        let refers = compress(&mut takeover, &secret);
        assert!(refers.len() < alone.len() / 2);
        let (_, mut other) = pair(DeflateOptions::no_context());
        assert_eq!(
            inflate(&mut other, &refers),
            Err(ProtocolError::CorruptDeflate)
        );
        // Nor does the fault stay with the state.
        let (_, mut another) = pair(DeflateOptions::no_context());
        assert_eq!(inflate(&mut another, &alone).unwrap(), secret);
    }

    #[test]
    fn states_in_the_middle_of_a_message_are_not_shared() {
        let (mut first, mut at_first) = pair(DeflateOptions::no_context());
        let (mut second, mut at_second) = pair(DeflateOptions::no_context());
        let start = first
            .compress(b"first half, ", Part::More)
            .unwrap()
            .to_vec();
        let whole = compress(&mut second, b"whole");
        assert_eq!(inflate(&mut at_second, &whole).unwrap(), b"whole");
        let mut out = BytesMut::new();
        at_first.inflate(&start, &mut out, 100).unwrap();
        assert_eq!(inflate(&mut at_second, &whole).unwrap(), b"whole");
        let end = compress(&mut first, b"second half");
        at_first.inflate(&end, &mut out, 100).unwrap();
        at_first.finish().unwrap();
        assert_eq!(out, "first half, second half");
        // One that is dropped in the middle is not given to anybody.
        let (mut dropped, _) = pair(DeflateOptions::no_context());
        dropped.compress(b"half", Part::More).unwrap();
        let before = kept();
        drop(dropped);
        assert_eq!(kept(), before);
    }

    #[test]
    fn a_thread_keeps_few_states() {
        for level in 0..10 {
            let (mut deflation, _) = pair(DeflateOptions::no_context().level(level));
            compress(&mut deflation, b"message");
        }
        assert_eq!(kept().0, 4);
        // The newest are kept.
        let made = count_made();
        let (mut again, _) = pair(DeflateOptions::no_context().level(9));
        compress(&mut again, b"message");
        assert_eq!(count_made(), made);
    }
}
