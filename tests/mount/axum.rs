//! The service and the extractor, in apps of axum.

use crate::world::{Echo, Raw, request, serve, soon, until};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use motorway::{
    ConnectionAccept, ConnectionDeny, ConnectionRequest, Connector, DeflateOptions, HandlerResult,
    Message, Peer, ServerOptions, TransportDetails, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol, WebSocketStream, WebSocketUpgrade,
};

/// Says what it knows, and then what was asked for.
struct Greeter(String);

impl WebSocketServerProtocol for Greeter {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let secure = request.transport().is_secure();
        let peer = request.peer();
        let known = format!("{} {} {peer} {secure}", self.0, request.target());
        self.0 = known;
        Ok(ConnectionAccept::default())
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send(&*self.0).await?)
    }
}

fn greeters() -> WebSocketServerFactory<Greeter> {
    WebSocketServerFactory::new(|| Greeter("made".to_owned()))
}

/// Connects and reads the first message.
async fn greeting(url: &str) -> String {
    let mut ws = soon(motorway::connect(url)).await.unwrap();
    let text = soon(ws.recv_text()).await.unwrap().unwrap();
    soon(ws.close(1000, "")).await.unwrap();
    text.to_string()
}

async fn echo(mut ws: WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_service_echoes_and_is_accounted_for() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    factory.set_protocol_options(options).unwrap();
    let app = Router::new().route_service("/echo", factory.clone().into_service());
    let address = serve(app).await;
    let mut connector = Connector::new(format!("ws://{address}/echo")).unwrap();
    let options = motorway::ClientOptions::default().per_message_deflate(DeflateOptions::default());
    connector.set_protocol_options(options).unwrap();
    let mut ws = soon(connector.connect()).await.unwrap();
    let long = "compressible ".repeat(1000);
    for text in ["hello", &long] {
        ws.send(text).await.unwrap();
        let echoed = soon(ws.recv()).await.unwrap();
        assert_eq!(echoed, Some(Message::from(text)));
    }
    let extensions = ws
        .response()
        .unwrap()
        .headers()
        .get("sec-websocket-extensions");
    assert!(extensions.is_some());
    assert_eq!(factory.connection_count(), 1);
    assert_eq!(factory.connections().len(), 1);
    let stats = factory.stats();
    assert_eq!((stats.messages_received, stats.messages_sent), (2, 2));
    soon(ws.close(1000, "")).await.unwrap();
    until(|| factory.connection_count() == 0 && factory.connections().is_empty()).await;
    assert_eq!(factory.stats().messages_received, 2);
}

#[tokio::test]
async fn a_service_is_nested_at_any_path() {
    let factory = greeters();
    let app = Router::new()
        .route_service("/one", factory.clone().into_service())
        .nest_service("/deep/in/here", factory.into_service())
        .route("/page", get(async || "a page"));
    let address = serve(app).await;
    let one = greeting(&format!("ws://{address}/one?a=b")).await;
    assert!(one.starts_with("made /one?a=b tcp4:127.0.0.1:"), "{one}");
    let nested = greeting(&format!("ws://{address}/deep/in/here/there")).await;
    assert!(nested.starts_with("made /there tcp4:"), "{nested}");
    let mut raw = Raw::connect(address).await;
    let page = raw.ask("GET /page HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(page.body, b"a page");
}

#[tokio::test]
async fn an_extractor_takes_a_factory_beside_other_extractors() {
    async fn enter(
        upgrade: WebSocketUpgrade,
        Path((room, name)): Path<(String, String)>,
        State(factory): State<WebSocketServerFactory<Greeter>>,
    ) -> Response {
        match name.as_str() {
            "anyone" => upgrade.serve(&factory).await,
            name => {
                upgrade
                    .serve_as(&factory, Greeter(format!("{name} in {room}")))
                    .await
            }
        }
    }
    let factory = greeters();
    let app = Router::new()
        .route("/{room}/{name}", any(enter))
        .with_state(factory.clone());
    let address = serve(app).await;
    let made = greeting(&format!("ws://{address}/lobby/anyone")).await;
    assert!(made.starts_with("made /lobby/anyone "), "{made}");
    let given = greeting(&format!("ws://{address}/lobby/ann")).await;
    assert!(given.starts_with("ann in lobby /lobby/ann "), "{given}");
    assert_eq!(factory.stats().messages_sent, 2);
}

#[tokio::test]
async fn an_extractor_takes_a_handler() {
    let app = Router::new().route(
        "/echo",
        any(|upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
    );
    let address = serve(app).await;
    let url = format!("ws://{address}/echo");
    let mut ws = soon(motorway::connect(url)).await.unwrap();
    ws.send("hello").await.unwrap();
    let echoed = soon(ws.recv()).await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
    let closed = soon(ws.close(1000, "")).await.unwrap();
    assert!(closed.was_clean);
}

#[tokio::test]
async fn a_handler_may_have_the_options_and_counts_of_a_factory() {
    let mut factory = WebSocketServerFactory::from_handler(|_| async { Ok(()) });
    let options = ServerOptions::default().max_message_payload_size(10);
    factory.set_protocol_options(options).unwrap();
    let state = factory.clone();
    let app = Router::new().route(
        "/{name}",
        any(
            |upgrade: WebSocketUpgrade, Path(name): Path<String>| async move {
                let handler = |ws: WebSocketStream| async move {
                    ws.send(name).await?;
                    echo(ws).await
                };
                upgrade.on_upgrade_with(&state, handler).await
            },
        ),
    );
    let address = serve(app).await;
    let mut ws = soon(motorway::connect(format!("ws://{address}/ann")))
        .await
        .unwrap();
    assert_eq!(soon(ws.recv_text()).await.unwrap().as_deref(), Some("ann"));
    assert_eq!(factory.connection_count(), 1);
    ws.send("more than ten").await.unwrap();
    assert_eq!(soon(ws.recv()).await.unwrap(), None);
    let info = ws.close_info().unwrap();
    assert_eq!(info.remote.as_ref().unwrap().code, 1009.into());
    until(|| factory.connection_count() == 0).await;
}

#[tokio::test]
async fn plain_requests_are_rejected_or_told_apart() {
    let app = Router::new()
        .route("/must", any(async |_: WebSocketUpgrade| "not reached"))
        .route(
            "/may",
            any(async |upgrade: Option<WebSocketUpgrade>| match upgrade {
                Some(upgrade) => upgrade.on_upgrade(echo).await,
                None => "a page".into_response(),
            }),
        );
    let address = serve(app).await;
    let mut raw = Raw::connect(address).await;
    let rejected = raw.ask("GET /must HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(rejected.status(), "HTTP/1.1 426 Upgrade Required");
    assert_eq!(rejected.header("upgrade").as_deref(), Some("websocket"));
    let page = raw.ask("GET /may HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(page.body, b"a page");
    assert!(raw.ask(request("/may", "")).await.status().contains("101"));
}

#[tokio::test]
async fn extensions_say_who_asks() {
    let details = TransportDetails::server(
        "192.0.2.7:80"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
    );
    let peer = Peer::Forwarded("192.0.2.9".parse().unwrap());
    let factory = greeters();
    let details_app = Router::new()
        .route_service("/", factory.clone().into_service())
        .layer(Extension(details.secure()));
    let peer_app = Router::new()
        .route_service("/", factory.into_service())
        .layer(Extension(peer));
    let greeted = greeting(&format!("ws://{}/", serve(details_app).await)).await;
    assert_eq!(greeted, "made / tcp4:192.0.2.7:80 true");
    let greeted = greeting(&format!("ws://{}/", serve(peer_app).await)).await;
    assert_eq!(greeted, "made / 192.0.2.9 false");
}
