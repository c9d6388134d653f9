//! Callbacks that block their thread for a second: a mistake of the user's, which costs everybody on
//! that thread a second, and nobody the connection.

use crate::wire::{Raw, Wire, request, response, status, within};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol, WebSocketStream,
};
use std::thread::sleep;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

const SECOND: Duration = Duration::from_secs(1);
/// Much less than a second.
const SHORT: Duration = Duration::from_millis(300);

/// Echoes; at `block` it blocks first.
struct Blocks;

impl WebSocketServerProtocol for Blocks {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        block_at(&message);
        Ok(ws.send(message).await?)
    }
}

impl WebSocketClientProtocol for Blocks {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        block_at(&message);
        Ok(ws.send(message).await?)
    }
}

fn block_at(message: &Message<'_>) {
    if message.as_text() == Some("block") {
        sleep(SECOND);
    }
}

/// A peer in a runtime of its own, which answers pings at once; sends `word` after a while, then
/// waits for it to come back, for another ping, and for one more echo.
async fn healthy(mut peer: Raw<TcpStream>, word: &'static str) {
    let mut pings = 0;
    let mut sent = 0;
    loop {
        let frame = peer.frame().await;
        match frame.opcode {
            Opcode::Ping => {
                pings += 1;
                peer.send(Wire::pong(frame.payload)).await;
                if pings == 2 && sent == 0 {
                    peer.text(word).await;
                    sent = 1;
                }
                if pings > 12 && sent == 1 {
                    peer.text("and again").await;
                    sent = 2;
                }
            }
            Opcode::Text if frame.payload == b"and again" => return,
            Opcode::Text => {}
            _ => panic!("{word}: {frame:?} after {pings} pings"),
        }
    }
}

/// Runs this on a thread and in a runtime of its own.
fn elsewhere<F: Future<Output: Send> + Send + 'static>(
    future: F,
) -> std::thread::JoinHandle<F::Output> {
    std::thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(within(future))
    })
}

macro_rules! pinging {
    ($options:ty) => {
        <$options>::default()
            .auto_ping_interval(Duration::from_millis(100))
            .auto_ping_timeout(SHORT)
            .auto_ping_restart_on_any_traffic(false)
            .open_handshake_timeout(60 * SECOND)
    };
}

#[tokio::test]
async fn nobody_loses_a_server_whose_callback_blocks() {
    let mut traits = WebSocketServerFactory::new(|| Blocks);
    traits
        .set_protocol_options(pinging!(ServerOptions))
        .unwrap();
    let mut handlers = WebSocketServerFactory::from_handler(|mut ws: WebSocketStream| async move {
        while let Some(message) = ws.recv().await? {
            block_at(&message);
            ws.send(message).await?;
        }
        Ok(())
    });
    handlers
        .set_protocol_options(pinging!(ServerOptions))
        .unwrap();
    let traits = traits.listen("127.0.0.1:0").await.unwrap();
    let handlers = handlers.listen("127.0.0.1:0").await.unwrap();
    let words = ["block", "a", "b", "c", "d", "e", "f", "g"];
    let mut peers = Vec::new();
    for address in [traits.local_addr(), handlers.local_addr()] {
        for word in words {
            peers.push(elsewhere(async move {
                let mut peer = Raw::client(TcpStream::connect(address).await.unwrap());
                peer.write(request("")).await;
                assert_eq!(status(&peer.head().await), 101);
                healthy(peer, word).await;
            }));
        }
    }
    for peer in peers {
        let joined = tokio::task::spawn_blocking(|| peer.join());
        within(joined).await.unwrap().expect("the peer is content");
    }
}

#[tokio::test]
async fn nobody_loses_a_client_whose_callback_blocks() {
    let mut peers = Vec::new();
    for word in ["block", "a", "b", "c", "block", "d"] {
        let (tell, told) = tokio::sync::oneshot::channel();
        peers.push(elsewhere(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let mut peer = Raw::server(listener.accept().await.unwrap().0);
            let request = peer.head().await;
            peer.write(response(&request, "")).await;
            healthy(peer, word).await;
        }));
        let url = format!("ws://{}/", within(told).await.unwrap());
        let mut factory = WebSocketClientFactory::new(url, || Blocks).unwrap();
        factory
            .set_protocol_options(pinging!(ClientOptions))
            .unwrap();
        tokio::spawn(async move { factory.run().await });
    }
    for peer in peers {
        let joined = tokio::task::spawn_blocking(|| peer.join());
        within(joined).await.unwrap().expect("the peer is content");
    }
}
