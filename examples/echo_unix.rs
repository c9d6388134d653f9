//! An echo server on a Unix socket and its client, in one program.
//!
//! ```sh
//! cargo run --example echo_unix
//! cargo run --example echo_unix -- /tmp/echo.sock
//! ```
//!
//! What a web server such as nginx speaks to behind `proxy_pass http://unix:/tmp/echo.sock`.

use motorway::{
    CloseCode, HandlerResult, ListenAddress, Message, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        println!("server: a message from {}", ws.peer());
        Ok(ws.send(message).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let default = std::env::temp_dir().join("motorway-echo.sock");
    let path = std::env::args().nth(1).map_or(default, Into::into);
    let factory = WebSocketServerFactory::new(|| Echo);
    // Only this user may connect.
    let server = factory
        .listen(ListenAddress::unix(&path).mode(0o600))
        .await?;
    println!("listening on {}", path.display());

    let mut ws = motorway::connect(format!("ws://unix:{}", path.display())).await?;
    ws.send("Hello, world!").await?;
    let answer = ws.recv().await?.ok_or("closed without an answer")?;
    println!("client: received {}", answer.into_text()?);
    println!("client: {}", ws.close(CloseCode::NORMAL, "").await?);
    let deadline = Duration::from_secs(5);
    Ok(server.shutdown(CloseCode::GOING_AWAY, "", deadline).await?)
}
