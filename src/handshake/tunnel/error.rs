//! Why a proxy does not let through.

use std::fmt;

use http::{HeaderMap, StatusCode};

use crate::handshake::HandshakeError;

/// Tells why there is no tunnel through a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// An HTTP proxy answered with another status than 2xx: 407 where it wants to know who asks
    /// (RFC 9110 §15.5.8).
    #[error("proxy answered with status {status}")]
    #[non_exhaustive]
    Refused {
        /// The status.
        status: StatusCode,
        /// The headers of the answer.
        headers: HeaderMap,
    },
    /// The answer is not one of HTTP/1.
    #[error("answer of the proxy is no http")]
    MalformedHead(#[source] HandshakeError),
    /// The head of the answer is over a limit: `max_header_size`, `max_header_line` or
    /// `max_headers`.
    #[error("answer of the proxy is too large")]
    HeadTooLarge(#[source] HandshakeError),
    /// The answer is not one of SOCKS of the version asked for.
    #[error("answer of the proxy is no socks")]
    MalformedAnswer,
    /// A SOCKS proxy answered with a refusal.
    #[error("proxy refused: {0}")]
    Socks(SocksReply),
    /// A SOCKS5 proxy takes none of the methods of authentication that were offered: it wants a
    /// user and a password, perhaps.
    #[error("proxy takes none of the methods of authentication")]
    NoAcceptableMethod,
    /// A SOCKS5 proxy does not take user and password (RFC 1929 §2).
    #[error("proxy refused user and password")]
    AuthenticationRefused,
    /// SOCKS4 is for IPv4 only, and SOCKS5 for names up to 255 octets.
    #[error("proxy cannot be asked for {host:?}")]
    #[non_exhaustive]
    UnsupportedHost {
        /// The host.
        host: String,
    },
    /// The proxy closed before the tunnel stood.
    #[error("proxy closed the connection")]
    Closed,
}

/// Why a SOCKS proxy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocksReply {
    /// SOCKS5: 1.
    GeneralFailure,
    /// SOCKS5: 2.
    NotAllowed,
    /// SOCKS5: 3.
    NetworkUnreachable,
    /// SOCKS5: 4.
    HostUnreachable,
    /// SOCKS5: 5.
    ConnectionRefused,
    /// SOCKS5: 6.
    TtlExpired,
    /// SOCKS5: 7.
    CommandNotSupported,
    /// SOCKS5: 8.
    AddressTypeNotSupported,
    /// SOCKS4: 91.
    Rejected,
    /// SOCKS4: 92.
    NoIdentd,
    /// SOCKS4: 93.
    IdentdMismatch,
    /// Another number.
    Other(u8),
}

impl SocksReply {
    /// RFC 1928 §6.
    pub(super) fn of_5(code: u8) -> Self {
        match code {
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            code => Self::Other(code),
        }
    }

    pub(super) fn of_4(code: u8) -> Self {
        match code {
            91 => Self::Rejected,
            92 => Self::NoIdentd,
            93 => Self::IdentdMismatch,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general failure",
            Self::NotAllowed => "not allowed by the rules",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::TtlExpired => "ttl expired",
            Self::CommandNotSupported => "command not supported",
            Self::AddressTypeNotSupported => "address type not supported",
            Self::Rejected => "rejected or failed",
            Self::NoIdentd => "no identd on this end",
            Self::IdentdMismatch => "identd tells another user",
            Self::Other(code) => return write!(f, "reply {code}"),
        })
    }
}
