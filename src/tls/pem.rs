//! Certificates and keys out of PEM (RFC 7468).

use super::error::{Place, TlsError};
use std::fs;
use std::path::Path;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// PEM, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Pem<'a> {
    pub(super) text: &'a [u8],
    pub(super) file: Place<'a>,
}

impl Pem<'_> {
    /// Returns every certificate, at least one.
    pub(super) fn certificates(self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(self.text)
            .collect::<Result<_, _>>()
            .map_err(|error| self.malformed(error))?;
        if certificates.is_empty() {
            let file = self.file.map(Into::into);
            return Err(TlsError::NoCertificate { file });
        }
        Ok(certificates)
    }

    /// Returns the first private key.
    pub(super) fn key(self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.text).map_err(|error| match error {
            Error::NoItemsFound => TlsError::NoKey {
                file: self.file.map(Into::into),
            },
            error => self.malformed(error),
        })
    }

    fn malformed(self, error: Error) -> TlsError {
        TlsError::MalformedPem {
            file: self.file.map(Into::into),
            source: error.into(),
        }
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Unreadable {
        file: file.into(),
        source,
    })
}
