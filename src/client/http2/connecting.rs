//! From a factory to a connection of HTTP/2 that is ready for WebSockets.

use super::task::Task;
use super::{About, Http2Connection, fault};
use crate::client::dial::{Dialed, Line};
use crate::client::{WebSocketClientFactory, WebSocketClientProtocol};
use crate::connection::TimeoutKind;
use crate::error::{Error, Http2Error, Result};
use crate::handshake::{HandshakeError, TransportDetails};
use crate::options::ClientOptions;
#[cfg(feature = "rustls")]
use crate::tls::TlsError;
use crate::transport::{Stream, within};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

impl<P: WebSocketClientProtocol> WebSocketClientFactory<P> {
    /// Connects with HTTP/2, so that WebSockets can be opened over it (RFC 8441):
    /// [`connect_over`](Self::connect_over), [`run_over`](Self::run_over).
    ///
    /// Dials as [`connect`](Self::connect) does, through a proxy where the options have one. A server of
    /// `wss://` has to agree to `h2` in the TLS handshake (ALPN), one of `ws://` is taken to speak HTTP/2
    /// from the first octet on (RFC 9113 §3.3).
    ///
    /// ```no_run
    /// use motorway::{WebSocketClientFactory, WebSocketClientProtocol};
    ///
    /// struct Listener;
    /// impl WebSocketClientProtocol for Listener {}
    ///
    /// # async fn example() -> motorway::Result<()> {
    /// let factory = WebSocketClientFactory::new("wss://localhost:8443/chat", || Listener)?;
    /// let http2 = factory.connect_http2().await?;
    /// let ws = factory.connect_over(&http2).await?;
    /// ws.send("hello").await?;
    /// println!("{}", factory.run_over(&http2).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if there is no stream, as [`connect`](Self::connect) does; with
    /// [`Error::Http2`](crate::Error::Http2) if the server does not speak HTTP/2 or takes no WebSockets over it
    /// (RFC 8441 §3), and with [`Error::Timeout`](crate::Error::Timeout) if that is not clear before
    /// `open_handshake_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn connect_http2(&self) -> Result<Http2Connection> {
        Box::pin(self.dial_http2()).await
    }

    /// As [`connect_http2`](Self::connect_http2), on a stream that is connected already; for a `wss://` URL one
    /// on which TLS was set up, and `h2` agreed on.
    ///
    /// ```no_run
    /// # use motorway::{WebSocketClientFactory, WebSocketClientProtocol};
    /// # struct Listener;
    /// # impl WebSocketClientProtocol for Listener {}
    /// # async fn example() -> motorway::Result<()> {
    /// let stream = tokio::net::TcpStream::connect("127.0.0.1:9000").await?;
    /// let factory = WebSocketClientFactory::new("ws://127.0.0.1:9000", || Listener)?;
    /// let http2 = factory.connect_http2_stream(stream).await?;
    /// let ws = factory.connect_over(&http2).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the server does not speak HTTP/2, takes no WebSockets over it, or does not say so before
    /// `open_handshake_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn connect_http2_stream<S: Stream>(&self, stream: S) -> Result<Http2Connection> {
        self.check_version()?;
        let details = self.details_of_stream();
        Box::pin(self.start(Box::new(stream), (details, Instant::now()))).await
    }

    async fn dial_http2(&self) -> Result<Http2Connection> {
        self.check_version()?;
        let Dialed {
            line,
            details,
            since,
        } = self.dial_offering().await?;
        let stream: Box<dyn Stream> = match line {
            Line::Tcp(stream) => Box::new(stream),
            #[cfg(feature = "rustls")]
            Line::Tls(stream) => Box::new(stream),
            Line::Other(stream) => stream,
        };
        let protocol = details.application_protocol();
        if details.is_secure() && protocol != Some("h2") {
            let protocol = protocol.map(str::to_owned);
            let error = Http2Error::NotAgreed { protocol }.into();
            self.tell_refused(&error);
            return Err(error);
        }
        self.start(stream, (details, since)).await
    }

    /// Dials, and offers HTTP/2 to the server, but not to a proxy.
    #[cfg(feature = "rustls")]
    async fn dial_offering(&self) -> Result<Dialed> {
        let mut dialer = self.dialer();
        if !self.url().is_secure() {
            return self.dial(dialer).await;
        }
        let tls = dialer.trust().await?;
        let proxy_tls = tls.clone().nameless();
        let tls = tls.offering_http2();
        dialer.tls = Some(&tls);
        dialer.proxy_tls = dialer.proxy_tls.or(Some(&proxy_tls));
        self.dial(dialer).await.map_err(|error| match &error {
            Error::Tls(fault) => match &**fault {
                // RFC 7301 §3.2.
                TlsError::Refused { alert } if alert == "NoApplicationProtocol" => {
                    Http2Error::NotAgreed { protocol: None }.into()
                }
                _ => error,
            },
            _ => error,
        })
    }

    #[cfg(not(feature = "rustls"))]
    async fn dial_offering(&self) -> Result<Dialed> {
        self.dial(self.dialer()).await
    }

    /// HTTP/2 has the handshake of version 13 only.
    fn check_version(&self) -> Result<()> {
        match self.options().version {
            13.. => Ok(()),
            _ => Err(HandshakeError::UnsupportedVersion.into()),
        }
    }

    /// Begins to speak HTTP/2, and tells the observer if nothing comes of it.
    async fn start(
        &self,
        stream: Box<dyn Stream>,
        known: (TransportDetails, Instant),
    ) -> Result<Http2Connection> {
        let begun = self.begin(stream, known).await;
        begun.inspect_err(|error| self.tell_refused(error))
    }

    async fn begin(
        &self,
        stream: Box<dyn Stream>,
        (details, since): (TransportDetails, Instant),
    ) -> Result<Http2Connection> {
        let options = self.options();
        let time = options.common.open_handshake_timeout;
        let deadline = time.map(|time| since + time);
        let started = within(deadline, async {
            let handshake = settings(options).handshake(stream).await;
            let (requests, connection) = handshake.map_err(|error| fault::of_start(&error))?;
            let mut task = Task::new(connection);
            await_settings(&mut task, &requests).await?;
            Ok::<_, Error>((requests, task))
        });
        let (requests, task) = started
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
        let desk = Arc::clone(task.desk());
        tokio::spawn(async move {
            match task.await {
                Ok(()) => tracing::debug!("http/2 connection has ended"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::info!(error, "http/2 connection failed");
                }
            }
        });
        let details = details.agreed_on("h2".to_owned());
        let url = self.url().clone();
        Ok(Http2Connection {
            requests,
            desk,
            about: Arc::new(About { url, details }),
        })
    }
}

/// Returns what the server is told, and what is kept for a stream.
fn settings(options: &ClientOptions) -> Builder {
    let mut builder = Builder::new();
    let head = u32::try_from(options.common.max_header_size).unwrap_or(u32::MAX);
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(head)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_TIME)
        // Late octets for streams that were reset longer ago are answered with a reset each; a
        // connection lives longer than any number of these.
        .max_local_error_reset_streams(None);
    builder
}

/// Waits for the SETTINGS of the server, before which no `:protocol` may be sent (RFC 8441 §3).
async fn await_settings(task: &mut Task, requests: &SendRequest<Bytes>) -> Result<()> {
    let mut pings = task
        .connection()
        .and_then(|connection| connection.ping_pong());
    if let Some(pings) = &mut pings {
        // RFC 9113 §3.4: the first frame of the server is SETTINGS, so the pong comes behind it.
        let sent = pings.send_ping(Ping::opaque());
        sent.map_err(|error| fault::of_start(&error))?;
    }
    poll_fn(|context| poll_settings(context, (&mut *task, &mut pings), requests)).await
}

fn poll_settings(
    context: &mut Context<'_>,
    (task, pings): (&mut Task, &mut Option<PingPong>),
    requests: &SendRequest<Bytes>,
) -> Poll<Result<()>> {
    let driven = Pin::new(task).poll(context);
    if requests.is_extended_connect_protocol_enabled() {
        return Poll::Ready(Ok(()));
    }
    match driven {
        Poll::Ready(Ok(())) => return Poll::Ready(Err(lost())),
        Poll::Ready(Err(error)) => return Poll::Ready(Err(fault::of_start(&error))),
        Poll::Pending => {}
    }
    match pings.as_mut().map(|pings| pings.poll_pong(context)) {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(Err(error))) => Poll::Ready(Err(fault::of_start(&error))),
        _ => Poll::Ready(Err(Http2Error::NotEnabled.into())),
    }
}

fn lost() -> Error {
    Error::Io(io::ErrorKind::UnexpectedEof.into())
}

/// How much of one WebSocket may wait to be read, in octets.
const WINDOW: u32 = 256 << 10;
/// The same of all together, in octets: as much as there can be (RFC 9113 §6.9.1), since what nobody reads of
/// one WebSocket is not to stop the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How much of one WebSocket may wait to be written, in octets.
const SEND_BUFFER: usize = 64 << 10;
/// How many streams that were reset are remembered, so that what the server has sent before it knew is not
/// taken for a fault; and how long.
const RESET_STREAMS: usize = 4096;
const RESET_TIME: Duration = Duration::from_secs(10);
