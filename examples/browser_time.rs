//! Tells the time to every page that looks at it; opened in a browser it serves the page.
//!
//! ```sh
//! cargo run --example browser_time
//! ```

use motorway::{
    HandlerResult, HttpResponse, Server, StatusCode, WebSocketServerFactory, WebSocketStream,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

async fn time(ws: WebSocketStream) -> HandlerResult {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        ws.send(now.to_string()).await?; // fails when the page is left, which ends the loop
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(crate) async fn listen(address: &str) -> motorway::Result<Server> {
    let mut factory = WebSocketServerFactory::from_handler(time);
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
