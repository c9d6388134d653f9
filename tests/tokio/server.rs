//! Servers that listen, and clients that connect to them.

use crate::wire::{Raw, Wire, request, status};
use motorway::{
    ClientOptions, CloseCode, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest,
    DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

/// Sends messages of many sizes and checks what comes back.
struct Check {
    sent: usize,
}

const SIZES: [usize; 8] = [0, 1, 125, 126, 5_000, 65_535, 65_536, 3 << 20];

impl Check {
    async fn send(&mut self, ws: &WebSocket) -> HandlerResult {
        match SIZES.get(self.sent) {
            Some(&size) => Ok(ws
                .send("motorway ".repeat(size / 9 + 1)[..size].to_owned())
                .await?),
            None => Ok(ws.close(CloseCode::NORMAL, "all came back").await?),
        }
    }
}

impl WebSocketClientProtocol for Check {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.send(ws).await
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let text = message.into_text()?;
        assert_eq!(text.len(), SIZES[self.sent]);
        assert!(
            "motorway "
                .repeat(text.len() / 9 + 1)
                .starts_with(text.as_str())
        );
        self.sent += 1;
        self.send(ws).await
    }
}

async fn check(server: ServerOptions, client: ClientOptions) -> CloseInfo {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.set_protocol_options(server).unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr());
    let mut factory = WebSocketClientFactory::new(url, || Check { sent: 0 }).unwrap();
    factory.set_protocol_options(client).unwrap();
    let info = factory.run().await.unwrap();
    server
        .shutdown(CloseCode::GOING_AWAY, "", Duration::from_secs(1))
        .await
        .unwrap();
    info
}

#[tokio::test]
async fn messages_come_back_with_all_kinds_of_options() {
    let deflate = DeflateOptions::default();
    let small = deflate
        .client_no_context_takeover(true)
        .client_max_window_bits(9)
        .mem_level(1);
    for (server, client) in [
        (ServerOptions::default(), ClientOptions::default()),
        (
            ServerOptions::default().auto_fragment_size(1000),
            ClientOptions::default().auto_fragment_size(999),
        ),
        (
            ServerOptions::default().per_message_deflate(deflate),
            ClientOptions::default().per_message_deflate(deflate),
        ),
        (
            ServerOptions::default().per_message_deflate(small),
            ClientOptions::default().per_message_deflate(small),
        ),
        (
            ServerOptions::default().apply_mask(false),
            ClientOptions::default().apply_mask(false),
        ),
    ] {
        let info = check(server, client).await;
        assert!(info.is_ok(), "{info:?}");
        assert_eq!(info.reason, "all came back");
    }
}

async fn dial(server: &motorway::Server) -> Raw<TcpStream> {
    let mut peer = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    peer.write(request("")).await;
    peer
}

#[tokio::test]
async fn connections_beyond_the_limit_get_503_and_the_count_comes_back() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory
        .set_protocol_options(ServerOptions::default().max_connections(1))
        .unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut first = dial(&server).await;
    assert_eq!(status(&first.head().await), 101);
    let mut second = dial(&server).await;
    assert_eq!(status(&second.head().await), 503);
    drop(second);
    first.send(Wire::close(1000, "")).await;
    assert_eq!(first.frame().await.code(), 1000);
    drop(first);
    while factory.connection_count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status(&dial(&server).await.head().await), 101);
}

#[tokio::test]
async fn a_shutdown_closes_with_its_code_and_accepts_no_more() {
    let server = WebSocketServerFactory::new(|| Echo)
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    let address = server.local_addr();
    let mut peer = dial(&server).await;
    assert_eq!(status(&peer.head().await), 101);
    let mut half_open = Raw::client(TcpStream::connect(address).await.unwrap());
    half_open.write("GET / HTTP/1.1\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopping =
        tokio::spawn(server.shutdown(CloseCode::SERVICE_RESTART, "moving", Duration::from_secs(5)));
    assert_eq!(peer.frame().await, Wire::close(1012, "moving"));
    assert_eq!(status(&half_open.head().await), 503);
    peer.send(Wire::close(1012, "")).await;
    assert_eq!(peer.next().await, None);
    drop((peer, half_open));
    stopping.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_callback_that_never_ends_is_dropped_at_the_deadline() {
    struct Stuck;
    impl WebSocketServerProtocol for Stuck {
        async fn on_message(&mut self, _: &WebSocket, _: Message<'_>) -> HandlerResult {
            std::future::pending().await
        }
    }
    let server = WebSocketServerFactory::new(|| Stuck)
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    let mut peer = dial(&server).await;
    peer.head().await;
    peer.text("hello").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = std::time::Instant::now();
    server
        .shutdown(CloseCode::GOING_AWAY, "", Duration::from_millis(100))
        .await
        .unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
}

/// Tells the address that it was called at.
struct At(tokio::sync::mpsc::UnboundedSender<Option<SocketAddr>>);

impl WebSocketServerProtocol for At {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        self.0.send(request.transport().local()).unwrap();
        Ok(ConnectionAccept::new())
    }
}

#[tokio::test]
async fn the_local_address_is_the_one_that_was_called() {
    // The last is every address of IPv4, written as one of IPv6.
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::ffff:0.0.0.0]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else {
            // There is no IPv6 here.
            continue;
        };
        let (told, mut at) = tokio::sync::mpsc::unbounded_channel();
        let factory = WebSocketServerFactory::new(move || At(told.clone()));
        let server = factory.listen_on(listener).unwrap();
        let called = SocketAddr::from(([127, 0, 0, 1], server.local_addr().port()));
        let mut peer = Raw::client(TcpStream::connect(called).await.unwrap());
        peer.write(request("")).await;
        assert_eq!(status(&peer.head().await), 101);
        let seen = at.recv().await.flatten().unwrap();
        let seen = SocketAddr::new(seen.ip().to_canonical(), seen.port());
        assert_eq!(seen, called, "{address}");
    }
}
