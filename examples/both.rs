//! Both patterns on one connection: receives and sends at the same time, until one of both ends.
//!
//! ```sh
//! cargo run --example both
//! ```

use motorway::{HandlerResult, WebSocketReader, WebSocketStream, WebSocketWriter};
use std::time::Duration;

async fn consumer_handler(mut reader: WebSocketReader) -> HandlerResult {
    while let Some(message) = reader.recv().await? {
        println!("< {}", message.into_text()?);
    }
    Ok(())
}

async fn producer_handler(writer: WebSocketWriter) -> HandlerResult {
    for number in 0.. {
        writer.send(format!("message {number}")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

pub(crate) async fn handler(ws: WebSocketStream) -> HandlerResult {
    let (reader, writer) = ws.into_split();
    tokio::select! {
        done = consumer_handler(reader) => done,
        done = producer_handler(writer) => done,
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let server = motorway::serve("localhost:8765", handler).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
