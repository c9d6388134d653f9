//! Squares numbers, slowly: one second each, and the connection stays alive meanwhile.
//!
//! ```sh
//! cargo run --example slowsquare
//! ```
//!
//! Send it numbers as text. What is no number closes the connection with 3000.

use motorway::{
    HandlerError, HandlerResult, Message, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

pub(crate) struct SlowSquare;

impl SlowSquare {
    async fn slow_square(&self, x: f64) -> Result<f64, HandlerError> {
        if x > 5.0 {
            return Err(HandlerError::close(3000, "number too large"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(x * x)
    }
}

impl WebSocketServerProtocol for SlowSquare {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let Ok(x) = message.into_text()?.parse() else {
            return Err(HandlerError::close(3000, "not a number"));
        };
        let square = self.slow_square(x).await?;
        Ok(ws.send(square.to_string()).await?)
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let factory = WebSocketServerFactory::new(|| SlowSquare);
    let server = factory.listen("127.0.0.1:9000").await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
