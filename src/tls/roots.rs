//! Whom an endpoint trusts.

use super::error::TlsError;
use super::pem::{self, Pem};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Root certificates: whoever shows a certificate that leads to one of them is believed.
///
/// A self-signed certificate is its own root. Cheap to clone.
///
/// ```no_run
/// use motorway::{ClientTls, Roots};
///
/// let tls = ClientTls::new(&Roots::from_pem_file("ca.pem")?)?;
/// # Ok::<(), motorway::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Roots(pub(super) Arc<RootCertStore>);

impl Roots {
    /// Reads the roots of the platform: the store of Windows or macOS, elsewhere the files of
    /// OpenSSL, or those that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///
    /// Blocks while it reads, for some milliseconds. Certificates that cannot be understood are left
    /// out.
    ///
    /// # Errors
    ///
    /// Fails if not one is found.
    pub fn platform() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added == 0 {
            let source = found.errors.into_iter().next();
            return Err(TlsError::NoPlatformRoots {
                source: source.map(Into::into),
            });
        }
        Ok(Self(Arc::new(store)))
    }

    /// Reads roots from a file.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is no PEM, or has no certificate or a malformed one. The
    /// error names the file.
    pub fn from_pem_file(file: impl AsRef<Path>) -> Result<Self, TlsError> {
        let file = file.as_ref();
        let text = pem::read(file)?;
        Self::from_certificates(Pem {
            text: &text,
            file: Some(file),
        })
    }

    /// Takes roots from PEM in memory.
    ///
    /// # Errors
    ///
    /// Fails as [`from_pem_file`](Self::from_pem_file) does.
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let text = text.as_ref();
        Self::from_certificates(Pem { text, file: None })
    }

    /// Takes roots in DER.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or a malformed one.
    pub fn from_der(
        certificates: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            let certificate = CertificateDer::from(certificate.into());
            let added = store.add(certificate);
            added.map_err(|error| TlsError::malformed_certificate(error, None))?;
        }
        if store.is_empty() {
            return Err(TlsError::NoCertificate { file: None });
        }
        Ok(Self(Arc::new(store)))
    }

    fn from_certificates(pem: Pem) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in pem.certificates()? {
            let added = store.add(certificate);
            added.map_err(|error| TlsError::malformed_certificate(error, pem.file))?;
        }
        Ok(Self(Arc::new(store)))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").field(&self.0.len()).finish()
    }
}
