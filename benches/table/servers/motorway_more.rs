//! motorway where `bench_server` does not reach: `PORT tls` over TLS, `PORT NUMBER` on so many workers.

use motorway::{
    HandlerResult, Identity, Message, ServerTls, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use table::{Result, serve, tls};

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

async fn run(port: u16, mode: &str) -> Result<()> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let address = ("127.0.0.1", port);
    let server = if mode == "tls" {
        let (certificate, key) = tls::pems()?;
        let tls = ServerTls::new(Identity::from_pem(certificate, key)?)?;
        factory.listen_tls(address, &tls).await?
    } else {
        factory.listen_workers(address, mode.parse()?).await?
    };
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(mode)) = (arguments.next(), arguments.next()) else {
        return Err("usage: motorway_more PORT tls|WORKERS".into());
    };
    serve::runtime()?.block_on(run(port.parse()?, &mode))
}
