//! Reads headers of the request, sets some of the response, and denies whoever asks for another path.
//!
//! ```sh
//! cargo run --example http_headers
//! ```

use motorway::{
    ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, Message, StatusCode,
    WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};

pub(crate) struct Greeter {
    pub(crate) visits: u32,
}

impl WebSocketServerProtocol for Greeter {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        if request.path() != "/" {
            return Err(ConnectionDeny::new(StatusCode::NOT_FOUND).header("x-try", "/"));
        }
        let visits = request.cookie("visits").and_then(|text| text.parse().ok());
        self.visits = visits.unwrap_or(0) + 1;
        let cookie = format!("visits={}; HttpOnly; SameSite=Strict", self.visits);
        Ok(ConnectionAccept::new().header("set-cookie", cookie))
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
        Ok(ws.send(format!("visit number {}", self.visits)).await?)
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let factory = WebSocketServerFactory::new(|| Greeter { visits: 0 });
    let server = factory.listen("127.0.0.1:9000").await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
