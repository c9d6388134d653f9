//! Two protocols on one port, told apart by the path.
//!
//! ```sh
//! cargo run --example multiproto
//! cargo run --example simple_echo -- ws://127.0.0.1:9000/echo1
//! cargo run --example simple_echo -- ws://127.0.0.1:9000/echo2
//! ```

use motorway::{
    HandlerResult, Message, Router, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};

struct Echo1;

impl WebSocketServerProtocol for Echo1 {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws
            .send(format!("Echo 1 - {}", message.into_text()?))
            .await?)
    }
}

struct Echo2;

impl WebSocketServerProtocol for Echo2 {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws
            .send(format!("Echo 2 - {}", message.into_text()?))
            .await?)
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let router = Router::new()
        .route("/echo1", WebSocketServerFactory::new(|| Echo1))
        .route("/echo2", WebSocketServerFactory::new(|| Echo2));
    let address = address.as_deref().unwrap_or("127.0.0.1:9000");
    let server = router.listen(address).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
