//! Which versions and application protocols are agreed on, with a client of rustls itself.

use crate::world::{World, within};
use std::sync::Arc;
use tokio::net::TcpStream;
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
    let stream = TcpStream::connect(world.server.local_addr()).await?;
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
