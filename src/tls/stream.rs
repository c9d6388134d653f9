//! A stream with TLS on it.

use crate::handshake::TransportDetails;
use bytes::Bytes;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::CommonState;

/// A stream on which the TLS handshake is done.
///
/// Read past a missing `close_notify` it fails with [`io::ErrorKind::UnexpectedEof`], so that nobody
/// can cut it short unnoticed (RFC 8446 §6.1); after a closing handshake of WebSocket that does not
/// matter any more. Shut down, it sends `close_notify`.
pub struct TlsStream<S>(Box<tokio_rustls::TlsStream<S>>);

impl<S> TlsStream<S> {
    pub(super) fn new(stream: tokio_rustls::TlsStream<S>) -> Self {
        Self(Box::new(stream))
    }

    /// Returns the stream below.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.0.get_ref().0
    }

    /// Adds what TLS tells about the connection.
    #[must_use]
    pub fn describe(&self, details: TransportDetails) -> TransportDetails {
        let (_, common) = self.0.get_ref();
        let name = match &*self.0 {
            tokio_rustls::TlsStream::Server(stream) => stream.get_ref().1.server_name(),
            tokio_rustls::TlsStream::Client(_) => None,
        };
        describe(details, common, name)
    }
}

/// Adds what a connection of TLS tells: version, cipher suite and application protocol, the peer's
/// certificates, and the name that was asked for.
pub(super) fn describe(
    details: TransportDetails,
    common: &CommonState,
    name: Option<&str>,
) -> TransportDetails {
    let chain = common.peer_certificates().unwrap_or_default();
    let chain = chain
        .iter()
        .map(|certificate| Bytes::copy_from_slice(certificate));
    let version = common
        .protocol_version()
        .and_then(|version| version.as_str());
    let suite = common.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str());
    let alpn = common.alpn_protocol().map(String::from_utf8_lossy);
    details
        .secure()
        // rustls writes `TLSv1_3` and `TLS13_AES…`.
        .encrypted(
            version.map(|version| version.replace('_', ".")),
            suite.map(|suite| suite.replacen("TLS13_", "TLS_", 1)),
        )
        .agreed_on(alpn.map(Into::into))
        .certified(chain)
        .asked_for(name.map(str::to_owned))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_shutdown(context)
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}
