//! placeholder
pub mod deflate;
