//! A page over HTTPS and an echo over WebSocket, on one port, with a certificate made for the occasion.
//!
//! ```sh
//! cargo run --features rustls --example echo_site
//! ```
//!
//! Browsers warn of the certificate, which nobody vouches for. It goes into the file `localhost.pem`, or
//! the one that is named behind the address, for clients to trust.

use motorway::{
    HandlerResult, HttpResponse, Identity, Message, ServerTls, StatusCode, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:9443".to_owned());
    let file = arguments.next().unwrap_or("localhost.pem".to_owned());

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.pem();
    let identity = Identity::from_pem(&certificate, made.signing_key.serialize_pem())?;
    std::fs::write(&file, certificate)?;

    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.on_http(|request| async move {
        Some(match request.path() {
            "/" => HttpResponse::html(include_str!("pages/echo.html")),
            _ => StatusCode::NOT_FOUND.into(),
        })
    });
    let server = factory
        .listen_tls(address, &ServerTls::new(identity)?)
        .await?;
    println!("open https://localhost:{}/", server.local_addr().port());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
