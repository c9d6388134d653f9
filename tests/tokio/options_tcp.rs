//! What `tcp_no_delay` and `tcp_keepalive` do, on sockets and the real clock.

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

/// The kind of the timer that the system runs for the connection from one port to another: 2 is
/// that of keep-alive.
fn timer(local: u16, remote: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (local, remote) = (format!(":{local:04X}"), format!(":{remote:04X}"));
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields[1].ends_with(&local) && fields[2].ends_with(&remote);
        let kind = fields.get(5)?.split(':').next()?;
        is_it.then(|| kind.to_owned())
    })
}

/// Waits until nothing is on the way any more, which has timers of its own.
async fn timer_at_rest(local: u16, remote: u16) -> String {
    loop {
        match timer(local, remote).as_deref() {
            Some(kind @ ("00" | "02")) => break kind.to_owned(),
            Some(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            None => panic!("no such connection"),
        }
    }
}

#[tokio::test]
async fn connections_are_kept_alive_where_that_is_asked_for() {
    for (time, expected) in [(None, "00"), (Some(Duration::from_secs(40)), "02")] {
        let factory = twice().factory(ServerOptions::default().tcp_keepalive(time));
        let server = factory.listen("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().port();
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let from = stream.local_addr().unwrap().port();
        let mut peer = Raw::client(stream);
        peer.write(request("")).await;
        peer.head().await;
        assert_eq!(within(timer_at_rest(to, from)).await, expected, "server");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().port();
        let url = format!("ws://127.0.0.1:{to}/");
        let mut factory = WebSocketClientFactory::new(url, twice).unwrap();
        let options = ClientOptions::default().tcp_keepalive(time);
        factory.set_protocol_options(options).unwrap();
        tokio::spawn(async move { factory.run().await });
        let (stream, from) = within(listener.accept()).await.unwrap();
        let mut peer = Raw::server(stream);
        let request = peer.head().await;
        peer.write(response(&request, "")).await;
        assert_eq!(
            within(timer_at_rest(from.port(), to)).await,
            expected,
            "client"
        );
    }
}
