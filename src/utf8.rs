//! Checks text as it arrives: at once, or chunk by chunk.
//!
//! It stands apart because text is cut anywhere: a code point may be split between two frames of
//! a message, and between two reads of a frame. Covers RFC 6455 §5.6 and §8.1 (text and close
//! reasons are UTF-8, RFC 3629). What happens to a connection whose text is wrong is decided by
//! `connection`.
//!
//! Long text goes through `simdutf8`. Short text is nearly always ASCII and shorter than one
//! vector block there, so an inlined check for the high bit goes first.

/// Tells whether the whole of `text` is UTF-8 (RFC 3629).
///
/// ```
/// assert!(motorway::utf8::is_valid("κόσμε".as_bytes()));
/// assert!(!motorway::utf8::is_valid(b"\xED\xA0\x80"));
/// ```
#[inline]
#[must_use]
pub fn is_valid(text: &[u8]) -> bool {
    // From here on the vector code is the faster one for ASCII as well.
    if text.len() < SHORT && is_ascii(text) {
        return true;
    }
    simdutf8::basic::from_utf8(text).is_ok()
}

/// Checks text that comes in chunks, and fails at the first octet that no text can have there.
///
/// A sequence that is cut by the end of a chunk is checked as far as it goes, so `ED A0` fails at
/// its second octet although the sequence would have three (RFC 6455 §8.1).
///
/// ```
/// use motorway::utf8::Utf8Validator;
///
/// let mut validator = Utf8Validator::new();
/// validator.validate(b"\xCE")?;
/// assert!(!validator.is_complete());
/// validator.validate(b"\xBA")?;
/// validator.finish()?;
///
/// assert!(validator.validate(b"ab\xF4\x90").is_err());
/// # Ok::<(), motorway::utf8::Utf8Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utf8Validator {
    /// Octets still missing from the open sequence, 0 to 3.
    missing: u8,
    /// The least octet that may come next in the open sequence.
    low: u8,
    /// The greatest octet that may come next in the open sequence.
    high: u8,
}

impl Utf8Validator {
    /// Creates a validator that stands at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            missing: 0,
            low: 0,
            high: 0,
        }
    }

    /// Checks the next chunk of the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] with the place of the first octet, counted from the start of this chunk, that
    /// makes the text impossible. The validator then stands at the start of a text again.
    #[inline]
    pub fn validate(&mut self, chunk: &[u8]) -> Result<(), Utf8Error> {
        if self.missing == 0 && chunk.len() < SHORT && is_ascii(chunk) {
            return Ok(());
        }
        self.validate_any(chunk)
    }

    /// Ends the text; the validator then stands at the start of the next one.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] if the text ended inside a sequence.
    #[inline]
    pub fn finish(&mut self) -> Result<(), Utf8Error> {
        if self.is_complete() {
            return Ok(());
        }
        *self = Self::new();
        Err(Utf8Error { valid_up_to: 0 })
    }

    /// Tells whether the text may end here, which is to say that no sequence is open.
    #[inline]
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    fn validate_any(&mut self, chunk: &[u8]) -> Result<(), Utf8Error> {
        let opened = self.continue_sequence(chunk)?;
        let text = chunk.get(opened..).unwrap_or_default();
        let (whole, cut) = split_cut_sequence(text);
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(Utf8Error {
                valid_up_to: opened + first_impossible(whole),
            });
        }
        for (at, &octet) in cut.iter().enumerate() {
            self.step(octet, opened + whole.len() + at)?;
        }
        Ok(())
    }

    /// Feeds the open sequence from the start of `chunk` and returns how many octets it took.
    fn continue_sequence(&mut self, chunk: &[u8]) -> Result<usize, Utf8Error> {
        let mut taken = 0;
        for &octet in chunk {
            if self.missing == 0 {
                break;
            }
            self.step(octet, taken)?;
            taken += 1;
        }
        Ok(taken)
    }

    /// Takes one octet, the one at index `at` of its chunk.
    fn step(&mut self, octet: u8, at: usize) -> Result<(), Utf8Error> {
        let next = if self.missing == 0 {
            after_first(octet)
        } else if (self.low..=self.high).contains(&octet) {
            Some(Self {
                missing: self.missing - 1,
                low: 0x80,
                high: 0xBF,
            })
        } else {
            None
        };
        *self = next.unwrap_or_default();
        next.map(|_| ()).ok_or(Utf8Error { valid_up_to: at })
    }
}

/// Text that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not UTF-8 at octet {valid_up_to}")]
pub struct Utf8Error {
    /// How many octets of the chunk come before the first impossible one; 0 if the text ended
    /// inside a sequence.
    pub valid_up_to: usize,
}

/// Tells whether no octet has its high bit set, without a branch for each.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let (words, tail) = text.as_chunks::<8>();
    let mut seen = 0_u64;
    for word in words {
        seen |= u64::from_ne_bytes(*word);
    }
    // The last word overlaps the one before it, which spares a loop over the tail.
    match text.last_chunk::<8>() {
        Some(last) => seen |= u64::from_ne_bytes(*last),
        None => {
            for &octet in tail {
                seen |= u64::from(octet);
            }
        }
    }
    seen & HIGH_BITS == 0
}

/// Splits off a sequence that the end of `text` cuts, if its first octet can begin one.
fn split_cut_sequence(text: &[u8]) -> (&[u8], &[u8]) {
    for (back, &octet) in (1_u8..=3).zip(text.iter().rev()) {
        if octet < 0x80 {
            break;
        }
        if octet >= 0xC0 {
            return match after_first(octet) {
                Some(open) if open.missing >= back => text.split_at(text.len() - usize::from(back)),
                _ => (text, &[]),
            };
        }
    }
    (text, &[])
}

/// Returns the validator that stands behind the first octet of a sequence (RFC 3629 §4).
const fn after_first(octet: u8) -> Option<Utf8Validator> {
    let (missing, low, high) = match octet {
        0x00..=0x7F => (0, 0, 0),
        0xC2..=0xDF => (1, 0x80, 0xBF),
        0xE0 => (2, 0xA0, 0xBF),
        0xED => (2, 0x80, 0x9F),
        0xE1..=0xEF => (2, 0x80, 0xBF),
        0xF0 => (3, 0x90, 0xBF),
        0xF1..=0xF3 => (3, 0x80, 0xBF),
        0xF4 => (3, 0x80, 0x8F),
        _ => return None,
    };
    Some(Utf8Validator { missing, low, high })
}

/// Returns the index of the first impossible octet of text that is known to be wrong.
#[cold]
fn first_impossible(text: &[u8]) -> usize {
    let valid = match simdutf8::compat::from_utf8(text) {
        Ok(_) => return text.len(),
        Err(error) => error.valid_up_to(),
    };
    let mut validator = Utf8Validator::new();
    let suspect = text.get(valid..).unwrap_or_default();
    for (at, &octet) in suspect.iter().enumerate() {
        if let Err(error) = validator.step(octet, valid + at) {
            return error.valid_up_to;
        }
    }
    text.len()
}

/// Texts shorter than this, in octets, are looked at for ASCII before anything else.
const SHORT: usize = 256;

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
