//! The end of a blocking connection, with the `close_notify` of TLS and without.

use crate::blocking::Echo;
use crate::world::{World, within};
use motorway::blocking::{Connector, WebSocketStream};
use motorway::handshake::accept_key;
use motorway::{CloseCause, CloseCode, CloseInfo, Error, TlsStream};
use std::io::ErrorKind;
use std::thread::{self, JoinHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A close frame with 1000 of a server. (RFC 6455 §5.5.1.)
const CLOSE: &[u8] = b"\x88\x02\x03\xe8";

type Client = JoinHandle<(motorway::Result<()>, WebSocketStream)>;

/// A server by hand, and a blocking client of it that receives up to the end.
async fn server_of(world: &World) -> (TlsStream<TcpStream>, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let connector = Connector::new(url).unwrap().tls(world.trusting());
    let client = thread::spawn(move || {
        let mut ws = connector.connect().unwrap();
        let end = loop {
            match ws.recv() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (end, ws)
    });
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut stream = within(world.tls.accept(stream)).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    let request = String::from_utf8(head).unwrap();
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key.unwrap())
    );
    send(&mut stream, response.as_bytes()).await;
    (stream, client)
}

async fn send(stream: &mut TlsStream<TcpStream>, octets: &[u8]) {
    stream.write_all(octets).await.unwrap();
    stream.flush().await.unwrap();
}

async fn end_of(client: Client) -> (motorway::Result<()>, CloseInfo) {
    let joining = tokio::task::spawn_blocking(|| client.join().unwrap());
    let (end, ws) = within(joining).await.unwrap();
    (end, ws.close_info().unwrap())
}

#[tokio::test]
async fn a_server_that_closed_well_may_leave_close_notify_out() {
    let world = World::new().await;
    let (mut server, client) = server_of(&world).await;
    send(&mut server, CLOSE).await;
    within(server.read_exact(&mut [0; 8])).await.unwrap();
    drop(server);
    let (end, info) = end_of(client).await;
    assert!(end.is_ok() && info.was_clean && info.is_ok(), "{info:?}");
    assert_eq!(info.code, CloseCode::NORMAL);
}

#[tokio::test]
async fn a_client_answers_close_notify() {
    let world = World::new().await;
    let (mut server, client) = server_of(&world).await;
    send(&mut server, CLOSE).await;
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // Without `close_notify` this were an error.
    within(server.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.len(), 8);
    let (end, info) = end_of(client).await;
    assert!(end.is_ok() && info.was_clean, "{info:?}");
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_noticed() {
    let world = World::new().await;
    let message = b"\x82\x04abcd";
    for sent in [&b""[..], message, &message[..4]] {
        let (mut server, client) = server_of(&world).await;
        send(&mut server, sent).await;
        drop(server);
        let (end, info) = end_of(client).await;
        assert!(matches!(end, Err(Error::Io(_))), "{end:?}");
        assert!(!info.was_clean && info.code == CloseCode::ABNORMAL);
        let CloseCause::Io(error) = &info.cause else {
            panic!("{info:?}");
        };
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn close_notify_without_a_close_frame_is_not_clean_either() {
    let world = World::new().await;
    let (mut server, client) = server_of(&world).await;
    server.shutdown().await.unwrap();
    let (end, info) = end_of(client).await;
    assert!(matches!(end, Err(Error::Closed(_))), "{end:?}");
    assert!(matches!(info.cause, CloseCause::Dropped), "{info:?}");
}

#[tokio::test]
async fn a_server_sends_close_notify() {
    let echo = Echo::new();
    let url: motorway::Url = echo.url().parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", url.port())).await.unwrap();
    let mut client = within(echo.trusting().connect("localhost", stream))
        .await
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n\x88\x82\0\0\0\0\x03\xe8";
    send(&mut client, request).await;
    let mut answer = Vec::new();
    within(client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(CLOSE));
}
