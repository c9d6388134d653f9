//! Automatic pings from both ends: prints the round-trip times, and drops a peer that stops answering.
//!
//! ```sh
//! cargo run --example ping_keepalive
//! ```

use motorway::{
    ClientOptions, CloseInfo, HandlerResult, ServerOptions, TimeoutKind, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

struct Server;

impl WebSocketServerProtocol for Server {
    async fn on_auto_pong(&mut self, ws: &WebSocket, rtt: Duration) -> HandlerResult {
        println!("server: {} answered after {rtt:.1?}", ws.path());
        Ok(())
    }

    async fn on_timeout(&mut self, ws: &WebSocket, kind: TimeoutKind) -> HandlerResult {
        println!("server: {} does not answer: {kind}", ws.path());
        Ok(())
    }
}

/// Pings the server, too.
struct Lively;

impl WebSocketClientProtocol for Lively {
    async fn on_auto_pong(&mut self, _: &WebSocket, rtt: Duration) -> HandlerResult {
        println!("/lively: the server answered after {rtt:.1?}");
        Ok(())
    }
}

/// Answers no pings, as a machine that has lost its network.
struct Silent;

impl WebSocketClientProtocol for Silent {
    const AUTO_PONG: bool = false;

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        println!("/silent: {info}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut factory = WebSocketServerFactory::new(|| Server);
    let options = ServerOptions::default();
    factory.set_protocol_options(
        options
            .auto_ping_interval(INTERVAL)
            .auto_ping_timeout(TIMEOUT),
    )?;
    let server = factory.listen("127.0.0.1:0").await?;

    let url = format!("ws://{}", server.local_addr());
    let mut lively = WebSocketClientFactory::new(format!("{url}/lively"), || Lively)?;
    let options = ClientOptions::default().auto_ping_interval(INTERVAL);
    lively.set_protocol_options(options.auto_ping_timeout(TIMEOUT))?;
    lively.connect().await?;
    let silent = WebSocketClientFactory::new(format!("{url}/silent"), || Silent)?;
    silent.connect().await?;
    println!("Ctrl-C ends it");
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
