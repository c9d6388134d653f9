//! A client with TLS that trusts one self-signed certificate: says a name and prints the greeting.
//!
//! ```sh
//! cargo run --release --features rustls --example secure_client
//! cargo run --release --features rustls --example secure_client -- wss://localhost:8765 localhost.pem Ada
//! ```
//!
//! A client of a server whose certificate the platform trusts needs no `set_tls`.

use motorway::{
    ClientTls, CloseCode, HandlerResult, Message, Roots, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol,
};

struct Hello {
    name: String,
}

impl WebSocketClientProtocol for Hello {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        println!("> {}", self.name);
        Ok(ws.send(self.name.clone()).await?)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        println!("< {}", message.into_text()?);
        Ok(ws.close(CloseCode::NORMAL, "").await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or("wss://localhost:8765".to_owned());
    let file = arguments.next().unwrap_or("localhost.pem".to_owned());
    let name = arguments.next().unwrap_or("world".to_owned());

    let make = move || Hello { name: name.clone() };
    let mut factory = WebSocketClientFactory::new(url, make)?;
    factory.set_tls(ClientTls::new(&Roots::from_pem_file(file)?)?);
    println!("{}", factory.run().await?);
    Ok(())
}
