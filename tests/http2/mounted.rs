//! Both ends: this client over HTTP/2, and a factory mounted in axum.

use crate::wire::within;
use axum::Router;
use motorway::{
    ClientOptions, CloseCode, Connector, DeflateOptions, Error, HandlerResult, Http2Connection,
    Message, ServerOptions, StatusCode, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_connect(
        &mut self,
        request: &motorway::ConnectionRequest,
    ) -> Result<motorway::ConnectionAccept, motorway::ConnectionDeny> {
        match request.path() {
            "/secret" => Err(StatusCode::FORBIDDEN.into()),
            _ => Ok(motorway::ConnectionAccept::select(
                request.protocols(),
                ["a"],
            )),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

/// A server, and what connects to this path of it.
async fn world(path: &str) -> (WebSocketServerFactory<Echo>, Connector, Http2Connection) {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    factory.set_protocol_options(options).unwrap();
    let app = Router::new().fallback_service(factory.clone().into_service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}{path}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut connector = Connector::new(url).unwrap();
    let options = ClientOptions::default()
        .protocols(["b", "a"])
        .per_message_deflate(DeflateOptions::default());
    connector.set_protocol_options(options).unwrap();
    let http2 = within(connector.connect_http2()).await.unwrap();
    (factory, connector, http2)
}

#[tokio::test]
async fn messages_come_back() {
    let (factory, connector, http2) = world("/").await;
    let mut talks = JoinSet::new();
    for number in 0..50 {
        let mut ws = within(connector.connect_over(&http2)).await.unwrap();
        talks.spawn(async move {
            assert_eq!(ws.subprotocol(), Some("a"));
            assert_eq!(ws.response().unwrap().extensions().len(), 1);
            let text = format!("compressed {number} ").repeat(1000);
            for _ in 0..3 {
                ws.send(&*text).await.unwrap();
                assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), text);
            }
            within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
            let info = within(ws.handle().closed()).await;
            assert!(info.was_clean, "{info:?}");
        });
    }
    while let Some(talked) = talks.join_next().await {
        talked.unwrap();
    }
    let stats = factory.stats();
    assert_eq!((stats.messages_received, stats.messages_sent), (150, 150));
    while factory.connection_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_denies_says_why() {
    let (_, connector, http2) = world("/secret").await;
    let error = within(connector.connect_over(&http2)).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::FORBIDDEN), "{error:?}");
    assert!(http2.is_open());
}

#[tokio::test]
async fn the_server_closes_all() {
    let (factory, connector, http2) = world("/").await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(within(connector.connect_over(&http2)).await.unwrap());
    }
    for ws in factory.connections() {
        ws.close(CloseCode::from(4001), "enough").await.unwrap();
    }
    for mut ws in open {
        match within(ws.recv()).await {
            Ok(None) | Err(Error::Closed(_)) => {}
            other => panic!("{other:?}"),
        }
        let info = within(ws.handle().closed()).await;
        assert!(
            info.was_clean && info.code == CloseCode::from(4001),
            "{info:?}"
        );
    }
}
