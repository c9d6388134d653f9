//! An echo server with TLS and its client, in one program, with a certificate made for the occasion.
//!
//! ```sh
//! cargo run --release --features rustls --example echo_tls
//! ```

use motorway::{
    ClientTls, CloseCode, HandlerResult, Identity, Message, Roots, ServerTls, TransportDetails,
    WebSocket, WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

struct Client;

impl WebSocketClientProtocol for Client {
    async fn on_connecting(
        &mut self,
        details: &TransportDetails,
    ) -> motorway::Result<Option<motorway::ConnectingRequest>> {
        let octets = details.peer_certificate().map_or(0, |der| der.len());
        println!("the server shows a certificate of {octets} octets");
        Ok(None)
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send("Hello, world!").await?)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        println!("received {:?}", message.into_text()?);
        Ok(ws.close(CloseCode::NORMAL, "done").await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().to_vec();
    let identity = Identity::from_der([certificate.clone()], made.signing_key.serialize_der())?;

    let factory = WebSocketServerFactory::new(|| Echo);
    let server = factory
        .listen_tls("127.0.0.1:0", &ServerTls::new(identity)?)
        .await?;
    println!("listening on {}", server.local_addr());

    let url = format!("wss://localhost:{}", server.local_addr().port());
    let mut client = WebSocketClientFactory::new(url, || Client)?;
    client.set_tls(ClientTls::new(&Roots::from_der([certificate])?)?);
    println!("{}", client.run().await?);
    let deadline = Duration::from_secs(5);
    Ok(server.shutdown(CloseCode::GOING_AWAY, "", deadline).await?)
}
