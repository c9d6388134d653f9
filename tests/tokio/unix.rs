//! Unix sockets, endpoint strings and several listeners.

#![cfg(unix)]

use crate::wire::{Raw, Wire, header, request, status, within};
use motorway::{
    HandlerResult, ListenAddress, Message, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Sends back who the peer is.
struct Who;

impl WebSocketServerProtocol for Who {
    async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
        Ok(ws.send(ws.peer().to_string()).await?)
    }
}

/// A folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("motorway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn who<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> String {
    let mut peer = Raw::client(stream);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    peer.text("who?").await;
    let answer = String::from_utf8(peer.frame().await.payload).unwrap();
    peer.send(Wire::close(1000, "")).await;
    assert_eq!(peer.frame().await.code(), 1000);
    answer
}

#[tokio::test]
async fn one_server_listens_on_several_addresses() {
    let folder = Folder::new("several");
    let path = folder.socket();
    let factory = WebSocketServerFactory::new(|| Who);
    let unix = format!("unix:{}:mode=600", path.display());
    let server = factory
        .listen_all(["127.0.0.1:0", &unix, "tcp:0:interface=127.0.0.1"])
        .await
        .unwrap();
    let [first, second, third] = server.addresses() else {
        panic!("{:?}", server.addresses());
    };
    assert_eq!(first.port(), Some(server.local_addr().port()));
    assert_eq!(second, &ListenAddress::unix(&path));
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    assert!(who(stream).await.starts_with("tcp4:127.0.0.1:"));
    let port = third.port().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert!(who(stream).await.starts_with("tcp4:127.0.0.1:"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(who(UnixStream::connect(&path).await.unwrap()).await, "unix");
    within(server.run_until(async {})).await.unwrap();
    assert!(!path.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = Folder::new("stale");
    let path = folder.socket();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let factory = WebSocketServerFactory::new(|| Who);
    let first = factory.listen(ListenAddress::unix(&path)).await.unwrap();
    assert!(factory.listen(ListenAddress::unix(&path)).await.is_err());
    assert_eq!(who(UnixStream::connect(&path).await.unwrap()).await, "unix");
    assert_eq!(first.local_addr().to_string(), "0.0.0.0:0");
    drop(first);
    while path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whatever is no socket stays.
    std::fs::write(&path, "precious").unwrap();
    assert!(factory.listen(ListenAddress::unix(&path)).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_server_removes_no_socket_but_its_own() {
    let folder = Folder::new("own");
    let path = folder.socket();
    let factory = WebSocketServerFactory::new(|| Who);
    let first = factory.listen(ListenAddress::unix(&path)).await.unwrap();
    std::fs::rename(&path, folder.0.join("elsewhere")).unwrap();
    let bound = UnixListener::bind(&path).unwrap();
    let second = factory.listen_on_unix(bound).unwrap();
    within(first.run_until(async {})).await.unwrap();
    assert_eq!(who(UnixStream::connect(&path).await.unwrap()).await, "unix");
    within(second.run_until(async {})).await.unwrap();
    // Bound by the caller, so it is the caller's to remove.
    assert!(path.exists());
}

#[tokio::test]
async fn a_bound_client_is_told_by_its_path() {
    let folder = Folder::new("bound");
    let factory = WebSocketServerFactory::new(|| Who);
    let address = ListenAddress::unix(folder.socket());
    let server = factory.listen(address).await.unwrap();
    let client = folder.0.join("client");
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&client).unwrap();
    let stream = socket.connect(folder.socket()).await.unwrap();
    assert_eq!(who(stream).await, format!("unix:{}", client.display()));
    drop(server);
}

#[tokio::test]
async fn bad_addresses_bind_nothing() {
    let folder = Folder::new("bad");
    let path = folder.socket();
    let factory = WebSocketServerFactory::new(|| Who);
    let unix = format!("unix:{}", path.display());
    assert!(factory.listen_all([unix.as_str(), "ssl:1"]).await.is_err());
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let both = factory.listen_all([unix.as_str(), &port]).await;
    assert!(both.is_err());
    drop(taken);
    assert!(!path.exists());
    assert!(factory.listen_all(Vec::<&str>::new()).await.is_err());
    let mut peer = factory.listen(([127, 0, 0, 1], 0)).await.unwrap();
    let stream = TcpStream::connect(peer.local_addr()).await.unwrap();
    let mut raw = Raw::client(stream);
    raw.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(header(&raw.head().await, "content-length").is_some());
    peer = factory
        .listen((std::net::Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    drop(peer);
}
