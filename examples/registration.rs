//! Registration: keeps a set of the clients that are connected, and sends a message to all of them.
//!
//! ```sh
//! cargo run --example registration
//! ```

use motorway::{HandlerResult, WebSocket, WebSocketStream};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub(crate) type Connected = Arc<Mutex<HashSet<WebSocket>>>;

pub(crate) async fn handler(ws: WebSocketStream, connected: Connected) -> HandlerResult {
    connected.lock().await.insert(ws.handle().clone());
    for client in connected.lock().await.iter() {
        let _ = client.try_send("Hello!"); // one that is gone, or too slow, is passed over
    }
    let _ = timeout(Duration::from_secs(10), ws.handle().closed()).await;
    connected.lock().await.remove(ws.handle());
    Ok(())
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let server = motorway::serve_with("localhost:8765", Connected::default(), handler).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
