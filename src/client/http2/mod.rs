//! WebSockets over HTTP/2 (RFC 8441): many of them on one TCP connection.
//!
//! `h2` speaks HTTP/2. Here are the task that drives it, the streams of octets that it makes for the driver
//! of each WebSocket, and the opening handshake on one of them. What `h2` reports of others stops here.

mod connecting;
mod desk;
mod exchange;
mod fault;
mod inflow;
mod opening;
mod stream;
mod task;

use crate::error::{Http2Error, Result};
use crate::handshake::{TransportDetails, Url};
use bytes::Bytes;
use desk::Desk;
use h2::client::SendRequest;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One connection of HTTP/2 to a server, over which WebSockets run (RFC 8441); made by
/// [`Connector::connect_http2`](crate::Connector::connect_http2).
///
/// A handle, cheap to clone. A task of the runtime reads and writes for all WebSockets on the connection.
/// It ends with a GOAWAY (RFC 9113 §6.8) when the last handle and the last WebSocket are gone.
///
/// # What the WebSockets share
///
/// - A WebSocket that the server does not read makes its own `send` wait, and nobody else's, unless the
///   server's window for the whole connection (RFC 9113 §6.9) is used up, which is the server's choice. Beyond
///   what the WebSocket itself buffers 64 KiB wait here.
/// - A WebSocket that is not read here holds up to 256 KiB, its window, in memory, besides what the
///   WebSocket itself reads ahead; then the server has to wait with it. The window of the whole
///   connection is as large as HTTP/2 knows, 2 GiB: 8,191 WebSockets that nobody reads stop none of the others.
/// - If the TCP connection fails all WebSockets on it do, with an I/O error.
///
/// ```no_run
/// use motorway::Connector;
///
/// # async fn example() -> motorway::Result<()> {
/// let connector = Connector::new("wss://localhost:8443/chat")?;
/// let http2 = connector.connect_http2().await?;
/// let mut first = connector.connect_over(&http2).await?;
/// let mut second = connector.connect_over(&http2).await?;
/// first.send("from the first").await?;
/// second.send("from the second").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Http2Connection {
    requests: SendRequest<Bytes>,
    desk: Arc<Desk>,
    about: Arc<About>,
}

/// What is known of a connection.
struct About {
    url: Url,
    details: TransportDetails,
}

impl Http2Connection {
    /// Tells whether the connection takes another WebSocket, as far as is known: not any more once the
    /// server has said GOAWAY (RFC 9113 §6.8), the connection has failed, or its numbers are used up, after
    /// 2³⁰ WebSockets. Those that are open may go on nevertheless.
    ///
    /// ```no_run
    /// # async fn example(mut http2: motorway::Http2Connection) -> motorway::Result<()> {
    /// # let connector = motorway::Connector::new("wss://localhost:8443/chat")?;
    /// if !http2.is_open() {
    ///     http2 = connector.connect_http2().await?;
    /// }
    /// let ws = connector.connect_over(&http2).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        // A clone has no request of its own that it could wait for.
        let ready = self.requests.clone().poll_ready(&mut context);
        matches!(ready, Poll::Ready(Ok(())))
    }

    /// Returns the URL that the connection was made with; others with its scheme, host and port can be
    /// connected to over it.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.about.url
    }

    /// Returns what is known of the connection below: addresses, TLS, the server's certificate.
    #[must_use]
    pub fn transport(&self) -> &TransportDetails {
        &self.about.details
    }

    /// Checks that a URL leads to the server at the other end.
    fn check(&self, url: &Url) -> Result<()> {
        let connected = self.url();
        if url.origin() == connected.origin() {
            return Ok(());
        }
        let error = Http2Error::OtherServer {
            url: url.clone(),
            connected: connected.clone(),
        };
        Err(error.into())
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection")
            .field("url", self.url())
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}
