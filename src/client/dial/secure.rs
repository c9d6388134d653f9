//! TLS on what was dialed: to the server, and to a proxy.

#[cfg(feature = "rustls")]
use super::Line;
use super::{Dialed, Dialer};
#[cfg(feature = "rustls")]
use crate::connection::TimeoutKind;
#[cfg(feature = "rustls")]
use crate::error::ConnectError;
use crate::error::{Error, Result};
use crate::options::{ProxyScheme, ProxyServer};
#[cfg(feature = "rustls")]
use crate::tls::{ClientTls, TlsStream};
#[cfg(feature = "rustls")]
use crate::transport::{Stream, within};
#[cfg(not(feature = "rustls"))]
use std::convert::Infallible;
use std::io;
use tokio::net::TcpStream;
#[cfg(feature = "rustls")]
use tokio::time::Instant;

/// What secures a stream.
#[cfg(feature = "rustls")]
pub(super) type Security = ClientTls;
/// There is nothing that could.
#[cfg(not(feature = "rustls"))]
pub(super) type Security = Infallible;

#[cfg(feature = "rustls")]
impl Dialer<'_> {
    /// Returns what is to secure the stream to the server, if it is to be secured.
    pub(super) async fn security(&self) -> Result<Option<Security>> {
        match self.url.is_secure() {
            true => or_platform(self.tls).await.map(Some),
            false => Ok(None),
        }
    }

    /// Returns what servers are believed by.
    #[cfg(feature = "http2")]
    pub(in crate::client) async fn trust(&self) -> Result<ClientTls> {
        or_platform(self.tls).await
    }

    /// Returns what is to secure the stream to a proxy, if it is to be secured.
    pub(super) async fn proxy_security(&self, proxy: &ProxyServer) -> Result<Option<Security>> {
        if proxy.scheme() != ProxyScheme::Https {
            return Ok(None);
        }
        if let Some(tls) = self.proxy_tls {
            return Ok(Some(tls.clone()));
        }
        // The name that it asks for, perhaps, is that of the server.
        Ok(Some(or_platform(self.tls).await?.nameless()))
    }

    pub(super) async fn secure(&self, dialed: Dialed, tls: Security) -> Result<Dialed> {
        let Dialed {
            line,
            details,
            since,
        } = dialed;
        let (line, details) = match line {
            Line::Tcp(stream) => {
                let stream = self.shake_hands(&tls, stream, since).await?;
                let details = stream.describe(details);
                (Line::Tls(stream), details)
            }
            Line::Tls(stream) => {
                let stream: Box<dyn Stream> = Box::new(stream);
                let stream = self.shake_hands(&tls, stream, since).await?;
                let details = stream.describe(details);
                (Line::Other(Box::new(stream)), details)
            }
            Line::Other(stream) => {
                let stream = self.shake_hands(&tls, stream, since).await?;
                let details = stream.describe(details);
                (Line::Other(Box::new(stream)), details)
            }
        };
        Ok(Dialed {
            line,
            details,
            since,
        })
    }

    async fn shake_hands<S: Stream>(
        &self,
        tls: &ClientTls,
        stream: S,
        since: Instant,
    ) -> Result<TlsStream<S>> {
        let time = self.options.common.open_handshake_timeout;
        let deadline = time.map(|time| since + time);
        let secured = within(deadline, tls.connect(self.url.host(), stream)).await;
        let secured = match secured {
            Ok(secured) => secured.map_err(Error::from),
            Err(_) => Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
        };
        secured.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::info!(host = self.url.host(), error, "tls handshake failed");
        })
    }
}

/// Puts TLS on the stream to a proxy.
#[cfg(feature = "rustls")]
pub(super) async fn secure_proxy(
    proxy: &ProxyServer,
    tls: Security,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let secured = tls.connect(proxy.host(), stream).await;
    secured.map_err(|source| {
        let proxy = proxy.to_string();
        ConnectError::ProxyTls { proxy, source }.into()
    })
}

#[cfg(feature = "rustls")]
async fn or_platform(tls: Option<&ClientTls>) -> Result<ClientTls> {
    if let Some(tls) = tls {
        return Ok(tls.clone());
    }
    // Reads files.
    let platform = tokio::task::spawn_blocking(ClientTls::platform).await;
    Ok(platform.map_err(io::Error::other)??)
}

#[cfg(not(feature = "rustls"))]
impl Dialer<'_> {
    /// There is nothing that could secure a stream.
    #[expect(clippy::unused_async, reason = "as the other one, which reads files")]
    pub(super) async fn security(&self) -> Result<Option<Security>> {
        if !self.url.is_secure() {
            return Ok(None);
        }
        let text = "wss URLs need the feature rustls, or a stream with TLS for connect_stream or run_stream";
        Err(io::Error::new(io::ErrorKind::Unsupported, text).into())
    }

    #[expect(clippy::unused_async, reason = "as the other one, which reads files")]
    pub(super) async fn proxy_security(&self, proxy: &ProxyServer) -> Result<Option<Security>> {
        match proxy.scheme() {
            ProxyScheme::Https => Err(Error::TlsUnsupported),
            _ => Ok(None),
        }
    }

    pub(super) async fn secure(&self, _: Dialed, impossible: Security) -> Result<Dialed> {
        match impossible {}
    }
}

#[cfg(not(feature = "rustls"))]
pub(super) async fn secure_proxy(
    _: &ProxyServer,
    impossible: Security,
    _: TcpStream,
) -> Result<TcpStream> {
    match impossible {}
}
