//! Who is let in, and under which options: `on_connect` of handlers, options of one connection, and
//! those who ask for the policy file of Flash.

use crate::wire::{Raw, header, request_for, status, within};
use motorway::{
    BasicAuth, ConnectionAccept, ConnectionDeny, ConnectionRequest, DeflateOptions, HandlerResult,
    Message, ServerOptions, StatusCode, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
    WebSocketStream,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::DuplexStream;

fn open<P: WebSocketServerProtocol>(factory: &WebSocketServerFactory<P>) -> Raw<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    tokio::spawn(factory.serve_stream(ours));
    Raw::client(theirs)
}

async fn ask<P: WebSocketServerProtocol>(
    factory: &WebSocketServerFactory<P>,
    path: &str,
    headers: &str,
) -> (String, Raw<DuplexStream>) {
    let mut peer = open(factory);
    peer.write(request_for(path, headers)).await;
    (peer.head().await, peer)
}

async fn greet(mut ws: WebSocketStream) -> HandlerResult {
    let subprotocol = ws.handle().subprotocol().unwrap_or("none").to_owned();
    ws.send(subprotocol).await?;
    while ws.recv().await?.is_some() {}
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_factory_of_handlers_asks_before_it_accepts() {
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let mut factory = WebSocketServerFactory::from_handler(move |ws| {
        count.fetch_add(1, Ordering::SeqCst);
        greet(ws)
    });
    factory.on_connect(|request| async move {
        tokio::task::yield_now().await;
        match request.path() {
            "/chat" => {
                let accept = ConnectionAccept::select(request.protocols(), ["b"]);
                Ok(accept.header("x-seen", "1"))
            }
            "/panic" => panic!("as the test wants"),
            _ => Err(ConnectionDeny::new(StatusCode::PAYMENT_REQUIRED).header("x-price", "3")),
        }
    });
    // A clone is a handle of the same factory.
    let factory = factory.clone();
    let (head, _peer) = ask(&factory, "/other", "").await;
    assert_eq!(
        (status(&head), header(&head, "x-price").as_deref()),
        (402, Some("3"))
    );
    let (head, _peer) = ask(&factory, "/panic", "").await;
    assert_eq!(status(&head), 500);
    assert_eq!(called.load(Ordering::SeqCst), 0, "no handler for those");
    let (head, mut peer) = ask(&factory, "/chat", "Sec-WebSocket-Protocol: a, b\r\n").await;
    assert_eq!(
        (status(&head), header(&head, "x-seen").as_deref()),
        (101, Some("1"))
    );
    assert_eq!(peer.frame().await.payload, b"b");
}

#[tokio::test(start_paused = true)]
async fn what_asks_may_be_replaced_and_needs_not_be() {
    let mut factory = WebSocketServerFactory::from_handler(greet);
    assert_eq!(status(&ask(&factory, "/", "").await.0), 101);
    factory.on_connect(|_| async { Err(StatusCode::FORBIDDEN.into()) });
    assert_eq!(status(&ask(&factory, "/", "").await.0), 403);
    let auth = Arc::new(BasicAuth::new("club").user("alice", "sesame"));
    factory.on_connect(move |request| {
        let auth = Arc::clone(&auth);
        async move {
            let user = auth.check(request.headers())?;
            Ok(ConnectionAccept::new().header("x-user", user))
        }
    });
    let (head, _peer) = ask(&factory, "/", "").await;
    let challenge = Some("Basic realm=\"club\", charset=\"UTF-8\"");
    assert_eq!(
        (status(&head), header(&head, "www-authenticate").as_deref()),
        (401, challenge)
    );
    let (head, _peer) = ask(&factory, "/", "Authorization: Basic YWxpY2U6c2VzYW1l\r\n").await;
    assert_eq!(
        (status(&head), header(&head, "x-user").as_deref()),
        (101, Some("alice"))
    );
}

/// Gives each path options of its own.
struct Own;

impl WebSocketServerProtocol for Own {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let options = ServerOptions::default();
        Ok(match request.path() {
            "/small" => ConnectionAccept::new().options(options.max_message_payload_size(4)),
            "/deflate" => {
                let options = options.per_message_deflate(DeflateOptions::default());
                ConnectionAccept::new().options(options.header("x-own", "1").protocols(["p"]))
            }
            "/invalid" => ConnectionAccept::new().options(options.auto_ping_size(3)),
            _ => ConnectionAccept::new(),
        })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_may_have_options_of_its_own() {
    let mut factory = WebSocketServerFactory::new(|| Own);
    let options = ServerOptions::default().max_message_payload_size(8);
    factory.set_protocol_options(options).unwrap();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: p\r\n";
    for (path, allowed) in [("/small", 4), ("/other", 8)] {
        let (head, mut peer) = ask(&factory, path, offer).await;
        assert_eq!(status(&head), 101);
        assert!(
            header(&head, "sec-websocket-extensions")
                .as_deref()
                .is_none()
        );
        peer.text(&"x".repeat(allowed)).await;
        assert_eq!(peer.frame().await.payload.len(), allowed);
        peer.text(&"x".repeat(allowed + 1)).await;
        assert_eq!(peer.frame().await.code(), 1009, "{path}");
    }
    let (head, _peer) = ask(&factory, "/deflate", offer).await;
    assert_eq!(status(&head), 101);
    let name = "sec-websocket-extensions";
    assert_eq!(header(&head, name).as_deref(), Some("permessage-deflate"));
    assert_eq!(
        header(&head, "sec-websocket-protocol").as_deref(),
        Some("p")
    );
    assert_eq!(header(&head, "x-own").as_deref(), Some("1"));
    assert_eq!(status(&ask(&factory, "/invalid", "").await.0), 500);
}

const POLICY_REQUEST: &[u8] = b"<policy-file-request/>\0";

#[tokio::test(start_paused = true)]
async fn a_policy_file_is_served_in_every_chunking_and_calls_nothing() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let mut factory = WebSocketServerFactory::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Own
    });
    factory.on_http(|_| async { panic!("no page is asked for") });
    let options = ServerOptions::default();
    let options = options
        .serve_flash_socket_policy(true)
        .flash_socket_policy("<policy/>\0");
    factory.set_protocol_options(options).unwrap();
    for size in 1..=POLICY_REQUEST.len() {
        let mut peer = open(&factory);
        for chunk in POLICY_REQUEST.chunks(size) {
            peer.write(chunk).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(within(peer.rest()).await, b"<policy/>\0", "{size}");
    }
    assert_eq!(made.load(Ordering::SeqCst), 0);
    // Real requests are served on the same port.
    assert_eq!(status(&ask(&factory, "/", "").await.0), 101);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_file_is_not_served_unless_asked_for() {
    let factory = WebSocketServerFactory::new(|| Own);
    let mut peer = open(&factory);
    peer.write(POLICY_REQUEST).await;
    assert_eq!(status(&peer.head().await), 400);
}
