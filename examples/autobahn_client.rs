//! The client that the Autobahn testsuite is run against: echoes what the suite sends, case by case.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9001 motorway
//! ```

use motorway::{
    ClientOptions, DeflateOptions, HandlerResult, Message, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol,
};
use std::sync::{Arc, Mutex};

struct Echo;

impl WebSocketClientProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Keeps the last message that it gets.
struct Keep(Arc<Mutex<String>>);

impl WebSocketClientProtocol for Keep {
    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        *self.0.lock().expect("nobody panics with the lock") = message.into_text()?.to_string();
        Ok(())
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let agent = arguments.next().unwrap_or_else(|| "motorway".to_owned());

    let count = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&count);
    WebSocketClientFactory::new(format!("{url}/getCaseCount"), move || Keep(Arc::clone(&keep)))?
        .run()
        .await?;
    let count: usize = count.lock().expect("nobody panics with the lock").parse().unwrap_or(0);
    println!("{count} cases");

    let options = ClientOptions::default().per_message_deflate(DeflateOptions::default());
    for case in 1..=count {
        let case = format!("{url}/runCase?case={case}&agent={agent}");
        let mut factory = WebSocketClientFactory::new(case, || Echo)?;
        factory.set_protocol_options(options.clone())?;
        // A case that ends badly is for the report to judge; a server that is gone is not.
        factory.run().await?;
    }
    WebSocketClientFactory::new(format!("{url}/updateReports?agent={agent}"), || Echo)?
        .run()
        .await?;
    Ok(())
}
