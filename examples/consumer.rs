//! The consumer pattern: receives messages and passes them on, until the client disconnects.
//!
//! ```sh
//! cargo run --example consumer
//! ```

use motorway::{HandlerResult, Message, WebSocketStream};

async fn consumer_handler(mut ws: WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv().await? {
        consumer(message).await?;
    }
    Ok(())
}

/// Stands for what your program does with a message.
async fn consumer(message: Message<'static>) -> HandlerResult {
    println!("< {}", message.into_text()?);
    Ok(())
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("localhost:8765");
    let server = motorway::serve(address, consumer_handler).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
