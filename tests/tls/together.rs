//! TLS with what else servers do: proxies, routes, pages.

use crate::world::{World, dial, within};
use motorway::{Error, WebSocketServerProtocol};
use motorway::{HttpResponse, Peer, Router, ServerOptions, WebSocketServerFactory};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOURCE: &str = "192.0.2.1:1234";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What a server answers to these octets behind TLS, in front of which this stands.
async fn answer(world: &World, before: &str, octets: &str) -> String {
    let address = world.server.local_addr();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(before.as_bytes()).await.unwrap();
    let tls = world.trusting();
    let mut stream = within(tls.connect("localhost", stream)).await.unwrap();
    stream.write_all(octets.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = within(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_proxy_tells_the_peer_before_tls() {
    let options = ServerOptions::default().proxy_protocol(["127.0.0.1"]);
    let mut world = World::with(options, |tls, _| tls).await;
    let header = "PROXY TCP4 192.0.2.1 10.0.0.9 1234 80\r\n";
    let found = answer(&world, header, UPGRADE).await;
    assert!(found.starts_with("HTTP/1.1 101 "), "{found}");
    let details = world.transport().await;
    let source: SocketAddr = SOURCE.parse().unwrap();
    assert_eq!(details.peer(), &Peer::from(source));
    assert!(details.is_secure());
    assert_eq!(details.server_name(), Some("localhost"));
    assert_eq!(details.local(), Some(world.server.local_addr()));

    // Behind TLS it is no header of a proxy any more.
    let found = answer(&world, header, &format!("{header}{UPGRADE}")).await;
    assert!(found.starts_with("HTTP/1.1 400 "), "{found}");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_of_the_peer_is_dropped() {
    let options = ServerOptions::default().proxy_protocol(["127.0.0.1"]);
    let world = World::with(options, |tls, _| tls).await;
    assert!(dial(&world.url(), world.trusting()).await.is_err());
}

#[tokio::test]
async fn forwarded_peers_keep_what_is_known_of_tls() {
    let options = ServerOptions::default().trust_x_forwarded_for(1);
    let mut world = World::with(options, |tls, _| tls).await;
    let request = UPGRADE.replace("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    let found = answer(&world, "", &request).await;
    assert!(found.starts_with("HTTP/1.1 101 "), "{found}");
    let details = world.transport().await;
    assert_eq!(details.peer().to_string(), "192.0.2.7");
    assert!(details.is_secure());
}

#[tokio::test]
async fn pages_are_told_of_tls() {
    let mut world = World::new().await;
    world.factory.on_http(|request| async move {
        let is_secure = request.transport().is_secure();
        Some(HttpResponse::text(format!("secure: {is_secure}")))
    });
    let found = answer(&world, "", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(found.ends_with("secure: true"), "{found}");
}

#[tokio::test]
async fn routers_listen_with_tls() {
    struct Quiet;
    impl WebSocketServerProtocol for Quiet {}

    let mut world = World::new().await;
    let router = Router::new()
        .route("/told", world.factory.clone())
        .route("/quiet", WebSocketServerFactory::new(|| Quiet));
    let server = router.listen_tls("127.0.0.1:0", &world.tls).await.unwrap();
    let url = format!("wss://localhost:{}", server.local_addr().port());
    let _told = dial(&format!("{url}/told"), world.trusting())
        .await
        .unwrap();
    assert!(world.transport().await.is_secure());
    let _quiet = dial(&format!("{url}/quiet"), world.trusting())
        .await
        .unwrap();
    assert_eq!(router.connection_count(), 2);
    let Err(error) = dial(&format!("{url}/else"), world.trusting()).await else {
        panic!("no route leads there");
    };
    assert!(matches!(error, Error::Handshake(_)), "{error:?}");
}
