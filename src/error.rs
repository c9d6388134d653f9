//! The errors of this crate as its users see them.

mod connect;
#[cfg(feature = "http2")]
mod http2;
#[cfg(feature = "tokio")]
mod hub;

use crate::close::{CloseCode, CloseFrame};
use crate::connection::{CloseCause, CloseInfo, ProtocolError, SendError, TimeoutKind};
use crate::handshake::client::ResponseBody;
use crate::handshake::{HandshakeError, UrlFault};
use crate::message::Payload;
use crate::options::OptionsError;
#[cfg(feature = "rustls")]
use crate::tls::TlsError;
pub use connect::ConnectError;
use http::{HeaderMap, StatusCode};
#[cfg(feature = "http2")]
pub use http2::Http2Error;
#[cfg(feature = "tokio")]
pub use hub::HubError;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::{fmt, io};

/// A result with the error of this crate, unless another one is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a callback returns: `Ok(())`, or an error that closes this one connection.
pub type HandlerResult = std::result::Result<(), HandlerError>;

/// What can go wrong.
///
/// `{}` says what failed, `{:?}` says it with every cause, for logs and for what `main` returns, and `{:#?}`
/// shows the variants.
///
/// ```
/// use motorway::{Error, HandshakeError, Url};
///
/// let fault = "http://localhost".parse::<Url>().unwrap_err();
/// let error = Error::from(HandshakeError::from(fault));
/// assert_eq!(error.to_string(), "opening handshake failed");
/// assert!(format!("{error:?}").starts_with("opening handshake failed: "));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A socket or stream failed.
    #[error("stream failed")]
    Io(#[source] io::Error),
    /// A client could not connect.
    #[error("connection failed")]
    Connect(#[source] Box<ConnectError>),
    /// Certificates or keys cannot be used, or the TLS handshake failed.
    #[cfg(feature = "rustls")]
    #[error("tls failed")]
    Tls(#[source] Box<TlsError>),
    /// A connection of HTTP/2 cannot be made, or takes no WebSocket.
    #[cfg(feature = "http2")]
    #[error("http/2 failed")]
    Http2(#[source] Box<Http2Error>),
    /// The opening handshake failed.
    #[error("opening handshake failed")]
    Handshake(#[source] Box<HandshakeError>),
    /// An option has a value outside of its range.
    #[error("invalid option")]
    Options(#[source] Box<OptionsError>),
    /// The peer broke the protocol.
    #[error("peer broke the protocol")]
    Protocol(#[from] ProtocolError),
    /// Something could not be sent; the connection is unharmed unless it was closed already.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Something took too long.
    #[error("{0}")]
    Timeout(TimeoutKind),
    /// The connection was lost in another way: dropped by the peer without a close frame, or by this
    /// end.
    #[error("connection {0}")]
    Closed(Box<CloseInfo>),
    /// A value could not be written as JSON.
    #[cfg(feature = "json")]
    #[error("cannot write JSON")]
    Json(#[source] serde_json::Error),
    /// The URL asks for TLS, which nothing here speaks.
    #[error("tls is not supported")]
    TlsUnsupported,
    /// More messages wait to be received than are read ahead.
    #[error("{octets} octets of messages wait to be received")]
    ReadAheadFull {
        /// What waits, in octets.
        octets: usize,
    },
    /// A message that was to be received as text is not UTF-8; here it is.
    #[error("message is not UTF-8")]
    NotUtf8(Payload<'static>),
    /// A hub does not do what it was asked to.
    #[cfg(feature = "tokio")]
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A callback of the protocol refused the connection or failed before it was open.
    #[error("callback failed")]
    Handler(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Returns the status of a server that refused the opening handshake; headers and body of its
    /// answer are in [`headers`](Self::headers) and [`body`](Self::body).
    ///
    /// ```no_run
    /// # async fn example() {
    /// if let Err(error) = motorway::connect("ws://127.0.0.1:9000/members").await {
    ///     if let (Some(status), Some(body)) = (error.status(), error.body()) {
    ///         println!("{status}: {}", body.text());
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.refusal().map(|(status, ..)| status)
    }

    /// Returns the headers of a server's answer that refused the opening handshake.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.refusal().map(|(_, headers, _)| headers)
    }

    /// Returns the body of a server's answer that refused the opening handshake, up to 1 MiB.
    #[must_use]
    pub fn body(&self) -> Option<&ResponseBody> {
        self.refusal().map(|(.., body)| body)
    }

    fn refusal(&self) -> Option<(StatusCode, &HeaderMap, &ResponseBody)> {
        let Self::Handshake(error) = self else {
            return None;
        };
        match &**error {
            HandshakeError::Refused {
                status,
                headers,
                body,
            } => Some((*status, headers, body)),
            _ => None,
        }
    }

    /// Returns the error that ended a connection, if its end was one.
    pub(crate) fn of_cause(cause: &CloseCause) -> Option<Self> {
        match cause {
            CloseCause::Protocol(error) => Some(Self::Protocol(*error)),
            CloseCause::Io(error) => Some(Self::Io(io::Error::new(
                error.kind(),
                std::sync::Arc::clone(error),
            ))),
            CloseCause::Timeout(kind) => Some(Self::Timeout(*kind)),
            _ => None,
        }
    }

    /// Makes the error of a connection that did not end in order.
    pub(crate) fn from_end(info: &CloseInfo) -> Self {
        Self::of_cause(&info.cause).unwrap_or_else(|| Self::Closed(Box::new(info.clone())))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write_chain(self, f);
        }
        let (name, value): (_, &dyn fmt::Debug) = match self {
            Self::Io(error) => ("Io", error),
            Self::Connect(error) => ("Connect", error),
            #[cfg(feature = "rustls")]
            Self::Tls(error) => ("Tls", error),
            #[cfg(feature = "http2")]
            Self::Http2(error) => ("Http2", error),
            Self::Handshake(error) => ("Handshake", error),
            Self::Options(error) => ("Options", error),
            Self::Protocol(error) => ("Protocol", error),
            Self::Send(error) => ("Send", error),
            Self::Timeout(kind) => ("Timeout", kind),
            Self::Closed(info) => ("Closed", info),
            #[cfg(feature = "json")]
            Self::Json(error) => ("Json", error),
            Self::TlsUnsupported => return f.write_str("TlsUnsupported"),
            Self::ReadAheadFull { octets } => ("ReadAheadFull", octets),
            Self::NotUtf8(payload) => ("NotUtf8", payload),
            #[cfg(feature = "tokio")]
            Self::Hub(error) => ("Hub", error),
            Self::Handler(error) => ("Handler", error),
        };
        f.debug_tuple(name).field(value).finish()
    }
}

/// Writes an error and its causes on one line, but no cause twice: some stand in the text above them.
fn write_chain(error: &dyn StdError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut last = error.to_string();
    f.write_str(&last)?;
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !last.ends_with(&text) {
            write!(f, ": {text}")?;
        }
        last = text;
        cause = error.source();
    }
    Ok(())
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        // A peer of TLS 1.3 may refuse our certificate when the handshake seems to be over.
        #[cfg(feature = "rustls")]
        if let Some(error) = TlsError::within(&error) {
            return error.into();
        }
        Self::Io(error)
    }
}

#[cfg(feature = "rustls")]
impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

#[cfg(feature = "http2")]
impl From<Http2Error> for Error {
    fn from(error: Http2Error) -> Self {
        Self::Http2(Box::new(error))
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(Box::new(error))
    }
}

impl From<UrlFault> for Error {
    fn from(fault: UrlFault) -> Self {
        HandshakeError::from(fault).into()
    }
}

impl From<OptionsError> for Error {
    fn from(error: OptionsError) -> Self {
        Self::Options(Box::new(error))
    }
}

/// The error of a callback: closes the connection with 1011, or with a code of your choice.
///
/// Made by `?` from any error, so callbacks can call whatever they need; the text of the error
/// stays in the log and is not sent to the peer. Like other catch-all errors it does not implement
/// [`std::error::Error`] itself, but converts into a boxed one.
///
/// ```
/// use motorway::{CloseCode, HandlerError, HandlerResult};
///
/// fn check(amount: &str) -> HandlerResult {
///     let amount: u32 = amount.parse()?;
///     match amount {
///         0 => Err(HandlerError::close(CloseCode::POLICY_VIOLATION, "nothing to pay")),
///         _ => Ok(()),
///     }
/// }
/// assert!(check("12").is_ok());
/// assert!(check("twelve").is_err());
/// ```
pub struct HandlerError(Box<Failure>);

/// Boxed, since every callback returns room for it and nearly none fails.
struct Failure {
    frame: CloseFrame,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HandlerError {
    /// Closes the connection with this code and reason.
    ///
    /// A code that must not be sent (RFC 6455 §7.4.1) becomes 1011.
    #[must_use]
    pub fn close(code: impl Into<CloseCode>, reason: impl Into<Cow<'static, str>>) -> Self {
        let mut frame = CloseFrame::new(code, reason);
        if !frame.code.is_sendable() {
            frame.code = CloseCode::INTERNAL_ERROR;
        }
        Self(Box::new(Failure {
            frame,
            source: None,
        }))
    }

    /// Returns the close frame that the peer gets.
    #[must_use]
    pub fn close_frame(&self) -> &CloseFrame {
        &self.0.frame
    }

    /// Returns the error that the callback failed with, if it was not `close`.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "");
        Self(Box::new(Failure {
            frame,
            source: Some(Box::new(error)),
        }))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) => source.fmt(f),
            None => write!(f, "close with {}", self.0.frame),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) => write_chain(&**source, f),
            None => self.0.frame.fmt(f),
        }
    }
}

/// Stands for [`HandlerError::close`] where an ordinary error is asked for.
#[derive(Debug)]
struct Boxed(CloseFrame);

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "close with {}", self.0)
    }
}

impl StdError for Boxed {}

impl From<HandlerError> for Box<dyn StdError + Send + Sync> {
    fn from(error: HandlerError) -> Self {
        match error.0.source {
            Some(source) => source,
            None => Box::new(Boxed(error.0.frame)),
        }
    }
}

impl From<HandlerError> for Box<dyn StdError> {
    fn from(error: HandlerError) -> Self {
        Box::<dyn StdError + Send + Sync>::from(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_every_cause_once() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let nested = io::Error::other(io::Error::other("the reason"));
        for (error, text) in [
            (Error::Io(refused), "stream failed: connection refused"),
            (Error::Io(nested), "stream failed: the reason"),
            (
                Error::Send(SendError::Closed),
                "connection is closing or closed",
            ),
            (Error::TlsUnsupported, "tls is not supported"),
        ] {
            assert_eq!(format!("{error:?}"), text);
            let boxed: Box<dyn StdError> = HandlerError::from(error).into();
            assert_eq!(format!("{boxed:?}"), text);
        }
    }

    #[test]
    fn the_alternate_form_shows_the_variants() {
        let error = Error::from(ConnectError::Timeout {
            host: "a".to_owned(),
        });
        assert_eq!(
            format!("{error:?}"),
            "connection failed: cannot connect to \"a\" in time"
        );
        assert!(
            format!("{error:#?}").starts_with("Connect(\n    Timeout {\n"),
            "{error:#?}"
        );
        let closed = Error::Send(SendError::Closed);
        assert_eq!(format!("{closed:#?}"), "Send(\n    Closed,\n)");
    }
}
