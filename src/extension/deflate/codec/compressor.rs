//! The compressor behind a deflater: flate2's, or zlib-rs itself where its memory is chosen.

use super::DeflaterConfig;
use crate::options::DeflateStrategy;
use flate2::{Compress, Compression, FlushCompress};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Method, Strategy};

/// Raw deflate with a window of 9 to 15 bits.
pub(super) enum Compressor {
    Usual(Compress),
    /// `flate2` knows no memory level and no strategy.
    Sized(Deflate),
}

impl Compressor {
    /// Makes a compressor from settings that were checked.
    pub(super) fn new(config: DeflaterConfig) -> Self {
        if config.mem_level == USUAL_MEM_LEVEL && config.strategy == DeflateStrategy::Default {
            let level = Compression::new(config.level.into());
            return Self::Usual(Compress::new_with_window_bits(
                level,
                false,
                config.window_bits,
            ));
        }
        Self::Sized(Deflate::new_with_config(DeflateConfig {
            level: i32::from(config.level),
            method: Method::Deflated,
            // Negative: no header around the data.
            window_bits: -i32::from(config.window_bits),
            mem_level: i32::from(config.mem_level),
            strategy: match config.strategy {
                DeflateStrategy::Default => Strategy::Default,
                DeflateStrategy::Filtered => Strategy::Filtered,
                DeflateStrategy::HuffmanOnly => Strategy::HuffmanOnly,
                DeflateStrategy::Rle => Strategy::Rle,
                DeflateStrategy::Fixed => Strategy::Fixed,
            },
        }))
    }

    /// Compresses and flushes as far as there is room; returns how many octets were taken and how
    /// many written, `None` if it fails.
    pub(super) fn flush(&mut self, input: &[u8], output: &mut [u8]) -> Option<(usize, usize)> {
        let (total_in, total_out) = self.totals();
        let worked = match self {
            Self::Usual(usual) => usual.compress(input, output, FlushCompress::Sync).is_ok(),
            Self::Sized(sized) => sized
                .compress(input, output, DeflateFlush::SyncFlush)
                .is_ok(),
        };
        let (taken, written) = self.totals();
        let taken = usize::try_from(taken - total_in).ok()?;
        let written = usize::try_from(written - total_out).ok()?;
        worked.then_some((taken, written))
    }

    fn totals(&self) -> (u64, u64) {
        match self {
            Self::Usual(usual) => (usual.total_in(), usual.total_out()),
            Self::Sized(sized) => (sized.total_in(), sized.total_out()),
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Usual(usual) => usual.reset(),
            Self::Sized(sized) => sized.reset(),
        }
    }
}

/// The memory level that `flate2` has.
const USUAL_MEM_LEVEL: u8 = 8;
