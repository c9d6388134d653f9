//! Pages to read; there is nothing to call here.

#[doc = include_str!("autobahn.md")]
pub mod autobahn {}
#[doc = include_str!("observing.md")]
pub mod observing {}
