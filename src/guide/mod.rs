//! Pages to read; there is nothing to call here.

#[doc = include_str!("autobahn.md")]
pub mod autobahn {}
