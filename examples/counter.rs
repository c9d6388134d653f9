//! A counter that all open pages share: whoever presses a button, everybody sees it.
//!
//! ```sh
//! cargo run --example counter
//! ```
//!
//! Open the address that it prints in several browsers.

use motorway::{
    CloseInfo, HandlerResult, HttpResponse, Message, StatusCode, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct State {
    value: i64,
    users: Vec<WebSocket>,
}

#[derive(Clone, Default)]
struct Counter(Arc<Mutex<State>>);

impl Counter {
    /// Changes the state, and tells it to everybody.
    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.users.retain(WebSocket::is_open);
        let value = json!({"type": "state", "value": state.value}).to_string();
        let users = json!({"type": "users", "count": state.users.len()}).to_string();
        for user in &state.users {
            // Nobody waits for one who is slow: a later event says all that this one does.
            let _ = user.try_send(&value).and_then(|()| user.try_send(&users));
        }
    }
}

impl WebSocketServerProtocol for Counter {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.update(|state| state.users.push(ws.clone()));
        Ok(())
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        let event: Value = serde_json::from_slice(message.as_bytes())?;
        match event.get("action").and_then(Value::as_str) {
            Some("minus") => self.update(|state| state.value -= 1),
            Some("plus") => self.update(|state| state.value += 1),
            _ => eprintln!("unsupported event: {event}"),
        }
        Ok(())
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        self.update(|_| ());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let counter = Counter::default();
    let mut factory = WebSocketServerFactory::new(move || counter.clone());
    factory.on_http(|request| async move {
        Some(match request.path() {
            "/" => HttpResponse::html(include_str!("pages/counter.html")),
            _ => StatusCode::NOT_FOUND.into(),
        })
    });
    let address = address.as_deref().unwrap_or("localhost:6789");
    let server = factory.listen(address).await?;
    println!("open http://{}/", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
