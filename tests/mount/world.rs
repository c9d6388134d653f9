//! Protocols and servers that the tests share.

use axum::Router;
use motorway::{HandlerResult, Message, WebSocket, WebSocketServerProtocol};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Sends back what it gets.
pub(crate) struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

/// Serves an app until the test ends.
pub(crate) async fn serve(app: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, serving)
}

/// Waits for what must happen.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let waited = timeout(Duration::from_secs(30), future).await;
    waited.expect("it takes too long")
}
