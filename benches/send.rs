//! Nanoseconds to send a message through the handle, with all that the connection then does, in memory: from the callback
//! that got one, from another task, and from a handler with a stream.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use bytes::Buf;
use motorway::connection::{Output, Rules, Sender};
use motorway::{
    ClientOptions, HandlerResult, Message, PreparedMessage, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol, WebSocketStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12}",
        "octets", "callback", "handler", "task", "prepared"
    );
    for octets in [16, 64, 125, 1024, 16 * 1024] {
        let text = "x".repeat(octets);
        // What fits into the stream in memory, so that nobody waits for room.
        let burst = (32 * 1024 / (octets + 14)).max(1);
        let callback = echoed(&WebSocketServerFactory::new(|| Echo), &text, burst).await?;
        let handler = WebSocketServerFactory::from_handler(echo);
        let handler = echoed(&handler, &text, burst).await?;
        let message = || Message::from(black_box(text.as_str()));
        let task = sent(burst, octets, async |ws| ws.send(message()).await).await?;
        let prepared = PreparedMessage::new(text.as_str());
        let prepared = sent(burst, octets, async |ws| ws.send_prepared(&prepared).await).await?;
        println!("{octets:>8} {callback:>12.1} {handler:>12.1} {task:>12.1} {prepared:>12.1}");
    }
    Ok(())
}

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

async fn echo(mut ws: WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Lets bursts be echoed; returns the time for each message, of which receiving it is a part.
async fn echoed<P: WebSocketServerProtocol>(
    factory: &WebSocketServerFactory<P>,
    text: &str,
    burst: usize,
) -> Result<f64, Box<dyn Error>> {
    let mut peer = open(factory).await?;
    let mut sender = Sender::new(
        Rules::client(&ClientOptions::default()).into(),
        None,
        Box::new(|| [0x37, 0xfa, 0x21, 0x3d].into()),
    );
    let mut frames = Output::default();
    for _ in 0..burst {
        sender.send(Message::from(text), &mut frames)?;
    }
    let frames = frames.copy_to_bytes(frames.remaining());
    let mut answers = vec![0; burst * frame(text.len())];
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            peer.write_all(&frames).await?;
            peer.read_exact(&mut answers).await?;
        }
        least = f64::min(least, start.elapsed().as_secs_f64());
    }
    Ok(least * 1e9 / (ROUNDS * burst) as f64)
}

/// Sends bursts from outside of the connection; returns the time for each message.
async fn sent(
    burst: usize,
    octets: usize,
    send: impl AsyncFn(&WebSocket) -> motorway::Result<()>,
) -> Result<f64, Box<dyn Error>> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut peer = open(&factory).await?;
    let connections = factory.connections();
    let ws = connections.first().ok_or("no connection")?;
    let mut received = vec![0; burst * frame(octets)];
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for _ in 0..burst {
                send(ws).await?;
            }
            peer.read_exact(&mut received).await?;
        }
        least = f64::min(least, start.elapsed().as_secs_f64());
    }
    Ok(least * 1e9 / (ROUNDS * burst) as f64)
}

/// Opens a connection, and returns its other end, where octets are octets.
async fn open<P: WebSocketServerProtocol>(
    factory: &WebSocketServerFactory<P>,
) -> Result<DuplexStream, Box<dyn Error>> {
    let (mut peer, served) = duplex(64 << 10);
    tokio::spawn(factory.serve_stream(served));
    peer.write_all(REQUEST).await?;
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(peer.read_u8().await?);
    }
    Ok(peer)
}

/// How many octets a server's frame has with a payload of so many, below 64 KiB.
fn frame(octets: usize) -> usize {
    octets + if octets < 126 { 2 } else { 4 }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const RUNS: usize = 15;
const ROUNDS: usize = 200;
