//! The end of a stream, with the `close_notify` of TLS and without.

use crate::world::{Client, Told, World, closed, within};
use motorway::handshake::accept_key;
use motorway::{CloseCause, CloseCode, CloseInfo, TlsStream, WebSocketClientFactory};
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Close frames with 1000, of a client and of a server. (RFC 6455 §5.5.1; a masking key of zeros.)
const MASKED_CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const CLOSE: &[u8] = b"\x88\x02\x03\xe8";

async fn head(stream: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A client by hand, on a connection that is open.
async fn client_of(world: &World) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(world.server.local_addr()).await.unwrap();
    let tls = world.trusting();
    let mut stream = within(tls.connect("localhost", stream)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert!(head(&mut stream).await.contains(" 101 "));
    stream
}

/// A server by hand, on a connection that is open, and what the client was told.
async fn server_of(world: &World) -> (TlsStream<TcpStream>, UnboundedReceiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let (sender, told) = unbounded_channel();
    let mut factory = WebSocketClientFactory::new(url, move || Client(sender.clone())).unwrap();
    factory.set_tls(world.trusting());
    tokio::spawn(async move { factory.run().await });
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut stream = within(world.tls.accept(stream)).await.unwrap();
    let request = head(&mut stream).await;
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept_key(key.unwrap());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    (stream, told)
}

async fn send(stream: &mut TlsStream<TcpStream>, octets: &[u8]) {
    stream.write_all(octets).await.unwrap();
    stream.flush().await.unwrap();
}

fn assert_clean(info: &CloseInfo) {
    assert!(info.was_clean && info.is_ok(), "{info:?}");
    assert_eq!(info.code, CloseCode::NORMAL);
}

fn assert_truncated(info: &CloseInfo) {
    assert!(!info.was_clean && !info.is_ok(), "{info:?}");
    assert_eq!(info.code, CloseCode::ABNORMAL);
    let CloseCause::Io(error) = &info.cause else {
        panic!("{info:?}");
    };
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_client_that_closed_well_may_leave_close_notify_out() {
    let mut world = World::new().await;
    let mut client = client_of(&world).await;
    send(&mut client, MASKED_CLOSE).await;
    let mut answer = [0; 4];
    within(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, CLOSE);
    drop(client);
    assert_clean(&world.closed().await);
}

#[tokio::test]
async fn a_server_sends_close_notify() {
    let mut world = World::new().await;
    let mut client = client_of(&world).await;
    send(&mut client, MASKED_CLOSE).await;
    let mut answer = Vec::new();
    // Without `close_notify` this were an error.
    within(client.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, CLOSE);
    client.shutdown().await.unwrap();
    drop(client);
    assert_clean(&world.closed().await);
}

#[tokio::test]
async fn a_stream_that_is_cut_off_is_not_clean() {
    let mut world = World::new().await;
    let message = b"\x82\x84\0\0\0\0abcd";
    for sent in [&b""[..], message, &message[..5]] {
        let mut client = client_of(&world).await;
        send(&mut client, sent).await;
        // What the server answers is read, so that TCP ends without a reset.
        if sent == message {
            within(client.read_exact(&mut [0; 6])).await.unwrap();
        }
        drop(client);
        assert_truncated(&world.closed().await);
    }
}

#[tokio::test]
async fn close_notify_without_a_close_frame_is_not_clean_either() {
    let mut world = World::new().await;
    let mut client = client_of(&world).await;
    client.shutdown().await.unwrap();
    let info = world.closed().await;
    assert!(!info.was_clean && info.code == CloseCode::ABNORMAL);
    assert!(matches!(info.cause, CloseCause::Dropped), "{info:?}");
}

#[tokio::test]
async fn a_server_that_closed_well_may_leave_close_notify_out() {
    let world = World::new().await;
    let (mut server, mut told) = server_of(&world).await;
    send(&mut server, CLOSE).await;
    within(server.read_exact(&mut [0; 8])).await.unwrap();
    drop(server);
    assert_clean(&closed(&mut told).await);
}

#[tokio::test]
async fn a_client_answers_close_notify() {
    let world = World::new().await;
    let (mut server, mut told) = server_of(&world).await;
    send(&mut server, CLOSE).await;
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(server.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.len(), 8);
    assert_clean(&closed(&mut told).await);
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_noticed() {
    let world = World::new().await;
    let (server, mut told) = server_of(&world).await;
    drop(server);
    assert_truncated(&closed(&mut told).await);
}
