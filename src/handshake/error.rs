//! What can go wrong in the opening handshake.

use std::fmt;

use http::{HeaderMap, StatusCode};

use super::client::ResponseBody;
use super::url::{Url, UrlFault};
use crate::extension::NegotiationError;

/// Tells why an opening handshake failed (RFC 6455 §4).
///
/// Carries no octets of the peer but the headers and the body of a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A line of the head does not end in CR LF, or a CR or LF stands alone (RFC 9112 §2.2).
    #[error("head has a line that does not end in cr lf")]
    BareLineEnd,
    /// The head has a NUL (RFC 9110 §5.5).
    #[error("head has a nul octet")]
    Nul,
    /// The request is not one of HTTP, but for the policy file of Flash's sockets; answered with it
    /// where `serve_flash_socket_policy` is on.
    #[error("request is for a policy file of flash")]
    FlashPolicyRequest,
    /// The head is not one of HTTP/1: a folded line, a space before a colon, anything else.
    #[error("malformed http head")]
    MalformedHead,
    /// The head is larger than `max_header_size`.
    #[error("head is larger than {limit} octets")]
    #[non_exhaustive]
    HeadTooLarge {
        /// The limit in octets.
        limit: usize,
    },
    /// The request line is longer than `max_header_line`.
    #[error("request line is longer than {limit} octets")]
    #[non_exhaustive]
    TargetTooLong {
        /// The limit in octets.
        limit: usize,
    },
    /// A line of the head is longer than `max_header_line`.
    #[error("line of the head is longer than {limit} octets")]
    #[non_exhaustive]
    LineTooLong {
        /// The limit in octets.
        limit: usize,
    },
    /// The head has more headers than `max_headers`.
    #[error("head has more than {limit} headers")]
    #[non_exhaustive]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// A trusted proxy did not start with a header of the PROXY protocol.
    #[error("invalid header of the proxy protocol")]
    InvalidProxyHeader,
    /// The method is not GET (RFC 6455 §4.1).
    #[error("method is not get")]
    UnsupportedMethod,
    /// An extended CONNECT asks for another protocol than `websocket`; answered with 501
    /// (RFC 9220 §3).
    #[error("protocol of the extended connect is not websocket")]
    UnsupportedProtocol,
    /// The version of HTTP is not 1.1 (RFC 6455 §4.1).
    #[error("version of http is not 1.1")]
    UnsupportedHttpVersion,
    /// The target is no path, has a fragment, or does not fit `Host` (RFC 6455 §4.2.1).
    #[error("invalid request target")]
    InvalidTarget,
    /// A header that is needed is missing.
    #[error("header {name} is missing")]
    #[non_exhaustive]
    MissingHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header that may come once came more often.
    #[error("header {name} comes more than once")]
    #[non_exhaustive]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header has a value that it cannot have.
    #[error("header {name} is invalid")]
    #[non_exhaustive]
    InvalidHeader {
        /// Its name.
        name: &'static str,
    },
    /// The port in `Host` is not that of the option `external_port`.
    #[error("host has another port than {expected}")]
    #[non_exhaustive]
    PortMismatch {
        /// The port of the option.
        expected: u16,
    },
    /// The request is plain HTTP.
    #[error("request does not ask for an upgrade")]
    UpgradeRequired,
    /// The request comes with a body.
    #[error("request for an upgrade has a body")]
    UnexpectedBody,
    /// The version of the protocol is not one of those enabled (RFC 6455 §4.4).
    #[error("unsupported version of the protocol")]
    UnsupportedVersion,
    /// The origin is not one of those allowed (RFC 6455 §10.2).
    #[error("origin is not allowed")]
    OriginRefused,
    /// No route of the server matches the path.
    #[error("no route matches the path")]
    NoRoute,
    /// The server has as many connections as it takes.
    #[error("too many connections")]
    TooManyConnections,
    /// The server is shutting down.
    #[error("server is shutting down")]
    ShuttingDown,
    /// The server's `on_connect` denied the connection.
    #[error("denied with status {status}")]
    #[non_exhaustive]
    Denied {
        /// The status of the response.
        status: StatusCode,
    },
    /// The HTTP server that has read the request gives no way to upgrade it: a layer in between has
    /// taken it, or it does not support upgrades. The client did nothing wrong, and gets 500.
    #[error("request cannot be upgraded by the server that has read it")]
    NotUpgradable,
    /// The subprotocol chosen is not one that the client offered (RFC 6455 §4.2.2, §4.1).
    #[error("subprotocol was not offered")]
    SubprotocolNotOffered,
    /// A header to send is not valid, or only the handshake may set it.
    #[error("header {name:?} cannot be sent")]
    #[non_exhaustive]
    HeaderRefused {
        /// Its name.
        name: String,
    },
    /// A URL or resource is none that can be connected to (RFC 6455 §3).
    #[error("invalid url")]
    Url(#[from] UrlFault),
    /// The extensions could not be agreed on (RFC 6455 §9.1).
    #[error("negotiation of extensions failed")]
    Extensions(#[from] NegotiationError),
    /// The accept key is not that of our key (RFC 6455 §4.1).
    #[error("accept key does not match")]
    AcceptMismatch,
    /// The server answered with another status than 101, over HTTP/2 with none of 200 to 299.
    #[error("server answered with status {status}")]
    #[non_exhaustive]
    Refused {
        /// The status.
        status: StatusCode,
        /// The headers of the answer.
        headers: HeaderMap,
        /// The body of the answer; empty where only the head was judged.
        body: Box<ResponseBody>,
    },
    /// The server led back to where the client had been.
    #[error("redirected in a loop: {}", Chain(chain))]
    #[non_exhaustive]
    RedirectLoop {
        /// The URLs, the last of which is one of the others.
        chain: Vec<Url>,
    },
    /// The server led on more often than `max_redirects`.
    #[error("more than {limit} redirects: {}", Chain(chain))]
    #[non_exhaustive]
    TooManyRedirects {
        /// The URLs that were connected to.
        chain: Vec<Url>,
        /// The option.
        limit: u32,
    },
    /// The server led from `wss` to `ws`.
    #[error("redirected away from tls: {}", Chain(chain))]
    #[non_exhaustive]
    InsecureRedirect {
        /// The URLs, the last of which was not connected to.
        chain: Vec<Url>,
    },
    /// The server led to what is no URL of a WebSocket.
    #[error("redirected to no url of a websocket: {}", Chain(chain))]
    #[non_exhaustive]
    InvalidRedirect {
        /// The URLs that were connected to.
        chain: Vec<Url>,
        /// What is wrong with the next one.
        #[source]
        fault: UrlFault,
    },
}

impl HandshakeError {
    /// Returns the status that a server answers such a request with; for an answer that refuses,
    /// the status that it has.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BareLineEnd
            | Self::Nul
            | Self::FlashPolicyRequest
            | Self::MalformedHead
            | Self::InvalidProxyHeader
            | Self::InvalidTarget
            | Self::MissingHeader { .. }
            | Self::RepeatedHeader { .. }
            | Self::InvalidHeader { .. }
            | Self::PortMismatch { .. }
            | Self::UnexpectedBody
            | Self::Extensions(_)
            | Self::Url(_) => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge { .. } | Self::LineTooLong { .. } | Self::TooManyHeaders { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::UnsupportedMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedProtocol => StatusCode::NOT_IMPLEMENTED,
            Self::UnsupportedHttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UpgradeRequired | Self::UnsupportedVersion => StatusCode::UPGRADE_REQUIRED,
            Self::OriginRefused => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::TooManyConnections | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotUpgradable | Self::SubprotocolNotOffered | Self::HeaderRefused { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::AcceptMismatch
            | Self::RedirectLoop { .. }
            | Self::TooManyRedirects { .. }
            | Self::InsecureRedirect { .. }
            | Self::InvalidRedirect { .. } => StatusCode::BAD_GATEWAY,
            Self::Refused { status, .. } | Self::Denied { status } => *status,
        }
    }
}

/// Prints the URLs of a chain of redirects, of long ones the start.
struct Chain<'a>(&'a [Url]);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, url) in self.0.iter().enumerate() {
            let arrow = if place > 0 { " -> " } else { "" };
            let url = url.to_string();
            match url.get(..MAX_SHOWN) {
                Some(start) => write!(f, "{arrow}{start}…")?,
                None => write!(f, "{arrow}{url}")?,
            }
        }
        Ok(())
    }
}

/// How much is shown of a URL that a server has led to, in octets.
const MAX_SHOWN: usize = 200;
