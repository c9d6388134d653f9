//! The server of `autobahn_server`, mounted in axum.
//!
//! ```sh
//! cargo run --release --features axum --example autobahn_axum -- 127.0.0.1:9001
//! ```

use axum::Router;
use clap::Parser;
use motorway::{
    DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use tokio::net::TcpListener;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Echoes, for the Autobahn testsuite.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(default_value = "127.0.0.1:9001")]
    address: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.set_protocol_options(
        ServerOptions::default().per_message_deflate(DeflateOptions::default()),
    )?;
    let app = Router::new().fallback_service(factory.clone().into_service());
    let listener = TcpListener::bind(&arguments.address).await?;
    println!("listening on {}", listener.local_addr()?);
    let stop = factory.shutdown_after(tokio::signal::ctrl_c());
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
