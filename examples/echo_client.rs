//! A client: sends a message, prints what comes back, closes.
//!
//! ```sh
//! cargo run --release --example echo_client
//! cargo run --release --example echo_client -- ws://127.0.0.1:9000/
//! ```

use motorway::{
    CloseCode, ConnectionResponse, HandlerResult, Message, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol,
};

struct Hello;

impl WebSocketClientProtocol for Hello {
    async fn on_connect(&mut self, response: &ConnectionResponse) -> HandlerResult {
        println!("connected to {}", response.peer());
        Ok(())
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send("Hello, world!").await?)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        println!("received {:?}", message.into_text()?);
        Ok(ws.close(CloseCode::NORMAL, "done").await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:9000".to_owned());
    let closed = WebSocketClientFactory::new(url, || Hello)?.run().await?;
    println!("{closed}");
    Ok(())
}
