//! WebSocket over HTTP/2 (RFC 8441), with the client of the crate `h2`.

use crate::world::{Echo, frame, serve, serve_until, soon, until};
use axum::Router;
use axum::routing::any;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use motorway::{
    CloseCode, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, DeflateOptions,
    HandlerResult, Message, SendError, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol, WebSocketUpgrade,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Connects, and waits until the server's settings are here.
async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    connect_on(TcpStream::connect(address).await.unwrap()).await
}

/// As `connect`, on a stream that is connected.
pub(crate) async fn connect_on<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::client::Builder::new();
    // A stream that is not read is not to use up the window of all.
    builder
        .initial_window_size(64 << 10)
        .initial_connection_window_size(1 << 20);
    let (sender, mut connection) = builder.handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(async move { connection.await.ok() });
    soon(pings.ping(h2::Ping::opaque())).await.unwrap();
    assert!(sender.is_extended_connect_protocol_enabled());
    sender
}

fn asked(address: SocketAddr, path: &str) -> Request<()> {
    let mut request = Request::connect(format!("http://{address}{path}"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    request
}

fn send(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> (ResponseFuture, SendStream<Bytes>) {
    sender.send_request(request, false).unwrap()
}

/// One WebSocket on a connection, by hand.
pub(crate) struct Ws {
    headers: HeaderMap,
    output: SendStream<Bytes>,
    input: RecvStream,
    received: Vec<u8>,
}

impl Ws {
    pub(crate) async fn open(sender: &mut SendRequest<Bytes>, request: Request<()>) -> Self {
        let (response, output) = send(sender, request);
        let (head, input) = soon(response).await.unwrap().into_parts();
        assert_eq!(head.status, StatusCode::OK);
        Self {
            headers: head.headers,
            output,
            input,
            received: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, octets: Vec<u8>) {
        self.output.send_data(octets.into(), false).unwrap();
    }

    /// Reads the end of the stream.
    async fn ended(&mut self) {
        while let Some(data) = soon(self.input.data()).await {
            assert_eq!(data.unwrap(), "");
        }
    }

    /// Reads so many octets.
    pub(crate) async fn octets(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            let data = soon(self.input.data()).await.unwrap().unwrap();
            self.input
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            self.received.extend(data);
        }
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }
}

async fn mounted<P: WebSocketServerProtocol>(factory: &WebSocketServerFactory<P>) -> SocketAddr {
    serve(Router::new().fallback_service(factory.clone().into_service())).await
}

async fn refusal(sender: &mut SendRequest<Bytes>, request: Request<()>) -> (StatusCode, HeaderMap) {
    let (response, _) = send(sender, request);
    let response = soon(response).await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn the_sample_of_the_rfc_works() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let address = mounted(&factory).await;
    let mut sender = connect(address).await;
    let mut ws = Ws::open(&mut sender, asked(address, "/chat")).await;
    // RFC 8441 §5: these are not used.
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!ws.headers.contains_key(name), "{name}");
    }
    ws.send(frame(0x81, b"Hello"));
    assert_eq!(ws.octets(7).await, b"\x81\x05Hello");
    ws.send(frame(0x88, b"\x03\xe8"));
    assert_eq!(ws.octets(4).await, b"\x88\x02\x03\xe8");
    // The end of TCP is the end of the stream.
    ws.ended().await;
    ws.output.send_data(Bytes::new(), true).unwrap();
    until(|| factory.connection_count() == 0).await;
}

#[tokio::test]
async fn many_requests_of_all_kinds_share_a_connection() {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default()
        .allowed_origins(["https://good.example"])
        .per_message_deflate(DeflateOptions::default())
        .protocols(["v1"]);
    factory.set_protocol_options(options).unwrap();
    let address = mounted(&factory).await;
    let mut sender = connect(address).await;
    let mut evil = asked(address, "/");
    evil.headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(refusal(&mut sender, evil).await.0, StatusCode::FORBIDDEN);
    let mut old = asked(address, "/");
    old.headers_mut()
        .insert("sec-websocket-version", "8".parse().unwrap());
    let (status, headers) = refusal(&mut sender, old).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers["sec-websocket-version"], "13");
    let mut other = asked(address, "/");
    other
        .extensions_mut()
        .insert(Protocol::from_static("connect-udp"));
    let (status, _) = refusal(&mut sender, other).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    let mut elsewhere = asked(address, "/");
    elsewhere
        .headers_mut()
        .insert("host", "elsewhere.example".parse().unwrap());
    assert_eq!(
        refusal(&mut sender, elsewhere).await.0,
        StatusCode::BAD_REQUEST
    );
    let page = Request::get(format!("http://{address}/")).body(()).unwrap();
    assert_eq!(refusal(&mut sender, page).await.0, StatusCode::OK);
    let mut good = asked(address, "/");
    let fields = good.headers_mut();
    fields.insert("origin", "https://good.example".parse().unwrap());
    fields.insert("sec-websocket-protocol", "v0, v1".parse().unwrap());
    fields.insert(
        "sec-websocket-extensions",
        "permessage-deflate".parse().unwrap(),
    );
    let ws = Ws::open(&mut sender, good).await;
    assert_eq!(ws.headers["sec-websocket-protocol"], "v1");
    assert_eq!(ws.headers["sec-websocket-extensions"], "permessage-deflate");
    assert_eq!(factory.connection_count(), 1);
}

struct Guarded;

impl WebSocketServerProtocol for Guarded {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let cookie = request.cookie("b").unwrap_or_default();
        Err(ConnectionDeny::new(StatusCode::PAYMENT_REQUIRED)
            .reason("is not told in HTTP/2")
            .header("x-path", request.path())
            .header("x-cookie", cookie)
            .body("pay first\n"))
    }
}

#[tokio::test]
async fn denials_keep_status_headers_and_body() {
    let factory = WebSocketServerFactory::new(|| Guarded);
    let address = mounted(&factory).await;
    let mut sender = connect(address).await;
    let mut request = asked(address, "/here?a=b");
    // RFC 9113 §8.2.3: cookies may come apart.
    request
        .headers_mut()
        .append("cookie", "a=1".parse().unwrap());
    request
        .headers_mut()
        .append("cookie", "b=2".parse().unwrap());
    let (response, _) = send(&mut sender, request);
    let response = soon(response).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(response.headers()["x-path"], "/here");
    assert_eq!(response.headers()["x-cookie"], "2");
    let body = soon(response.into_body().data()).await.unwrap().unwrap();
    assert_eq!(body, "pay first\n");
    until(|| factory.connection_count() == 0).await;
}

/// Keeps how its connection ended.
struct Ending(Arc<Mutex<Vec<CloseInfo>>>);

impl WebSocketServerProtocol for Ending {
    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        self.0.lock().unwrap().push(info);
        Ok(())
    }
}

#[tokio::test]
async fn a_reset_stream_is_a_lost_connection_and_the_others_go_on() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&ends);
    let factory = WebSocketServerFactory::new(move || Ending(Arc::clone(&shared)));
    let address = mounted(&factory).await;
    let mut sender = connect(address).await;
    let mut reset = Ws::open(&mut sender, asked(address, "/")).await;
    let mut ended = Ws::open(&mut sender, asked(address, "/")).await;
    let mut other = Ws::open(&mut sender, asked(address, "/")).await;
    reset.output.send_reset(Reason::CANCEL);
    until(|| ends.lock().unwrap().len() == 1).await;
    ended.output.send_data(Bytes::new(), true).unwrap();
    until(|| ends.lock().unwrap().len() == 2).await;
    for info in &*ends.lock().unwrap() {
        assert_eq!(info.code, CloseCode::ABNORMAL, "{info:?}");
        assert!(!info.was_clean);
    }
    other.send(frame(0x89, b"ping"));
    assert_eq!(other.octets(6).await, b"\x8a\x04ping");
    assert_eq!(factory.connection_count(), 1);
    drop((reset, ended, other, sender));
    until(|| factory.connection_count() == 0).await;
}

/// Sends until nothing is taken any more.
struct Flood(Arc<Mutex<Option<WebSocket>>>);

impl WebSocketServerProtocol for Flood {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        *self.0.lock().unwrap() = Some(ws.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_pushes_back_into_send() {
    let handle = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&handle);
    let factory = WebSocketServerFactory::new(move || Flood(Arc::clone(&shared)));
    let address = mounted(&factory).await;
    let mut sender = connect(address).await;
    let mut ws = Ws::open(&mut sender, asked(address, "/")).await;
    until(|| handle.lock().unwrap().is_some()).await;
    let server = handle.lock().unwrap().clone().unwrap();
    let chunk = vec![7; 1 << 10];
    let mut taken = 0;
    // What the connection takes: its window, what waits below, and 256 KiB of its own.
    loop {
        match server.try_send(&chunk[..]) {
            Ok(()) => taken += chunk.len(),
            Err(SendError::Full { .. }) => {
                sleep(Duration::from_millis(100)).await;
                if server.try_send(&chunk[..]).is_err() {
                    break;
                }
                taken += chunk.len();
            }
            Err(error) => panic!("{error}"),
        }
        assert!(taken < 1 << 20, "{taken}");
        tokio::task::yield_now().await;
    }
    assert!(taken >= 256 << 10, "{taken}");
    // A second one is not held up.
    let mut other = Ws::open(&mut sender, asked(address, "/")).await;
    other.send(frame(0x89, b""));
    assert_eq!(other.octets(2).await, b"\x8a\x00");
    // Read, everything comes.
    let messages = taken / chunk.len();
    for _ in 0..messages {
        let message = ws.octets(4 + chunk.len()).await;
        assert_eq!(&message[..4], b"\x82\x7e\x04\x00");
    }
    server.try_send(Message::from("done")).unwrap();
    assert_eq!(ws.octets(6).await, b"\x81\x04done");
}

#[tokio::test]
async fn axums_graceful_shutdown_closes_streams_with_1001() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let app = Router::new().fallback_service(factory.clone().into_service());
    let (stop, stopped) = oneshot::channel::<()>();
    let (address, serving) = serve_until(app, factory.shutdown_after(stopped)).await;
    let mut sender = connect(address).await;
    let mut ws = Ws::open(&mut sender, asked(address, "/")).await;
    stop.send(()).unwrap();
    let close = ws.octets(4).await;
    assert_eq!(close, b"\x88\x13\x03\xe9");
    ws.octets(17).await;
    ws.send(frame(0x88, b"\x03\xe9"));
    ws.ended().await;
    ws.output.send_data(Bytes::new(), true).unwrap();
    drop((ws, sender));
    soon(serving).await.unwrap();
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test]
async fn the_extractor_works_over_http_2() {
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
    let address = serve(app).await;
    let mut sender = connect(address).await;
    let mut ws = Ws::open(&mut sender, asked(address, "/echo")).await;
    ws.send(frame(0x81, b"Hello"));
    assert_eq!(ws.octets(7).await, b"\x81\x05Hello");
    let page = Request::get(format!("http://{address}/echo"))
        .body(())
        .unwrap();
    let (status, headers) = refusal(&mut sender, page).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!headers.contains_key("upgrade"));
}
