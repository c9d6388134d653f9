//! The server that the Autobahn testsuite is run against: an echo with default options and compression.
//!
//! ```sh
//! cargo run --release --example autobahn_server -- 127.0.0.1:9001
//! cargo run --release --features rustls --example autobahn_server -- 127.0.0.1:9001 --chain chain.pem --key key.pem
//! ```

use clap::Parser;
use motorway::{
    DeflateOptions, HandlerResult, Message, Server, ServerOptions, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};

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
    /// Certificate chain, as PEM, for TLS
    #[cfg(feature = "rustls")]
    #[arg(long, requires = "key")]
    chain: Option<std::path::PathBuf>,
    /// Private key, as PEM
    #[cfg(feature = "rustls")]
    #[arg(long, requires = "chain")]
    key: Option<std::path::PathBuf>,
}

async fn listen(
    factory: &WebSocketServerFactory<Echo>,
    arguments: &Arguments,
) -> Result<Server, Box<dyn std::error::Error>> {
    #[cfg(feature = "rustls")]
    if let (Some(chain), Some(key)) = (&arguments.chain, &arguments.key) {
        let tls = motorway::ServerTls::from_pem_files(chain, key)?;
        return Ok(factory.listen_tls(&arguments.address, &tls).await?);
    }
    Ok(factory.listen(&arguments.address).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.set_protocol_options(
        ServerOptions::default().per_message_deflate(DeflateOptions::default()),
    )?;
    let server = listen(&factory, &arguments).await?;
    println!("listening on {}", server.local_addr());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
