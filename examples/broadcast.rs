//! Passes every message on to everybody, and counts the seconds for them.
//!
//! ```sh
//! cargo run --example broadcast
//! ```

use motorway::{
    CloseInfo, HandlerResult, Message, PreparedMessage, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Those who are connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients(Arc<Mutex<Vec<WebSocket>>>);

impl Clients {
    fn register(&self, ws: &WebSocket) {
        self.lock().push(ws.clone());
    }

    fn unregister(&self, id: u64) {
        self.lock().retain(|ws| ws.id() != id);
    }

    /// Frames the message once for all; waits for nobody for long, as nobody is kept waiting.
    pub(crate) async fn broadcast(&self, message: impl Into<Message<'static>>) {
        let prepared = PreparedMessage::new(message.into());
        let clients = self.lock().clone();
        for ws in clients {
            // Who is gone gets nothing, and who does not keep up is dropped.
            if tokio::time::timeout(Duration::from_secs(5), ws.send_prepared(&prepared))
                .await
                .is_err()
            {
                ws.abort();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WebSocket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Broadcaster {
    pub(crate) clients: Clients,
    pub(crate) id: u64,
}

impl WebSocketServerProtocol for Broadcaster {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.id = ws.id();
        self.clients.register(ws);
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let text = format!("{} from {}", message.into_text()?, ws.peer());
        self.clients.broadcast(text).await;
        Ok(())
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        self.clients.unregister(self.id);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let clients = Clients::default();
    let theirs = clients.clone();
    let factory = WebSocketServerFactory::new(move || Broadcaster {
        clients: theirs.clone(),
        id: 0,
    });
    let server = factory.listen("127.0.0.1:9000").await?;
    println!("listening on {}", server.local_addr());
    tokio::spawn(async move {
        for tick in 1.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            clients.broadcast(format!("tick {tick} from server")).await;
        }
    });
    server.run_until(tokio::signal::ctrl_c()).await
}
