//! What can go wrong with a broker.

use std::error::Error as StdError;

/// Tells why a broker does not do what it was asked to.
///
/// ```
/// use motorway::BrokerError;
///
/// let error = BrokerError::connect("nats://localhost:4222", "connection refused");
/// assert_eq!(error.to_string(), "cannot connect to the broker nats://localhost:4222");
/// let error = BrokerError::failed("nobody is there");
/// assert_eq!(error.to_string(), "the broker failed");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The broker cannot be reached, or does not accept us.
    #[error("cannot connect to the broker {address}")]
    #[non_exhaustive]
    Connect {
        /// The address of the broker, without user and password.
        address: String,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A prefix that subjects of NATS cannot begin with.
    #[cfg(feature = "nats")]
    #[error(
        "the prefix {prefix:?} is not 1 to 256 letters, digits, `-` and `_`, in parts joined by `.`"
    )]
    #[non_exhaustive]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// The broker or its client did not take what it was given.
    #[error("the broker failed")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

impl BrokerError {
    /// Makes the error of a broker that did not do as it was told.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }

    /// Makes the error of a broker that cannot be connected to, at an address without password.
    pub fn connect(
        address: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Connect {
            address: address.into(),
            source: source.into(),
        }
    }
}
