//! Who an endpoint is: its certificate and the key to it.

use super::error::{Place, TlsError};
use super::pem::{self, Pem};
use super::provider;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

/// A chain of certificates with the private key of the first: who a server or a client is.
///
/// The first certificate is the endpoint's own; each following one is that of the issuer of the one
/// before, without the root (RFC 8446 §4.4.2). Keys may be RSA of 2048 bits or more, ECDSA on P-256
/// or P-384, or Ed25519. Cheap to clone; the key is not printed.
///
/// ```no_run
/// use motorway::Identity;
///
/// let identity = Identity::from_pem_files("chain.pem", "key.pem")?;
/// # Ok::<(), motorway::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

impl Identity {
    /// Reads the chain and the key from files, which may be one and the same.
    ///
    /// Blocks while it reads; later changes of the files have no effect.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or is no PEM, if there is no certificate or no unencrypted key,
    /// and if the two do not belong together. The error names the file.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let (certificates, secret) = (pem::read(chain)?, pem::read(key)?);
        let certificates = Pem {
            text: &certificates,
            file: Some(chain),
        };
        let secret = Pem {
            text: &secret,
            file: Some(key),
        };
        Self::from_both(certificates, secret)
    }

    /// Takes the chain and the key from PEM in memory.
    ///
    /// # Errors
    ///
    /// Fails as [`from_pem_files`](Self::from_pem_files) does.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let pem = |text| Pem { text, file: None };
        Self::from_both(pem(chain.as_ref()), pem(key.as_ref()))
    }

    /// Takes the chain and the key in DER: certificates of X.509, and a key of PKCS #8, PKCS #1 or
    /// SEC 1.
    ///
    /// # Errors
    ///
    /// Fails if there is no certificate, if the first one or the key is malformed, and if the two do
    /// not belong together.
    pub fn from_der(
        chain: impl IntoIterator<Item = impl Into<Vec<u8>>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, TlsError> {
        let chain = chain.into_iter();
        let chain: Vec<_> = chain.map(|der| CertificateDer::from(der.into())).collect();
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { file: None });
        }
        let key = PrivateKeyDer::try_from(key.into()).map_err(|error| TlsError::UnusableKey {
            file: None,
            source: error.into(),
        })?;
        Self::from_parts((chain, None), (key, None))
    }

    fn from_both(chain: Pem, key: Pem) -> Result<Self, TlsError> {
        Self::from_parts((chain.certificates()?, chain.file), (key.key()?, key.file))
    }

    fn from_parts(
        (chain, chain_file): (Vec<CertificateDer<'static>>, Place),
        (key, key_file): (PrivateKeyDer<'static>, Place),
    ) -> Result<Self, TlsError> {
        let loaded = provider().key_provider.load_private_key(key);
        let key = loaded.map_err(|error| TlsError::UnusableKey {
            file: key_file.map(Into::into),
            source: error.into(),
        })?;
        let certified = CertifiedKey::new(chain, key);
        certified
            .keys_match()
            .map_err(|error| TlsError::certified_key(error, chain_file, key_file))?;
        Ok(Self(Arc::new(certified)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}
