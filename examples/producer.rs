//! The producer pattern: sends messages as they are made, until the client disconnects.
//!
//! ```sh
//! cargo run --example producer
//! ```

use motorway::{HandlerResult, Message, WebSocketStream};
use std::time::{Duration, SystemTime};

async fn producer_handler(ws: WebSocketStream) -> HandlerResult {
    loop {
        let message = producer().await;
        ws.send(message).await?; // fails when the client disconnects, which ends the loop
    }
}

/// Stands for what makes your messages: tells the time each second.
async fn producer() -> Message<'static> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{} s", now.unwrap_or_default().as_secs()).into()
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("localhost:8765");
    let server = motorway::serve(address, producer_handler).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
