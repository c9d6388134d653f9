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
    /// A parameter is unknown, repeated, not asked for, or its value is not one of those allowed.
    #[error("parameter {parameter} is not acceptable")]
    #[non_exhaustive]
    Parameter {
        /// The known parameter that the fault is in, or `unknown`.
        parameter: &'static str,
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
