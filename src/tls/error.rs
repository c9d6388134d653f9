//! What can go wrong with TLS, by fault.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use tokio_rustls::rustls::{self, CertificateError, InconsistentKeys, InvalidMessage};

/// Tells why certificates or keys cannot be used, or why a TLS handshake failed.
///
/// A `file` of `None` is one in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file:?}")]
    #[non_exhaustive]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not PEM (RFC 7468 §2).
    #[error("{} is no valid pem", place(file.as_deref()))]
    #[non_exhaustive]
    MalformedPem {
        /// The file.
        file: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// There is no certificate (RFC 7468 §5).
    #[error("{} has no section CERTIFICATE", place(file.as_deref()))]
    #[non_exhaustive]
    NoCertificate {
        /// The file.
        file: Option<PathBuf>,
    },
    /// There is no private key, or only an encrypted one (RFC 7468 §10, §11).
    #[error("{} has no unencrypted private key", place(file.as_deref()))]
    #[non_exhaustive]
    NoKey {
        /// The file.
        file: Option<PathBuf>,
    },
    /// A certificate cannot be understood (RFC 5280 §4).
    #[error("{} has a malformed certificate", place(file.as_deref()))]
    #[non_exhaustive]
    MalformedCertificate {
        /// The file.
        file: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A private key is malformed, or of a kind that is not supported: RSA of 2048 bits or more,
    /// ECDSA on P-256 or P-384, and Ed25519 are.
    #[error("{} has a private key that cannot be used", place(file.as_deref()))]
    #[non_exhaustive]
    UnusableKey {
        /// The file.
        file: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A private key is not that of the first certificate of the chain, which has to be the
    /// endpoint's own (RFC 8446 §4.4.2).
    #[error(
        "the key of {} is not that of the first certificate of {}",
        place(key.as_deref()),
        place(chain.as_deref())
    )]
    #[non_exhaustive]
    KeyMismatch {
        /// The file of the certificates.
        chain: Option<PathBuf>,
        /// The file of the key.
        key: Option<PathBuf>,
    },
    /// The platform has no root certificates, or none that can be read.
    #[error("the platform has no usable root certificates")]
    #[non_exhaustive]
    NoPlatformRoots {
        /// The first of the errors in reading them, if there was one.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// What is to be the name of a server is neither a name of DNS nor an IP address.
    #[error("{name:?} is no name of a server")]
    #[non_exhaustive]
    InvalidServerName {
        /// The name.
        name: String,
    },
    /// rustls does not take the configuration.
    #[error("tls cannot be configured")]
    Configuration(#[source] Box<dyn StdError + Send + Sync>),

    /// The certificate of the server is for other names (RFC 9525 §6).
    #[error("certificate is not valid for {name}, but for {}", presented.join(", "))]
    #[non_exhaustive]
    NameMismatch {
        /// The name that was asked for.
        name: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The certificate of the peer does not lead to a root that is trusted (RFC 5280 §6.1).
    #[error("certificate has an unknown issuer")]
    UnknownIssuer,
    /// The certificate of the peer, or its part in the handshake, is signed with another key than it
    /// says; a self-signed certificate that was made anew has the same name and another key.
    #[error("certificate has a signature that does not match")]
    BadSignature,
    /// The certificate of the peer has expired (RFC 5280 §4.1.2.5).
    #[error("certificate has expired")]
    Expired,
    /// The certificate of the peer is not valid yet, or our clock is wrong (RFC 5280 §4.1.2.5).
    #[error("certificate is not valid yet")]
    NotYetValid,
    /// The certificate of the peer is invalid for another reason.
    #[error("certificate is invalid")]
    InvalidCertificate(#[source] Box<dyn StdError + Send + Sync>),
    /// The client has no certificate, but needs one (RFC 8446 §4.4.2.4).
    #[error("client has no certificate")]
    NoClientCertificate,
    /// The peer refused the handshake with an alert (RFC 8446 §6.2).
    #[error("peer refused with the alert {alert}")]
    #[non_exhaustive]
    Refused {
        /// The name of the alert.
        alert: String,
    },
    /// The two ends have no application protocol in common (RFC 7301 §3.2).
    #[error("peer does not offer http/1.1")]
    NoCommonProtocol,
    /// The two ends have no version or cipher suite in common (RFC 8446 §4.1.1).
    #[error("peer has no version or cipher suite in common")]
    Incompatible(#[source] Box<dyn StdError + Send + Sync>),
    /// What the peer sends is not TLS; plain HTTP perhaps.
    #[error("peer does not speak tls")]
    NotTls,
    /// The peer closed in the handshake.
    #[error("peer closed in the tls handshake")]
    Closed,
    /// The peer broke the protocol in another way (RFC 8446).
    #[error("peer broke the tls protocol")]
    Protocol(#[source] Box<dyn StdError + Send + Sync>),
    /// The stream below TLS failed.
    #[error("stream failed in the tls handshake")]
    Stream(#[source] io::Error),
}

impl TlsError {
    /// Takes the TLS error out of one of a stream, if that is what it is.
    pub(crate) fn within(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(Self::fault(inner.clone()))
    }

    /// Says what an error of a stream in the handshake means.
    pub(crate) fn handshake(error: io::Error) -> Self {
        match Self::within(&error) {
            Some(error) => error,
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Stream(error),
        }
    }

    /// Says what a key or certificate that rustls does not take suffers from.
    pub(super) fn certified_key(error: rustls::Error, chain: Place, key: Place) -> Self {
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Self::KeyMismatch {
                chain: chain.map(Into::into),
                key: key.map(Into::into),
            },
            error => Self::malformed_certificate(error, chain),
        }
    }

    pub(super) fn malformed_certificate(error: rustls::Error, file: Place) -> Self {
        Self::MalformedCertificate {
            file: file.map(Into::into),
            source: error.into(),
        }
    }

    fn fault(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::certificate(error),
            rustls::Error::NoCertificatesPresented => Self::NoClientCertificate,
            rustls::Error::AlertReceived(alert) => Self::Refused {
                alert: format!("{alert:?}"),
            },
            rustls::Error::NoApplicationProtocol => Self::NoCommonProtocol,
            error @ rustls::Error::PeerIncompatible(_) => Self::Incompatible(error.into()),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            error => Self::Protocol(error.into()),
        }
    }

    fn certificate(error: CertificateError) -> Self {
        match error {
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::NameMismatch {
                name: expected.to_str().into_owned(),
                presented: presented.iter().map(|name| bare(name)).collect(),
            },
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            error => Self::InvalidCertificate(rustls::Error::from(error).into()),
        }
    }
}

/// Takes a name out of what rustls makes of it: `DnsName("localhost")`, `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> String {
    let inside = name
        .split_once('(')
        .and_then(|(_, name)| name.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"').to_owned()
}

/// Where PEM comes from; `None` is memory.
pub(super) type Place<'a> = Option<&'a Path>;

fn place(file: Place) -> String {
    file.map_or_else(
        || "what is in memory".to_owned(),
        |file| format!("{file:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_they_are() {
        for (name, told) in [
            ("DnsName(\"localhost\")", "localhost"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(bare(name), told);
        }
    }
}
