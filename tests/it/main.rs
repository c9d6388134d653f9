//! Tests of the crate from outside.

mod deflate_codec;
mod masking;
mod utf8;
