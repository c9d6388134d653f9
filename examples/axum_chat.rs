//! Chat rooms in a browser: an app of axum, with a WebSocket for each guest.
//!
//! ```sh
//! cargo run --features axum --example axum_chat
//! ```
//!
//! Open the address that it prints in several browsers. Ctrl-C closes every connection, and waits.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Router, routing};
use motorway::{
    CloseInfo, HandlerError, HandlerResult, Message, PreparedMessage, SendError, ServerOptions,
    WebSocket, WebSocketServerFactory, WebSocketServerProtocol, WebSocketUpgrade,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const HISTORY: usize = 50;
const MOST_ROOMS: usize = 1000;
const MOST_GUESTS: usize = 100; // in a room
const LONGEST_NAME: usize = 24; // in characters
const LONGEST_TEXT: usize = 500;
const BURST: u32 = 10; // messages of a guest at once; in the long run one in each:
const PACE: Duration = Duration::from_millis(500);

/// The rooms that somebody has been in, by name.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, Room>>>);

impl Rooms {
    /// Does something in a room, which is made where there is none.
    pub(crate) fn visit<T>(&self, name: &str, act: impl FnOnce(&mut Room) -> T) -> T {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() >= MOST_ROOMS && !rooms.contains_key(name) {
            // Empty rooms are kept for their history, but not for ever.
            rooms.retain(|_, room| !room.guests.is_empty());
        }
        act(rooms.entry(name.to_owned()).or_default())
    }
}

/// Who is in a room, and what was said there.
#[derive(Default)]
pub(crate) struct Room {
    guests: BTreeMap<String, WebSocket>,
    history: VecDeque<PreparedMessage>,
}

impl Room {
    /// Lets somebody in, under this name or one like it where it is taken; returns which.
    fn enter(&mut self, wanted: &str, ws: &WebSocket) -> Result<String, HandlerError> {
        if self.guests.len() >= MOST_GUESTS {
            return Err(HandlerError::close(1013, "the room is full"));
        }
        let mut name = wanted.to_owned();
        let mut number = 1;
        while self.guests.contains_key(&name) {
            number += 1;
            name = format!("{wanted} {number}");
        }
        let others: Vec<_> = self.guests.keys().collect();
        let welcome = json!({"type": "welcome", "name": name, "others": others});
        ws.try_send(welcome.to_string())?;
        for said in &self.history {
            ws.try_send_prepared(said)?;
        }
        self.tell(json!({"type": "enter", "name": name, "time": now()}));
        self.guests.insert(name.clone(), ws.clone());
        Ok(name)
    }

    pub(crate) fn say(&mut self, name: &str, text: &str) {
        let said = json!({"type": "message", "name": name, "text": text, "time": now()});
        let said = self.tell(said);
        self.history.push_back(said);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn leave(&mut self, name: &str) {
        self.guests.remove(name);
        self.tell(json!({"type": "leave", "name": name, "time": now()}));
    }

    /// Tells everybody, and waits for nobody; the message is framed once for all.
    fn tell(&self, event: Value) -> PreparedMessage {
        let event = PreparedMessage::new(event.to_string());
        for ws in self.guests.values() {
            // Who does not keep up has more than 256 KiB waiting by now, and would miss this event.
            // Such a connection is dropped instead: its page comes again, and gets the history.
            if let Err(SendError::Full { .. }) = ws.try_send_prepared(&event) {
                ws.abort();
            }
        }
        event
    }
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs())
}

/// One connection, and who is at its other end.
#[derive(Default)]
pub(crate) struct Guest {
    rooms: Rooms,
    room: String,
    name: String,
    is_inside: bool,
    /// Until when the guest would have talked at the usual pace.
    due: Option<Instant>,
}

impl WebSocketServerProtocol for Guest {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        let enter = |room: &mut Room| room.enter(&self.name, ws);
        self.name = self.rooms.visit(&self.room, enter)?;
        self.is_inside = true;
        Ok(())
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        let text = message.as_text().unwrap_or_default();
        if !has_length(text, LONGEST_TEXT) {
            return Err(HandlerError::close(1008, "no text, or too much of it"));
        }
        let now = Instant::now();
        let due = self.due.unwrap_or(now).max(now) + PACE;
        if due > now + PACE * BURST {
            return Err(HandlerError::close(1008, "too many messages at once"));
        }
        self.due = Some(due);
        self.rooms
            .visit(&self.room, |room| room.say(&self.name, text));
        Ok(())
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        if self.is_inside {
            self.rooms.visit(&self.room, |room| room.leave(&self.name));
        }
        Ok(())
    }
}

type Guests = WebSocketServerFactory<Guest>;

/// The factory of the app's WebSockets; their instances are made by `enter`, which knows the room.
pub(crate) fn guests() -> motorway::Result<Guests> {
    let mut guests = WebSocketServerFactory::new(Guest::default);
    let options = ServerOptions::default()
        .allowed_origins(["self"])
        .max_connections(1000)
        .max_message_payload_size(16 << 10)
        .auto_ping_interval(Duration::from_secs(20))
        .auto_ping_timeout(Duration::from_secs(20));
    guests.set_protocol_options(options)?;
    Ok(guests)
}

pub(crate) fn app(guests: Guests, rooms: Rooms) -> Router {
    let page = Html(include_str!("pages/chat.html"));
    Router::new()
        .route("/", routing::get(Redirect::to("/rooms/lobby")))
        .route("/rooms/{room}", routing::get(page))
        .route("/rooms/{room}/{name}", routing::any(enter))
        .with_state((guests, rooms))
}

async fn enter(
    upgrade: WebSocketUpgrade,
    Path((room, name)): Path<(String, String)>,
    State((guests, rooms)): State<(Guests, Rooms)>,
) -> Response {
    let is_name = |text: &str| has_length(text, LONGEST_NAME) && !text.contains(char::is_control);
    if !is_name(&room) || !is_name(&name) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let guest = Guest {
        rooms,
        room,
        name,
        ..Guest::default()
    };
    upgrade.serve_as(&guests, guest).await
}

fn has_length(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("open http://{}/", listener.local_addr()?);
    let guests = guests()?;
    let stopped = guests.shutdown_after(tokio::signal::ctrl_c());
    let serving = axum::serve(listener, app(guests, Rooms::default()));
    Ok(serving.with_graceful_shutdown(stopped).await?)
}
