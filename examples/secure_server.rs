//! A server with TLS and a self-signed certificate, which it makes itself: asks for a name and greets.
//!
//! ```sh
//! cargo run --release --features rustls --example secure_server
//! cargo run --release --features rustls --example secure_server -- 127.0.0.1:8765 localhost.pem
//! ```
//!
//! The certificate goes into the file, for `secure_client` to trust; the key stays in memory.

use motorway::{
    HandlerResult, Identity, Message, ServerTls, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};

struct Hello;

impl WebSocketServerProtocol for Hello {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let name = message.into_text()?;
        println!("< {name}");
        let greeting = format!("Hello {name}!");
        println!("> {greeting}");
        Ok(ws.send(greeting).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:8765".to_owned());
    let file = arguments.next().unwrap_or("localhost.pem".to_owned());

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.pem();
    let identity = Identity::from_pem(&certificate, made.signing_key.serialize_pem())?;
    std::fs::write(&file, certificate)?;

    let factory = WebSocketServerFactory::new(|| Hello);
    let server = factory
        .listen_tls(address, &ServerTls::new(identity)?)
        .await?;
    println!("listening on {}", server.local_addr());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
