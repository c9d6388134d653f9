//! Who asks, for what, and from which page: what a mounted factory is told by others.

use crate::world::{Raw, request, serve, soon};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::any;
use axum::{Extension, Router};
use motorway::{
    ConnectionAccept, Peer, ServerOptions, TransportDetails, WebSocketServerFactory,
    WebSocketUpgrade,
};
use tower::ServiceExt;

/// A factory whose handlers say who asked for what.
fn factory(options: ServerOptions) -> WebSocketServerFactory<motorway::HandlerProtocol> {
    let mut factory = WebSocketServerFactory::from_handler(|ws| async move {
        let (peer, path) = (ws.peer().to_string(), ws.request().path().to_owned());
        Ok(ws.send(format!("{peer} {path}")).await?)
    });
    factory.on_connect(|request| async move {
        Ok(ConnectionAccept::new().header("x-peer", request.peer().to_string()))
    });
    factory.set_protocol_options(options).unwrap();
    factory
}

async fn first_message(url: String) -> String {
    let mut ws = soon(motorway::connect(url)).await.unwrap();
    soon(ws.recv_text()).await.unwrap().unwrap().to_string()
}

#[tokio::test]
async fn an_extractor_that_is_nested_sees_the_rest_of_the_path() {
    let factory = factory(ServerOptions::default());
    let enter = async move |upgrade: WebSocketUpgrade| upgrade.serve(&factory).await;
    let rooms = Router::new().route("/{room}", any(enter));
    let address = serve(Router::new().nest("/chat", rooms)).await;
    let said = first_message(format!("ws://{address}/chat/7")).await;
    assert!(said.ends_with(" /7"), "{said}");
}

#[tokio::test]
async fn pages_of_the_server_itself_are_of_https_behind_tls() {
    let own = factory(ServerOptions::default().allowed_origins(["self"]));
    let plain = Router::new().route_service("/", own.clone().into_service());
    let secure = plain
        .clone()
        .layer(Extension(TransportDetails::server(Peer::Unknown).secure()));
    let https = request("/", "Origin: https://server.example.com\r\n");
    let http = request("/", "Origin: http://server.example.com\r\n");
    for (app, origin, status) in [
        (&plain, &http, "101"),
        (&plain, &https, "403"),
        (&secure, &http, "403"),
        (&secure, &https, "101"),
    ] {
        let mut raw = Raw::connect(serve(app.clone()).await).await;
        let answer = raw.ask(origin).await;
        assert!(answer.status().contains(status), "{}", answer.status());
    }
}

#[tokio::test]
async fn a_proxy_that_is_trusted_goes_over_extensions() {
    let trusting = factory(ServerOptions::default().trust_x_forwarded_for(1));
    let app = Router::new()
        .route_service("/", trusting.into_service())
        .layer(Extension(Peer::Forwarded("192.0.2.9".parse().unwrap())));
    let mut raw = Raw::connect(serve(app).await).await;
    let asked = request("/", "X-Forwarded-For: 192.0.2.77\r\n");
    let answer = raw.ask(asked).await;
    assert_eq!(answer.header("x-peer").as_deref(), Some("192.0.2.77"));
}

#[tokio::test]
async fn a_socket_says_who_asks_once_the_connection_is_open() {
    let app = Router::new().route_service("/", factory(ServerOptions::default()).into_service());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Without the addresses that axum could tell.
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut ws = soon(motorway::connect(format!("ws://{address}/")))
        .await
        .unwrap();
    let at_first = ws.response().unwrap().header("x-peer").map(str::to_owned);
    assert_eq!(at_first, Some(Peer::Unknown.to_string()));
    let said = soon(ws.recv_text()).await.unwrap().unwrap();
    assert!(said.starts_with("tcp4:127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn a_layer_that_makes_a_new_request_leaves_nothing_to_upgrade() {
    let renewed = from_fn(async |request: Request, next: Next| {
        let mut new = Request::new(request.into_body());
        for name in ["host", "upgrade", "connection"] {
            new.headers_mut().insert(name, "upgrade".parse().unwrap());
        }
        next.run(new).await
    });
    let app = Router::new()
        .route_service("/", factory(ServerOptions::default()).into_service())
        .layer(renewed);
    let mut raw = Raw::connect(serve(app).await).await;
    let answer = raw.ask(request("/", "")).await;
    assert_eq!(answer.status(), "HTTP/1.1 500 Internal Server Error");
}

#[tokio::test]
async fn a_service_shows_the_status_page_to_plain_requests() {
    let service = factory(ServerOptions::default()).into_service();
    let plain = motorway::http::Request::get("/").header("host", "localhost");
    let shown = service.oneshot(plain.body(()).unwrap()).await.unwrap();
    assert_eq!(shown.status(), 200);

    let service = factory(ServerOptions::default().web_status(false)).into_service();
    let plain = motorway::http::Request::get("/").header("host", "localhost");
    let refused = service.oneshot(plain.body(()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 426);
}

#[tokio::test]
async fn what_cannot_be_upgraded_by_the_clients_fault_is_refused_as_such() {
    let enter =
        async |upgrade: WebSocketUpgrade| upgrade.serve(&factory(ServerOptions::default())).await;
    let app = Router::new()
        .route_service("/service", factory(ServerOptions::default()).into_service())
        .route("/extractor", any(enter));
    let address = serve(app).await;
    for path in ["/service", "/extractor"] {
        let mut raw = Raw::connect(address).await;
        // hyper upgrades no request of HTTP/1.0.
        let asked = request(path, "").replace("HTTP/1.1", "HTTP/1.0");
        let answer = raw.ask(asked).await;
        assert!(answer.status().contains("505"), "{}", answer.status());
    }
}
