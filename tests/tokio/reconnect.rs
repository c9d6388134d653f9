//! A client that connects again.

use crate::wire::{Raw, Wire, response, within};
use motorway::{CloseCause, Reconnect, WebSocketClientFactory};
use motorway::{WebSocket, WebSocketClientProtocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Counts the instances, and the times that one of them was opened.
struct Counting {
    opened: Arc<AtomicUsize>,
    mine: usize,
}

impl WebSocketClientProtocol for Counting {
    async fn on_open(&mut self, _: &WebSocket) -> motorway::HandlerResult {
        assert_eq!(self.mine, 0, "an instance is used once");
        self.mine += 1;
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn accept(listener: &TcpListener) -> (Raw<TcpStream>, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Raw::server(stream);
    let request = peer.head().await;
    (peer, request)
}

fn hasty() -> Reconnect {
    Reconnect::default()
        .initial(Duration::from_millis(2))
        .max(Duration::from_millis(10))
}

#[tokio::test]
async fn it_comes_back_until_the_connection_ends_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (opened, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opens, makes) = (Arc::clone(&opened), Arc::clone(&made));
    let factory = WebSocketClientFactory::new(url, move || {
        makes.fetch_add(1, Ordering::SeqCst);
        Counting {
            opened: Arc::clone(&opens),
            mine: 0,
        }
    });
    let client = factory.unwrap().reconnect(hasty());
    let task = tokio::spawn(async move { client.run().await });

    // Overloaded, then gone, then restarting, and at last a normal end.
    let (mut peer, _) = accept(&listener).await;
    peer.write("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
        .await;
    drop(peer);
    let (mut peer, request) = accept(&listener).await;
    peer.write(response(&request, "")).await;
    drop(peer);
    for code in [1012, 1000] {
        let (mut peer, request) = accept(&listener).await;
        peer.write(response(&request, "")).await;
        peer.send(Wire::close(code, "")).await;
        assert_eq!(peer.frame().await.code(), code);
    }
    let info = within(task).await.unwrap().unwrap();
    assert!(matches!(info.cause, CloseCause::Peer) && info.was_clean);
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    assert_eq!(made.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn it_gives_up_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let made = Arc::new(AtomicUsize::new(0));
    let makes = Arc::clone(&made);
    let factory = WebSocketClientFactory::new(url, move || {
        makes.fetch_add(1, Ordering::SeqCst);
        Counting {
            opened: Arc::default(),
            mine: 0,
        }
    });
    let policy = hasty().max_retries(3);
    let ended = within(factory.unwrap().reconnect(policy).run()).await;
    assert!(
        matches!(ended, Err(motorway::Error::Connect(_))),
        "{ended:?}"
    );
    assert!(made.load(Ordering::SeqCst) <= 4);
}
