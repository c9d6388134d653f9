//! Crowds that open connections and never send a whole request.

use crate::probe::echo;
use crate::wire::request;
use motorway::{Server, ServerOptions, connect};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far more than it takes, and less than a request may take.
const LONG: Duration = Duration::from_secs(120);

async fn server(limit: u32) -> (Server, String) {
    let options = ServerOptions::default()
        .max_handshaking(limit)
        .open_handshake_timeout(LONG * 10);
    let server = echo().factory(options).listen("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().to_string();
    (server, address)
}

async fn echoes(address: &str) {
    let mut ws = connect(format!("ws://{address}")).await.unwrap();
    ws.send("in").await.unwrap();
    let echo = ws.recv().await.unwrap().unwrap();
    assert_eq!(echo.into_text().unwrap(), "in");
}

#[tokio::test]
async fn they_keep_nobody_out() {
    let (server, address) = server(3).await;
    let mut crowd = Vec::new();
    for _ in 0..7 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        crowd.push(stream);
    }
    timeout(LONG, echoes(&address)).await.expect("it gets in");
    // Those that came first were dropped for it.
    for stream in &mut crowd[..4] {
        let end = timeout(LONG, stream.read(&mut [0; 100])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    // The last ones have room, and may go on.
    let last = crowd.last_mut().unwrap();
    let rest = request("").replace("GET / HTTP/1.1\r\nHost: ", "");
    last.write_all(rest.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    timeout(LONG, last.read_exact(&mut status))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status, *b"HTTP/1.1 101");
    drop(server);
}

#[tokio::test]
async fn a_crowd_that_speaks_gets_in_however_large_it_is() {
    let (server, address) = server(1).await;
    let clients = (0..50).map(|_| {
        let address = address.clone();
        tokio::spawn(async move { echoes(&address).await })
    });
    for client in clients.collect::<Vec<_>>() {
        timeout(LONG, client).await.unwrap().unwrap();
    }
    drop(server);
}
