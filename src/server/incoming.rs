//! Streams that were accepted, and what is between them and the opening handshake.

use super::lifecycle::Counted;
use super::lobby::Seat;
#[cfg(feature = "rustls")]
use super::{factory::Settings, failure::report, lifecycle::Lifecycle};
use crate::address::{Layer, ListenAddress};
use crate::connection::TimeoutKind;
use crate::error::{Error, Result};
#[cfg(feature = "rustls")]
use crate::handshake::HandshakeError;
use crate::handshake::TransportDetails;
use crate::observe::{Moment, Timings};
use crate::options::{Networks, OptionsError};
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::{ServerTls, TlsStream};
#[cfg(feature = "rustls")]
use crate::transport::{Stream, read_proxy_header_only, within};
#[cfg(feature = "rustls")]
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A stream that was accepted.
pub(super) struct Incoming<S> {
    pub(super) stream: S,
    pub(super) details: TransportDetails,
    pub(super) counted: Counted,
    /// When the time for the opening handshake began to run; TLS is part of it.
    pub(super) since: Instant,
    pub(super) timings: Timings,
    /// Lets a shutdown wait for it already, where it runs by itself.
    pub(super) token: Option<TaskTrackerToken>,
    /// Its place among those that have not sent their request yet, where these are counted.
    pub(super) seat: Option<Seat>,
}

impl<S> Incoming<S> {
    pub(super) fn new(stream: S, details: TransportDetails, counted: Counted) -> Self {
        let since = Instant::now();
        let mut timings = Timings::begin(since);
        timings.track_at(Moment::Connect, since);
        Self {
            stream,
            details,
            counted,
            since,
            timings,
            token: None,
            seat: None,
        }
    }
}

/// What is between a listener's sockets and the opening handshake.
#[derive(Clone, Debug)]
pub(super) enum Security {
    None,
    #[cfg(feature = "rustls")]
    Tls(ServerTls),
}

impl Security {
    /// Returns what an address has, where this is given for those that do not say.
    ///
    /// Blocks while it reads the files that an address names.
    pub(super) fn of(&self, address: &ListenAddress) -> Result<Self> {
        let refused = |allowed| {
            let address = address.to_string();
            Err(OptionsError::text("listen", &address, allowed).into())
        };
        match &address.security {
            Layer::AsGiven => Ok(self.clone()),
            Layer::Plain => Ok(Self::None),
            Layer::Secure if matches!(self, Self::None) => {
                refused("an address with the files of TLS, or be given to listen_tls")
            }
            Layer::Secure => Ok(self.clone()),
            #[cfg(feature = "rustls")]
            Layer::Files { chain, key } => Ok(Self::Tls(ServerTls::from_pem_files(chain, key)?)),
            #[cfg(not(feature = "rustls"))]
            Layer::Files { .. } => refused("an address without tls, or the feature rustls be on"),
        }
    }
}

/// Makes the TLS handshake; logs one that fails.
#[cfg(feature = "rustls")]
pub(super) async fn secure<S: Stream>(
    mut incoming: Incoming<S>,
    lifecycle: Arc<Lifecycle>,
    (tls, settings): (ServerTls, Arc<Settings>),
) -> Result<Incoming<TlsStream<S>>> {
    let options = &settings.options;
    let time = options.common.open_handshake_timeout;
    let deadline = time.map(|time| incoming.since + time);
    // What a proxy says stands before TLS, which it does not understand.
    let proxies = options.proxy_protocol.as_ref();
    let is_proxy = proxies.is_ok_and(|proxies| is_among(incoming.details.peer(), proxies));
    let details = &mut incoming.details;
    let mut stream = incoming.stream;
    let securing = within(deadline, async {
        if is_proxy {
            let header = read_proxy_header_only(&mut stream).await?;
            if let Some(source) = header.source() {
                details.set_peer(source.into());
            }
        }
        Ok(tls.accept_http1(stream).await?)
    });
    let secured = tokio::select! {
        biased;
        secured = securing => secured,
        () = Seat::evicted(incoming.seat.as_ref()) => Ok(Err(too_slow())),
        // Without TLS there is no way to tell the client.
        () = lifecycle.draining.cancelled() => Ok(Err(HandshakeError::ShuttingDown.into())),
    };
    let secured = secured.unwrap_or(Err(too_slow()));
    let stream = secured.inspect_err(|error| report(&settings, incoming.details.peer(), error))?;
    let mut timings = incoming.timings;
    timings.track(Moment::Tls);
    Ok(Incoming {
        details: stream.describe(incoming.details),
        stream,
        counted: incoming.counted,
        since: incoming.since,
        timings,
        token: incoming.token,
        seat: incoming.seat,
    })
}

pub(super) fn too_slow() -> Error {
    Error::Timeout(TimeoutKind::OpeningHandshake)
}

/// Tells whether the peer is one of the trusted; one that another proxy told is not.
pub(super) fn is_among(peer: &Peer, trusted: &Networks) -> bool {
    match peer {
        Peer::Tcp(address) => trusted.contain(address.ip()),
        Peer::Unix(_) => trusted.unix,
        Peer::Forwarded(_) | Peer::Unknown => false,
    }
}
