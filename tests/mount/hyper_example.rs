//! The example of a server of hyper.

use crate::world::{Raw, soon};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::{Method, Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use motorway::{CloseCode, Message};
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[expect(dead_code, reason = "main is for those who run the example")]
#[path = "../../examples/hyper_mount.rs"]
mod hyper_mount;

async fn start() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async { hyper_mount::serve(listener, stopped).await.unwrap() });
    (address, stop, serving)
}

#[tokio::test]
async fn it_greets_by_address_echoes_and_shuts_down() {
    let (address, stop, serving) = start().await;
    let mut ws = soon(motorway::connect(format!("ws://{address}/ws")))
        .await
        .unwrap();
    let greeting = soon(ws.recv_text()).await.unwrap().unwrap();
    assert!(greeting.starts_with("hello, tcp4:127.0.0.1:"), "{greeting}");
    ws.send("hello").await.unwrap();
    let echoed = soon(ws.recv()).await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
    stop.send(()).unwrap();
    assert_eq!(soon(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.close_info().unwrap().code, CloseCode::GOING_AWAY);
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn it_serves_a_page_and_nothing_else() {
    let (address, stop, serving) = start().await;
    let mut browser = Raw::connect(address).await;
    let page = browser.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        page.header("content-type").unwrap(),
        "text/html; charset=utf-8"
    );
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("new WebSocket(")
    );
    let nothing = browser.ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(nothing.status(), "HTTP/1.1 404 Not Found");
    // The browser keeps its connection open, which holds up nothing.
    stop.send(()).unwrap();
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn it_takes_websockets_over_http2() {
    let (address, stop, serving) = start().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{address}/ws"))
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    let upgraded = soon(hyper::upgrade::on(response)).await.unwrap();
    let mut stream = TokioIo::new(upgraded);
    let mut head = [0; 2];
    soon(stream.read_exact(&mut head)).await.unwrap();
    let mut greeting = vec![0; head[1].into()];
    soon(stream.read_exact(&mut greeting)).await.unwrap();
    assert!(greeting.starts_with(b"hello, tcp4:127.0.0.1:"));
    stop.send(()).unwrap();
    let mut close = [0; 4];
    soon(stream.read_exact(&mut close)).await.unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1001_u16.to_be_bytes()[..]));
    drop((stream, client));
    soon(serving).await.unwrap();
}
