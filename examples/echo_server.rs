//! An echo server: sends every message back.
//!
//! ```sh
//! cargo run --release --example echo_server
//! cargo run --release --example echo_server -- 0.0.0.0:9000 --deflate --auto-ping 20 --allowed-origin 'https://*.example.com'
//! ```
//!
//! Opened in a browser it shows a status page. `RUST_LOG=debug` tells about every connection.

use clap::Parser;
use motorway::{
    DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Sends every message back to where it came from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen: host and port, or unix: and a path
    #[arg(default_value = "127.0.0.1:9000")]
    address: String,
    /// Worker threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Compress messages where the client offers it
    #[arg(long)]
    deflate: bool,
    /// Largest message accepted [default: 64 MiB]
    #[arg(long, value_name = "OCTETS")]
    max_message: Option<u64>,
    /// Most connections at a time [default: no limit]
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// Origin to accept browsers from; may be given more than once [default: any]
    #[arg(long, value_name = "PATTERN")]
    allowed_origin: Vec<String>,
    /// Ping idle clients this often, and drop those that do not answer in as long
    #[arg(long, value_name = "SECONDS")]
    auto_ping: Option<u64>,
}

impl Arguments {
    fn options(&self) -> ServerOptions {
        let mut options = ServerOptions::default().max_connections(self.max_connections);
        if self.deflate {
            options = options.per_message_deflate(DeflateOptions::default());
        }
        if let Some(octets) = self.max_message {
            options = options
                .max_message_payload_size(octets)
                .max_frame_payload_size(octets);
        }
        if !self.allowed_origin.is_empty() {
            options = options.allowed_origins(&self.allowed_origin);
        }
        if let Some(seconds) = self.auto_ping {
            let interval = Duration::from_secs(seconds);
            options = options
                .auto_ping_interval(interval)
                .auto_ping_timeout(interval);
        }
        options
    }
}

async fn run(arguments: Arguments) -> motorway::Result<()> {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.set_protocol_options(arguments.options())?;
    let server = factory.listen(&arguments.address).await?;
    match server.addresses() {
        [address] if address.path().is_some() => println!("listening on {address}"),
        _ => println!("listening on {}", server.local_addr()),
    }
    server.run_until(tokio::signal::ctrl_c()).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let arguments = Arguments::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = arguments.threads {
        runtime.worker_threads(threads.max(1));
    }
    Ok(runtime.enable_all().build()?.block_on(run(arguments))?)
}
