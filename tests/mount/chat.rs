//! The example of chat rooms in axum.

use self::axum_chat::{Rooms, app, guests};
use crate::world::{Raw, request, serve_until, soon};
use motorway::{ClientOptions, CloseCode, Connector, Error, WebSocketStream};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[expect(dead_code, reason = "main is for those who run the example")]
#[path = "../../examples/axum_chat.rs"]
mod axum_chat;

struct Chat {
    address: SocketAddr,
    rooms: Rooms,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Chat {
    async fn start() -> Self {
        let (guests, rooms) = (guests().unwrap(), Rooms::default());
        let (stop, stopping) = oneshot::channel();
        let stopped = guests.shutdown_after(stopping);
        let (address, serving) = serve_until(app(guests, rooms.clone()), stopped).await;
        Self {
            address,
            rooms,
            stop,
            serving,
        }
    }

    async fn connect(&self, path: &str, options: ClientOptions) -> Result<WebSocketStream, Error> {
        let mut connector = Connector::new(format!("ws://{}/rooms/{path}", self.address)).unwrap();
        connector.set_protocol_options(options).unwrap();
        soon(connector.connect()).await
    }

    /// Somebody in a room, and the names of those who were there already.
    async fn enter(&self, path: &str) -> (Page, Value) {
        let ws = self.connect(path, ClientOptions::default()).await;
        let mut page = Page(ws.unwrap());
        let welcome = page.event().await;
        assert_eq!(welcome["type"], "welcome");
        (page, welcome)
    }
}

struct Page(WebSocketStream);

impl Page {
    async fn event(&mut self) -> Value {
        let text = soon(self.0.recv_text()).await.unwrap();
        serde_json::from_str(&text.expect("no close")).unwrap()
    }

    /// The next event, without its time, which is checked.
    async fn hears(&mut self, kind: &str, name: &str, text: &str) {
        let event = self.event().await;
        assert_eq!(
            (&event["type"], &event["name"]),
            (&kind.into(), &name.into())
        );
        assert_eq!(event["text"].as_str().unwrap_or_default(), text);
        assert!(event["time"].as_u64().unwrap() > 1_700_000_000, "{event}");
    }

    async fn say(&mut self, text: &str) {
        soon(self.0.send(text)).await.unwrap();
    }

    /// The close code that ends it, and the reason.
    async fn end(mut self) -> (CloseCode, String) {
        while let Ok(Some(_)) = soon(self.0.recv()).await {}
        let info = self.0.close_info().unwrap();
        (info.code, info.reason.to_string())
    }
}

#[tokio::test]
async fn those_in_a_room_hear_each_other_and_nobody_else_does() {
    let chat = Chat::start().await;
    let (mut ada, welcome) = chat.enter("lobby/Ada").await;
    assert_eq!(welcome["others"], Value::Array(Vec::new()));
    let (mut cleo, _) = chat.enter("attic/Cleo").await;
    let (mut bob, welcome) = chat.enter("lobby/B%C3%B6b%20%3Cb%3E").await;
    assert_eq!(welcome["name"], "Böb <b>");
    assert_eq!(welcome["others"], Value::from(vec!["Ada"]));
    ada.hears("enter", "Böb <b>", "").await;
    ada.say("hello").await;
    bob.say("\"hi\"\n<i>").await;
    for page in [&mut ada, &mut bob] {
        page.hears("message", "Ada", "hello").await;
        page.hears("message", "Böb <b>", "\"hi\"\n<i>").await;
    }
    // What was said in the lobby would have come before this.
    cleo.say("anybody?").await;
    cleo.hears("message", "Cleo", "anybody?").await;
    soon(bob.0.close(1000, "")).await.unwrap();
    ada.hears("leave", "Böb <b>", "").await;
}

#[tokio::test]
async fn who_comes_later_gets_the_last_messages() {
    let chat = Chat::start().await;
    chat.rooms.visit("lobby", |room| {
        for number in 0..60 {
            room.say("Ada", &number.to_string());
        }
    });
    let (mut bob, _) = chat.enter("lobby/Bob").await;
    for number in 10..60 {
        bob.hears("message", "Ada", &number.to_string()).await;
    }
    bob.say("that was all").await;
    bob.hears("message", "Bob", "that was all").await;
}

#[tokio::test]
async fn rooms_without_guests_are_forgotten_when_there_are_many() {
    let chat = Chat::start().await;
    let say = |room: &str| chat.rooms.visit(room, |room| room.say("Ada", "hello"));
    let (mut ada, _) = chat.enter("kept/Ada").await;
    for room in 0..1000 {
        say(&room.to_string());
    }
    say("kept");
    ada.hears("message", "Ada", "hello").await;
    let (mut bob, welcome) = chat.enter("kept/Bob").await;
    assert_eq!(welcome["others"], Value::from(vec!["Ada"]));
    bob.hears("message", "Ada", "hello").await;
    let (mut bob, _) = chat.enter("0/Bob").await;
    bob.say("is this new?").await;
    bob.hears("message", "Bob", "is this new?").await;
}

#[tokio::test]
async fn a_name_that_is_taken_gets_a_number() {
    let chat = Chat::start().await;
    let mut pages = Vec::new();
    for name in ["Ada", "Ada 2", "Ada 3"] {
        let (page, welcome) = chat.enter("lobby/Ada").await;
        assert_eq!(welcome["name"], name);
        pages.push(page);
    }
    soon(pages.remove(1).0.close(1000, "")).await.unwrap();
    let ada = &mut pages[0];
    ada.hears("enter", "Ada 2", "").await;
    ada.hears("enter", "Ada 3", "").await;
    ada.hears("leave", "Ada 2", "").await;
    let (_page, welcome) = chat.enter("lobby/Ada").await;
    assert_eq!(welcome["name"], "Ada 2");
}

#[tokio::test]
async fn names_and_rooms_have_up_to_24_characters() {
    let chat = Chat::start().await;
    let long = "ö".repeat(24);
    let (_page, welcome) = chat.enter(&format!("{long}/{long}")).await;
    assert_eq!(welcome["name"], long);
    for path in [
        format!("lobby/{long}o"),
        format!("{long}o/Ada"),
        "lobby/A%0Ada".to_owned(),
    ] {
        let refused = chat.connect(&path, ClientOptions::default()).await;
        assert_eq!(refused.unwrap_err().status().unwrap(), 400, "{path}");
    }
}

#[tokio::test]
async fn messages_have_up_to_500_characters_of_text() {
    let chat = Chat::start().await;
    let longest = "😀".repeat(500);
    let (mut ada, _) = chat.enter("lobby/Ada").await;
    let (mut bob, _) = chat.enter("lobby/Bob").await;
    ada.hears("enter", "Bob", "").await;
    bob.say(&longest).await;
    ada.hears("message", "Bob", &longest).await;
    bob.say(&format!("{longest}!")).await;
    assert_eq!(bob.end().await.0, CloseCode::POLICY_VIOLATION);
    ada.hears("leave", "Bob", "").await;

    let (mut empty, _) = chat.enter("attic/Bob").await;
    empty.say("").await;
    assert_eq!(empty.end().await.0, CloseCode::POLICY_VIOLATION);
    let (binary, _) = chat.enter("attic/Bob").await;
    soon(binary.0.send(vec![b'a'])).await.unwrap();
    assert_eq!(binary.end().await.0, CloseCode::POLICY_VIOLATION);
    let (mut large, _) = chat.enter("attic/Bob").await;
    large.say(&"a".repeat((16 << 10) + 1)).await;
    assert_eq!(large.end().await.0, CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test]
async fn who_talks_too_fast_is_closed() {
    let chat = Chat::start().await;
    let (mut ada, _) = chat.enter("lobby/Ada").await;
    for _ in 0..10 {
        ada.say("now!").await;
        ada.hears("message", "Ada", "now!").await;
    }
    // However busy the machine is, these do not take their 500 ms each.
    for _ in 0..100 {
        let _ = ada.0.send("now!").await;
    }
    let end = ada.end().await;
    assert_eq!(end.0, CloseCode::POLICY_VIOLATION);
    assert_eq!(end.1, "too many messages at once");
}

#[tokio::test]
async fn a_room_takes_100() {
    let chat = Chat::start().await;
    let mut pages = Vec::new();
    for number in 0..100 {
        pages.push(chat.enter(&format!("lobby/{number}")).await);
    }
    let ws = chat.connect("lobby/more", ClientOptions::default()).await;
    let end = Page(ws.unwrap()).end().await;
    assert_eq!(
        end,
        (CloseCode::TRY_AGAIN_LATER, "the room is full".to_owned())
    );
    drop(pages.pop());
    pages[0].0.hears("enter", "1", "").await;
}

#[tokio::test]
async fn only_pages_of_the_chat_itself_may_connect() {
    let chat = Chat::start().await;
    let own = format!("http://{}", chat.address);
    let options = ClientOptions::default().origin(own);
    chat.connect("lobby/Ada", options).await.unwrap();
    let options = ClientOptions::default().origin("http://evil.example");
    let refused = chat.connect("lobby/Eve", options).await;
    assert_eq!(refused.unwrap_err().status().unwrap(), 403);
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_holds_up_nobody() {
    let chat = Chat::start().await;
    let (mut ada, _) = chat.enter("lobby/Ada").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = Raw(soon(socket.connect(chat.address)).await.unwrap());
    let opened = slow.ask(request("/rooms/lobby/Slow", "")).await;
    assert_eq!(opened.status(), "HTTP/1.1 101 Switching Protocols");
    ada.hears("enter", "Slow", "").await;
    // No more fits into the sockets and what is buffered for one, whatever the system gives them.
    let text = "😀".repeat(500);
    for _ in 0..20_000 {
        chat.rooms.visit("lobby", |room| room.say("Bob", &text));
        let event = ada.event().await;
        if event["type"] == "leave" {
            assert_eq!(event["name"], "Slow");
            return;
        }
        assert_eq!(event["text"], *text);
    }
    let _ = slow.0.shutdown().await;
    panic!("it was not dropped");
}

#[tokio::test]
async fn a_shutdown_closes_everybody_and_waits() {
    let chat = Chat::start().await;
    let mut pages = Vec::new();
    for path in ["attic/Cleo", "lobby/Ada", "lobby/Bob", "lobby/Dora"] {
        pages.push(chat.enter(path).await.0);
    }
    chat.stop.send(()).unwrap();
    // Those who leave first are told to others who are closing, and disturb nothing.
    for mut page in pages {
        while let Some(_event) = soon(page.0.recv()).await.unwrap() {}
        let info = page.0.close_info().unwrap();
        assert!(info.was_clean, "{info}");
        assert_eq!(info.code, CloseCode::GOING_AWAY);
        assert_eq!(info.reason, "server shuts down");
    }
    soon(chat.serving).await.unwrap();
}

#[tokio::test]
async fn the_page_is_served_where_it_belongs() {
    let chat = Chat::start().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut browser = Raw::connect(chat.address).await;
    let root = browser.ask(get("/")).await;
    assert_eq!(root.header("location").unwrap(), "/rooms/lobby");
    let page = browser.ask(get("/rooms/attic")).await;
    assert_eq!(page.status(), "HTTP/1.1 200 OK");
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("new WebSocket(") && page.ends_with("</html>\n"));
    // What others have said is put into the page as text.
    assert!(page.contains("textContent") && !page.contains("innerHTML"));
    let plain = browser.ask(get("/rooms/attic/Ada")).await;
    assert_eq!(plain.status(), "HTTP/1.1 426 Upgrade Required");
}
