//! Connections in memory whose peers read as the test says.

use motorway::{
    HandlerResult, ServerOptions, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

/// Tells the test of its handle.
struct Quiet(UnboundedSender<WebSocket>);

impl WebSocketServerProtocol for Quiet {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(self.0.send(ws.clone())?)
    }
}

/// Makes connections.
pub(crate) struct World {
    factory: WebSocketServerFactory<Quiet>,
    opened: UnboundedReceiver<WebSocket>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ServerOptions::default())
    }

    pub(crate) fn with(options: ServerOptions) -> Self {
        let (sender, opened) = unbounded_channel();
        let mut factory = WebSocketServerFactory::new(move || Quiet(sender.clone()));
        factory.set_protocol_options(options).unwrap();
        Self { factory, opened }
    }

    /// Opens a connection whose pipe holds so many octets; returns both ends of it.
    pub(crate) async fn open_holding(&mut self, octets: usize) -> (WebSocket, Client) {
        let (ours, theirs) = duplex(octets);
        tokio::spawn(self.factory.serve_stream(ours));
        let mut client = Client(theirs);
        client.0.write_all(REQUEST).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(client.0.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        let ws = soon(self.opened.recv()).await.unwrap();
        (ws, client)
    }

    pub(crate) async fn open(&mut self) -> (WebSocket, Client) {
        self.open_holding(1 << 20).await
    }
}

/// The other end, which reads nothing unless it is told to.
pub(crate) struct Client(pub(crate) DuplexStream);

impl Client {
    /// Reads one message or close frame: its first octet and its payload.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let first = soon(self.0.read_u8()).await.unwrap();
        let length = match soon(self.0.read_u8()).await.unwrap() {
            126 => u64::from(soon(self.0.read_u16()).await.unwrap()),
            127 => soon(self.0.read_u64()).await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        soon(self.0.read_exact(&mut payload)).await.unwrap();
        (first, payload)
    }

    /// Reads a text message.
    pub(crate) async fn text(&mut self) -> String {
        let (first, payload) = self.frame().await;
        assert_eq!(first, 0x81);
        String::from_utf8(payload).unwrap()
    }

    /// Whether there is nothing to be read for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let read = timeout(Duration::from_millis(50), self.0.read_u8()).await;
        read.is_err()
    }
}

/// Waits for what must happen.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let waited = timeout(Duration::from_secs(30), future).await;
    waited.expect("it takes too long")
}

/// Waits until something holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
