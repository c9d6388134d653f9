//! Proxies and TLS: to the server through a proxy, to the proxy, and both.

use crate::authority::Authority;
use crate::world::{World, closed, within};
use motorway::{
    ClientOptions, ClientTls, ConnectError, Connector, Error, Server, ServerTls, Stream, TlsError,
    WebSocketStream,
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that understands CONNECT and leads to `to`, with TLS if it has a certificate.
async fn proxy(to: SocketAddr, tls: Option<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => drop(tokio::spawn(lead(stream, to))),
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        tokio::spawn(lead(stream, to));
                    }
                }
            }
        }
    });
    address
}

async fn lead<S: Stream>(mut stream: S, to: SocketAddr) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"CONNECT localhost:"), "{head:?}");
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut server = TcpStream::connect(to).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

fn connector(url: &str, proxy: String, tls: ClientTls) -> Connector {
    let mut connector = Connector::new(url).unwrap();
    let options = ClientOptions::default().proxy(proxy);
    connector.set_protocol_options(options).unwrap();
    connector.set_tls(tls);
    connector
}

async fn assert_echoes(mut ws: WebSocketStream) {
    let text = "through".repeat(10_000);
    ws.send(&text).await.unwrap();
    let echoed = within(ws.recv()).await.unwrap().unwrap();
    assert_eq!(echoed.as_text(), Some(&*text));
    assert!(within(ws.close(1000, "")).await.unwrap().was_clean);
}

#[tokio::test]
async fn tls_reaches_the_server_through_a_proxy() {
    let mut world = World::new().await;
    let to = world.server.local_addr();
    let through = proxy(to, None).await;
    let connector = connector(&world.url(), format!("http://{through}"), world.trusting());
    let ws = within(connector.connect()).await.unwrap();
    let details = ws.request().transport();
    assert!(details.is_secure() && details.peer_certificate().is_some());
    assert_eq!(details.proxy(), Some(&*format!("http://{through}")));
    assert_eq!(world.transport().await.server_name(), Some("localhost"));
    assert_echoes(ws).await;
    assert!(closed(&mut world.told).await.was_clean);
}

async fn plain_echo() -> Server {
    let handler = |mut ws: WebSocketStream| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    };
    motorway::serve("127.0.0.1:0", handler).await.unwrap()
}

#[tokio::test]
async fn a_proxy_may_have_tls_with_and_without_that_of_the_server() {
    let world = World::new().await;
    let identity = world.authority.issue("127.0.0.1").identity();
    let tls = ServerTls::new(identity).unwrap();
    let plain = plain_echo().await;
    let port = plain.local_addr().port();
    for (url, to) in [
        (world.url(), world.server.local_addr()),
        (format!("ws://localhost:{port}/"), plain.local_addr()),
    ] {
        let through = proxy(to, Some(tls.clone())).await;
        // The name is one for the server, not for the proxy.
        let trusting = world.trusting().server_name("localhost").unwrap();
        let connector = connector(&url, format!("https://{through}"), trusting);
        let ws = within(connector.connect()).await.unwrap();
        let is_secure = ws.request().transport().is_secure();
        assert_eq!(is_secure, url.starts_with("wss"));
        assert_echoes(ws).await;
    }
}

#[tokio::test]
async fn a_proxy_may_be_believed_apart_from_the_server() {
    let world = World::new().await;
    let other = Authority::new();
    let tls = ServerTls::new(other.issue("127.0.0.1").identity()).unwrap();
    let through = proxy(world.server.local_addr(), Some(tls)).await;
    let url = format!("https://{through}");
    let mut connector = connector(&world.url(), url.clone(), world.trusting());
    let Error::Connect(error) = within(connector.connect()).await.unwrap_err() else {
        panic!("not an error of connecting");
    };
    let ConnectError::ProxyTls { proxy, source, .. } = *error else {
        panic!("{error:?}");
    };
    assert_eq!(proxy, url);
    assert!(matches!(source, TlsError::UnknownIssuer), "{source:?}");
    connector.set_proxy_tls(ClientTls::new(&other.roots()).unwrap());
    assert_echoes(within(connector.connect()).await.unwrap()).await;
}
