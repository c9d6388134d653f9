//! The client that the Autobahn testsuite is run against: echoes what the suite sends, case by case.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9001 motorway
//! ```

use motorway::{
    ClientOptions, DeflateOptions, HandlerResult, Message, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol,
};
use std::sync::mpsc::{Sender, channel};

struct Echo;

impl WebSocketClientProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Passes on what it gets.
struct PassOn(Sender<String>);

impl WebSocketClientProtocol for PassOn {
    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        self.0.send(message.into_text()?.into())?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let agent = arguments.next().unwrap_or_else(|| "motorway".to_owned());

    let (sender, count) = channel();
    WebSocketClientFactory::new(format!("{url}/getCaseCount"), move || {
        PassOn(sender.clone())
    })?
    .run()
    .await?;
    let count: usize = count.try_recv()?.parse()?;
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
