//! The service and the extractor, in apps of axum over HTTP/1.1.

use crate::world::{Echo, serve, soon};
use axum::Router;
use axum::routing::any;
use motorway::{Connector, Message, WebSocketServerFactory, WebSocketUpgrade};

#[tokio::test]
async fn a_service_echoes() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let app = Router::new().route_service("/echo", factory.clone().into_service());
    let (address, _serving) = serve(app).await;
    let connector = Connector::new(format!("ws://{address}/echo")).unwrap();
    let mut ws = soon(connector.connect()).await.unwrap();
    ws.send("hello").await.unwrap();
    let echoed = soon(ws.recv()).await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
    assert_eq!(factory.connection_count(), 1);
    soon(ws.close(1000, "")).await.unwrap();
}

#[tokio::test]
async fn an_extractor_takes_a_handler() {
    let app = Router::new().route(
        "/echo",
        any(|upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(|mut ws| async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                }
                Ok(())
            })
        }),
    );
    let (address, _serving) = serve(app).await;
    let mut ws = soon(motorway::connect(format!("ws://{address}/echo")))
        .await
        .unwrap();
    ws.send("hello").await.unwrap();
    let echoed = soon(ws.recv()).await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
    let closed = soon(ws.close(1000, "")).await.unwrap();
    assert!(closed.was_clean);
}
