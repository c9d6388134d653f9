//! What the fuzz targets try: each function takes any octets and panics where a promise is broken.
//!
//! The promises are about values, not only that nothing panics: what comes out is held against a plain
//! model of the rule, or against another implementation of it.

mod connection;
mod extensions;
mod header;
mod heads;
mod inflate;
mod origins;
mod peers;
mod proxy;
mod url;
mod utf8;

pub use connection::connection;
pub use extensions::extensions;
pub use header::header;
pub use heads::{request, response};
pub use inflate::inflate;
pub use origins::origins;
pub use proxy::proxy;
pub use url::url;
pub use utf8::utf8;

/// A target: its name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 10] = [
    ("connection", connection),
    ("extensions", extensions),
    ("header", header),
    ("inflate", inflate),
    ("origins", origins),
    ("proxy", proxy),
    ("request", request),
    ("response", response),
    ("url", url),
    ("utf8", utf8),
];
