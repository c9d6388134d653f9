//! What the programs that measure have in common: values, octets, and what the system says.
//!
//! Linux only: affinity, epoll and `/proc` are how this measures.

pub mod anchor;
pub mod histogram;
pub mod measurement;
pub mod payload;
pub mod pump;
pub mod serve;
pub mod system;
pub mod tls;
pub mod window;
pub mod wire;

/// Whatever made a measurement fail, in words.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A measurement, or why there is none.
pub type Result<T> = std::result::Result<T, Fault>;
