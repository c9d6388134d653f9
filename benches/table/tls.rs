//! A certificate for `localhost` that the runner makes, its servers show and its loads trust.

use crate::Result;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The variable of the environment that names the folder of the certificate and the key.
pub const FOLDER: &str = "TABLE_TLS";

/// Makes a certificate and a key and writes them into a folder.
///
/// # Errors
/// Fails if they cannot be made or written.
pub fn write(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(folder.join(CERTIFICATE), made.cert.pem())?;
    Ok(std::fs::write(
        folder.join(KEY),
        made.signing_key.serialize_pem(),
    )?)
}

/// The certificate and the key, as PEM.
///
/// # Errors
/// Fails if the environment names no folder that has them.
pub fn pems() -> Result<(String, String)> {
    let folder = std::env::var(FOLDER)?;
    let read = |name| std::fs::read_to_string(Path::new(&folder).join(name));
    Ok((read(CERTIFICATE)?, read(KEY)?))
}

/// What a server of TLS needs.
///
/// # Errors
/// Fails as [`pems`] does.
pub fn server() -> Result<Arc<ServerConfig>> {
    let (certificate, key) = pems()?;
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let config = ServerConfig::builder().with_no_client_auth();
    Ok(Arc::new(config.with_single_cert(chain, key)?))
}

/// What a client of TLS needs to trust that server.
///
/// # Errors
/// Fails as [`pems`] does.
pub fn client() -> Result<Arc<ClientConfig>> {
    let (certificate, _) = pems()?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
