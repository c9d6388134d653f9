//! Clients under load: `client PORT motorway|tokio-tungstenite|yawc` sends messages to a server that echoes them,
//! and prints what they cost it as JSON.

use clap::{Parser, ValueEnum};
use futures_util::{SinkExt, StreamExt};
use motorway::{
    HandlerResult, Message, WebSocket, WebSocketClientFactory, WebSocketClientProtocol,
};
use std::sync::Arc;
use table::measurement::Measurement;
use table::payload::{Kind, Numbers, payload};
use table::window::{Flight, measure};
use table::{Fault, Result, serve};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Crate {
    Motorway,
    TokioTungstenite,
    Yawc,
}

/// Puts a load on a client, with a server at 127.0.0.1, and prints what it costs as JSON.
#[derive(Clone, Debug, Parser)]
struct Plan {
    /// The server's port.
    port: u16,
    #[arg(value_enum)]
    client: Crate,
    #[arg(long, value_enum, default_value = "text")]
    kind: Kind,
    /// Octets of a message.
    #[arg(long, default_value_t = 64)]
    size: usize,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages in flight on each connection.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 1.0)]
    secs: f64,
    /// Seconds before them.
    #[arg(long, default_value_t = 0.3)]
    warm: f64,
}

impl Plan {
    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    fn payload(&self) -> Vec<u8> {
        payload(self.kind, self.size, &mut Numbers::default())
    }

    async fn tcp(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

struct Own {
    plan: Arc<Plan>,
    message: Message<'static>,
    flight: Flight,
}

impl Own {
    fn new(plan: &Arc<Plan>) -> Result<Self> {
        Ok(Self {
            plan: Arc::clone(plan),
            message: match plan.kind {
                Kind::Binary => plan.payload().into(),
                _ => String::from_utf8(plan.payload())?.into(),
            },
            flight: Flight::new(plan.depth),
        })
    }

    async fn send(&self, ws: &WebSocket, messages: usize) -> HandlerResult {
        for _ in 0..messages {
            ws.send(&self.message).await?;
        }
        Ok(())
    }
}

impl WebSocketClientProtocol for Own {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.send(ws, self.plan.depth).await
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
        let due = self.flight.reply();
        self.send(ws, due).await
    }
}

async fn own(plan: Arc<Plan>) -> Result<()> {
    // Made here once, so that what is wrong with the payload is an error and no panic.
    let message = Own::new(&plan)?.message;
    let url = plan.url();
    let make = move || Own {
        plan: Arc::clone(&plan),
        message: message.clone(),
        flight: Flight::new(plan.depth),
    };
    let closed = WebSocketClientFactory::new(url, make)?.run().await?;
    Err(format!("closed: {closed}").into())
}

/// The other crates' connections are all a `Stream` and a `Sink`.
async fn pump<W, M, E, F>(mut ws: W, message: M, depth: usize) -> Result<()>
where
    M: Clone,
    F: Into<Fault>,
    W: futures_util::Stream<Item = std::result::Result<M, E>>
        + futures_util::Sink<M, Error = F>
        + Unpin,
{
    let mut flight = Flight::new(depth);
    let mut due = depth;
    loop {
        for _ in 0..due {
            ws.feed(message.clone()).await.map_err(Into::into)?;
        }
        if due > 0 {
            ws.flush().await.map_err(Into::into)?;
        }
        let Some(Ok(_)) = ws.next().await else {
            return Err("closed".into());
        };
        due = flight.reply();
    }
}

async fn tungstenite(plan: Arc<Plan>) -> Result<()> {
    let (ws, _) = tokio_tungstenite::client_async(plan.url(), plan.tcp().await?).await?;
    let message = match plan.kind {
        Kind::Binary => tungstenite::Message::binary(plan.payload()),
        _ => tungstenite::Message::text(String::from_utf8(plan.payload())?),
    };
    pump(ws, message, plan.depth).await
}

async fn yawc(plan: Arc<Plan>) -> Result<()> {
    let options = yawc::Options::default().with_limits(1 << 30, 1 << 30);
    let options = options.without_compression().with_utf8();
    // As its server: with the larger buffers that it recommends for speed.
    let options = options
        .with_read_buffer_capacity(128 << 10)
        .with_backpressure_boundary(64 << 10);
    let ws = yawc::WebSocket::handshake(plan.url().parse()?, plan.tcp().await?, options).await?;
    let message = match plan.kind {
        Kind::Binary => yawc::Frame::binary(plan.payload()),
        _ => yawc::Frame::text(plan.payload()),
    };
    pump(ws.map(Ok::<_, ()>), message, plan.depth).await
}

async fn run(plan: Arc<Plan>) -> Result<Measurement> {
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..plan.connections {
        let plan = Arc::clone(&plan);
        match plan.client {
            Crate::Motorway => connections.spawn(own(plan)),
            Crate::TokioTungstenite => connections.spawn(tungstenite(plan)),
            Crate::Yawc => connections.spawn(yawc(plan)),
        };
    }
    tokio::select! {
        measured = measure(plan.warm, plan.secs) => measured,
        Some(ended) = connections.join_next() => Err(ended?.err().unwrap_or("ended".into())),
    }
}

fn main() -> Result<()> {
    let plan = Arc::new(Plan::parse());
    let measured = serve::runtime()?.block_on(run(plan));
    let measured = measured.unwrap_or_else(Measurement::failed);
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
