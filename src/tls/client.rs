//! TLS of clients.

use super::{HTTP_1_1, Identity, Roots, TlsError, TlsStream, provider};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{self, ClientConfig};

/// Which servers a client believes, and what it shows to those that ask who it is.
///
/// The chain and the name in the server's certificate are always checked. Cheap to clone.
///
/// ```no_run
/// use motorway::{ClientTls, Roots, WebSocketClientFactory, WebSocketClientProtocol};
///
/// struct Listener;
/// impl WebSocketClientProtocol for Listener {}
///
/// # async fn example() -> motorway::Result<()> {
/// let mut factory = WebSocketClientFactory::new("wss://localhost:8765", || Listener)?;
/// factory.set_tls(ClientTls::new(&Roots::from_pem_file("localhost.pem")?)?);
/// let ws = factory.connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Believes the servers whose certificates lead to one of these roots.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    pub fn new(roots: &Roots) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error: rustls::Error| TlsError::Configuration(error.into()))?
            .with_root_certificates(Arc::clone(&roots.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            server_name: None,
        })
    }

    /// Believes the servers that the platform believes; what clients do that were told nothing else.
    ///
    /// The platform's roots are read once a process, for which the first call blocks some
    /// milliseconds; to read them anew use [`Roots::platform`].
    ///
    /// # Errors
    ///
    /// Fails if the platform has no roots that can be read; the next call tries again.
    pub fn platform() -> Result<Self, TlsError> {
        if let Some(tls) = PLATFORM.get() {
            return Ok(tls.clone());
        }
        let tls = Self::new(&Roots::platform()?)?;
        Ok(PLATFORM.get_or_init(|| tls).clone())
    }

    /// Shows this identity to servers that ask for a certificate.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity.0));
        // No session that was opened as somebody else is to be resumed.
        config.resumption = Resumption::default();
        self
    }

    /// Asks the server for this name (SNI, RFC 6066 §3) and checks that its certificate has it,
    /// instead of the host of the URL.
    ///
    /// A name of DNS or an IP address without brackets; the latter is checked but not sent.
    ///
    /// # Errors
    ///
    /// Fails if it is neither.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse(name)?);
        Ok(self)
    }

    /// Asks for the name of the URL, whatever was set before.
    pub(crate) fn nameless(mut self) -> Self {
        self.server_name = None;
        self
    }

    /// Offers HTTP/2 and nothing else (ALPN, RFC 9113 §3.2).
    #[cfg(feature = "http2")]
    pub(crate) fn offering_http2(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![super::HTTP_2.to_vec()];
        self
    }

    /// Makes the TLS handshake with a server on any stream; `host` is its name, as the host of a URL
    /// is.
    ///
    /// Has no timeout. Factories with a `wss://` URL do this themselves where they connect.
    ///
    /// # Errors
    ///
    /// Fails if the stream fails, if the server breaks the protocol, if its certificate is not valid
    /// or has another name, and if it refuses ours.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.name_for(host)?;
        let connector = TlsConnector::from(self.config());
        let connected = connector.connect(name, stream).await;
        let stream = connected.map_err(TlsError::handshake)?;
        Ok(TlsStream::new(stream.into()))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Returns the name that a server is to prove.
    pub(super) fn name_for(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => parse(host.trim_start_matches('[').trim_end_matches(']')),
        }
    }
}

fn parse(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::InvalidServerName {
        name: name.to_owned(),
    })
}

/// The platform's roots, read once.
static PLATFORM: OnceLock<ClientTls> = OnceLock::new();
