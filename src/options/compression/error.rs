//! What is wrong with a parameter of permessage-deflate.

use std::ops::RangeInclusive;

/// Tells why a parameter of permessage-deflate was refused when it was set.
///
/// ```
/// use motorway::PerMessageDeflateOffer;
///
/// let error = PerMessageDeflateOffer::new().with_request_max_window_bits(16).unwrap_err();
/// assert_eq!(error.to_string(), "request_max_window_bits is 16, but must be 9 to 15");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PerMessageDeflateError {
    /// The value is not in the range that zlib and the peer leave.
    #[error("{parameter} is {value}, but must be {least} to {most}")]
    #[non_exhaustive]
    OutOfRange {
        /// The name of the parameter.
        parameter: &'static str,
        /// The value.
        value: u64,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed; below the least if nothing is.
        most: u64,
    },
    /// The client did not offer what is requested of it.
    #[error("{parameter} cannot be requested, since the client does not offer {offered}")]
    #[non_exhaustive]
    NotOffered {
        /// The name of the parameter.
        parameter: &'static str,
        /// What the client would have to offer.
        offered: &'static str,
    },
    /// The peer asks for what is to be denied.
    #[error("{parameter} is false, but must be true, since the peer asks for {asked}")]
    #[non_exhaustive]
    Demanded {
        /// The name of the parameter.
        parameter: &'static str,
        /// What the peer asks for.
        asked: &'static str,
    },
}

/// Checks that a value, if there is one, is in a range.
pub(super) fn in_range<T: Copy + PartialOrd + Into<u64>>(
    parameter: &'static str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), PerMessageDeflateError> {
    match value {
        Some(value) if !range.contains(&value) => Err(PerMessageDeflateError::OutOfRange {
            parameter,
            value: value.into(),
            least: (*range.start()).into(),
            most: (*range.end()).into(),
        }),
        _ => Ok(()),
    }
}
