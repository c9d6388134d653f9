//! The server that the Autobahn testsuite is run against: an echo with default options and compression.
//!
//! ```sh
//! cargo run --release --example autobahn_server -- 127.0.0.1:9001
//! ```

use motorway::{
    DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.set_protocol_options(
        ServerOptions::default().per_message_deflate(DeflateOptions::default()),
    )?;
    let server = factory.listen(address).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
