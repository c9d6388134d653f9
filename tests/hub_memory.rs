//! Ten thousand members, and a million joins and leaves: the memory of the process before and after.
//!
//! In a process of its own, so that no other test is measured.

#![cfg(test)]

use motorway::{HandlerResult, Hub, WebSocket, WebSocketServerFactory, WebSocketServerProtocol};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

struct Quiet(UnboundedSender<WebSocket>);

impl WebSocketServerProtocol for Quiet {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(self.0.send(ws.clone())?)
    }
}

const MEMBERS: usize = 10_000;
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// How many KiB of memory the process has.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

async fn open() -> Vec<(WebSocket, DuplexStream)> {
    let (sender, mut opened) = unbounded_channel();
    let factory = WebSocketServerFactory::new(move || Quiet(sender.clone()));
    let mut open = Vec::new();
    for _ in 0..MEMBERS {
        let (ours, mut theirs) = duplex(512);
        tokio::spawn(factory.serve_stream(ours));
        theirs.write_all(REQUEST).await.unwrap();
        let ws = opened.recv().await.unwrap();
        let mut head = [0; 512];
        assert!(theirs.read(&mut head).await.unwrap() > 100);
        open.push((ws, theirs));
    }
    open
}

/// Everybody joins and leaves topics, this often in all.
fn churn(hub: &Hub, open: &[(WebSocket, DuplexStream)], rounds: usize) {
    for round in 0..rounds {
        let topic = format!("topic {}", round % 10);
        for (ws, _) in open {
            assert!(hub.join_as(ws, &topic, "somebody").unwrap());
        }
        for (ws, _) in open {
            assert!(hub.leave(ws, &topic));
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_million_joins_and_leaves_of_ten_thousand_members_leak_nothing() {
    let hub = Hub::in_memory();
    let open = open().await;
    for (ws, _) in &open {
        hub.join(ws, "all").unwrap();
    }
    churn(&hub, &open, 5);
    let before = memory();
    // A join and a leave each.
    churn(&hub, &open, 50);
    let after = memory();
    // A single octet kept for each would be a MiB.
    assert!(after < before + (1 << 10), "{before} KiB, then {after} KiB");
    assert_eq!((hub.topic_count(), hub.connection_count()), (1, MEMBERS));
    drop(open);
    let emptied = async {
        while hub.connection_count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(60), emptied).await.unwrap();
    assert_eq!(hub.topic_count(), 0);
}
