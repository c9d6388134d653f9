//! The consumer pattern: receives messages and passes them on, until the client disconnects.
//!
//! ```sh
//! cargo run --example consumer
//! ```

use motorway::{HandlerResult, Message, WebSocketStream};

pub(crate) async fn consumer_handler<F>(
    mut ws: WebSocketStream,
    consumer: impl Fn(Message<'static>) -> F,
) -> HandlerResult
where
    F: Future<Output = HandlerResult>,
{
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
    let server = motorway::serve("localhost:8765", |ws| consumer_handler(ws, consumer)).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
