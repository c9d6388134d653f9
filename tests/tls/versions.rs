//! Which versions and application protocols are agreed on, with a client of rustls itself.

use crate::world::{World, within};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, Error, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};

type Agreed = (Option<ProtocolVersion>, Option<Vec<u8>>);

async fn agree(
    world: &World,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> std::io::Result<Agreed> {
    let address = world.server.local_addr();
    agree_at(address, (world, version, protocols)).await
}

/// As [`agree`], with whoever listens there.
async fn agree_at(
    address: SocketAddr,
    (world, version, protocols): (&World, &'static SupportedProtocolVersion, &[&str]),
) -> std::io::Result<Agreed> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.authority.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|text| text.as_bytes().into())
        .collect();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = within(connector.connect(name, stream)).await?;
    let (_, connection) = stream.get_ref();
    let protocol = connection.alpn_protocol().map(Into::into);
    Ok((connection.protocol_version(), protocol))
}

#[tokio::test]
async fn http_1_1_is_agreed_on_and_http_2_is_not() {
    let world = World::new().await;
    let http = Some(b"http/1.1".to_vec());
    for (version, number) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, agreed) in [
            (&[][..], None),
            (&["http/1.1"], http.clone()),
            (&["h2", "http/1.1"], http.clone()),
        ] {
            let found = agree(&world, version, offered).await.unwrap();
            assert_eq!(found, (Some(number), agreed));
        }
        // RFC 7301 §3.2: no_application_protocol.
        let error = agree(&world, version, &["h2"]).await.unwrap_err();
        let error: &Error = error.get_ref().unwrap().downcast_ref().unwrap();
        let alert = AlertDescription::NoApplicationProtocol;
        assert_eq!(error, &Error::AlertReceived(alert));
    }
}

#[tokio::test]
async fn http_2_is_agreed_on_for_other_servers_only() {
    let world = World::with(Default::default(), |tls, _| tls.with_http2()).await;
    let (h2, http) = (Some(b"h2".to_vec()), Some(b"http/1.1".to_vec()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = listener.local_addr().unwrap();
    let tls = world.tls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = tls.accept(stream).await.unwrap();
            tokio::spawn(async move {
                let _held = stream;
                std::future::pending::<()>().await;
            });
        }
    });
    for (offered, agreed) in [
        (&[][..], None),
        (&["http/1.1"], http.clone()),
        (&["http/1.1", "h2"], h2),
    ] {
        let found = agree_at(elsewhere, (&world, &TLS13, offered)).await;
        assert_eq!(found.unwrap().1, agreed);
    }
    let found = agree(&world, &TLS13, &["h2", "http/1.1"]).await;
    assert_eq!(found.unwrap().1, http);
}
