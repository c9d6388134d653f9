//! TLS (RFC 8446) for servers and for clients of `wss://` URLs, by rustls with ring.
//!
//! Makes streams and nothing else: the engine and the driver do not know whether there is TLS.
//! Versions 1.2 and 1.3, the application protocol `http/1.1` (RFC 7301), and chains and names of
//! servers always checked; no option turns that off. Revocation is not checked.

#[cfg(feature = "blocking")]
mod by_hand;
mod client;
mod error;
mod identity;
mod pem;
mod roots;
mod server;
mod stream;

#[cfg(feature = "blocking")]
pub(crate) use by_hand::describe_connection;
pub use client::ClientTls;
pub use error::TlsError;
pub use identity::Identity;
pub use roots::Roots;
pub use server::ServerTls;
pub use stream::TlsStream;

use std::sync::{Arc, LazyLock};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// The provider, named at every turn: what a process has set as its default is not ours to use.
fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// The protocol that is agreed on by ALPN (RFC 7301 §6): WebSockets open with a request of HTTP/1.1.
const HTTP_1_1: &[u8] = b"http/1.1";
/// The other one, of servers that others run, and of clients over HTTP/2 (RFC 8441).
const HTTP_2: &[u8] = b"h2";
