//! Opening handshakes that come too slowly, or not at all.

use crate::world::{Raw, World, ask, echo_server, request, within};
use motorway::{Connector, Error, ServerOptions};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Slowloris: an octet now and then renews nothing; five seconds from accept to the 101.
#[tokio::test(start_paused = true)]
async fn slowloris_has_five_seconds_in_all() {
    let world = World::new(ServerOptions::default());
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let start = tokio::time::Instant::now();
    let serving = tokio::spawn(world.factory.serve_stream(ours));
    for octet in request(&format!("X: {}\r\n", "a".repeat(60))).as_bytes() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if theirs.write_all(&[*octet]).await.is_err() {
            break;
        }
    }
    assert!(matches!(
        within(serving).await.unwrap(),
        Err(Error::Timeout(_))
    ));
    assert!(
        start.elapsed() < Duration::from_millis(5200),
        "{:?}",
        start.elapsed()
    );
}

/// The same by a server to a client, also with interim answers without end (RFC 9110 §15.2).
#[tokio::test(start_paused = true)]
async fn slowloris_of_a_server_has_five_seconds_in_all() {
    for octets in [
        "HTTP/1.1 101 S\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "HTTP/1.1 102 P\r\n\r\n",
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let start = tokio::time::Instant::now();
        let dialing = tokio::spawn(async move {
            let connector = Connector::new("ws://localhost").unwrap();
            connector.connect_stream(ours).await
        });
        for octet in octets.as_bytes().iter().cycle() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if theirs.write_all(&[*octet]).await.is_err() {
                break;
            }
        }
        within(dialing).await.unwrap().unwrap_err();
        assert!(
            start.elapsed() < Duration::from_millis(5200),
            "{:?}",
            start.elapsed()
        );
    }
}

/// Clients that say nothing at all are gone in time, and hold up nobody meanwhile.
#[tokio::test]
async fn silent_clients_are_gone_in_time() {
    let (server, _world) = echo_server().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Raw::dial(&server).await);
    }
    let start = Instant::now();
    assert_eq!(ask(&server, request("")).await.0, 101);
    for mut raw in silent {
        raw.rest().await;
    }
    assert!(start.elapsed() > Duration::from_secs(4), "dropped early");
}
