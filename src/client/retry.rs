//! Which faults pass by themselves.

use super::reconnect::Ended;
use crate::close::CloseCode;
use crate::connection::{CloseCause, CloseInfo, Endpoint, TimeoutKind};
#[cfg(feature = "http2")]
use crate::error::Http2Error;
use crate::error::{ConnectError, Error};
use crate::handshake::HandshakeError;
use crate::handshake::tunnel::{SocksReply, TunnelError};
#[cfg(feature = "rustls")]
use crate::tls::TlsError;
use http::{HeaderMap, StatusCode, header};
use std::time::Duration;

/// What is to be done after an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Connect again, with the usual back-off.
    Again,
    /// Connect again, but not before this time has passed.
    After(Duration),
    /// Give up.
    Never,
}

impl Retry {
    /// Decides by what usually passes: a host that cannot be reached, a stream that failed, a timeout, a
    /// server that restarts (1001, 1012), is overloaded (1013, 503 and the like, with its `Retry-After`) or
    /// has failed (1011).
    ///
    /// A timeout is any [`TimeoutKind`](crate::TimeoutKind) but those of closing, so that also
    /// `idle_timeout` and `max_lifetime` of this end begin a new connection: who hears nothing, or has been
    /// with one server for long enough, is to have another. To end with one of them,
    /// [classify](crate::Reconnect::classify) it.
    ///
    /// Not so a closing handshake that this end began otherwise, a normal end (1000), what a request or
    /// protocol got wrong, and codes of applications. It is the same if the stream is lost on the way from
    /// such a close frame to the end of TCP, or that takes too long: the close frame has said which it is.
    #[must_use]
    pub fn of(ended: &Ended) -> Self {
        match ended {
            Ok(info) => Self::of_close(info),
            Err(Error::Io(_) | Error::Timeout(_)) => Self::Again,
            Err(Error::Connect(error)) => Self::of_connect(error),
            #[cfg(feature = "rustls")]
            Err(Error::Tls(error)) => Self::of_tls(error),
            // On the same connection it stays as it is; whoever makes another one may try again.
            #[cfg(feature = "http2")]
            Err(Error::Http2(error)) => match &**error {
                Http2Error::NotOpen { .. } => Self::Again,
                // REFUSED_STREAM and ENHANCE_YOUR_CALM (RFC 9113 §7).
                Http2Error::Reset { code: 7 | 11, .. } => Self::Again,
                _ => Self::Never,
            },
            Err(Error::Handshake(error)) => match &**error {
                HandshakeError::Refused {
                    status, headers, ..
                } => Self::of_status(*status, headers),
                _ => Self::Never,
            },
            Err(_) => Self::Never,
        }
    }

    fn of_connect(error: &ConnectError) -> Self {
        match error {
            #[cfg(feature = "rustls")]
            ConnectError::ProxyTls { source, .. } => Self::of_tls(source),
            ConnectError::Tunnel { source, .. } => match source {
                TunnelError::Closed => Self::Again,
                TunnelError::Refused {
                    status, headers, ..
                } => Self::of_status(*status, headers),
                TunnelError::Socks(
                    SocksReply::GeneralFailure
                    | SocksReply::NetworkUnreachable
                    | SocksReply::HostUnreachable
                    | SocksReply::ConnectionRefused
                    | SocksReply::TtlExpired
                    | SocksReply::Rejected,
                ) => Self::Again,
                _ => Self::Never,
            },
            _ => Self::Again,
        }
    }

    /// A certificate does not become another one by itself; a stream does.
    #[cfg(feature = "rustls")]
    fn of_tls(error: &TlsError) -> Self {
        match error {
            TlsError::Closed | TlsError::Stream(_) => Self::Again,
            _ => Self::Never,
        }
    }

    fn of_close(info: &CloseInfo) -> Self {
        match info.cause {
            // Had nobody begun to close, the peer is who ended it, with 1006.
            CloseCause::Dropped
            | CloseCause::Io(_)
            | CloseCause::Timeout(
                TimeoutKind::ClosingHandshake | TimeoutKind::ServerConnectionDrop,
            ) => Self::of_cut(info),
            CloseCause::Timeout(TimeoutKind::WriteStall)
                if info.local.is_some() || info.remote.is_some() =>
            {
                Self::of_cut(info)
            }
            CloseCause::Timeout(_) => Self::Again,
            CloseCause::Peer => Self::of_code(info.code),
            _ => Self::Never,
        }
    }

    /// Judges an end that was not waited for, or not seen.
    fn of_cut(info: &CloseInfo) -> Self {
        match info.closed_by {
            Endpoint::Local => Self::Never,
            Endpoint::Peer => Self::of_code(info.code),
        }
    }

    fn of_code(code: CloseCode) -> Self {
        match code {
            CloseCode::GOING_AWAY
            | CloseCode::ABNORMAL
            | CloseCode::INTERNAL_ERROR
            | CloseCode::SERVICE_RESTART
            | CloseCode::BAD_GATEWAY => Self::Again,
            CloseCode::TRY_AGAIN_LATER => Self::After(OVERLOADED),
            _ => Self::Never,
        }
    }

    fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let passes = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
        match (passes, retry_after(headers)) {
            (false, _) => Self::Never,
            (true, Some(least)) => Self::After(least),
            (true, None) => Self::Again,
        }
    }
}

/// Reads the seconds of `Retry-After` (RFC 9110 §10.2.3); a date is not looked at.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REQUEST))
}

/// How long a server that is overloaded is left alone (1013) at least.
const OVERLOADED: Duration = Duration::from_secs(5);
/// The longest wait that a server can ask for.
const LONGEST_REQUEST: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, after: Option<&'static str>) -> Ended {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let body = Box::default();
        let refused = HandshakeError::Refused {
            status,
            headers,
            body,
        };
        Err(refused.into())
    }

    #[test]
    fn what_passes_is_tried_again() {
        let seconds = |seconds| Retry::After(Duration::from_secs(seconds));
        for (ended, expected) in [
            (refused(503, None), Retry::Again),
            (refused(503, Some("7")), seconds(7)),
            (refused(429, Some("999999999")), seconds(3600)),
            (refused(502, Some("tomorrow")), Retry::Again),
            (refused(403, Some("7")), Retry::Never),
            (refused(404, None), Retry::Never),
            (Err(std::io::Error::other("x").into()), Retry::Again),
            (Err(HandshakeError::InvalidTarget.into()), Retry::Never),
        ] {
            assert_eq!(Retry::of(&ended), expected, "{ended:?}");
        }
    }

    fn closed(cause: CloseCause, code: u16) -> Ended {
        let mut info = CloseInfo::never_opened("", Endpoint::Peer);
        info.cause = cause;
        info.code = code.into();
        Ok(info)
    }

    #[test]
    fn a_server_that_comes_back_is_tried_again() {
        for (code, again) in [(1001, true), (1011, true), (1012, true), (1013, true)]
            .into_iter()
            .chain([(1000, false), (1008, false), (4000, false), (1002, false)])
        {
            let retry = Retry::of(&closed(CloseCause::Peer, code));
            assert_eq!(retry != Retry::Never, again, "{code}");
        }
        assert_eq!(Retry::of(&closed(CloseCause::Dropped, 1006)), Retry::Again);
        // Whoever waits for data and gets none wants another connection, not the end.
        for kind in [
            TimeoutKind::AutoPing,
            TimeoutKind::Idle,
            TimeoutKind::Lifetime,
        ] {
            for code in [1000, 1001, 1006] {
                let retry = Retry::of(&closed(CloseCause::Timeout(kind), code));
                assert_eq!(retry, Retry::Again, "{kind:?}");
            }
        }
        for ours in [CloseCause::Local, CloseCause::Handler, CloseCause::Panic] {
            assert_eq!(Retry::of(&closed(ours, 1001)), Retry::Never);
        }
    }

    #[test]
    fn what_follows_a_close_frame_does_not_change_what_it_said() {
        for cause in [
            CloseCause::Timeout(TimeoutKind::ClosingHandshake),
            CloseCause::Timeout(TimeoutKind::ServerConnectionDrop),
            CloseCause::Io(std::sync::Arc::new(std::io::Error::other("x"))),
            CloseCause::Dropped,
        ] {
            for (code, again) in [
                (1000, false),
                (1005, false),
                (4000, false),
                (1001, true),
                (1012, true),
            ] {
                let ended = closed(cause.clone(), code);
                assert_eq!(Retry::of(&ended) == Retry::Again, again, "{ended:?}");
                // This end has said that it is enough, whatever the peer answers, if it does.
                for code in [code, 1006] {
                    let mut ours = closed(cause.clone(), code).unwrap();
                    ours.closed_by = Endpoint::Local;
                    assert_eq!(Retry::of(&Ok(ours)), Retry::Never, "{cause:?}");
                }
            }
        }
    }

    #[cfg(feature = "rustls")]
    #[test]
    fn a_stream_that_fails_below_tls_is_tried_again_and_a_certificate_is_not() {
        for (error, expected) in [
            (TlsError::Closed, Retry::Again),
            (
                TlsError::Stream(std::io::ErrorKind::ConnectionReset.into()),
                Retry::Again,
            ),
            (TlsError::Expired, Retry::Never),
        ] {
            let (proxy, text) = ("https://a:443".to_owned(), error.to_string());
            assert_eq!(Retry::of(&Err(error.into())), expected, "{text}");
            let source = TlsError::Expired;
            let error = ConnectError::ProxyTls { proxy, source };
            assert_eq!(Retry::of(&Err(error.into())), Retry::Never);
        }
    }
}
