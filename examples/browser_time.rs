//! Tells the time to every page that looks at it; opened in a browser it serves the page.
//!
//! ```sh
//! cargo run --example browser_time
//! ```

use motorway::{
    HandlerResult, HttpResponse, Server, StatusCode, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Time;

impl WebSocketServerProtocol for Time {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        while ws.is_open() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            ws.send(now.as_millis().to_string()).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}

pub(crate) async fn listen(address: &str) -> motorway::Result<Server> {
    let mut factory = WebSocketServerFactory::new(|| Time);
    factory.on_http(|request| async move {
        Some(match request.path() {
            "/" => HttpResponse::html(include_str!("pages/time.html")),
            _ => StatusCode::NOT_FOUND.into(),
        })
    });
    factory.listen(address).await
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let server = listen(address.as_deref().unwrap_or("127.0.0.1:5678")).await?;
    println!("open http://{}/", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
