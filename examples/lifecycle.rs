//! Prints each step in the life of a connection, and answers messages of JSON.
//!
//! ```sh
//! cargo run --example lifecycle
//! cargo run --example echo_client
//! ```
//!
//! Clients may offer the subprotocols `chat.v2` and `chat.v1`.

use motorway::{
    CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, Message,
    WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use serde_json::{Value, json};

struct Lifecycle;

impl WebSocketServerProtocol for Lifecycle {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        println!("Client connecting: {}", request.peer());
        let offered = request.protocols();
        Ok(ConnectionAccept::select(offered, ["chat.v2", "chat.v1"]))
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        let subprotocol = ws.subprotocol();
        println!("WebSocket connection open, subprotocol {subprotocol:?}.");
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let Some(text) = message.as_text() else {
            println!("Binary message received: {} bytes", message.len());
            return Ok(());
        };
        println!("Text message received: {}", text.escape_debug());
        let answer = match serde_json::from_str::<Value>(text) {
            Ok(object) => json!({"received": object}),
            Err(error) => json!({"error": error.to_string()}),
        };
        Ok(ws.send(answer.to_string()).await?)
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        println!("WebSocket connection closed: {info}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:9000");
    let factory = WebSocketServerFactory::new(|| Lifecycle);
    let server = factory.listen(address).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
