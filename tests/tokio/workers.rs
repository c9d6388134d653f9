//! Workers with a thread and a socket each, and shutdowns that take their time.

#![cfg(target_os = "linux")]

use crate::wire::{Raw, Wire, request, status, within};
use motorway::{
    CloseCode, HandlerResult, Message, Router, Server, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Sends back on which thread it runs.
struct Threads;

impl WebSocketServerProtocol for Threads {
    async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
        Ok(ws
            .send(format!("{:?}", std::thread::current().id()))
            .await?)
    }
}

const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();

async fn dial(server: &Server) -> Raw<TcpStream> {
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut peer = Raw::client(stream);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    peer
}

#[tokio::test]
async fn connections_are_shared_out_among_the_workers() {
    let factory = WebSocketServerFactory::new(|| Threads);
    let router = Router::new().route("/", WebSocketServerFactory::new(|| Threads));
    for server in [
        factory.listen_workers("127.0.0.1:0", FOUR).await.unwrap(),
        router.listen_workers("127.0.0.1:0", FOUR).await.unwrap(),
    ] {
        assert_eq!(server.addresses().len(), 1);
        let address = server.local_addr();
        let mut threads = HashSet::new();
        let mut peers = Vec::new();
        for _ in 0..40 {
            let mut peer = dial(&server).await;
            peer.text("where?").await;
            let here = peer.frame().await.payload;
            peer.text("still?").await;
            assert_eq!(peer.frame().await.payload, here);
            threads.insert(here);
            peers.push(peer);
        }
        assert_eq!(server.connections().len(), 40);
        // Which one gets a connection is for the system to say.
        assert!(threads.len() > 1, "{threads:?}");
        let stopping = tokio::spawn(server.run_until(async {}));
        for mut peer in peers {
            assert_eq!(peer.frame().await.code(), 1001);
            peer.send(Wire::close(1001, "")).await;
        }
        within(stopping).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test]
async fn dropping_the_server_ends_its_workers() {
    let factory = WebSocketServerFactory::new(|| Threads);
    let server = factory.listen_workers("127.0.0.1:0", FOUR).await.unwrap();
    let (address, mut peer) = (server.local_addr(), dial(&server).await);
    drop(server);
    assert!(peer.next().await.is_none());
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let unix = factory.listen_workers("unix:/nowhere/socket", FOUR).await;
    assert!(unix.is_err());
}

#[tokio::test]
async fn a_port_is_shared_only_where_that_is_asked_for() {
    let mut factory = WebSocketServerFactory::new(|| Threads);
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    assert!(factory.listen(server.local_addr()).await.is_err());
    let options = motorway::ServerOptions::default().reuse_port(true);
    factory.set_protocol_options(options.backlog(1)).unwrap();
    let first = factory.listen("127.0.0.1:0").await.unwrap();
    let second = factory.listen(first.local_addr()).await.unwrap();
    assert_eq!(first.local_addr(), second.local_addr());
    let options = motorway::ServerOptions::default().backlog(0);
    assert!(factory.set_protocol_options(options).is_err());
}

/// How long after the start of a shutdown each of four connections is closed.
async fn closing_times(over: Duration, deadline: Duration) -> Vec<Option<Duration>> {
    let factory = WebSocketServerFactory::new(|| Threads);
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(dial(&server).await);
    }
    let start = Instant::now();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|mut peer| {
            tokio::spawn(async move {
                let frame = peer.next().await?;
                assert_eq!(frame.code(), 1012);
                let waited = start.elapsed();
                peer.say_goodbye().await;
                Some(waited)
            })
        })
        .collect();
    let server = server.staggered(over);
    let code = CloseCode::SERVICE_RESTART;
    within(server.shutdown(code, "moving", deadline))
        .await
        .unwrap();
    let mut times = Vec::new();
    for task in tasks {
        times.push(within(task).await.unwrap());
    }
    times.sort();
    times
}

#[tokio::test]
async fn a_staggered_shutdown_spreads_its_close_frames() {
    let times = closing_times(Duration::from_millis(800), Duration::from_secs(10)).await;
    let last = times[3].unwrap();
    assert!(last >= Duration::from_millis(500), "{times:?}");
    assert!(times[0].unwrap() < Duration::from_millis(400), "{times:?}");
    let times = closing_times(Duration::ZERO, Duration::from_secs(10)).await;
    assert!(times[3].unwrap() < Duration::from_millis(500), "{times:?}");
    // The deadline cuts it short.
    let times = closing_times(Duration::from_secs(1000), Duration::from_millis(300)).await;
    assert_eq!(times.iter().flatten().count(), 1, "{times:?}");
}
