//! Why a hub does not do what it is asked to.

/// What can go wrong with a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A topic must have 1 to 256 octets.
    #[error("topic of {length} octets: allowed are 1 to 256")]
    #[non_exhaustive]
    InvalidTopic {
        /// The length of the topic, in octets.
        length: usize,
    },
    /// The text that a connection is seen under may have 1,024 octets.
    #[error("text of {length} octets: allowed are up to 1,024")]
    #[non_exhaustive]
    InfoTooLong {
        /// The length of the text, in octets.
        length: usize,
    },
    /// The connection has joined as many topics as it may.
    #[error("connection has joined {limit} topics, which is the most")]
    #[non_exhaustive]
    TooManyTopics {
        /// The limit.
        limit: usize,
    },
    /// The connection is closing or closed.
    #[error("connection is closed")]
    Closed,
}
