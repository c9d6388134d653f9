//! Connects as the command line says.

use crate::arguments::Connect;
use motorway::{
    ClientOptions, ClientTls, DeflateOptions, Result, Roots, Url, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol,
};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Opens the connection.
pub(crate) async fn dial<P: WebSocketClientProtocol>(
    arguments: &Connect,
    make: impl Fn() -> P + Send + Sync + 'static,
) -> Result<WebSocket, Box<dyn std::error::Error>> {
    let mut factory = WebSocketClientFactory::new(&arguments.url, make)?;
    factory.set_protocol_options(options(arguments))?;
    if let Some(file) = &arguments.ca {
        factory.set_tls(ClientTls::new(&Roots::from_pem_file(file)?)?);
    }
    if arguments.insecure && factory.url().is_secure() {
        eprintln!("motorway: the certificate is not checked");
        let stream = believing_anybody(factory.url()).await?;
        return Ok(factory.connect_stream(stream).await?);
    }
    Ok(factory.connect().await?)
}

fn options(arguments: &Connect) -> ClientOptions {
    let mut options = ClientOptions::default().protocols(&arguments.subprotocol);
    for (name, value) in &arguments.header {
        options = options.header(name, value.as_str());
    }
    if let Some(origin) = &arguments.origin {
        options = options.origin(origin);
    }
    if arguments.deflate {
        options = options.per_message_deflate(DeflateOptions::default());
    }
    options
}

/// Connects with TLS to a server whoever it is. Not in the library, where nobody is to find it.
async fn believing_anybody(
    url: &Url,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Box<dyn std::error::Error>> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, url.port())).await?;
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(connector.connect(name, stream).await?)
}

/// Believes every certificate, but not every signature: who shows one must have its key.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
