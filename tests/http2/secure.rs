//! HTTP/2 on TLS, agreed on by ALPN (RFC 9113 §3.2).

use crate::authority::{Authority, Issued};
use crate::server::{Server, builder, echoes};
use crate::wire::within;
use motorway::{ClientTls, CloseCode, Connector, Error, Http2Error, ServerTls, TlsError};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn acceptor(issued: &Issued, protocols: &[&str]) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes());
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec());
    config.alpn_protocols = protocols.collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A connector to a server that echoes, if it agrees to one of these protocols.
async fn world(protocols: &[&str]) -> Connector {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.issue("localhost"), protocols);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = connector(&authority, listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(stream) = acceptor.accept(stream).await {
            let _ = echoes(Server::start(builder(), stream)).await;
        }
    });
    connector
}

fn connector(authority: &Authority, port: u16) -> Connector {
    let mut connector = Connector::new(format!("wss://localhost:{port}/")).unwrap();
    connector.set_tls(ClientTls::new(&authority.roots()).unwrap());
    connector
}

async fn fault(connector: Connector) -> Http2Error {
    match within(connector.connect_http2()).await {
        Err(Error::Http2(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_come_back_over_tls() {
    for protocols in [&["h2"][..], &["http/1.1", "h2"]] {
        let connector = world(protocols).await;
        let http2 = within(connector.connect_http2()).await.unwrap();
        let transport = http2.transport();
        assert!(transport.is_secure() && transport.local().is_some());
        assert_eq!(transport.application_protocol(), Some("h2"));
        assert_eq!(transport.tls_version(), Some("TLSv1.3"));
        assert!(transport.peer_certificate().is_some());
        let mut ws = within(connector.connect_over(&http2)).await.unwrap();
        assert_eq!(ws.request().transport(), transport);
        ws.send("Hello").await.unwrap();
        assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "Hello");
        within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
        assert!(within(ws.handle().closed()).await.was_clean);
    }
}

#[tokio::test]
async fn a_server_that_does_not_agree_is_named() {
    // One that knows nothing of ALPN, and one that refuses with an alert (RFC 7301 §3.2).
    for protocols in [&[][..], &["http/1.1"]] {
        let error = fault(world(protocols).await).await;
        assert!(
            matches!(error, Http2Error::NotAgreed { protocol: None, .. }),
            "{error:?}"
        );
    }
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let factory = motorway::WebSocketServerFactory::from_handler(|_| async { Ok(()) });
    let server = factory.listen_tls("127.0.0.1:0", &tls).await.unwrap();
    let error = fault(connector(&authority, server.local_addr().port())).await;
    assert!(matches!(error, Http2Error::NotAgreed { .. }), "{error:?}");
}

// What clients of HTTP/1.1 offer stays what it was, also where the same connector makes both.
#[tokio::test]
async fn a_connector_makes_both() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let factory = motorway::WebSocketServerFactory::from_handler(|mut ws| async move {
        while ws.recv().await?.is_some() {}
        Ok(())
    });
    let server = factory.listen_tls("127.0.0.1:0", &tls).await.unwrap();
    let connector = connector(&authority, server.local_addr().port());
    assert!(within(connector.connect_http2()).await.is_err());
    let ws = within(connector.connect()).await.unwrap();
    let protocol = ws.request().transport().application_protocol();
    assert_eq!(protocol, Some("http/1.1"));
}

#[tokio::test]
async fn a_certificate_is_checked_as_ever() {
    let (authority, other) = (Authority::new(), Authority::new());
    let acceptor = acceptor(&other.issue("localhost"), &["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = connector(&authority, listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = acceptor.accept(stream).await;
    });
    match within(connector.connect_http2()).await {
        Err(Error::Tls(error)) => assert!(matches!(*error, TlsError::UnknownIssuer)),
        other => panic!("{other:?}"),
    }
}
