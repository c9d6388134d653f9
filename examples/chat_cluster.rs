//! Chat rooms on as many nodes as there are: those in a room hear and see each other, wherever they
//! are connected.
//!
//! ```sh
//! cargo run --example chat_cluster
//! ```
//!
//! Open the address that it prints in several browsers. Alone it needs nothing else. The index of the
//! examples has the commands for three nodes behind nginx (`chat_cluster.nginx.conf`), with a broker
//! between them.

use clap::Parser;
use motorway::{
    BrokerState, ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerError, HandlerResult,
    HttpRequest, HttpResponse, Hub, HubEvent, HubEvents, Message, Present, Router, Server,
    ServerOptions, StatusCode, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;

const MOST_GUESTS: usize = 100; // in a room, of this node
const LONGEST_NAME: usize = 24; // in characters
const LONGEST_TEXT: usize = 500;
const BURST: u32 = 10; // messages of a guest at once; in the long run one in each:
const PACE: Duration = Duration::from_millis(500);

/// What all guests of this process share.
pub(crate) struct Node {
    hub: Hub,
    name: String,
}

impl Node {
    pub(crate) fn new(hub: Hub, name: impl Into<String>) -> Arc<Self> {
        let node = Arc::new(Self {
            hub,
            name: name.into(),
        });
        tokio::spawn(Arc::clone(&node).tell_rooms(node.hub.events()));
        // The hub keeps what is told, and is not to keep itself.
        let told = Arc::downgrade(&node);
        node.hub.on_broker(move |state| {
            if let Some(node) = told.upgrade() {
                node.tell_state(state);
            }
        });
        node
    }

    /// Tells the guests of this node who comes and goes, on whichever node; the others tell theirs.
    async fn tell_rooms(self: Arc<Self>, mut events: HubEvents) {
        while let Some(event) = events.next().await {
            match event {
                HubEvent::Appeared { topic, present, .. } => {
                    if present.is_here() {
                        self.introduce(&topic, &present);
                    }
                    self.tell(&topic, change("enter", &present));
                }
                HubEvent::Disappeared { topic, present, .. } => {
                    self.tell(&topic, change("leave", &present));
                }
                // Some were missed, so that all are told anew.
                HubEvent::Lagged(_) => {
                    for room in self.hub.topics() {
                        self.tell(&room, self.guests(&room));
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(&self, room: &str, event: String) {
        if let Err(error) = self.hub.publish_here(room, event) {
            eprintln!("{error}");
        }
    }

    /// Tells somebody new who is there.
    fn introduce(&self, room: &str, newcomer: &Present) {
        let mut members = self.hub.members(room).into_iter();
        if let Some(ws) = members.find(|ws| ws.id() == newcomer.connection()) {
            // Who is gone already needs no answer.
            let _ = ws.try_send(self.guests(room));
        }
    }

    fn guests(&self, room: &str) -> String {
        let guests: Vec<_> = self.hub.present(room).iter().map(about).collect();
        json!({"type": "guests", "guests": guests}).to_string()
    }

    fn tell_state(&self, state: BrokerState) {
        let told = match state {
            BrokerState::Lagged(messages) => json!({"type": "lost", "messages": messages}),
            state => json!({"type": "node", "alone": state != BrokerState::Restored}),
        };
        self.hub.broadcast_here(told.to_string());
    }
}

/// What a guest was said to be by the node that it is on.
fn about(present: &Present) -> Map<String, Value> {
    serde_json::from_str(present.info()).unwrap_or_default()
}

fn change(kind: &str, present: &Present) -> String {
    let mut event = about(present);
    event.insert("type".to_owned(), kind.into());
    if kind == "leave" {
        event.insert("time".to_owned(), now().into());
    }
    Value::from(event).to_string()
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs())
}

/// One connection, and who is at its other end.
struct Guest {
    node: Arc<Node>,
    room: String,
    name: String,
    id: String,
    /// Until when the guest would have talked at the usual pace.
    due: Option<Instant>,
}

impl WebSocketServerProtocol for Guest {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let param = |name| {
            let text = request.path_param(name).unwrap_or_default();
            let is_name = has_length(text, LONGEST_NAME) && !text.contains(char::is_control);
            is_name.then(|| text.to_owned())
        };
        let (Some(room), Some(name)) = (param("room"), param("name")) else {
            return Err(StatusCode::BAD_REQUEST.into());
        };
        (self.room, self.name) = (room, name);
        Ok(ConnectionAccept::default())
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        let (hub, node) = (&self.node.hub, &self.node.name);
        if hub.member_count(&self.room) >= MOST_GUESTS {
            return Err(HandlerError::close(1013, "the room is full"));
        }
        self.id = format!("{node}/{}", ws.id());
        let (id, name, time) = (&self.id, &self.name, now());
        let info = json!({"id": id, "name": name, "node": node, "time": time});
        let welcome = json!({
            "type": "welcome", "id": id, "name": name, "node": node, "time": time,
            "alone": hub.is_alone(), "history": false,
        });
        ws.send(welcome.to_string()).await?;
        // From here on it hears the room, and `tell_rooms` tells it who is there.
        hub.join_as(ws, &self.room, info.to_string())?;
        Ok(())
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        let text = message.as_text().unwrap_or_default();
        if !has_length(text, LONGEST_TEXT) {
            return Err(HandlerError::close(1008, "no text, or too much of it"));
        }
        let start = Instant::now();
        let due = self.due.unwrap_or(start).max(start) + PACE;
        if due > start + PACE * BURST {
            return Err(HandlerError::close(1008, "too many messages at once"));
        }
        self.due = Some(due);
        let (id, name) = (&self.id, &self.name);
        let said = json!({"type": "message", "id": id, "name": name, "text": text, "time": now()});
        self.node.hub.publish(&self.room, said.to_string()).await?;
        Ok(())
    }
}

fn has_length(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count())
}

async fn page(request: HttpRequest) -> Option<HttpResponse> {
    let mut path = request.path().split('/').skip(1);
    Some(match (path.next(), path.next(), path.next()) {
        (Some(""), None, _) => HttpResponse::redirect("/rooms/lobby"),
        (Some("rooms"), Some(_), None) => HttpResponse::html(include_str!("pages/chat.html")),
        _ => StatusCode::NOT_FOUND.into(),
    })
}

pub(crate) fn serve(node: Arc<Node>, listener: TcpListener) -> motorway::Result<Server> {
    let mut guests = WebSocketServerFactory::new(move || Guest {
        node: Arc::clone(&node),
        room: String::new(),
        name: String::new(),
        id: String::new(),
        due: None,
    });
    let options = ServerOptions::default()
        .allowed_origins(["self"])
        .max_message_payload_size(16 << 10)
        .auto_ping_interval(Duration::from_secs(20))
        .auto_ping_timeout(Duration::from_secs(20));
    guests.set_protocol_options(options)?;
    let mut router = Router::new().route("/rooms/{room}/{name}", guests);
    router.on_http(page);
    router.listen_on(listener)
}

/// Chat rooms, on one node or on many.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(default_value = "127.0.0.1:3000")]
    address: String,
    /// What guests see this node under [default: its address]
    #[arg(long)]
    name: Option<String>,
    /// How often this node tells the others that it lives, in milliseconds
    #[arg(long, default_value_t = 5000)]
    interval: u64,
    /// The server of NATS that joins nodes
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// The server of Redis that joins nodes
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

async fn hub(arguments: &Arguments) -> Result<Hub, Box<dyn std::error::Error>> {
    let hub = Hub::in_memory();
    #[cfg(feature = "nats")]
    let hub = match &arguments.nats {
        Some(url) => Hub::with_broker(motorway::NatsBroker::connect(url).await?),
        None => hub,
    };
    #[cfg(feature = "redis")]
    let hub = match &arguments.redis {
        Some(url) => Hub::with_broker(motorway::RedisBroker::connect(url).await?),
        None => hub,
    };
    hub.set_presence_interval(Duration::from_millis(arguments.interval));
    Ok(hub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let hub = hub(&arguments).await?;
    let listener = TcpListener::bind(&arguments.address).await?;
    let address = listener.local_addr()?;
    let name = arguments.name.unwrap_or_else(|| address.to_string());
    let server = serve(Node::new(hub, name), listener)?;
    println!("open http://{address}/");
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
