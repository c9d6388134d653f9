//! Whom clients believe, and what they show.

use crate::authority::Authority;
use crate::world::{Told, World, closed, dial, dial_with, fault, within};
use motorway::{
    ClientOptions, ClientTls, CloseCause, Error, HandshakeError, ServerOptions, TimeoutKind,
    TlsError,
};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_client_sees_the_certificate_of_the_server() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let der = issued.der.clone();
    let with = (ServerOptions::default(), |tls, _: &_| tls);
    let mut world = World::showing(authority, issued, with).await;
    let client = dial(&world.url(), world.trusting()).await.unwrap();
    assert!(client.transport.is_secure() && !client.transport.is_server());
    assert_eq!(client.transport.peer_certificate().unwrap(), &der);
    let seen = world.transport().await;
    assert!(seen.is_secure() && seen.is_server());
    assert_eq!(seen.server_name(), Some("localhost"));
    assert_eq!(seen.local(), Some(world.server.local_addr()));
    assert!(seen.peer_certificates().is_empty());
}

#[tokio::test]
async fn a_mebibyte_comes_back() {
    let mut world = World::new().await;
    let mut client = dial(&world.url(), world.trusting()).await.unwrap();
    for _ in 0..4 {
        client.ws.send(vec![b'x'; 1 << 20]).await.unwrap();
    }
    for _ in 0..4 {
        assert!(matches!(client.next().await, Told::Size(size) if size == 1 << 20));
    }
    client.ws.close(1000, "done").await.unwrap();
    let info = within(client.ws.closed()).await;
    assert!(info.was_clean && info.is_ok(), "{info:?}");
    let info = world.closed().await;
    assert!(info.was_clean && info.reason == "done", "{info:?}");
}

#[tokio::test]
async fn a_server_may_close_first() {
    let mut world = World::new().await;
    let mut client = dial(&world.url(), world.trusting()).await.unwrap();
    let World { server, .. } = world;
    server
        .shutdown(1001, "bye", Duration::from_secs(10))
        .await
        .unwrap();
    let info = closed(&mut client.told).await;
    assert!(info.was_clean && info.reason == "bye", "{info:?}");
    assert!(closed(&mut world.told).await.was_clean);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let mut world = World::new().await;
    let url = world.url().replace("localhost", "127.0.0.1");
    let error = dial(&url, world.trusting()).await.unwrap_err();
    assert_eq!(error.to_string(), "tls failed");
    let error = fault(error);
    assert_eq!(
        error.to_string(),
        "certificate is not valid for 127.0.0.1, but for localhost"
    );
    assert!(matches!(error, TlsError::NameMismatch { .. }));
    // Unless that is the name asked for.
    let tls = world.trusting().server_name("localhost").unwrap();
    dial(&url, tls).await.unwrap();
    assert_eq!(world.transport().await.server_name(), Some("localhost"));
    let error = world.trusting().server_name("a b").unwrap_err();
    assert_eq!(error.to_string(), r#""a b" is no name of a server"#);
}

#[tokio::test]
async fn addresses_are_names_too() {
    let authority = Authority::new();
    let issued = authority.issue("127.0.0.1");
    let with = (ServerOptions::default(), |tls, _: &_| tls);
    let mut world = World::showing(authority, issued, with).await;
    let url = world.url().replace("localhost", "127.0.0.1");
    dial(&url, world.trusting()).await.unwrap();
    assert_eq!(world.transport().await.server_name(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_may_have_tls() {
    let mut world = World::new().await;
    let path = format!("motorway-tls-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (factory, tls) = (world.factory.clone(), world.tls.clone());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let peer = motorway::Peer::Unix(None);
        factory.serve_tls_stream(stream, peer, &tls).await
    });
    let tls = world.trusting().server_name("localhost").unwrap();
    let url = format!("wss://unix:{}", path.display());
    let client = dial(&url, tls).await.unwrap();
    assert!(client.transport.peer_certificate().is_some());
    assert_eq!(world.transport().await.peer().to_string(), "unix");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_and_concerns_nobody_else() {
    let mut world = World::new().await;
    let stranger = ClientTls::new(&Authority::new().roots()).unwrap();
    let error = world.refuses(stranger).await;
    assert!(matches!(error, TlsError::UnknownIssuer), "{error:?}");
    world.greets(world.trusting()).await;
    assert_eq!(world.factory.connection_count(), 0);
}

#[tokio::test]
async fn an_issuer_of_the_same_name_with_another_key_is_refused() {
    let authority = Authority::named("twin");
    let issued = authority.issue("localhost");
    let with = (ServerOptions::default(), |tls, _: &_| tls);
    let world = World::showing(authority, issued, with).await;
    let twin = ClientTls::new(&Authority::named("twin").roots()).unwrap();
    let error = world.refuses(twin).await;
    assert!(matches!(error, TlsError::BadSignature), "{error:?}");
}

#[tokio::test]
async fn the_platform_does_not_vouch_for_a_certificate_of_ours() {
    let world = World::new().await;
    // A platform without roots is possible, too.
    let error = match ClientTls::platform() {
        Ok(tls) => world.refuses(tls).await,
        Err(error) => error,
    };
    assert!(
        matches!(
            error,
            TlsError::UnknownIssuer | TlsError::NoPlatformRoots { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn certificates_out_of_their_time_are_refused() {
    for (early, expected) in [
        (false, "certificate has expired"),
        (true, "certificate is not valid yet"),
    ] {
        let authority = Authority::new();
        let issued = match early {
            true => authority.issue_early("localhost"),
            false => authority.issue_expired("localhost"),
        };
        let with = (ServerOptions::default(), |tls, _: &_| tls);
        let world = World::showing(authority, issued, with).await;
        let error = world.refuses(world.trusting()).await;
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let tls = ClientTls::new(&Authority::new().roots()).unwrap();
    let error = fault(dial(&url, tls).await.unwrap_err());
    assert!(matches!(error, TlsError::NotTls), "{error:?}");
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_is_told_from_one_that_is_silent() {
    let tls = ClientTls::new(&Authority::new().roots()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let accepting = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .read_buf(&mut Vec::with_capacity(4096))
            .await
            .unwrap();
        drop(stream);
        listener.accept().await.unwrap()
    });
    let error = fault(dial(&url, tls.clone()).await.unwrap_err());
    assert!(matches!(error, TlsError::Closed), "{error:?}");

    let options = ClientOptions::default().open_handshake_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let error = dial_with(&url, tls, options).await.unwrap_err();
    let kind = TimeoutKind::OpeningHandshake;
    assert!(
        matches!(error, Error::Timeout(found) if found == kind),
        "{error:?}"
    );
    assert!(start.elapsed() >= Duration::from_millis(200));
    drop(accepting);
}

#[tokio::test]
async fn clients_show_a_certificate_where_it_is_required() {
    let require = |tls: motorway::ServerTls, authority: &Authority| {
        tls.require_client_certificates(&authority.roots()).unwrap()
    };
    let mut world = World::with(ServerOptions::default(), require).await;
    let issued = world.authority.issue("alice");
    let known = world.trusting().identity(issued.identity());
    let client = dial(&world.url(), known).await.unwrap();
    let seen = world.transport().await;
    assert_eq!(seen.peer_certificate().unwrap(), &issued.der);
    client.ws.abort();
    assert!(!world.closed().await.was_clean);

    let error = world.refuses(world.trusting()).await;
    let alert = "peer refused with the alert CertificateRequired";
    assert_eq!(error.to_string(), alert);
    let stranger = Authority::new().issue("mallory");
    let error = world
        .refuses(world.trusting().identity(stranger.identity()))
        .await;
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
    assert!(world.told.try_recv().is_err(), "no callback was called");
}

#[tokio::test]
async fn clients_may_show_a_certificate_where_it_is_asked_for() {
    let request = |tls: motorway::ServerTls, authority: &Authority| {
        tls.request_client_certificates(&authority.roots()).unwrap()
    };
    let mut world = World::with(ServerOptions::default(), request).await;
    let _client = dial(&world.url(), world.trusting()).await.unwrap();
    assert!(world.transport().await.peer_certificate().is_none());
    let issued = world.authority.issue("bob");
    let known = world.trusting().identity(issued.identity());
    let _client = dial(&world.url(), known).await.unwrap();
    let seen = world.transport().await;
    assert_eq!(seen.peer_certificate().unwrap(), &issued.der);
    // One that does not lead to the roots is worse than none.
    let stranger = Authority::new().issue("mallory");
    let tls = world.trusting().identity(stranger.identity());
    let error = world.refuses(tls).await;
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_arrives_through_tls() {
    let mut world = World::new().await;
    world
        .factory
        .set_protocol_options(ServerOptions::default().allowed_origins(["https://a.org:443"]))
        .unwrap();
    let options = ClientOptions::default().origin("https://b.org");
    let error = dial_with(&world.url(), world.trusting(), options)
        .await
        .unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*error, HandshakeError::Refused { status, .. } if status == 403));
}

#[tokio::test]
async fn an_abort_resets_the_connection() {
    let mut world = World::new().await;
    let client = dial(&world.url(), world.trusting()).await.unwrap();
    client.ws.abort();
    let info = world.closed().await;
    let CloseCause::Io(error) = &info.cause else {
        panic!("{info:?}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
