//! Chat rooms on one node, without a broker; `tests/interop/cluster/run` has three nodes and one.

use crate::pages::{fetch, serve};
use motorway::{CloseCode, Connector, Error, WebSocketStream, connect};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

struct Page(WebSocketStream);

impl Page {
    /// Enters a room; returns what it is told first, too.
    async fn enter(address: &str, path: &str) -> (Self, Value) {
        let ws = connect(format!("ws://{address}/rooms/{path}")).await;
        let mut page = Self(ws.unwrap());
        let welcome = page.hears("welcome").await;
        (page, welcome)
    }

    /// Waits for an event of this kind.
    async fn hears(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                let text = self.0.recv_text().await.unwrap().expect("no close");
                let event: Value = serde_json::from_str(&text).unwrap();
                if event["type"] == kind {
                    return event;
                }
            }
        };
        let in_time = timeout(Duration::from_secs(60), found).await;
        in_time.unwrap_or_else(|_| panic!("no {kind}"))
    }
}

fn names(guests: &Value) -> Vec<&str> {
    let guests = guests["guests"].as_array().unwrap().iter();
    guests
        .map(|guest| guest["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn those_in_a_room_see_and_hear_each_other() {
    let (_server, address) = serve("chat_cluster");
    let (mut ada, welcome) = Page::enter(&address, "lobby/Ada").await;
    assert_eq!(
        (&welcome["name"], &welcome["alone"]),
        (&"Ada".into(), &false.into())
    );
    assert_eq!(welcome["node"], *address);
    let guests = ada.hears("guests").await;
    assert_eq!(names(&guests), ["Ada"]);
    assert_eq!(guests["guests"][0]["id"], welcome["id"]);
    let (mut cleo, _) = Page::enter(&address, "attic/Cleo").await;
    let (mut bob, _) = Page::enter(&address, "lobby/Bob").await;
    let guests = bob.hears("guests").await;
    assert_eq!(names(&guests), ["Ada", "Bob"]);
    while ada.hears("enter").await["name"] != "Bob" {}

    ada.0.send("hello, <i>Bob</i>").await.unwrap();
    for page in [&mut ada, &mut bob] {
        let said = page.hears("message").await;
        assert_eq!(said["text"], "hello, <i>Bob</i>");
        assert_eq!(said["id"], welcome["id"]);
    }
    // What was said in the lobby would have come before this.
    cleo.0.send("anybody?").await.unwrap();
    assert_eq!(cleo.hears("message").await["text"], "anybody?");
    bob.0.close(CloseCode::NORMAL, "").await.unwrap();
    let left = ada.hears("leave").await;
    assert_eq!(left["name"], "Bob");
    assert!(left["time"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn who_has_no_name_or_no_manners_is_turned_away() {
    let (_server, address) = serve("chat_cluster");
    let long = "o".repeat(25);
    for path in [
        format!("lobby/{long}"),
        format!("{long}/Ada"),
        "lobby/A%0Ada".to_owned(),
    ] {
        let connector = Connector::new(format!("ws://{address}/rooms/{path}")).unwrap();
        let refused: Result<_, Error> = connector.connect().await;
        assert_eq!(refused.unwrap_err().status().unwrap(), 400, "{path}");
    }
    let (mut eve, _) = Page::enter(&address, "lobby/Eve").await;
    for _ in 0..100 {
        let _ = eve.0.send("now!").await;
    }
    while eve.0.recv().await.is_ok_and(|message| message.is_some()) {}
    assert_eq!(
        eve.0.close_info().unwrap().code,
        CloseCode::POLICY_VIOLATION
    );
}

#[test]
fn the_page_is_served_for_each_room() {
    let (_server, address) = serve("chat_cluster");
    let root = fetch(&address, "/").to_ascii_lowercase();
    assert!(root.contains("location: /rooms/lobby"), "{root}");
    assert!(fetch(&address, "/rooms/attic").contains("new WebSocket("));
    assert!(fetch(&address, "/favicon.ico").starts_with("HTTP/1.1 404 "));
}
