//! A server's connection from the first octet to the last.

use super::WebSocketServerProtocol;
use super::factory::{FactoryShared, Settings};
use super::failure::{gone, never_opened, report};
use super::http::Pages;
use super::incoming::{Incoming, is_among};
use super::lifecycle::{Counted, Counter, Lifecycle, Served};
use super::opened::{Listed, Opened, run_opened};
use super::protocol::ServerHandler;
use crate::connection::{DeflateSettings, Receiver, Sender, TimeoutKind};
use crate::error::{Error, Result};
use crate::handshake::server::{
    self, Checked, ConnectionAccept, ConnectionDeny, ConnectionRequest, HttpRequest,
};
use crate::handshake::{
    Agreed, HandshakeError, HeadLimits, HeadReader, RequestHead, TransportDetails,
};
use crate::observe::{HeadLog, Interest, Moment, Observation, Timings, next_id, span};
use crate::transport::{
    Driver, Facts, Read, Stream, WebSocket, catch_panic, close_stream, masking_key,
    read_proxy_header, read_request, within, write_all,
};
use http::StatusCode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Duration, Instant, timeout};
use tracing::{Instrument, Span};

/// The head of a request, and what goes with it.
pub(super) struct Arrived {
    pub(super) head: RequestHead,
    /// The octets that came with the head.
    early: Vec<u8>,
    pub(super) path_params: Vec<(String, String)>,
}

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
                Ok(arrived) => opening.run(&self, arrived, counted).await,
                Err(error) => {
                    opening.log(Some(&error));
                    Err(error)
                }
            }
        }))
    }
}

/// An opening handshake under way.
pub(super) struct Opening<S> {
    stream: Option<S>,
    /// The number that the connection is to have.
    id: u64,
    span: Span,
    details: TransportDetails,
    settings: Arc<Settings>,
    heads: HeadLog,
    /// The head of the request, as long as nobody has asked to see it.
    request: Vec<u8>,
    /// How many octets of heads were received and sent.
    octets: (usize, usize),
    timings: Timings,
    deadline: Option<Instant>,
    lifecycle: Arc<Lifecycle>,
}

impl<S: Stream> Opening<S> {
    pub(super) fn new(
        settings: Arc<Settings>,
        lifecycle: Arc<Lifecycle>,
        incoming: Incoming<S>,
    ) -> (Self, Counted) {
        let timeout = settings.options.common.open_handshake_timeout;
        let opening = Self {
            stream: Some(incoming.stream),
            id: next_id(),
            span: Span::none(),
            details: incoming.details,
            heads: HeadLog::new(&settings.options.common),
            request: Vec::new(),
            octets: (0, 0),
            timings: incoming.timings,
            settings,
            deadline: timeout.map(|time| incoming.since + time),
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

    fn show_request(&mut self) {
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
            self.run(&factory, arrived, counted).await
        }))
    }

    pub(super) fn log(&self, error: Option<&Error>) {
        if let Some(error) = error {
            report(&self.settings, self.details.peer(), error);
        }
    }

    /// Makes the span of the connection and opens it in there.
    async fn run<P: WebSocketServerProtocol>(
        &mut self,
        factory: &FactoryShared<P>,
        arrived: Arrived,
        counted: Counted,
    ) -> Result<Opened<S, P>> {
        self.span = span(self.id, self.details.peer());
        let path = server::path_of(&arrived.head);
        self.span.record("path", path);
        let span = self.span.clone();
        let opening = self.open(factory, arrived, counted);
        let opened = opening.instrument(span).await;
        self.span.in_scope(|| self.log(opened.as_ref().err()));
        opened
    }

    async fn open<P: WebSocketServerProtocol>(
        &mut self,
        factory: &FactoryShared<P>,
        mut arrived: Arrived,
        counted: Counted,
    ) -> Result<Opened<S, P>> {
        self.admit(&counted).await?;
        let early = std::mem::take(&mut arrived.early);
        let request = self.judge(arrived, factory.pages()).await?;
        // A factory that panics makes no instance, and is answered like a callback that does.
        let Ok(instance) = catch_unwind(AssertUnwindSafe(|| (factory.make)())) else {
            return self
                .deny(&ConnectionDeny::internal("the factory panicked"))
                .await;
        };
        let mut handler = ServerHandler(instance);
        let opened = match self.ask(&mut handler, &request).await {
            Ok(agreed) => Ok(agreed),
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        };
        let (agreed, stream) = match (opened, self.stream.take()) {
            (Ok(agreed), Some(stream)) => (agreed, stream),
            (Err(error), _) => {
                let telling = never_opened(&mut handler, &error);
                let _ = self.lifecycle.unless_killed(telling).await;
                return Err(error);
            }
            (Ok(_), None) => {
                return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
            }
        };
        let (ws, receiver) = self.halves(&request, agreed);
        let entry = factory.tally.list(&ws);
        let registered = self.lifecycle.register(ws.clone(), entry);
        ws.tell_opened();
        // Those that came before it was listed did not reach it.
        if self.lifecycle.killed.is_cancelled() {
            ws.kill();
        } else if self.lifecycle.draining.is_cancelled() {
            ws.shut_down(super::listen::going_away());
        }
        let companion = factory.beside.map(|beside| {
            let lifecycle = Arc::clone(&self.lifecycle);
            beside(&handler.0, ws.clone(), request).belonging_to(lifecycle)
        });
        let driver = Driver::new(stream, (ws, receiver), handler, early);
        let listed = Listed {
            driver,
            registered,
            counted,
        };
        Ok(listed.beside(companion))
    }

    /// Reads the head of the request; answers one that cannot be read.
    pub(super) async fn read(&mut self) -> Result<Arrived> {
        let options = &self.settings.options;
        let limits = HeadLimits::from(options);
        let Some(stream) = &mut self.stream else {
            return Err(gone());
        };
        let (details, heads) = (&mut self.details, &self.heads);
        // Before TLS, it is read by then.
        let is_proxy = !details.is_secure()
            && (options.proxy_protocol.as_ref())
                .is_ok_and(|proxies| is_among(details.peer(), proxies));
        let reading = within(self.deadline, async {
            let mut octets = Vec::new();
            if is_proxy {
                let (header, rest) = read_proxy_header(stream).await?;
                octets = rest;
                if let Some(source) = header.source() {
                    details.set_peer(source.into());
                }
            }
            let (mut reader, peer) = (HeadReader::new(limits), details.peer());
            let parse = |octets: &[u8]| {
                let read = reader.request(octets);
                read.inspect_err(|_| heads.unreadable(peer, octets))
            };
            read_request(stream, parse, octets).await
        });
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = self.lifecycle.draining.cancelled() => Ok(Err(HandshakeError::ShuttingDown.into())),
        };
        match read {
            Err(_) => Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
            Ok(Ok(Read {
                head,
                octets,
                early,
            })) => {
                if let Some(peer) = server::forwarded_peer(&head, options) {
                    self.details.set_peer(peer);
                }
                self.timings.track(Moment::Request);
                self.octets.0 = octets.len();
                self.request = octets;
                self.show_request();
                Ok(Arrived {
                    head,
                    early,
                    path_params: Vec::new(),
                })
            }
            // Whoever it is, it does not speak HTTP.
            Ok(Err(Error::Handshake(error))) if *error == HandshakeError::InvalidProxyHeader => {
                self.stream = None;
                Err(Error::Handshake(error))
            }
            Ok(Err(Error::Handshake(error))) => self.refuse(*error).await,
            Ok(Err(error)) => Err(error),
        }
    }

    /// Refuses a connection that the server has no room for.
    pub(super) async fn admit(&mut self, counted: &Counted) -> Result<()> {
        if self.lifecycle.draining.is_cancelled() {
            return self.refuse(HandshakeError::ShuttingDown).await;
        }
        let limit = self.settings.options.max_connections;
        if limit.is_some_and(|limit| counted.exceeds(limit)) {
            return self.refuse(HandshakeError::TooManyConnections).await;
        }
        Ok(())
    }

    /// Checks the request; answers one that is plain or not acceptable.
    pub(super) async fn judge(
        &mut self,
        arrived: Arrived,
        pages: Option<Pages>,
    ) -> Result<Box<ConnectionRequest>> {
        let Arrived {
            head, path_params, ..
        } = arrived;
        match server::check(head, &self.settings.options, self.details.clone()) {
            Checked::Upgrade(request) => Ok(Box::new(request.with_path_params(path_params))),
            Checked::Http(request) => {
                let request = request.with_path_params(path_params);
                self.serve_page(request, pages).await?;
                Err(HandshakeError::UpgradeRequired.into())
            }
            Checked::Refused { error, response } => {
                self.answer(&response).await?;
                Err(error.into())
            }
        }
    }

    /// Answers a plain request: with what the user makes of it, or else with the status page.
    async fn serve_page(&mut self, request: HttpRequest, pages: Option<Pages>) -> Result<()> {
        let options = &self.settings.options;
        let page = server::status_page(&request, options);
        let Some(pages) = pages else {
            return self.answer(&page).await;
        };
        let method = request.method().clone();
        // Also the closure itself may panic, before there is a future.
        let mut asking = pin!(catch_panic(async move { pages(request).await }));
        let asked = self
            .lifecycle
            .unless_killed(within(self.deadline, &mut asking))
            .await;
        let Ok(answered) = asked? else {
            // The client is dropped now; the callback may go on until the server ends.
            self.stream = None;
            let _ = self.lifecycle.unless_killed(asking).await;
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        };
        let options = &self.settings.options;
        let page = match answered {
            Ok(Some(response)) => server::respond(&method, &response, options),
            Ok(None) => page,
            Err(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                server::respond(&method, &status.into(), options)
            }
        };
        self.answer_within(PAGE_RESPONSE, &page).await
    }

    /// Asks the protocol instance and sends the response.
    async fn ask<P: WebSocketServerProtocol>(
        &mut self,
        handler: &mut ServerHandler<P>,
        request: &ConnectionRequest,
    ) -> Result<Agreed> {
        let mut asking = pin!(catch_panic(handler.0.on_connect(request)));
        let asked = self
            .lifecycle
            .unless_killed(within(self.deadline, &mut asking))
            .await;
        let Ok(verdict) = asked? else {
            // The client is dropped now; the callback may go on until the server ends.
            self.stream = None;
            let _ = self.lifecycle.unless_killed(asking).await;
            return Err(Error::Timeout(TimeoutKind::OpeningHandshake));
        };
        if let Ok(Ok(accept)) = &verdict
            && let Some(own) = accept.own_options()
        {
            if let Err(error) = own.validate() {
                return self.deny(&ConnectionDeny::internal(error)).await;
            }
            self.settings = Settings::new(own.clone(), self.settings.observer.clone());
        }
        let options = &self.settings.options;
        let accept = match verdict {
            Ok(Ok(accept)) if accept.subprotocol().is_some() => accept,
            Ok(Ok(accept)) => match ConnectionAccept::default_for(request, options).subprotocol() {
                Some(protocol) => accept.protocol(protocol),
                None => accept,
            },
            Ok(Err(deny)) => return self.deny(&deny).await,
            Err(_) => {
                return self
                    .deny(&ConnectionDeny::internal("on_connect panicked"))
                    .await;
            }
        };
        // Whoever has not been let in before the shutdown is not let in any more.
        if self.lifecycle.draining.is_cancelled() {
            return self.refuse(HandshakeError::ShuttingDown).await;
        }
        let (response, agreed) = match server::accept(request, &accept, options) {
            Ok(accepted) => accepted,
            Err(error) => return self.refuse(error).await,
        };
        let Some(mut stream) = self.stream.take() else {
            return Err(gone());
        };
        self.heads.response(self.details.peer(), &response);
        let writing = within(self.deadline, write_all(&mut stream, &response));
        let written = self.lifecycle.unless_killed(writing).await?;
        self.stream = Some(stream);
        match written {
            Ok(written) => written?,
            Err(_) => return Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
        }
        self.octets.1 = response.len();
        self.timings.track(Moment::Response);
        Ok(agreed)
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
            opening: self.octets,
            observation: Observation::new(rules, named, interest),
        };
        let sender = Sender::new(Arc::clone(rules), deflate.as_ref(), Box::new(masking_key));
        let ws = WebSocket::new(facts, sender, Arc::clone(rules));
        (ws, Receiver::new(Arc::clone(rules), deflate.as_ref()))
    }

    pub(super) async fn refuse<T>(&mut self, error: HandshakeError) -> Result<T> {
        let response = server::refuse(&error, &self.settings.options);
        self.answer(&response).await?;
        Err(error.into())
    }

    async fn deny<T>(&mut self, deny: &ConnectionDeny) -> Result<T> {
        if let Some(error) = deny.source_error() {
            tracing::error!(peer = %self.details.peer(), error = error as &dyn std::error::Error, "on_connect failed");
        }
        self.answer(&server::deny(deny)).await?;
        Err(HandshakeError::Denied {
            status: deny.status(),
        }
        .into())
    }

    /// Sends a last response and closes the stream.
    async fn answer(&mut self, response: &[u8]) -> Result<()> {
        self.answer_within(LAST_RESPONSE, response).await
    }

    async fn answer_within(&mut self, time: Duration, response: &[u8]) -> Result<()> {
        let Some(mut stream) = self.stream.take() else {
            return Err(gone());
        };
        self.heads.response(self.details.peer(), response);
        let answering = async {
            let writing = timeout(time, write_all(&mut stream, response));
            if matches!(writing.await, Ok(Ok(()))) {
                let _ = timeout(LAST_RESPONSE, close_stream(&mut stream)).await;
            }
        };
        // Whether the client read it or not, the connection is over.
        let _ = self.lifecycle.unless_killed(answering).await;
        Ok(())
    }
}

/// How long a client may take to read the answer to a plain request.
const PAGE_RESPONSE: Duration = Duration::from_secs(60);
/// How long a client that is refused may take to read the response, and any to close.
const LAST_RESPONSE: Duration = Duration::from_secs(1);
