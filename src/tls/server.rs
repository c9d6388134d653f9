//! TLS of servers.

use super::{HTTP_1_1, HTTP_2, Identity, Roots, TlsError, TlsStream, provider};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::DnsName;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{
    ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// What a server shows its clients, and whether it asks for their certificates.
///
/// Cheap to clone; the clones are one, so that [`exchange`](Self::exchange) on any of them reaches a
/// server that runs.
///
/// ```no_run
/// use motorway::{Identity, ServerTls, WebSocketServerFactory, WebSocketServerProtocol};
///
/// struct Quiet;
/// impl WebSocketServerProtocol for Quiet {}
///
/// # async fn example() -> motorway::Result<()> {
/// let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?;
/// let server = WebSocketServerFactory::new(|| Quiet).listen_tls("0.0.0.0:443", &tls).await?;
/// // The certificate was renewed: whoever connects from now on gets the new one.
/// tls.exchange(Identity::from_pem_files("chain.pem", "key.pem")?);
/// server.run_until(async { tokio::signal::ctrl_c().await }).await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    identities: Arc<Identities>,
    config: Arc<ServerConfig>,
    /// The same, but that it agrees on HTTP/2 too, if that was asked for.
    http2: Option<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Shows this identity to every client and asks for no certificates.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        let identities = Arc::new(Identities(RwLock::new(Shown {
            default: identity.0,
            by_name: HashMap::new(),
        })));
        let config = configure(&identities, None)?;
        Ok(Self {
            identities,
            config,
            http2: None,
        })
    }

    /// As [`new`](Self::new), with the identity that is in these files.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// Fails as [`Identity::from_pem_files`] does.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        Self::new(Identity::from_pem_files(chain, key)?)
    }

    /// Demands a certificate of every client, and checks that it leads to one of these roots.
    ///
    /// Clients without one are refused in the TLS handshake. Servers that listen already are not
    /// affected.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    pub fn require_client_certificates(self, roots: &Roots) -> Result<Self, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.0.clone(), provider());
        self.verify(verifier.build())
    }

    /// Asks clients for a certificate, and checks it if there is one: it must lead to one of these
    /// roots.
    ///
    /// What a client has shown is in [`TransportDetails`](crate::handshake::TransportDetails).
    /// Servers that listen already are not affected.
    ///
    /// # Errors
    ///
    /// Does not fail at present.
    pub fn request_client_certificates(self, roots: &Roots) -> Result<Self, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.0.clone(), provider());
        self.verify(verifier.allow_unauthenticated().build())
    }

    /// Agrees on HTTP/2 with clients that prefer it (ALPN `h2`, RFC 9113 §3.2), in
    /// [`accept`](Self::accept): for a server of hyper or axum that a factory is mounted in.
    ///
    /// Listeners of our own speak HTTP/1.1 and agree on nothing else all the same.
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        self.http2 = Some(with_http2(&self.config));
        self
    }

    /// Shows another identity to those who connect from now on, on servers that run already.
    ///
    /// Connections that are open are not affected. Names with an identity of their own keep it.
    pub fn exchange(&self, identity: Identity) {
        self.identities.change(|shown| shown.default = identity.0);
    }

    /// Shows another identity to those who connect from now on and ask for this name (SNI, RFC 6066
    /// §3); with `None` again the one that is for all.
    ///
    /// The name is one of DNS without a wildcard, in any case.
    ///
    /// # Errors
    ///
    /// Fails if the name is none of DNS.
    pub fn exchange_for(
        &self,
        name: &str,
        identity: impl Into<Option<Identity>>,
    ) -> Result<(), TlsError> {
        let name = DnsName::try_from(name).map_err(|_| TlsError::InvalidServerName {
            name: name.to_owned(),
        })?;
        let name = name.as_ref().to_ascii_lowercase();
        let identity = identity.into();
        self.identities.change(|shown| {
            match identity {
                Some(identity) => shown.by_name.insert(name, identity.0),
                None => shown.by_name.remove(&name),
            };
        });
        Ok(())
    }

    /// Makes the TLS handshake with a client on any stream.
    ///
    /// Has no timeout. `listen_tls` and `serve_tls_stream` of the factory do this themselves. For a
    /// server that the factory is mounted in, [`describe`](TlsStream::describe) makes the
    /// [`TransportDetails`](crate::TransportDetails) that go into the extensions of its requests.
    ///
    /// # Errors
    ///
    /// Fails if the stream fails, if the client breaks the protocol or does not like the server's
    /// certificate, and if the client's own is not valid.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.http2.as_ref().unwrap_or(&self.config);
        accept(Arc::clone(config), stream).await
    }

    /// As [`accept`](Self::accept), for a listener of our own.
    pub(crate) async fn accept_http1<S>(&self, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        accept(self.config(), stream).await
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    fn verify(mut self, verifier: BuiltVerifier) -> Result<Self, TlsError> {
        let verifier = verifier.map_err(|error| TlsError::Configuration(error.into()))?;
        self.config = configure(&self.identities, Some(verifier))?;
        self.http2 = self.http2.map(|_| with_http2(&self.config));
        Ok(self)
    }
}

async fn accept<S>(config: Arc<ServerConfig>, stream: S) -> Result<TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = TlsAcceptor::from(config).accept(stream).await;
    let stream = accepted.map_err(TlsError::handshake)?;
    Ok(TlsStream::new(stream.into()))
}

fn with_http2(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.insert(0, HTTP_2.to_vec());
    Arc::new(config)
}

type BuiltVerifier = Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError>;

fn configure(
    identities: &Arc<Identities>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error: rustls::Error| TlsError::Configuration(error.into()))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(identities) as _);
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// What is shown to whom; exchanged while servers run.
#[derive(Debug)]
struct Identities(RwLock<Shown>);

#[derive(Debug)]
struct Shown {
    default: Arc<CertifiedKey>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Identities {
    fn change(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // In lower case already, as rustls has it.
        let named = hello.server_name().and_then(|name| shown.by_name.get(name));
        Some(Arc::clone(named.unwrap_or(&shown.default)))
    }
}
