//! Opening WebSockets over a connection of HTTP/2.

use super::Http2Connection;
use super::exchange::Exchange;
use crate::client::opening::{Opened, Opening, Target, give_up};
use crate::client::protocol::ClientHandler;
use crate::client::{Connector, WebSocketClientFactory, WebSocketClientProtocol};
use crate::connection::CloseInfo;
use crate::error::Result;
use crate::stream::WebSocketStream;
use crate::transport::{Stream, WebSocket};
use tokio::time::Instant;
use tracing::Instrument;

impl<P: WebSocketClientProtocol> WebSocketClientFactory<P> {
    /// As [`connect`](Self::connect), over a connection of HTTP/2 (RFC 8441), which takes as many WebSockets as
    /// the server allows.
    ///
    /// The request is an extended CONNECT with what else the options and
    /// [`on_connecting`](WebSocketClientProtocol::on_connecting) say; any status of 200 to 299 opens the
    /// connection. Where the server allows no more streams at once (RFC 9113 §5.1.2) it waits for one to end,
    /// up to `open_handshake_timeout`. Redirects are refusals.
    ///
    /// # Errors
    ///
    /// Fails if the WebSocket does not open; with [`Error::Http2`](crate::Error::Http2) before anything is sent
    /// if the URL of the factory has another scheme, host or port than that of the connection, or if the
    /// connection takes no more WebSockets: see [`Http2Error`](crate::Http2Error).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the WebSocket: its stream is reset. The connection of
    /// HTTP/2 goes on.
    pub async fn connect_over(&self, connection: &Http2Connection) -> Result<WebSocket> {
        Ok(Box::pin(self.open_over(connection)).await?.spawn())
    }

    /// As [`run`](Self::run), over a connection of HTTP/2.
    ///
    /// # Errors
    ///
    /// Fails as [`connect_over`](Self::connect_over) does. A WebSocket that opened is described by what is
    /// returned, however it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the WebSocket: its stream is reset. The connection of HTTP/2 goes on.
    pub async fn run_over(&self, connection: &Http2Connection) -> Result<CloseInfo> {
        let opened = Box::pin(self.open_over(connection)).await?;
        Ok(opened.run().await)
    }

    async fn open_over(&self, connection: &Http2Connection) -> Result<Opened<Box<dyn Stream>, P>> {
        let checked = connection.check(self.url());
        checked.inspect_err(|error| self.tell_refused(error))?;
        over(self.target(), connection).await
    }
}

impl Connector {
    /// Connects with HTTP/2, so that WebSockets can be opened over it with
    /// [`connect_over`](Self::connect_over); as [`WebSocketClientFactory::connect_http2`].
    ///
    /// ```no_run
    /// use motorway::Connector;
    ///
    /// # async fn example() -> motorway::Result<()> {
    /// let connector = Connector::new("wss://localhost:8443/chat")?;
    /// let http2 = connector.connect_http2().await?;
    /// let mut ws = connector.connect_over(&http2).await?;
    /// ws.send("Hello").await?;
    /// println!("{:?}", ws.recv().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if there is no stream, if the server does not speak HTTP/2 or takes no WebSockets over it
    /// (RFC 8441 §3), and if that is not clear before `open_handshake_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn connect_http2(&self) -> Result<Http2Connection> {
        self.factory.connect_http2().await
    }

    /// As [`connect_http2`](Self::connect_http2), on a stream that is connected already; as
    /// [`WebSocketClientFactory::connect_http2_stream`].
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
        self.factory.connect_http2_stream(stream).await
    }

    /// As [`connect`](Self::connect), over a connection of HTTP/2; as [`WebSocketClientFactory::connect_over`].
    ///
    /// # Errors
    ///
    /// Fails if the WebSocket does not open: see [`WebSocketClientFactory::connect_over`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it resolves drops the WebSocket: its stream is reset. The connection of
    /// HTTP/2 goes on.
    pub async fn connect_over(&self, connection: &Http2Connection) -> Result<WebSocketStream> {
        Ok(Box::pin(self.factory.open_over(connection)).await?.own())
    }
}

/// Opens a WebSocket on a stream of its own.
async fn over<P: WebSocketClientProtocol>(
    target: Target<P>,
    connection: &Http2Connection,
) -> Result<Opened<Box<dyn Stream>, P>> {
    let details = connection.transport().clone();
    let (mut opening, instance) = Opening::new(target, details.peer());
    let (mut handler, span) = (ClientHandler(instance), opening.span.clone());
    let since = Instant::now();
    let shaken = async {
        opening.ask(&mut handler, &details, since).await?;
        let exchange = Exchange {
            journey: &opening.journey,
            details: &details,
            deadline: opening.deadline(since),
        };
        exchange.run(connection).await
    };
    match shaken.instrument(span.clone()).await {
        Ok((shaken, stream)) => {
            let stream: Box<dyn Stream> = Box::new(stream);
            Ok(opening.finish((stream, details), handler, shaken).await)
        }
        Err(error) => {
            opening.tell_refused(details.peer(), &error);
            let telling = give_up(handler, details.peer(), error);
            Err(telling.instrument(span).await)
        }
    }
}
