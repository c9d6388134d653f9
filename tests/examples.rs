//! Runs what the examples on streams are made of.

#![cfg(test)]
#![cfg(feature = "tokio")]

use motorway::{CloseCode, HandlerResult, Message, Server, WebSocketStream, connect, serve};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

macro_rules! examples {
    ($($name:ident $path:literal)*) => {$(
        #[expect(dead_code, reason = "main is for those who run the example")]
        #[path = $path]
        mod $name;
    )*};
}

examples! {
    both "../examples/both.rs"
    consumer "../examples/consumer.rs"
    hello_client "../examples/hello_client.rs"
    hello_server "../examples/hello_server.rs"
    producer "../examples/producer.rs"
    registration "../examples/registration.rs"
}

fn url(server: &Server) -> String {
    format!("ws://{}", server.local_addr())
}

async fn text(ws: &mut WebSocketStream) -> String {
    let message = timeout(Duration::from_secs(60), ws.recv()).await;
    let message = message.expect("a message in time").unwrap();
    let text = message.expect("a message").into_text();
    text.unwrap().to_string()
}

#[tokio::test]
async fn hello_greets_by_name() {
    let server = serve("127.0.0.1:0", hello_server::hello).await.unwrap();
    let greeting = hello_client::hello(&url(&server), "Ada").await;
    let greeting = greeting.map_err(|error| error.to_string()).unwrap();
    assert_eq!(greeting, Some(Message::from("Hello Ada!")));
}

#[tokio::test]
async fn consumer_passes_every_message_on() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let consumed = Arc::clone(&seen);
    let server = serve("127.0.0.1:0", move |ws| {
        let consumed = Arc::clone(&consumed);
        consumer::consumer_handler(ws, move |message| {
            consumed.lock().unwrap().push(message);
            std::future::ready(HandlerResult::Ok(()))
        })
    })
    .await
    .unwrap();
    let mut ws = connect(url(&server)).await.unwrap();
    for message in ["a", "b", "c"] {
        ws.send(message).await.unwrap();
    }
    let info = ws.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(info.is_ok(), "{info}");
    assert_eq!(*seen.lock().unwrap(), ["a", "b", "c"].map(Message::from));
}

#[tokio::test]
async fn producer_sends_until_the_client_leaves() {
    let server = serve("127.0.0.1:0", |ws| {
        producer::producer_handler(ws, || async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Message::from("tick")
        })
    })
    .await
    .unwrap();
    let mut ws = connect(url(&server)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(text(&mut ws).await, "tick");
    }
    let info = ws.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(info.is_ok(), "{info}");
    let stopping = server.shutdown(1001, "", Duration::from_secs(60));
    stopping.await.unwrap();
}

#[tokio::test]
async fn both_receives_and_sends() {
    let server = serve("127.0.0.1:0", both::handler).await.unwrap();
    let mut ws = connect(url(&server)).await.unwrap();
    ws.send("from the client").await.unwrap();
    assert_eq!(text(&mut ws).await, "message 0");
    assert_eq!(text(&mut ws).await, "message 1");
    let info = ws.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(info.is_ok(), "{info}");
}

#[tokio::test]
async fn registration_greets_everybody_and_forgets_who_is_gone() {
    let connected = registration::Connected::default();
    let handler = registration::handler;
    let server = motorway::serve_with("127.0.0.1:0", Arc::clone(&connected), handler)
        .await
        .unwrap();
    let mut first = connect(url(&server)).await.unwrap();
    assert_eq!(text(&mut first).await, "Hello!");
    let mut second = connect(url(&server)).await.unwrap();
    assert_eq!(text(&mut second).await, "Hello!");
    assert_eq!(text(&mut first).await, "Hello!");
    assert_eq!(connected.lock().await.len(), 2);
    // Ten seconds later the handlers return.
    tokio::time::pause();
    for mut ws in [first, second] {
        while ws.recv().await.unwrap().is_some() {}
        assert_eq!(ws.close_info().unwrap().code, CloseCode::NORMAL);
    }
    assert!(connected.lock().await.is_empty());
}
