//! For tests of protocols: a server and a client joined in memory, without a network.

use crate::client::{WebSocketClientFactory, WebSocketClientProtocol};
use crate::connection::CloseInfo;
use crate::error::Result;
use crate::server::{WebSocketServerFactory, WebSocketServerProtocol};
use crate::transport::WebSocket;
use tokio::io::duplex;
use tokio::task::JoinHandle;

/// The two ends of a connection in memory; made by [`pair`].
#[derive(Debug)]
pub struct Pair {
    /// The handle of the client's end.
    pub client: WebSocket,
    /// The task of the server's end, which says how the connection ended for it.
    pub server: JoinHandle<Result<CloseInfo>>,
}

/// Joins one connection of a server factory and one of a client factory, in memory; returns once
/// both are open, with either end running in a task of the runtime.
///
/// Everything is as over TCP: the opening handshake, the options, the limits and the timeouts. Each
/// direction holds 64 KiB before writing waits. Under a paused clock, timeouts take no time at all:
///
/// ```
/// use motorway::testing::pair;
/// use motorway::{CloseCode, HandlerResult, Message, WebSocket};
/// use motorway::{WebSocketClientFactory, WebSocketClientProtocol};
/// use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
/// use std::time::Duration;
///
/// struct Patient;
///
/// impl WebSocketServerProtocol for Patient {
///     async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
///         tokio::time::sleep(Duration::from_secs(3600)).await;
///         Ok(ws.send(message).await?)
///     }
/// }
///
/// struct Client;
///
/// impl WebSocketClientProtocol for Client {
///     async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
///         assert_eq!(message.into_text()?, "Hello");
///         Ok(ws.close(CloseCode::NORMAL, "").await?)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// // #[tokio::test(start_paused = true)]
/// let server = WebSocketServerFactory::new(|| Patient);
/// let client = WebSocketClientFactory::new("ws://localhost/", || Client)?;
/// let pair = pair(&server, &client).await?;
/// pair.client.send("Hello").await?;
/// assert!(pair.client.closed().await.is_ok());
/// assert!(pair.server.await??.was_clean);
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?; Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Fails if the opening handshake does, as the client sees it.
///
/// # Cancel safety
///
/// Dropping the future drops the client's end, which ends the server's.
pub async fn pair<S, C>(
    server: &WebSocketServerFactory<S>,
    client: &WebSocketClientFactory<C>,
) -> Result<Pair>
where
    S: WebSocketServerProtocol,
    C: WebSocketClientProtocol,
{
    let (ours, theirs) = duplex(PIPE);
    let server = tokio::spawn(server.serve_stream(ours));
    let client = client.connect_stream(theirs).await?;
    Ok(Pair { client, server })
}

/// How many octets each direction holds.
const PIPE: usize = 64 << 10;
