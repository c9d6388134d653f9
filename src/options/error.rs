//! What is wrong with a set of options.

/// Tells which option has a value that it cannot have.
///
/// ```
/// use motorway::ServerOptions;
///
/// let error = ServerOptions::default().auto_ping_size(126).validate().unwrap_err();
/// assert_eq!(error.option(), "auto_ping_size");
/// assert_eq!(error.to_string(), "option auto_ping_size is 126, but must be 4 to 125 octets");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The value is none of those that the option takes.
    #[error("option {option} is {value}, but must be {allowed}")]
    #[non_exhaustive]
    OutOfRange {
        /// The name of the option, as its setter has it.
        option: &'static str,
        /// The value, as text.
        value: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

impl OptionsError {
    /// Returns the name of the option, as its setter has it.
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self {
            Self::OutOfRange { option, .. } => option,
        }
    }

    /// Makes the error for a value that prints as it is.
    pub(crate) fn value(option: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self::OutOfRange {
            option,
            value: value.to_string(),
            allowed,
        }
    }

    /// Makes the error for a text, which is quoted and escaped.
    pub(crate) fn text(option: &'static str, text: &str, allowed: &'static str) -> Self {
        Self::value(option, format!("{text:?}"), allowed)
    }
}
