//! Three nodes, each a process of its own.

use crate::nats::Nats;
use crate::process::{Running, example};
use crate::redis::Redis;
use crate::server::{Kind, Server};
use crate::world::soon;
use motorway::WebSocketStream;
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Node {
    _process: Running,
    address: String,
}

fn start<K: Kind>(server: &Server<K>) -> Node {
    let mut node = example("cluster_node");
    let process = Running::start(node.args([K::NAME, &server.url()]));
    Node {
        address: process.find("listening on "),
        _process: process,
    }
}

/// Connects to a node, and never reads what it publishes.
async fn sluggard(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /room HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    soon(stream.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
    stream
}

/// Each publishes so often, and gets each time what everyone has published, once.
async fn exchange(clients: &mut [WebSocketStream], rounds: usize) {
    // A round is less than what may wait for a connection, so that nobody is too slow.
    let filling = "x".repeat(128 << 10);
    for round in 0..rounds {
        let part = filling.len() / clients.len();
        let texts: BTreeSet<String> = (0..clients.len())
            .map(|place| format!("{round} {place} {}", &filling[..part]))
            .collect();
        for (text, client) in texts.iter().zip(&mut *clients) {
            client.send(text.as_str()).await.unwrap();
        }
        for client in &mut *clients {
            let mut got = BTreeSet::new();
            for _ in 0..texts.len() {
                let text = soon(client.recv_text()).await.unwrap().unwrap();
                assert!(got.insert(text.to_string()), "came twice");
            }
            assert!(got == texts);
        }
    }
}

async fn nodes_are_one_hub<K: Kind>() {
    let server = Server::<K>::start().await;
    let mut nodes: Vec<_> = (0..3).map(|_| start(&server)).collect();
    let mut clients = Vec::new();
    for node in &nodes {
        for _ in 0..2 {
            let url = format!("ws://{}/room", node.address);
            clients.push(motorway::connect(url).await.unwrap());
        }
    }
    server.until_subscribed("room", 3).await;
    exchange(&mut clients, 20).await;
    // 13 MiB for who does not read, more than the kernel keeps for long.
    let _sluggard = sluggard(&nodes[0].address).await;
    exchange(&mut clients, 100).await;
    // A node that is killed takes its members with it, and nothing else.
    drop(nodes.pop());
    clients.truncate(4);
    server.until_subscribed("room", 2).await;
    exchange(&mut clients, 20).await;
    // And another one comes.
    nodes.push(start(&server));
    let url = format!("ws://{}/room", nodes[2].address);
    clients.push(motorway::connect(url).await.unwrap());
    server.until_subscribed("room", 3).await;
    exchange(&mut clients, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_one_hub_by_nats() {
    nodes_are_one_hub::<Nats>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_one_hub_by_redis() {
    nodes_are_one_hub::<Redis>().await;
}
