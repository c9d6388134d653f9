//! What servers put up with, and how their certificates are exchanged.

use crate::world::{World, dial, within};
use motorway::{CloseInfo, Error, Peer, ServerOptions, TimeoutKind, TlsError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn certificates_are_exchanged_while_the_server_runs() {
    let mut world = World::new().await;
    let before = dial(&world.url(), world.trusting()).await.unwrap();
    world.transport().await;

    let renewed = world.authority.issue("localhost");
    world.tls.clone().exchange(renewed.identity());
    let after = dial(&world.url(), world.trusting()).await.unwrap();
    assert_eq!(after.transport.peer_certificate().unwrap(), &renewed.der);
    assert_ne!(
        before.transport.peer_certificate(),
        after.transport.peer_certificate()
    );
    // Who was connected stays so.
    before.ws.ping("").await.unwrap();
    assert_eq!(world.factory.connection_count(), 2);
}

#[tokio::test]
async fn names_can_have_certificates_of_their_own() {
    let mut world = World::new().await;
    let other = world.authority.issue("chat.example.com");
    world
        .tls
        .exchange_for("Chat.Example.com", other.identity())
        .unwrap();
    let tls = world.trusting().server_name("CHAT.example.com").unwrap();
    let client = dial(&world.url(), tls.clone()).await.unwrap();
    assert_eq!(client.transport.peer_certificate().unwrap(), &other.der);
    let seen = world.transport().await;
    assert_eq!(seen.server_name(), Some("chat.example.com"));
    world.tls.exchange_for("chat.example.com", None).unwrap();
    let tls = world.trusting().server_name("chat.example.com").unwrap();
    let error = world.refuses(tls).await;
    assert!(matches!(error, TlsError::NameMismatch { .. }), "{error:?}");
    for name in ["127.0.0.1 ", "", "a b"] {
        let error = world.tls.exchange_for(name, None).unwrap_err();
        assert!(matches!(error, TlsError::InvalidServerName { .. }));
    }
}

#[tokio::test]
async fn a_plain_request_on_the_port_is_dropped_with_an_alert() {
    let mut world = World::new().await;
    let mut stream = TcpStream::connect(world.server.local_addr()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    // RFC 8446 §5.1: an alert, of version 1.2.
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    world.greets(world.trusting()).await;
}

#[tokio::test]
async fn a_silent_client_is_dropped_at_the_deadline() {
    let time = Duration::from_millis(300);
    let options = ServerOptions::default().open_handshake_timeout(time);
    let mut world = World::with(options, |tls, _| tls).await;
    let start = Instant::now();
    let mut silent = TcpStream::connect(world.server.local_addr()).await.unwrap();
    // Half a record, and then an octet now and then, which renew nothing.
    silent.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let (mut reader, mut writer) = silent.split();
    let dripping = async {
        while writer.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await
    };
    let mut octets = Vec::new();
    tokio::select! {
        _ = within(reader.read_to_end(&mut octets)) => {}
        () = dripping => {}
    }
    let waited = start.elapsed();
    assert!(waited >= time && waited < time * 20, "{waited:?}");
    world.greets(world.trusting()).await;
}

#[tokio::test]
async fn tls_and_the_opening_handshake_share_one_deadline() {
    let time = Duration::from_millis(1500);
    let options = ServerOptions::default().open_handshake_timeout(time);
    let world = World::with(options, |tls, _| tls).await;
    let start = Instant::now();
    let stream = TcpStream::connect(world.server.local_addr()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let tls = world.trusting();
    let mut stream = within(tls.connect("localhost", stream)).await.unwrap();
    // A client that says nothing more.
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
    let waited = start.elapsed();
    assert!(waited < Duration::from_millis(2400), "{waited:?}");
}

#[tokio::test]
async fn streams_are_served_with_tls() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let (factory, tls) = (world.factory.clone(), world.tls.clone());
    let serving = tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        factory
            .serve_tls_stream(stream, Peer::from(peer), &tls)
            .await
    });
    let client = dial(&url, world.trusting()).await.unwrap();
    client.ws.close(1000, "").await.unwrap();
    let info: CloseInfo = within(serving).await.unwrap().unwrap();
    assert!(info.was_clean);

    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let serving = world
        .factory
        .serve_tls_stream(ours, Peer::Unknown, &world.tls);
    let Error::Tls(error) = within(serving).await.unwrap_err() else {
        panic!("not an error of TLS");
    };
    assert!(matches!(*error, TlsError::Closed), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_dropped_at_the_deadline() {
    let world = World::new().await;
    let (ours, _theirs) = tokio::io::duplex(64);
    let start = tokio::time::Instant::now();
    let serving = world
        .factory
        .serve_tls_stream(ours, Peer::Unknown, &world.tls);
    let error = serving.await.unwrap_err();
    let kind = TimeoutKind::OpeningHandshake;
    assert!(matches!(error, Error::Timeout(found) if found == kind));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_tls_handshakes() {
    let world = World::new().await;
    let silent = TcpStream::connect(world.server.local_addr()).await.unwrap();
    while world.factory.connection_count() == 0 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    let server = world.server;
    server
        .shutdown(1001, "", Duration::from_secs(10))
        .await
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(silent);
}

#[tokio::test]
async fn many_bad_clients_do_not_disturb_a_good_one() {
    let mut world = World::new().await;
    let address = world.server.local_addr();
    let good = dial(&world.url(), world.trusting()).await.unwrap();
    world.transport().await;
    let mut bad = tokio::task::JoinSet::new();
    for octet in 0..100_u8 {
        bad.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(&[octet; 100]).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
    }
    within(bad.join_all()).await;
    good.ws.ping("").await.unwrap();
    within(async {
        while world.factory.connection_count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(world.told.try_recv().is_err(), "no callback was called");
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_logged_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let world = World::new().await;
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut stream = TcpStream::connect(world.server.local_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    within(stream.read_to_end(&mut Vec::new())).await.unwrap();
    while world.factory.connection_count() > 0 {
        tokio::task::yield_now().await;
    }
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours = logged.lines().filter(|line| line.contains("motorway"));
    let ours: Vec<_> = ours.collect();
    assert_eq!(ours.len(), 1, "{logged}");
    assert!(ours[0].contains("peer does not speak tls"), "{logged}");
    assert!(ours[0].contains("tcp4:127.0.0.1:"), "{logged}");
}
