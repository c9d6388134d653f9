//! Proxies and TLS: to the server through a proxy, to the proxy, and both.

use crate::authority::Authority;
use crate::world::{World, closed, within};
use motorway::{
    ClientOptions, ClientTls, ConnectError, ConnectingRequest, Connector, Error, Server, ServerTls,
    Stream, TlsError, WebSocketStream, blocking,
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

#[tokio::test]
async fn a_blocking_client_reaches_the_server_through_proxies_with_tls() {
    let world = World::new().await;
    let identity = world.authority.issue("127.0.0.1").identity();
    let tls = ServerTls::new(identity).unwrap();
    let plain = plain_echo().await;
    let port = plain.local_addr().port();
    for (url, to, tls) in [
        (world.url(), world.server.local_addr(), None),
        (world.url(), world.server.local_addr(), Some(tls.clone())),
        (
            format!("ws://localhost:{port}/"),
            plain.local_addr(),
            Some(tls.clone()),
        ),
    ] {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let proxy = format!("{scheme}://{}", proxy(to, tls).await);
        let trusting = world.trusting().server_name("localhost").unwrap();
        let is_secure = url.starts_with("wss");
        let talking = tokio::task::spawn_blocking(move || {
            let connector = blocking::Connector::new(url).unwrap();
            let options = ClientOptions::default().proxy(&proxy);
            let connector = connector.options(options).tls(trusting);
            let connector = connector.on_connecting(move |details| {
                assert_eq!(details.proxy(), Some(&*proxy));
                assert_eq!(details.is_secure(), is_secure);
                Ok(ConnectingRequest::new())
            });
            let mut ws = connector.connect().unwrap();
            let text = "through".repeat(10_000);
            ws.send(&text).unwrap();
            assert_eq!(&*ws.recv_text().unwrap().unwrap(), text);
            assert!(ws.close(1000, "").unwrap().was_clean);
        });
        within(talking).await.unwrap();
    }
}

#[tokio::test]
async fn a_blocking_client_believes_a_proxy_apart_from_the_server() {
    let world = World::new().await;
    let other = Authority::new();
    let tls = ServerTls::new(other.issue("127.0.0.1").identity()).unwrap();
    let url = format!(
        "https://{}",
        proxy(world.server.local_addr(), Some(tls)).await
    );
    let connector = blocking::Connector::new(world.url()).unwrap();
    let connector = connector
        .options(ClientOptions::default().proxy(&url))
        .tls(world.trusting());
    let trusting = ClientTls::new(&other.roots()).unwrap();
    let connecting = tokio::task::spawn_blocking(move || {
        let error = connector.connect().unwrap_err();
        (error, connector.proxy_tls(trusting).connect().map(drop))
    });
    let (error, connected) = within(connecting).await.unwrap();
    let Error::Connect(error) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(
            *error,
            ConnectError::ProxyTls {
                source: TlsError::UnknownIssuer,
                ..
            }
        ),
        "{error:?}"
    );
    connected.unwrap();
}

/// A server that leads everyone elsewhere.
async fn leading(to: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 307 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

/// Regression: the name for the first server was asked for at all others.
#[tokio::test]
async fn a_name_for_the_first_server_is_not_that_of_where_it_leads() {
    let world = World::new().await;
    let address = leading(world.url()).await;
    let tls = world.trusting().server_name("first.example.com").unwrap();
    let options = ClientOptions::default().max_redirects(1);
    let url = format!("ws://{address}/");
    let mut connector = Connector::new(&url).unwrap();
    connector.set_protocol_options(options.clone()).unwrap();
    connector.set_tls(tls.clone());
    assert_echoes(within(connector.connect()).await.unwrap()).await;
    let connector = blocking::Connector::new(&url).unwrap();
    let connector = connector.options(options).tls(tls);
    let connected = tokio::task::spawn_blocking(move || connector.connect().map(drop));
    within(connected).await.unwrap().unwrap();
}

#[tokio::test]
async fn tls_asks_for_the_host_of_the_url_wherever_it_connects_to() {
    let mut world = World::new().await;
    let to = world.server.local_addr();
    let mut connector = Connector::new("wss://localhost:1/").unwrap();
    connector.set_tls(world.trusting());
    let options = ClientOptions::default().connect_to(to);
    connector.set_protocol_options(options.clone()).unwrap();
    assert_echoes(within(connector.connect()).await.unwrap()).await;
    assert_eq!(world.transport().await.server_name(), Some("localhost"));
    let connector = blocking::Connector::new("wss://127.0.0.1:1/").unwrap();
    let connector = connector.options(options).tls(world.trusting());
    let connected = tokio::task::spawn_blocking(move || connector.connect());
    let Error::Tls(error) = within(connected).await.unwrap().unwrap_err() else {
        panic!("not an error of tls");
    };
    assert!(matches!(*error, TlsError::NameMismatch { .. }), "{error:?}");
}
