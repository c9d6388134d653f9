//! What `tcp_no_delay` does, on sockets and the real clock.

#![cfg(target_os = "linux")]

use crate::probe::{What, probe};
use crate::wire::{Raw, request, response, within};
use motorway::{ClientOptions, ServerOptions, WebSocketClientFactory};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// A probe that answers each message with two, in two writes.
fn twice() -> crate::probe::Probe<crate::probe::Messages> {
    probe(|what| async move {
        if let What::Message(ws, _) = what {
            ws.send("first").await?;
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                ws.send("second").await
            });
        }
        Ok(())
    })
}

/// How long it takes to be answered a few times.
///
/// With Nagle's algorithm the second message waits until the first is acknowledged, which a peer
/// puts off that has just sent something itself.
async fn rounds(mut peer: Raw<TcpStream>) -> Duration {
    let start = Instant::now();
    for _ in 0..20 {
        peer.text("x").await;
        peer.frame().await;
        peer.frame().await;
    }
    start.elapsed()
}

async fn server(no_delay: bool) -> Duration {
    let factory = twice().factory(ServerOptions::default().tcp_no_delay(no_delay));
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut peer = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    peer.write(request("")).await;
    peer.head().await;
    rounds(peer).await
}

async fn client(no_delay: bool) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let made = twice();
    let mut factory = WebSocketClientFactory::new(url, move || made.clone()).unwrap();
    let options = ClientOptions::default().tcp_no_delay(no_delay);
    factory.set_protocol_options(options).unwrap();
    tokio::spawn(async move { factory.run().await });
    let (stream, _) = within(listener.accept()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut peer = Raw::server(stream);
    let request = peer.head().await;
    peer.write(response(&request, "")).await;
    rounds(peer).await
}

#[tokio::test]
async fn small_messages_of_a_server_wait_for_nothing_unless_told_to() {
    let (fast, slow) = (server(true).await, server(false).await);
    assert!(fast * 2 < slow, "{fast:?} {slow:?}");
}

#[tokio::test]
async fn small_messages_of_a_client_wait_for_nothing_unless_told_to() {
    let (fast, slow) = (client(true).await, client(false).await);
    assert!(fast * 2 < slow, "{fast:?} {slow:?}");
}
