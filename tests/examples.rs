//! Runs what the examples are made of.

#![cfg(test)]
#![cfg(feature = "tokio")]

use motorway::{
    ClientOptions, CloseCode, Connector, Error, HandshakeError, Message, MessageKind, Server,
    WebSocketServerFactory, WebSocketStream, connect, serve,
};
use std::sync::Arc;
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
    broadcast "../examples/broadcast.rs"
    hello_client "../examples/hello_client.rs"
    hello_server "../examples/hello_server.rs"
    http_headers "../examples/http_headers.rs"
    registration "../examples/registration.rs"
    slowsquare "../examples/slowsquare.rs"
    streaming "../examples/streaming.rs"
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

#[tokio::test]
async fn slowsquare_squares_and_refuses() {
    let factory = WebSocketServerFactory::new(|| slowsquare::SlowSquare);
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut ws = connect(url(&server)).await.unwrap();
    ws.send("1.5").await.unwrap();
    assert_eq!(text(&mut ws).await, "2.25");
    ws.send("seven").await.unwrap();
    while ws.recv().await.is_ok_and(|message| message.is_some()) {}
    assert_eq!(ws.close_info().unwrap().code, CloseCode::from(3000));
}

#[tokio::test]
async fn streaming_adds_up_what_does_not_fit_into_memory_limits() {
    let mut factory = WebSocketServerFactory::new(streaming::Checksum::default);
    factory.set_protocol_options(streaming::options()).unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut connector = Connector::new(url(&server)).unwrap();
    let options = ClientOptions::default().max_message_payload_size(None);
    connector.set_protocol_options(options).unwrap();
    let mut ws = connector.connect().await.unwrap();
    let handle = ws.handle().clone();
    let mut writer = handle.begin_message(MessageKind::Binary).await.unwrap();
    for _ in 0..100 {
        writer.write(vec![b'a'; 10_000]).await.unwrap();
    }
    writer.finish().await.unwrap();
    // Of a million times "a", as in FIPS 180.
    let expected = "34aa973cd4c4daa4f61eeb2bdbad27316534016f 1000000";
    assert_eq!(text(&mut ws).await, expected);
    ws.send("").await.unwrap();
    let expected = "da39a3ee5e6b4b0d3255bfef95601890afd80709 0";
    assert_eq!(text(&mut ws).await, expected);
}

#[tokio::test]
async fn broadcast_reaches_everybody_who_is_there() {
    let clients = broadcast::Clients::default();
    let theirs = clients.clone();
    let factory = WebSocketServerFactory::new(move || broadcast::Broadcaster {
        clients: theirs.clone(),
        id: 0,
    });
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut first = connect(url(&server)).await.unwrap();
    let mut second = connect(url(&server)).await.unwrap();
    // Both are registered once both have heard something.
    first.send("one").await.unwrap();
    assert!(text(&mut first).await.starts_with("one from tcp4:"));
    second.send("two").await.unwrap();
    while !text(&mut second).await.starts_with("two from tcp4:") {}
    assert!(text(&mut first).await.starts_with("two from tcp4:"));
    let info = second.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(info.was_clean);
    clients.broadcast("three").await;
    assert_eq!(text(&mut first).await, "three");
}

#[tokio::test]
async fn http_headers_count_visits_and_deny() {
    let factory = WebSocketServerFactory::new(|| http_headers::Greeter { visits: 0 });
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut connector = Connector::new(url(&server)).unwrap();
    let options = ClientOptions::default().header("cookie", "visits=2");
    connector.set_protocol_options(options).unwrap();
    let mut ws = connector.connect().await.unwrap();
    let cookie = ws.response().unwrap().header("set-cookie").unwrap();
    assert!(cookie.starts_with("visits=3;"), "{cookie}");
    ws.send("").await.unwrap();
    assert_eq!(text(&mut ws).await, "visit number 3");

    let denied = connect(format!("{}/other", url(&server))).await;
    let Err(Error::Handshake(error)) = denied else {
        panic!("not denied");
    };
    let HandshakeError::Refused {
        status, headers, ..
    } = *error
    else {
        panic!("{error}");
    };
    assert_eq!(status.as_u16(), 404);
    assert_eq!(headers["x-try"], "/");
}
