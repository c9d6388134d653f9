//! The client that the Autobahn testsuite is run against: echoes what the suite sends, case by case.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9001 motorway
//! cargo run --release --features rustls --example autobahn_client -- wss://127.0.0.1:9001 motorway --ca ca.pem
//! ```

use clap::Parser;
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

/// Echoes in every case of the Autobahn testsuite.
#[derive(Parser)]
struct Arguments {
    /// Of the suite's server
    #[arg(default_value = "ws://127.0.0.1:9001")]
    url: String,
    /// The name in the report
    #[arg(default_value = "motorway")]
    agent: String,
    /// Certificates that vouch for the server, as PEM [default: the platform's]
    #[cfg(feature = "rustls")]
    #[arg(long)]
    ca: Option<std::path::PathBuf>,
}

impl Arguments {
    fn factory<P: WebSocketClientProtocol>(
        &self,
        path: &str,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<WebSocketClientFactory<P>, Box<dyn std::error::Error>> {
        let factory = WebSocketClientFactory::new(format!("{}{path}", self.url), make)?;
        #[cfg(feature = "rustls")]
        if let Some(ca) = &self.ca {
            let roots = motorway::Roots::from_pem_file(ca)?;
            let mut factory = factory;
            factory.set_tls(motorway::ClientTls::new(&roots)?);
            return Ok(factory);
        }
        Ok(factory)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let agent = &arguments.agent;

    let (sender, count) = channel();
    let counting = arguments.factory("/getCaseCount", move || PassOn(sender.clone()))?;
    counting.run().await?;
    let count: usize = count.try_recv()?.parse()?;
    println!("{count} cases");

    let options = ClientOptions::default().per_message_deflate(DeflateOptions::default());
    for case in 1..=count {
        let case = format!("/runCase?case={case}&agent={agent}");
        let mut factory = arguments.factory(&case, || Echo)?;
        factory.set_protocol_options(options.clone())?;
        // A case that ends badly is for the report to judge; a server that is gone is not.
        factory.run().await?;
    }
    let reports = arguments.factory(&format!("/updateReports?agent={agent}"), || Echo)?;
    reports.run().await?;
    Ok(())
}
