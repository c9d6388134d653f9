//! Why there is no WebSocket over HTTP/2.

use crate::handshake::Url;
use std::io;

/// Tells why a connection of HTTP/2 cannot be made, or takes no WebSocket (RFC 8441, RFC 9113).
///
/// ```no_run
/// use motorway::{Connector, Error, Http2Error};
///
/// # async fn example() -> motorway::Result<()> {
/// let connector = Connector::new("wss://localhost:8443/chat")?;
/// let http2 = connector.connect_http2().await?;
/// let mut ws = match connector.connect_over(&http2).await {
///     // The server has said GOAWAY: another connection takes what this one does not.
///     Err(Error::Http2(error)) if matches!(*error, Http2Error::NotOpen { .. }) => {
///         let http2 = connector.connect_http2().await?;
///         connector.connect_over(&http2).await?
///     }
///     connected => connected?,
/// };
/// ws.send("Hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http2Error {
    /// The server does not agree to HTTP/2 in the TLS handshake (ALPN, RFC 9113 §3.2).
    #[error("server does not agree to h2, but to {}", protocol.as_deref().unwrap_or("nothing"))]
    #[non_exhaustive]
    NotAgreed {
        /// What it agrees to; `None` if to nothing.
        protocol: Option<String>,
    },
    /// The server does not speak HTTP/2, or breaks it, before the connection is ready.
    #[error("server does not speak http/2 as it should")]
    #[non_exhaustive]
    Broken {
        /// What is wrong.
        source: io::Error,
    },
    /// The server speaks HTTP/2, but takes no WebSockets over it: its SETTINGS have no
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL` of 1 (RFC 8441 §3).
    #[error("server takes no websockets over http/2: SETTINGS_ENABLE_CONNECT_PROTOCOL is not 1")]
    NotEnabled,
    /// The URL has another scheme, host or port than the connection, whose server may be another one.
    #[error(
        "{} is another server than {}, which is connected",
        server(url),
        server(connected)
    )]
    #[non_exhaustive]
    OtherServer {
        /// The URL.
        url: Url,
        /// The URL that the connection was made with.
        connected: Url,
    },
    /// The connection takes no more WebSockets: the server has said GOAWAY (RFC 9113 §6.8), the
    /// connection has ended, or its numbers are used up. Those that are open may go on. Nothing of the
    /// request was acted upon.
    #[error("http/2 connection takes no more websockets")]
    #[non_exhaustive]
    NotOpen {
        /// Why not.
        source: io::Error,
    },
    /// The server has reset the request instead of answering it (RFC 9113 §6.4), or its answer broke
    /// HTTP/2.
    #[error("request was reset with the error code {code}")]
    #[non_exhaustive]
    Reset {
        /// The error code (RFC 9113 §7), such as 7, REFUSED_STREAM, after which it may be tried again.
        code: u32,
        /// The same in words.
        source: io::Error,
    },
}

/// Returns what a server is known by, without path and query, in which tokens travel.
fn server(url: &Url) -> String {
    let scheme = if url.is_secure() { "wss" } else { "ws" };
    match url.socket() {
        Some(path) => format!("{scheme}://unix:{path}"),
        None => format!("{scheme}://{}:{}", url.host(), url.port()),
    }
}
