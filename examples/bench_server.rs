//! The server that benchmarks are run against: `bench_server PORT echo|deflate|broadcast`.
//!
//! Runs on a current-thread runtime; with `RT=multi` in the environment on one with two workers.
//!
//! ```sh
//! cargo run --release --example bench_server -- 9001 echo
//! ```

use motorway::{
    DeflateOptions, HandlerResult, Hub, Message, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Sends a message that starts with `B` to everyone, its sender included.
struct Broadcast(Hub);

impl WebSocketServerProtocol for Broadcast {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.0.join(ws, "everyone")?;
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        if message.as_bytes().starts_with(b"B") {
            self.0.publish("everyone", message).await?;
        } else {
            ws.send(message).await?;
        }
        Ok(())
    }
}

async fn run(port: u16, mode: &str) -> motorway::Result<()> {
    let mut options = ServerOptions::default().open_handshake_timeout(Duration::from_secs(60));
    if mode == "deflate" {
        options = options.per_message_deflate(DeflateOptions::default());
    }
    let address = ("127.0.0.1", port);
    let server = if mode == "broadcast" {
        let hub = Hub::in_memory();
        let mut factory = WebSocketServerFactory::new(move || Broadcast(hub.clone()));
        factory.set_protocol_options(options)?;
        factory.listen(address).await?
    } else {
        let mut factory = WebSocketServerFactory::new(|| Echo);
        factory.set_protocol_options(options)?;
        factory.listen(address).await?
    };
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments
        .next()
        .ok_or("usage: bench_server PORT echo|deflate|broadcast")?
        .parse()?;
    let mode = arguments.next().unwrap_or_else(|| "echo".to_owned());
    let mut runtime = match std::env::var("RT").as_deref() {
        Ok("multi") => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    Ok(runtime
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run(port, &mode))?)
}
