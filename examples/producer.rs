//! The producer pattern: sends messages as they are made, until the client disconnects.
//!
//! ```sh
//! cargo run --example producer
//! ```

use motorway::{HandlerResult, Message, WebSocketStream};
use std::time::{Duration, SystemTime};

pub(crate) async fn producer_handler<F>(
    ws: WebSocketStream,
    producer: impl Fn() -> F,
) -> HandlerResult
where
    F: Future<Output = Message<'static>>,
{
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
    let server = motorway::serve("localhost:8765", |ws| producer_handler(ws, producer)).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
