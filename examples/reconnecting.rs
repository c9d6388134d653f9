//! A client that connects again, with back-off, for as long as it takes.
//!
//! ```sh
//! cargo run --release --example reconnecting
//! cargo run --release --example reconnecting -- ws://127.0.0.1:9000/
//! ```
//!
//! Start and stop an `echo_server` beside it, and see what it prints.

use motorway::{
    CloseInfo, HandlerResult, Reconnect, WebSocket, WebSocketClientFactory, WebSocketClientProtocol,
};
use std::time::Duration;

struct Loyal;

impl WebSocketClientProtocol for Loyal {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        println!("connected to {}", ws.peer());
        Ok(ws.send("Hello again!").await?)
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        println!("{info}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init(); // tells of each attempt
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:9000".to_owned());
    let policy = Reconnect::default().max(Duration::from_secs(5));
    let factory = WebSocketClientFactory::new(url, || Loyal)?;
    factory.reconnect(policy).run().await?;
    Ok(())
}
