//! A server's connection from the first octet to the last.

use super::WebSocketServerProtocol;
use super::carrier::Carrier;
use super::factory::{FactoryShared, Settings};
use super::failure::{never_opened, report};
use super::incoming::Incoming;
use super::lifecycle::{Counted, Counter, Lifecycle, Served};
use super::lobby::Seat;
use super::opened::{Listed, Opened, run_opened};
use super::protocol::ServerHandler;
use super::reading::Arrived;
use crate::connection::{DeflateSettings, Receiver, Sender};
use crate::error::{Error, Result};
use crate::handshake::server::{self, ConnectionDeny, ConnectionRequest};
use crate::handshake::{Agreed, TransportDetails};
use crate::observe::{HeadLog, Interest, Observation, Timings, next_id, shortened, span};
use crate::peer::Peer;
use crate::socket::set_up;
use crate::transport::{Driver, Facts, Stream, WebSocket, masking_key, tcp_below};
use socket2::SockRef;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::time::{Duration, Instant};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{Instrument, Span};

/// What serves the connections of a listener: a factory or a router.
pub(super) trait Serve: Send + Sync + 'static {
    fn settings(&self) -> Arc<Settings>;

    fn counter(&self) -> &Arc<Counter>;

    /// Serves one connection from the first octet to the last, once it has arrived.
    fn serve<S: Stream>(
        self: Arc<Self>,
        lifecycle: Arc<Lifecycle>,
        arriving: impl Future<Output = Result<Incoming<S>>> + Send + 'static,
    ) -> impl Future<Output = Served> + Send + 'static;
}

impl<P: WebSocketServerProtocol> Serve for FactoryShared<P> {
    fn settings(&self) -> Arc<Settings> {
        Self::settings(self)
    }

    fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }

    fn serve<S: Stream>(
        self: Arc<Self>,
        lifecycle: Arc<Lifecycle>,
        arriving: impl Future<Output = Result<Incoming<S>>> + Send + 'static,
    ) -> impl Future<Output = Served> + Send + 'static {
        run_opened(Box::pin(async move {
            let incoming = arriving.await?;
            let settings = Self::settings(&self);
            let (mut opening, counted) = Opening::new(settings, lifecycle, incoming);
            match opening.read().await {
                Ok(arrived) => opening.run(self.making(), arrived, counted).await,
                Err(error) => {
                    opening.log(Some(&error));
                    Err(error)
                }
            }
        }))
    }
}

impl<P: WebSocketServerProtocol> FactoryShared<P> {
    pub(super) fn making(&self) -> Making<'_, P, impl FnOnce() -> P + Send> {
        Making {
            factory: self,
            make: || (self.make)(),
        }
    }
}

/// How the instance of a connection is made, and for which factory.
pub(super) struct Making<'a, P, M> {
    pub(super) factory: &'a FactoryShared<P>,
    pub(super) make: M,
}

/// An opening handshake under way.
pub(super) struct Opening<C> {
    /// `None` once the last response was sent, or the connection has opened.
    pub(super) carrier: Option<C>,
    /// The number that the connection is to have.
    id: u64,
    span: Span,
    pub(super) details: TransportDetails,
    pub(super) settings: Arc<Settings>,
    pub(super) heads: HeadLog,
    /// The head of the request, as long as nobody has asked to see it.
    pub(super) request: Vec<u8>,
    /// How many octets of heads were received and sent.
    pub(super) octets: (usize, usize),
    pub(super) timings: Timings,
    pub(super) deadline: Option<Instant>,
    pub(super) lifecycle: Arc<Lifecycle>,
    /// Kept until the request is read.
    pub(super) seat: Option<Seat>,
    /// Lets a shutdown wait for the opening.
    _token: TaskTrackerToken,
}

impl<C: Carrier> Opening<C> {
    pub(super) fn new(
        settings: Arc<Settings>,
        lifecycle: Arc<Lifecycle>,
        incoming: Incoming<C>,
    ) -> (Self, Counted) {
        let timeout = settings.options.common.open_handshake_timeout;
        let opening = Self {
            carrier: Some(incoming.stream),
            id: next_id(),
            span: Span::none(),
            details: incoming.details,
            heads: HeadLog::new(&settings.options.common),
            request: Vec::new(),
            octets: (0, 0),
            timings: incoming.timings,
            settings,
            deadline: timeout.map(|time| incoming.since + time),
            seat: incoming.seat,
            _token: (incoming.token).unwrap_or_else(|| lifecycle.tasks.token()),
            lifecycle,
        };
        (opening, incoming.counted)
    }

    /// Goes on under the options of the factory that a router has found.
    pub(super) fn adopt(&mut self, settings: Arc<Settings>) {
        self.heads = HeadLog::new(&settings.options.common);
        self.settings = settings;
        self.show_request();
    }

    pub(super) fn show_request(&mut self) {
        if self.heads.is_on() {
            let request = std::mem::take(&mut self.request);
            if !request.is_empty() {
                self.heads.request(self.details.peer(), &request);
            }
        }
    }

    /// Finishes the handshake of a request that a router has read, and runs the connection.
    pub(super) fn finish<P: WebSocketServerProtocol>(
        mut self,
        factory: Arc<FactoryShared<P>>,
        arrived: Arrived,
        counted: Counted,
    ) -> impl Future<Output = Served> + Send + 'static {
        run_opened(Box::pin(async move {
            let making = factory.making();
            self.run(making, arrived, counted).await
        }))
    }

    pub(super) fn log(&self, error: Option<&Error>) {
        if let Some(error) = error {
            report(&self.settings, self.details.peer(), error);
        }
    }

    /// Makes the span of the connection and opens it in there.
    pub(super) async fn run<P: WebSocketServerProtocol, M: FnOnce() -> P + Send>(
        &mut self,
        making: Making<'_, P, M>,
        arrived: Arrived,
        counted: Counted,
    ) -> Result<Opened<C::Stream, P>> {
        self.span = span(self.id, self.details.peer());
        if !self.span.is_disabled() {
            let path = server::path_of(&arrived.head);
            self.span.record("path", path.map(shortened));
        }
        let span = self.span.clone();
        let opening = self.open(making, arrived, counted);
        let opened = opening.instrument(span).await;
        self.span.in_scope(|| self.log(opened.as_ref().err()));
        opened
    }

    async fn open<P: WebSocketServerProtocol, M: FnOnce() -> P + Send>(
        &mut self,
        making: Making<'_, P, M>,
        mut arrived: Arrived,
        counted: Counted,
    ) -> Result<Opened<C::Stream, P>> {
        let Making { factory, make } = making;
        self.admit(&counted).await?;
        let mut early = std::mem::take(&mut arrived.early);
        let request = self.judge(arrived, factory.pages()).await?;
        // A factory that panics makes no instance, and is answered like a callback that does.
        let Ok(instance) = catch_unwind(AssertUnwindSafe(make)) else {
            return self
                .deny(&ConnectionDeny::internal("the factory panicked"))
                .await;
        };
        let mut handler = ServerHandler(instance);
        let (agreed, carried) = match self.ask(&mut handler, &request).await {
            Ok(opened) => opened,
            Err(error) => {
                self.carrier = None;
                let telling = never_opened(&mut handler, &error);
                let _ = self.lifecycle.unless_killed(Box::pin(telling)).await;
                return Err(error);
            }
        };
        if C::IS_FOREIGN
            && let Some(tcp) = tcp_below(&carried.stream)
        {
            // Fails only on a socket that is gone already.
            let _ = set_up(&SockRef::from(tcp), &self.settings.options.common);
        }
        early.extend(carried.early);
        if let (Peer::Unknown, Some(peer)) = (self.details.peer(), carried.peer) {
            self.details.set_peer(peer);
        }
        let (ws, receiver) = self.halves(&request, agreed);
        let entry = factory.tally.list(&ws);
        let registered = self.lifecycle.register(ws.clone(), entry);
        ws.tell_opened();
        // Those that came before it was listed did not reach it.
        if self.lifecycle.killed.is_cancelled() {
            ws.kill();
        } else if self.lifecycle.draining.is_cancelled() {
            ws.shut_down(super::lifecycle::going_away());
        }
        let companion = factory.beside.map(|beside| {
            let lifecycle = Arc::clone(&self.lifecycle);
            beside(&handler.0, ws.clone(), request).belonging_to(lifecycle)
        });
        let driver = Driver::new(carried.stream, (ws, receiver), handler, early);
        let listed = Listed {
            driver,
            registered,
            place: counted.into_place(),
            token: self.lifecycle.tasks.token(),
        };
        Ok(listed.beside(companion))
    }

    fn halves(&self, request: &ConnectionRequest, agreed: Agreed) -> (WebSocket, Receiver) {
        let rules = &self.settings.rules;
        let deflate = agreed.deflate.map(|parameters| DeflateSettings {
            parameters,
            options: agreed.deflate_options,
        });
        self.span.record("subprotocol", &agreed.subprotocol);
        let interest = Interest {
            span: self.span.clone(),
            observer: self.settings.observer.clone(),
            timings: self.timings.clone(),
        };
        let named = (self.id, self.details.peer());
        let facts = Facts {
            id: self.id,
            peer: self.details.peer().clone(),
            path: request.path().into(),
            subprotocol: agreed.subprotocol.map(Into::into),
            opening: Facts::heads(self.octets),
            observation: Observation::new(rules, named, interest),
        };
        let sender = Sender::new(Arc::clone(rules), deflate.as_ref(), Box::new(masking_key));
        let ws = WebSocket::new(facts, sender, Arc::clone(rules));
        (ws, Receiver::new(Arc::clone(rules), deflate.as_ref()))
    }
}

/// How long a client that is refused may take to read the response, and any to close.
pub(super) const LAST_RESPONSE: Duration = Duration::from_secs(1);
