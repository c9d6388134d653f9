//! Connections on tokio in memory: the driver, callbacks, what they send, handles and a hub.
//!
//! The other end of each is plain octets, so that only one side is counted. The clock stands still.

use super::engine::{MESSAGES, frames, text};
use super::{Case, Fallible};
use motorway::{
    HandlerResult, Hub, Message, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
    WebSocketStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "tokio/echo-64",
        unit: ("message", MESSAGES),
        rounds: 40,
        run: |rounds| run(echo(rounds)),
    },
    Case {
        name: "tokio/echo-64-one-by-one",
        unit: ("message", 1),
        rounds: 1000,
        run: |rounds| run(one_by_one(rounds)),
    },
    Case {
        name: "tokio/handler-64",
        unit: ("message", MESSAGES),
        rounds: 20,
        run: |rounds| run(handler(rounds)),
    },
    Case {
        name: "tokio/send-64",
        unit: ("message", MESSAGES),
        rounds: 40,
        run: |rounds| run(send(rounds)),
    },
    Case {
        name: "tokio/open-and-close",
        unit: ("connection", 1),
        rounds: 100,
        run: |rounds| run(open_and_close(rounds)),
    },
    Case {
        name: "hub/publish-64-to-100",
        unit: ("member", MEMBERS),
        rounds: 160,
        run: |rounds| run(publish(rounds)),
    },
];

/// Runs on a thread of its own runtime, under a clock that stands still: timers cost what they cost, and are never due.
fn run(case: impl Future<Output = Fallible<()>>) -> Fallible<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    runtime.block_on(case)
}

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

/// Echoes from callbacks what arrives in one read.
async fn echo(rounds: u32) -> Fallible<()> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let peer = open(&factory).await?;
    let sent = frames(&text(64), None)?;
    exchange(peer, &sent, rounds).await
}

/// Echoes messages each of which waits for the answer to the last.
async fn one_by_one(rounds: u32) -> Fallible<()> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let peer = open(&factory).await?;
    let sent = frames(&text(64), None)?;
    let one = sent.len() / MESSAGES as usize;
    exchange(peer, sent.get(..one).unwrap_or_default(), rounds).await
}

/// Echoes from a handler with a stream of messages.
async fn handler(rounds: u32) -> Fallible<()> {
    let factory = WebSocketServerFactory::from_handler(|mut ws: WebSocketStream| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    });
    let peer = open(&factory).await?;
    let sent = frames(&text(64), None)?;
    exchange(peer, &sent, rounds).await
}

/// Writes so many times what is echoed, and reads that.
async fn exchange(mut peer: DuplexStream, sent: &[u8], rounds: u32) -> Fallible<()> {
    let mut echoed = vec![0; sent.len() / MASKED * PLAIN];
    for _ in 0..rounds {
        peer.write_all(sent).await?;
        peer.read_exact(&mut echoed).await?;
    }
    Ok(())
}

/// Sends through the handle, from another task than that of the connection.
async fn send(rounds: u32) -> Fallible<()> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut peer = open(&factory).await?;
    let connections = factory.connections();
    let ws = connections.first().ok_or("no connection")?;
    let message = text(64);
    let mut received = vec![0; MESSAGES as usize * PLAIN];
    for _ in 0..rounds {
        for _ in 0..MESSAGES {
            ws.send(message.borrowed()).await?;
        }
        peer.read_exact(&mut received).await?;
    }
    Ok(())
}

/// Opens connections and closes them, one after the other.
async fn open_and_close(rounds: u32) -> Fallible<()> {
    let factory = WebSocketServerFactory::new(|| Echo);
    for _ in 0..rounds {
        let mut peer = open(&factory).await?;
        peer.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await?;
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await?;
        if answer != b"\x88\x02\x03\xe8" {
            return Err("not closed with 1000".into());
        }
    }
    Ok(())
}

struct Member(Hub);

impl WebSocketServerProtocol for Member {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.0.join(ws, "all")?;
        Ok(())
    }
}

/// Publishes to many, and waits until all have it.
async fn publish(rounds: u32) -> Fallible<()> {
    let hub = Hub::in_memory();
    let joined = hub.clone();
    let factory = WebSocketServerFactory::new(move || Member(joined.clone()));
    let mut peers = Vec::new();
    for _ in 0..MEMBERS {
        peers.push(open(&factory).await?);
    }
    let message = text(64);
    let mut received = [0; PLAIN];
    for _ in 0..rounds {
        let published = hub.publish("all", message.borrowed()).await?;
        if published.sent != MEMBERS as usize {
            return Err("not all have joined".into());
        }
        for peer in &mut peers {
            peer.read_exact(&mut received).await?;
        }
    }
    Ok(())
}

/// Opens a connection, and returns its other end.
async fn open<P: WebSocketServerProtocol>(
    factory: &WebSocketServerFactory<P>,
) -> Fallible<DuplexStream> {
    let (mut peer, served) = duplex(64 << 10);
    tokio::spawn(factory.serve_stream(served));
    peer.write_all(REQUEST).await?;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(peer.read_u8().await?);
    }
    Ok(peer)
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const MEMBERS: u32 = 100;
/// How many octets a frame of 64 octets has, from a client and from a server.
const MASKED: usize = 70;
const PLAIN: usize = 66;
