//! The opening handshake behind another server's HTTP/1.1: the same answers as on a listener of our
//! own.

use crate::world::{Echo, Raw, frame, request, serve, soon, until};
use axum::Router;
use motorway::{
    ConnectionAccept, ConnectionDeny, ConnectionRequest, HttpResponse, ServerOptions, StatusCode,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::net::SocketAddr;

async fn mounted<P: WebSocketServerProtocol>(factory: &WebSocketServerFactory<P>) -> SocketAddr {
    serve(Router::new().fallback_service(factory.clone().into_service())).await
}

#[tokio::test]
async fn the_sample_of_the_rfc_is_accepted() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let response = raw.ask(request("/chat", "")).await;
    assert_eq!(response.status(), "HTTP/1.1 101 Switching Protocols");
    let accept = response.header("sec-websocket-accept");
    assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("upgrade").as_deref(), Some("websocket"));
    let connection = response.header("connection").unwrap();
    assert!(connection.eq_ignore_ascii_case("upgrade"), "{connection}");
    assert!(response.header("content-length").is_none());
    raw.send(frame(0x81, b"Hello")).await;
    // RFC 6455 §5.7: an unmasked "Hello".
    assert_eq!(raw.octets(7).await, b"\x81\x05Hello");
}

#[tokio::test]
async fn octets_right_behind_the_request_are_kept() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let mut octets = request("/", "").into_bytes();
    octets.extend(frame(0x81, b"one"));
    octets.extend(&frame(0x81, b"two")[..4]);
    assert!(raw.ask(octets).await.status().contains("101"));
    raw.send(&frame(0x81, b"two")[4..]).await;
    assert_eq!(raw.octets(10).await, b"\x81\x03one\x81\x03two");
}

#[tokio::test]
async fn faults_are_refused_with_their_status() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default().allowed_origins(["https://good.example"]);
    factory.set_protocol_options(options).unwrap();
    let address = mounted(&factory).await;
    let valid = request("/", "");
    for (asked, status) in [
        (valid.replace("Version: 13", "Version: 12"), "426"),
        (valid.replace("Sec-WebSocket-Key: ", "X-Key: "), "400"),
        (valid.replace("NhbXBsZSBub25jZQ==", ""), "400"),
        (valid.replace("Upgrade: websocket", "Upgrade: chat"), "400"),
        (
            request("/", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            "400",
        ),
        (request("/", "Origin: https://evil.example\r\n"), "403"),
        (request("/", "Sec-WebSocket-Protocol: a, a\r\n"), "400"),
        (request("/", "Content-Length: 4\r\n") + "body", "400"),
        (valid.replace("GET /", "POST /"), "405"),
    ] {
        let mut raw = Raw::connect(address).await;
        let response = raw.ask(&asked).await;
        assert!(response.status().contains(status), "{asked}{response:?}");
    }
    until(|| factory.connection_count() == 0).await;
}

#[tokio::test]
async fn a_refused_version_is_told_what_is_supported() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let asked = request("/", "").replace("Version: 13", "Version: 99");
    let response = raw.ask(asked).await;
    assert_eq!(response.status(), "HTTP/1.1 426 Upgrade Required");
    let versions = response.header("sec-websocket-version");
    assert_eq!(versions.as_deref(), Some("13"));
    // RFC 9110 §7.8 demands both.
    assert_eq!(response.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(response.header("connection").as_deref(), Some("upgrade"));
}

struct Guarded;

impl WebSocketServerProtocol for Guarded {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        match request.path() {
            "/denied" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN)
                .reason("no session")
                .header("x-hint", "log in")
                .body("come back later\n")),
            "/panics" => panic!("on purpose"),
            _ => Ok(ConnectionAccept::select(request.protocols(), ["v2", "v1"])
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2")),
        }
    }
}

#[tokio::test]
async fn denials_keep_status_reason_headers_and_body() {
    let factory = WebSocketServerFactory::new(|| Guarded);
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let response = raw.ask(request("/denied", "")).await;
    assert_eq!(response.status(), "HTTP/1.1 403 no session");
    assert_eq!(response.header("x-hint").as_deref(), Some("log in"));
    assert_eq!(response.body, b"come back later\n");
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let response = raw.ask(request("/panics", "")).await;
    assert!(response.status().contains("500"), "{response:?}");
    until(|| factory.connection_count() == 0).await;
}

#[tokio::test]
async fn an_acceptance_keeps_subprotocol_and_headers() {
    let factory = WebSocketServerFactory::new(|| Guarded);
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let asked = request("/", "Sec-WebSocket-Protocol: v0, v1, v2\r\n");
    let response = raw.ask(asked).await;
    assert_eq!(
        response.header("sec-websocket-protocol").as_deref(),
        Some("v1")
    );
    assert_eq!(response.header("set-cookie").as_deref(), Some("a=1, b=2"));
}

#[tokio::test]
async fn plain_requests_get_pages_and_the_connection_lives_on() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    factory.on_http(|request| async move {
        (request.path() == "/health").then(|| HttpResponse::text("fine\n"))
    });
    let mut raw = Raw::connect(mounted(&factory).await).await;
    let page = raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(page.status().contains("200"), "{page:?}");
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
    let health = raw.ask("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(health.body, b"fine\n");
    raw.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.send(request("/", "")).await;
    let head = raw.octets(13).await;
    assert_eq!(head, b"HTTP/1.1 200 ");
    let mut rest = Vec::new();
    while !rest.ends_with(b"\r\n\r\n") {
        rest.extend(raw.octets(1).await);
    }
    let head = String::from_utf8(rest).unwrap().to_ascii_lowercase();
    assert!(head.contains("content-length: 5\r\n"), "{head}");
    // No body came in between.
    assert!(raw.response().await.status().contains("101"));
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default().max_connections(1);
    factory.set_protocol_options(options).unwrap();
    let address = mounted(&factory).await;
    let mut first = Raw::connect(address).await;
    assert!(first.ask(request("/", "")).await.status().contains("101"));
    let mut second = Raw::connect(address).await;
    let refused = second.ask(request("/", "")).await;
    assert!(refused.status().contains("503"), "{refused:?}");
    drop(first);
    until(|| factory.connection_count() == 0).await;
    let mut third = Raw::connect(address).await;
    assert!(third.ask(request("/", "")).await.status().contains("101"));
    soon(async {}).await;
}
