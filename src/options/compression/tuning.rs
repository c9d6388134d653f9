//! What either end decides for itself.

use super::PerMessageDeflateError;
use super::error::in_range;
use crate::options::DeflateOptions;

/// Settings that the peer is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tuning {
    pub(super) no_context_takeover: Option<bool>,
    pub(super) window_bits: Option<u8>,
    pub(super) mem_level: Option<u8>,
    pub(super) max_message_size: Option<u64>,
}

impl Tuning {
    /// Changes options as far as this says something.
    pub(super) fn apply(&self, mut options: DeflateOptions) -> DeflateOptions {
        options.mem_level = self.mem_level.unwrap_or(options.mem_level);
        options.max_message_size = self.max_message_size.or(options.max_message_size);
        options
    }

    pub(super) fn set_mem_level(
        &mut self,
        level: Option<u8>,
    ) -> Result<(), PerMessageDeflateError> {
        in_range("mem_level", level, 1..=9)?;
        self.mem_level = level;
        Ok(())
    }

    pub(super) fn set_max_message_size(
        &mut self,
        octets: Option<u64>,
    ) -> Result<(), PerMessageDeflateError> {
        in_range("max_message_size", octets, 1..=u64::MAX)?;
        self.max_message_size = octets;
        Ok(())
    }
}

/// The setters and getters of the settings that the peer is not told, written once; the type has a
/// field `tuning` and says with `demands` and `most_window_bits` what its peer asks for.
macro_rules! tuning_setters {
    () => {
        /// Sets whether this end forgets its window after each message; `None` does as the peer asks.
        ///
        /// Default: `None`.
        ///
        /// # Errors
        ///
        /// Fails if it is `false` and the peer asks for it.
        pub fn with_no_context_takeover(
            mut self,
            forget: impl Into<Option<bool>>,
        ) -> Result<Self, PerMessageDeflateError> {
            let forget = forget.into();
            let (asks, asked) = self.demands();
            if asks && forget == Some(false) {
                let parameter = "no_context_takeover";
                return Err(PerMessageDeflateError::Demanded { parameter, asked });
            }
            self.tuning.no_context_takeover = forget;
            Ok(self)
        }

        /// Sets the largest window with which this end compresses, as a power of two of octets;
        /// `None` takes the largest that the peer allows.
        ///
        /// Default: `None`.
        ///
        /// # Errors
        ///
        /// Fails if it is not 9 to 15, or to what the peer asks for.
        pub fn with_window_bits(
            mut self,
            bits: impl Into<Option<u8>>,
        ) -> Result<Self, PerMessageDeflateError> {
            let bits = bits.into();
            in_range("window_bits", bits, MIN_BITS..=self.most_window_bits())?;
            self.tuning.window_bits = bits;
            Ok(self)
        }

        /// Sets the memory that compressing takes, as
        /// [`DeflateOptions::mem_level`](crate::DeflateOptions::mem_level); `None` leaves it to the
        /// options.
        ///
        /// Default: `None`.
        ///
        /// # Errors
        ///
        /// Fails if it is not 1 to 9.
        pub fn with_mem_level(
            mut self,
            level: impl Into<Option<u8>>,
        ) -> Result<Self, PerMessageDeflateError> {
            self.tuning.set_mem_level(level.into())?;
            Ok(self)
        }

        /// Sets the largest compressed message accepted, as
        /// [`DeflateOptions::max_message_size`](crate::DeflateOptions::max_message_size); `None`
        /// leaves it to the options.
        ///
        /// Default: `None`.
        ///
        /// # Errors
        ///
        /// Fails if it is 0.
        pub fn with_max_message_size(
            mut self,
            octets: impl Into<Option<u64>>,
        ) -> Result<Self, PerMessageDeflateError> {
            self.tuning.set_max_message_size(octets.into())?;
            Ok(self)
        }

        /// Returns whether this end forgets its window, if that was set.
        #[must_use]
        pub const fn no_context_takeover(&self) -> Option<bool> {
            self.tuning.no_context_takeover
        }

        /// Returns the largest window of this end, if that was set.
        #[must_use]
        pub const fn window_bits(&self) -> Option<u8> {
            self.tuning.window_bits
        }

        /// Returns the memory level, if it was set.
        #[must_use]
        pub const fn mem_level(&self) -> Option<u8> {
            self.tuning.mem_level
        }

        /// Returns the largest compressed message accepted, if that was set.
        #[must_use]
        pub const fn max_message_size(&self) -> Option<u64> {
            self.tuning.max_message_size
        }

        /// Returns how this end compresses: as these options, but for what was set here.
        pub(crate) fn options(&self, options: DeflateOptions) -> DeflateOptions {
            self.tuning.apply(options)
        }
    };
}

pub(super) use tuning_setters;
