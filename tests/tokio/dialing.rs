//! From a URL to a connected stream, and how it is told that there is none.

use crate::probe::quiet;
use crate::wire::{Raw, response, within};
use motorway::{ClientOptions, ConnectError, Error, WebSocketClientFactory};
use std::net::SocketAddr;
use tokio::net::TcpListener;

async fn failure(url: &str, options: ClientOptions) -> ConnectError {
    let probe = quiet();
    let made = probe.clone();
    let mut factory = WebSocketClientFactory::new(url, move || made.clone()).unwrap();
    factory.set_protocol_options(options).unwrap();
    let error = within(factory.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "connection failed");
    assert!(probe.log().lines().is_empty());
    match error {
        Error::Connect(error) => *error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    // RFC 6761 §6.4: never resolves.
    let error = failure("ws://no.such.invalid:9/", ClientOptions::default()).await;
    assert_eq!(
        error.to_string(),
        r#"host "no.such.invalid" does not resolve"#
    );
    assert!(matches!(error, ConnectError::Unresolved { .. }));
}

#[tokio::test]
async fn an_address_that_refuses_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&format!("ws://{refusing}/"), ClientOptions::default()).await;
    let ConnectError::Refused {
        host,
        attempts,
        address,
        source,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((&*host, attempts, address), ("127.0.0.1", 1, refusing));
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_address_of_another_family_than_our_own_is_told() {
    let local: SocketAddr = "[::1]:0".parse().unwrap();
    let options = ClientOptions::default().local_addr(local);
    let error = failure("ws://127.0.0.1:9/", options).await;
    assert!(
        matches!(&error, ConnectError::NoAddress { local: found, .. } if *found == local),
        "{error:?}"
    );
}

// Elsewhere the loopback has one address only.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_connects_from_the_address_that_it_is_told_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut factory = WebSocketClientFactory::new(url, quiet).unwrap();
    let local: SocketAddr = "127.0.0.2:0".parse().unwrap();
    factory
        .set_protocol_options(ClientOptions::default().local_addr(local))
        .unwrap();
    tokio::spawn(async move { factory.run().await });
    let (_, peer) = within(listener.accept()).await.unwrap();
    assert_eq!(peer.ip(), local.ip());
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_dialed() {
    let path = format!("motorway-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(path);
    let url = format!("ws://unix:{}", path.display());
    let error = failure(&url, ClientOptions::default()).await;
    assert!(matches!(error, ConnectError::Socket { .. }), "{error:?}");

    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let factory = WebSocketClientFactory::new(url, quiet).unwrap();
    let connecting = tokio::spawn(async move { factory.connect().await });
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut peer = Raw::server(stream);
    let request = peer.head().await;
    let expected = format!("GET {} HTTP/1.1\r\nHost: unix\r\n", path.display());
    assert!(request.starts_with(&expected), "{request}");
    peer.write(response(&request, "")).await;
    let ws = within(connecting).await.unwrap().unwrap();
    assert_eq!(ws.peer().to_string(), format!("unix:{}", path.display()));
    std::fs::remove_file(path).unwrap();
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn a_secure_url_needs_the_feature() {
    let factory = WebSocketClientFactory::new("wss://127.0.0.1:9/", quiet).unwrap();
    let Error::Io(error) = factory.run().await.unwrap_err() else {
        panic!("not an error of the stream");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("feature rustls"));
}
