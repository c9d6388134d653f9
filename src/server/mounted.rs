//! Requests that another HTTP server has read.

use super::carrier::Carrier;
use super::factory::FactoryShared;
use super::incoming::Incoming;
use super::lifecycle::{Lifecycle, Served};
use super::opened::run_opened;
use super::opening::{Making, Opening};
use super::reading::Arrived;
use super::{WebSocketServerFactory, WebSocketServerProtocol};
use crate::handshake::{RequestHead, TransportDetails, server};
use crate::observe::Moment;
use std::sync::Arc;

/// A request, who asks, and what answers.
pub(crate) struct Request<C> {
    pub(crate) head: RequestHead,
    pub(crate) details: TransportDetails,
    pub(crate) carrier: C,
}

impl<P: WebSocketServerProtocol> WebSocketServerFactory<P> {
    /// Serves a request to the end of its connection, with the instance that the factory makes.
    pub(crate) fn serve_request<C: Carrier>(
        &self,
        request: Request<C>,
    ) -> impl Future<Output = Served> + Send + use<P, C> {
        let shared = Arc::clone(&self.shared);
        self.serve_request_as(request, move || (shared.make)())
    }

    /// Serves a request to the end of its connection, with the instance that `make` makes.
    ///
    /// The factory waits for what is returned when it shuts down.
    pub(crate) fn serve_request_as<C: Carrier, M: FnOnce() -> P + Send + 'static>(
        &self,
        request: Request<C>,
        make: M,
    ) -> impl Future<Output = Served> + Send + use<P, C, M> {
        let (shared, lifecycle) = (Arc::clone(&self.shared), Arc::clone(&self.lifecycle));
        let Request {
            head,
            details,
            carrier,
        } = request;
        let incoming = Incoming::new(carrier, details, shared.counter.count());
        shared.serve_request(lifecycle, (incoming, head), make)
    }
}

impl<P: WebSocketServerProtocol> FactoryShared<P> {
    fn serve_request<C: Carrier>(
        self: Arc<Self>,
        lifecycle: Arc<Lifecycle>,
        (incoming, head): (Incoming<C>, RequestHead),
        make: impl FnOnce() -> P + Send + 'static,
    ) -> impl Future<Output = Served> + Send + 'static {
        run_opened(Box::pin(async move {
            let settings = Self::settings(&self);
            let (mut opening, counted) = Opening::new(settings, lifecycle, incoming);
            opening.take_over(&head);
            let factory = &*self;
            let making = Making { factory, make };
            opening.run(making, Arrived::from(head), counted).await
        }))
    }
}

impl<C: Carrier> Opening<C> {
    fn take_over(&mut self, head: &RequestHead) {
        if let Some(peer) = server::forwarded_peer(head, &self.settings.options) {
            self.details.set_peer(peer);
        }
        self.timings.track(Moment::Request);
        let octets = server::octets_of(head);
        self.octets.0 = octets.len();
        if self.heads.is_on() {
            self.heads.request(self.details.peer(), &octets);
        }
    }
}
