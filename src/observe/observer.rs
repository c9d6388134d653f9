//! Those who count what happens on the connections of a factory.

use super::stats::Stats;
use crate::connection::{CloseInfo, MessageKind};
use crate::error::Error;
use crate::peer::Peer;
use std::fmt;
use std::time::Duration;

/// Is told what happens on the connections of a factory, for metrics; set with `set_observer`.
///
/// Every method has a default that does nothing. They are called where things happen, by whatever
/// thread that is, so they should not take long; a panic is passed over. A hub tells of a publication when
/// all members of the topic have it, so that it may be asked, and published to, from here. Messages take a
/// slower path while there is an observer; without one nothing is asked.
///
/// ```
/// use motorway::{CloseInfo, Error, MessageKind, Observed, Observer, Peer, Stats};
/// use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// #[derive(Debug, Default)]
/// struct Metrics {
///     opened: AtomicU64,
///     refused: AtomicU64,
///     messages: AtomicU64,
///     lost: AtomicU64,
/// }
///
/// #[derive(Debug)]
/// struct Counting(Arc<Metrics>);
///
/// impl Observer for Counting {
///     fn opened(&self, _: &Observed<'_>) {
///         self.0.opened.fetch_add(1, Relaxed);
///     }
///     fn refused(&self, _: &Peer, _: &Error) {
///         self.0.refused.fetch_add(1, Relaxed);
///     }
///     fn received(&self, _: &Observed<'_>, _: MessageKind, _octets: u64) {
///         self.0.messages.fetch_add(1, Relaxed);
///     }
///     fn closed(&self, _: &Observed<'_>, info: &CloseInfo, _: &Stats) {
///         self.0.lost.fetch_add(u64::from(!info.was_clean), Relaxed);
///     }
/// }
///
/// impl Metrics {
///     /// As Prometheus reads it.
///     fn text(&self) -> String {
///         let line = |name, counter: &AtomicU64| format!("websocket_{name}_total {}\n", counter.load(Relaxed));
///         line("opened", &self.opened) + &line("refused", &self.refused)
///             + &line("messages", &self.messages) + &line("lost", &self.lost)
///     }
/// }
///
/// # struct Echo;
/// # impl WebSocketServerProtocol for Echo {}
/// let metrics = Arc::new(Metrics::default());
/// let mut factory = WebSocketServerFactory::new(|| Echo);
/// factory.set_observer(Counting(Arc::clone(&metrics)));
/// // To be served to the one who asks, such as with `factory.on_http`.
/// assert!(metrics.text().contains("websocket_opened_total 0"));
/// ```
#[expect(unused_variables, reason = "the names are for those who read")]
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// The opening handshake is done.
    fn opened(&self, connection: &Observed<'_>) {}

    /// A connection did not open: refused, denied, too slow, broken; a plain HTTP request too, with
    /// [`HandshakeError::UpgradeRequired`](crate::HandshakeError::UpgradeRequired). The status of the
    /// response is that of [`HandshakeError::status`](crate::HandshakeError::status).
    fn refused(&self, peer: &Peer, error: &Error) {}

    /// A message has come, of so many octets after inflation.
    fn received(&self, connection: &Observed<'_>, kind: MessageKind, octets: u64) {}

    /// A message was queued for sending, of so many octets before compression.
    fn sent(&self, connection: &Observed<'_>, kind: MessageKind, octets: u64) {}

    /// A ping was answered after this time, be it an automatic one or not.
    fn pong(&self, connection: &Observed<'_>, time: Duration) {}

    /// A message was not queued, or waits, since so many octets are buffered.
    fn full(&self, connection: &Observed<'_>, buffered: u64) {}

    /// So many messages were dropped, since the [`OverflowPolicy`](crate::OverflowPolicy) of the
    /// connection says so: with `DropNewest` one that was not queued, with `DropOldest` such that had
    /// been, so that [`sent`](Self::sent) has told of them.
    fn dropped(&self, connection: &Observed<'_>, messages: u64) {}

    /// A connection that opened has ended: in order or, without [`CloseInfo::was_clean`], not. Comes
    /// last, after `on_close`.
    fn closed(&self, connection: &Observed<'_>, info: &CloseInfo, stats: &Stats) {}
}

/// The connection that an [`Observer`] is told of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Observed<'a> {
    /// Its number, unique in this process.
    pub id: u64,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// The path of the request, without the query.
    pub path: &'a str,
    /// The subprotocol that was agreed upon, if any.
    pub subprotocol: Option<&'a str>,
}

impl<'a> Observed<'a> {
    pub(crate) fn new(
        (id, peer): (u64, &'a Peer),
        path: &'a str,
        subprotocol: Option<&'a str>,
    ) -> Self {
        Self {
            id,
            peer,
            path,
            subprotocol,
        }
    }
}
