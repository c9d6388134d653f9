//! A server's connection from the first octet to the last.

use super::WebSocketServerProtocol;
use super::companion::Companion;
use super::factory::{FactoryShared, Settings};
use super::lifecycle::{Counted, Lifecycle, Registered, Served};
use super::protocol::ServerHandler;
use crate::connection::{CloseInfo, DeflateSettings, Endpoint, Receiver, Sender, TimeoutKind};
use crate::error::{Error, Result};
use crate::handshake::server::{
    self, Checked, ConnectionAccept, ConnectionDeny, ConnectionRequest,
};
use crate::handshake::{Agreed, HandshakeError, HeadLimits, HeadReader, TransportDetails};
use crate::peer::Peer;
#[cfg(feature = "rustls")]
use crate::tls::{ServerTls, TlsStream};
use crate::transport::{
    Driver, Facts, Handler, Stream, WebSocket, catch_panic, close_stream, masking_key,
    read_request, within, write_all,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::time::{Duration, Instant, timeout};

/// A stream that was accepted.
pub(super) struct Incoming<S> {
    pub(super) stream: S,
    pub(super) details: TransportDetails,
    pub(super) counted: Counted,
    /// When the time for the opening handshake began to run; TLS is part of it.
    pub(super) since: Instant,
}

impl<S> Incoming<S> {
    pub(super) fn new(stream: S, details: TransportDetails, counted: Counted) -> Self {
        Self {
            stream,
            details,
            counted,
            since: Instant::now(),
        }
    }
}

/// A connection whose opening handshake is done.
#[expect(
    clippy::large_enum_variant,
    reason = "plain connections are the many, and are to be one allocation"
)]
enum Opened<S, P> {
    Plain(Listed<S, P>),
    /// Boxed, so that those without a companion do not carry the room for it.
    WithCompanion(Pin<Box<dyn Future<Output = CloseInfo> + Send>>),
}

/// A driver, listed and counted as long as it is kept.
struct Listed<S, P> {
    driver: Driver<S, ServerHandler<P>>,
    _registered: Registered,
    _counted: Counted,
}

impl<S: Stream, P: WebSocketServerProtocol> Listed<S, P> {
    /// Begins to run the connection beside a companion, if there is one.
    fn beside(mut self, companion: Option<Companion>) -> Opened<S, P> {
        let Some(companion) = companion else {
            return Opened::Plain(self);
        };
        self.driver.hold_close(companion.inbox());
        let Self {
            mut driver,
            _registered,
            _counted,
        } = self;
        // Boxed by itself, since each future around it would have room for it twice.
        let driving = Box::pin(async move {
            driver.run().await;
        });
        let running = companion.run(driving, (_registered, _counted));
        Opened::WithCompanion(Box::pin(running))
    }
}

/// Serves one connection. The opening handshake is boxed, so that an open connection does not
/// carry the room for it.
pub(super) fn serve<P: WebSocketServerProtocol, S: Stream>(
    factory: Arc<FactoryShared<P>>,
    lifecycle: Arc<Lifecycle>,
    incoming: Incoming<S>,
) -> impl Future<Output = Served> + Send {
    let opening = Box::pin(open(factory, lifecycle, incoming));
    async move {
        // Bound once: what is moved is twice in the future.
        let mut opened = opening.await?;
        match &mut opened {
            Opened::Plain(listed) => Ok(listed.driver.run().await),
            Opened::WithCompanion(running) => Ok(running.await),
        }
    }
}

/// As [`serve`], with TLS; its handshake is boxed with the other.
#[cfg(feature = "rustls")]
pub(super) fn serve_tls<P: WebSocketServerProtocol, S: Stream>(
    factory: Arc<FactoryShared<P>>,
    lifecycle: Arc<Lifecycle>,
    incoming: Incoming<S>,
    tls: ServerTls,
) -> impl Future<Output = Served> + Send {
    let opening = Box::pin(async move {
        let time = factory.settings().options.common.open_handshake_timeout;
        let peer = incoming.details.peer().clone();
        let incoming = secure(incoming, &lifecycle, (tls, time))
            .await
            .inspect_err(|error| log_failure(&peer, error))?;
        open(factory, lifecycle, incoming).await
    });
    async move {
        let mut opened = opening.await?;
        match &mut opened {
            Opened::Plain(listed) => Ok(listed.driver.run().await),
            Opened::WithCompanion(running) => Ok(running.await),
        }
    }
}

#[cfg(feature = "rustls")]
async fn secure<S: Stream>(
    incoming: Incoming<S>,
    lifecycle: &Lifecycle,
    (tls, time): (ServerTls, Option<Duration>),
) -> Result<Incoming<TlsStream<S>>> {
    let Incoming {
        stream,
        details,
        counted,
        since,
    } = incoming;
    let deadline = time.map(|time| since + time);
    let secured = tokio::select! {
        biased;
        secured = within(deadline, tls.accept(stream)) => secured,
        // Without TLS there is no way to tell the client.
        () = lifecycle.draining.cancelled() => return Err(HandshakeError::ShuttingDown.into()),
    };
    let stream = secured.map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
    Ok(Incoming {
        details: stream.describe(details),
        stream,
        counted,
        since,
    })
}

/// An opening handshake under way.
struct Opening<S> {
    stream: Option<S>,
    details: TransportDetails,
    settings: Arc<Settings>,
    deadline: Option<Instant>,
    lifecycle: Arc<Lifecycle>,
}

async fn open<P: WebSocketServerProtocol, S: Stream>(
    factory: Arc<FactoryShared<P>>,
    lifecycle: Arc<Lifecycle>,
    incoming: Incoming<S>,
) -> Result<Opened<S, P>> {
    let Incoming {
        stream,
        details,
        counted,
        since,
    } = incoming;
    let settings = factory.settings();
    let deadline = settings
        .options
        .common
        .open_handshake_timeout
        .map(|time| since + time);
    let mut opening = Opening {
        stream: Some(stream),
        details,
        settings,
        deadline,
        lifecycle,
    };
    let opened = opening.run(&factory, counted).await;
    opened.inspect_err(|error| log_failure(opening.details.peer(), error))
}

fn log_failure(peer: &Peer, error: &Error) {
    match error {
        Error::Io(error) => tracing::debug!(%peer, %error, "opening handshake broke off"),
        error => {
            tracing::info!(%peer, error = error as &dyn std::error::Error, "opening handshake failed")
        }
    }
}

impl<S: Stream> Opening<S> {
    async fn run<P: WebSocketServerProtocol>(
        &mut self,
        factory: &FactoryShared<P>,
        counted: Counted,
    ) -> Result<Opened<S, P>> {
        let (request, early) = self.request(&counted).await?;
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
        let registered = self.lifecycle.register(ws.clone());
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
            _registered: registered,
            _counted: counted,
        };
        Ok(listed.beside(companion))
    }

    /// Reads the request and checks it; answers one that is not acceptable.
    async fn request(&mut self, counted: &Counted) -> Result<(Box<ConnectionRequest>, Vec<u8>)> {
        let options = &self.settings.options;
        let limits = HeadLimits::from(options);
        let Some(stream) = &mut self.stream else {
            return Err(gone());
        };
        let reading = within(self.deadline, read_request(stream, HeadReader::new(limits)));
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = self.lifecycle.draining.cancelled() => Ok(Err(HandshakeError::ShuttingDown.into())),
        };
        let (head, early) = match read {
            Err(_) => return Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
            Ok(Ok(read)) => read,
            Ok(Err(Error::Handshake(error))) => return self.refuse(*error).await,
            Ok(Err(error)) => return Err(error),
        };
        if self.lifecycle.draining.is_cancelled() {
            return self.refuse(HandshakeError::ShuttingDown).await;
        }
        if options
            .max_connections
            .is_some_and(|limit| counted.exceeds(limit))
        {
            return self.refuse(HandshakeError::TooManyConnections).await;
        }
        match server::check(head, options, self.details.clone()) {
            Checked::Upgrade(request) => Ok((request, early)),
            Checked::Status(response) => {
                self.answer(&response).await?;
                Err(HandshakeError::UpgradeRequired.into())
            }
            Checked::Refused { error, response } => {
                self.answer(&response).await?;
                Err(error.into())
            }
        }
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
        let (response, agreed) = match server::accept(request, &accept, options) {
            Ok(accepted) => accepted,
            Err(error) => return self.refuse(error).await,
        };
        let Some(mut stream) = self.stream.take() else {
            return Err(gone());
        };
        let writing = within(self.deadline, write_all(&mut stream, &response));
        let written = self.lifecycle.unless_killed(writing).await?;
        self.stream = Some(stream);
        match written {
            Ok(written) => written?,
            Err(_) => return Err(Error::Timeout(TimeoutKind::OpeningHandshake)),
        }
        Ok(agreed)
    }

    fn halves(&self, request: &ConnectionRequest, agreed: Agreed) -> (WebSocket, Receiver) {
        let rules = &self.settings.rules;
        let deflate = agreed.deflate.map(|parameters| DeflateSettings {
            parameters,
            options: agreed.deflate_options,
        });
        let facts = Facts {
            peer: self.details.peer().clone(),
            path: request.path().into(),
            subprotocol: agreed.subprotocol.map(Into::into),
        };
        let sender = Sender::new(Arc::clone(rules), deflate.as_ref(), Box::new(masking_key));
        let ws = WebSocket::new(facts, sender, Arc::clone(rules));
        (ws, Receiver::new(Arc::clone(rules), deflate.as_ref()))
    }

    async fn refuse<T>(&mut self, error: HandshakeError) -> Result<T> {
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
        let Some(mut stream) = self.stream.take() else {
            return Err(gone());
        };
        let answering = async {
            if write_all(&mut stream, response).await.is_ok() {
                close_stream(&mut stream).await;
            }
        };
        // Whether the client read it or not, the connection is over.
        let _ = self
            .lifecycle
            .unless_killed(timeout(LAST_RESPONSE, answering))
            .await;
        Ok(())
    }
}

/// Tells an instance that its connection did not open.
async fn never_opened<P: WebSocketServerProtocol>(handler: &mut ServerHandler<P>, error: &Error) {
    // Whatever comes of these, there is nothing left to close.
    let is_denied = |error: &HandshakeError| matches!(error, HandshakeError::Denied { .. });
    if !matches!(error, Error::Handshake(error) if is_denied(error)) {
        let _ = catch_panic(handler.on_error(error)).await;
    }
    let info = CloseInfo::never_opened(error.to_string(), Endpoint::Local);
    let _ = catch_panic(handler.on_close(info)).await;
}

fn gone() -> Error {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}

/// How long a client that is refused may take to read the response.
const LAST_RESPONSE: Duration = Duration::from_secs(1);
