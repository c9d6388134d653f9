//! Plain requests of HTTP on the port of a WebSocket server.

use crate::wire::{Raw, header, request, settle, status};
use motorway::{
    HttpResponse, ServerOptions, StatusCode, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::DuplexStream;

struct Quiet;

impl WebSocketServerProtocol for Quiet {}

/// A factory with pages; counts the instances that it makes.
fn with_pages(options: ServerOptions) -> (WebSocketServerFactory<Quiet>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let mut factory = WebSocketServerFactory::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Quiet
    });
    factory.set_protocol_options(options).unwrap();
    factory.on_http(|request| async move {
        match request.path() {
            "/" => Some(HttpResponse::html("<p>page</p>").header("x-page", "1")),
            "/form" => Some(HttpResponse::text(request.param("name")?.into_owned())),
            "/gone" => Some(StatusCode::GONE.into()),
            "/empty" => Some(HttpResponse::new(StatusCode::NO_CONTENT).body("never sent")),
            "/switch" => Some(HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)),
            "/panic" => panic!("as the test wants"),
            "/stuck" => std::future::pending().await,
            "/large" => Some(HttpResponse::text(vec![b'x'; 3 << 20])),
            _ => None,
        }
    });
    (factory, made)
}

fn open(factory: &WebSocketServerFactory<Quiet>) -> Raw<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(factory.serve_stream(ours));
    Raw::client(theirs)
}

/// The head and the body of the answer to this request.
async fn ask(factory: &WebSocketServerFactory<Quiet>, request: &str) -> (String, String) {
    let mut peer = open(factory);
    peer.write(request).await;
    let head = peer.head().await;
    let body = String::from_utf8(peer.rest().await).unwrap();
    (head, body)
}

async fn get(factory: &WebSocketServerFactory<Quiet>, target: &str) -> (u16, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = ask(factory, &request).await;
    if status(&head) != 204 {
        assert_eq!(
            header(&head, "content-length"),
            Some(body.len().to_string())
        );
    }
    assert!(header(&head, "connection").unwrap().starts_with("close"));
    (status(&head), body)
}

#[tokio::test(start_paused = true)]
async fn pages_are_answered_and_the_rest_by_the_status_page() {
    let (mut factory, made) = with_pages(ServerOptions::default());
    for (target, code, body) in [
        ("/", 200, "<p>page</p>"),
        ("/?x=y", 200, "<p>page</p>"),
        ("/form?name=a+b%21", 200, "a b!"),
        ("/gone", 410, ""),
        ("/empty", 204, ""),
        ("/switch", 500, ""),
        ("/panic", 500, ""),
    ] {
        assert_eq!(get(&factory, target).await, (code, body.to_owned()));
    }
    let (code, page) = get(&factory, "/other").await;
    assert!(code == 200 && page.contains("WebSocket server"));
    factory
        .set_protocol_options(ServerOptions::default().web_status(false))
        .unwrap();
    assert_eq!(get(&factory, "/other").await.0, 426);
    assert_eq!(get(&factory, "/").await.0, 200);
    factory.on_http(|_| async { None });
    assert_eq!(get(&factory, "/").await.0, 426);
    assert_eq!(made.load(Ordering::Relaxed), 0);
    settle().await;
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_like_get_without_a_body() {
    let (mut factory, _) = with_pages(ServerOptions::default());
    for options in [
        ServerOptions::default(),
        ServerOptions::default().web_status(false),
    ] {
        factory.set_protocol_options(options).unwrap();
        for target in ["/", "/other", "/gone", "/panic"] {
            let request = format!("{target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let (got, _) = ask(&factory, &format!("GET {request}")).await;
            let asked = ask(&factory, &format!("HEAD {request}")).await;
            assert_eq!(asked, (got, String::new()), "{target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_for_a_websocket_and_bad_ones_do_not_reach_the_pages() {
    let (factory, made) = with_pages(ServerOptions::default());
    let mut peer = open(&factory);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    assert_eq!(made.load(Ordering::Relaxed), 1);
    for (request, code) in [
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", 400),
    ] {
        assert_eq!(status(&ask(&factory, request).await.0), code, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_is_answered_and_no_second() {
    let (factory, _) = with_pages(ServerOptions::default());
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    let (_, rest) = ask(&factory, &request).await;
    assert_eq!(rest, "<p>page</p>");
}

#[tokio::test(start_paused = true)]
async fn pages_take_part_in_limits_and_deadlines() {
    let (factory, _) = with_pages(ServerOptions::default().max_connections(1));
    let mut stuck = open(&factory);
    stuck.write("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&factory, "/").await.0, 503);
    let start = tokio::time::Instant::now();
    assert_eq!(stuck.rest().await, b"");
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_large_page_may_take_a_while_but_not_for_ever() {
    let (factory, _) = with_pages(ServerOptions::default());
    let request = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut peer = open(&factory);
    peer.write(request).await;
    peer.head().await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(peer.rest().await.len(), 3 << 20);
    let mut peer = open(&factory);
    peer.write(request).await;
    peer.head().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(peer.rest().await.len() < 3 << 20);
    settle().await;
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_status_page_leads_elsewhere_only_where_it_is_told_to() {
    let mut factory = WebSocketServerFactory::new(|| Quiet);
    let target = "/?redirect=https%3A%2F%2Fexample.com%2Fa%3Fb%3D1%26c%3D2";
    let (code, page) = get(&factory, target).await;
    assert!(code == 200 && !page.contains("example.com"));
    factory
        .set_protocol_options(ServerOptions::default().web_status_redirect(true))
        .unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, _) = ask(&factory, &request).await;
    assert_eq!(status(&head), 303);
    let location = header(&head, "location");
    assert_eq!(location.as_deref(), Some("https://example.com/a?b=1&c=2"));
    let (code, page) = get(&factory, &format!("{target}&after=3")).await;
    assert_eq!(code, 200);
    assert!(page.contains("content=\"3; url=https://example.com/a?b=1&amp;c=2\""));
    for bad in [
        "javascript:alert(1)",
        "//example.com",
        "https://",
        "https://a/%22%3E%3Cscript%3E",
        "https://a/%0d%0ax:y",
        "https://a/%20b",
    ] {
        let (code, page) = get(&factory, &format!("/?redirect={bad}&after=1")).await;
        assert!(code == 200 && !page.contains("refresh"), "{bad}");
    }
}
