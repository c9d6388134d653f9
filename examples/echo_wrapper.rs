//! A class of one's own around a connection, which sends and reads at the same time.
//!
//! ```sh
//! cargo run --example echo_server
//! cargo run --example echo_wrapper
//! ```

use motorway::{CloseCode, HandlerResult, Message, WebSocketReader, WebSocketWriter};
use std::time::Duration;
use tokio::sync::Mutex;

struct EchoWebSocket {
    reader: Mutex<WebSocketReader>,
    writer: WebSocketWriter,
}

impl EchoWebSocket {
    async fn connect(url: &str) -> motorway::Result<Self> {
        let (reader, writer) = motorway::connect(url).await?.into_split();
        let reader = Mutex::new(reader);
        Ok(Self { reader, writer })
    }

    async fn send(&self, message: String) -> motorway::Result<()> {
        self.writer.send(&message).await?;
        println!("Sent: {message}");
        Ok(())
    }

    async fn receive(&self) -> motorway::Result<Option<Message<'static>>> {
        self.reader.lock().await.recv().await
    }

    async fn read(&self) -> HandlerResult {
        while let Some(message) = self.receive().await? {
            let message = message.into_text()?;
            println!("Received: {}", message.escape_debug());
            if message == "Echo 9!" {
                break;
            }
        }
        Ok(())
    }
}

async fn send(websocket: &EchoWebSocket) -> HandlerResult {
    for n in 0..10 {
        websocket.send(format!("Echo {n}!")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1);
    let url = url.as_deref().unwrap_or("ws://127.0.0.1:9000");
    let mut websocket = EchoWebSocket::connect(url).await?;
    tokio::try_join!(send(&websocket), websocket.read())?;
    websocket.writer.close(CloseCode::NORMAL, "").await?;
    Ok(())
}
