//! What can be wrong with negotiated extensions.

/// Tells why extensions could not be agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The header does not follow the grammar of RFC 6455 §9.1.
    #[error("malformed list of extensions at octet {position}")]
    #[non_exhaustive]
    Malformed {
        /// Where in the header, from 0.
        position: usize,
    },
    /// The server answered with an extension that was not offered.
    #[error("extension was not offered")]
    NotOffered,
    /// The server answered with more than one extension that compresses messages.
    #[error("more than one extension that compresses")]
    Repeated,
    /// A parameter is not one of the extension (RFC 7692 §7.1).
    #[error("unknown parameter")]
    UnknownParameter,
    /// A parameter comes more than once (RFC 7692 §7.1).
    #[error("parameter {parameter} comes more than once")]
    #[non_exhaustive]
    RepeatedParameter {
        /// Which one.
        parameter: &'static str,
    },
    /// A parameter has no value but needs one, has one but must not, or has one that is not allowed
    /// (RFC 7692 §7.1.1, §7.1.2).
    #[error("parameter {parameter} has a value that is not allowed")]
    #[non_exhaustive]
    InvalidValue {
        /// Which one.
        parameter: &'static str,
    },
    /// The answer has a parameter that it may only have if the offer has it (RFC 7692 §7.1.2.2).
    #[error("parameter {parameter} was not offered")]
    #[non_exhaustive]
    ParameterNotOffered {
        /// Which one.
        parameter: &'static str,
    },
    /// The answer has a larger window than the offer allows (RFC 7692 §7.1.2).
    #[error("parameter {parameter} is {bits}, but was offered as at most {limit}")]
    #[non_exhaustive]
    WindowTooLarge {
        /// Which one.
        parameter: &'static str,
        /// The value in the answer.
        bits: u8,
        /// The value in the offer.
        limit: u8,
    },
    /// A parameter that the offer demanded is missing in the answer.
    #[error("parameter {parameter} was asked for and is missing")]
    #[non_exhaustive]
    Missing {
        /// Which one.
        parameter: &'static str,
    },
    /// The client declined what the server has accepted.
    #[error("response was declined")]
    Declined,
}
