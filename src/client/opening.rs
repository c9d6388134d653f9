//! A client's connection from the first octet to the last.

use super::WebSocketClientProtocol;
use super::connector::InboxProtocol;
use super::dial::{Dialed, Dialer, Line};
use super::exchange::{Answer, Exchange, Redirects, Shaken};
use super::protocol::ClientHandler;
use crate::close::CloseCode;
use crate::connection::{
    CloseInfo, DeflateSettings, Endpoint, Receiver, Rules, Sender, TimeoutKind,
};
use crate::error::{Error, HandlerError, Result};
use crate::handshake::client::{ConnectingRequest, ConnectionResponse, Journey};
use crate::handshake::server;
use crate::handshake::{Agreed, TransportDetails, Url};
use crate::observe::{
    Interest, Moment, Observation, Observer, Timings, next_id, span, tell_observer,
};
use crate::options::ClientOptions;
use crate::peer::Peer;
use crate::stream::{Driving, Heads, Owner, WebSocketStream};
#[cfg(feature = "rustls")]
use crate::tls::TlsStream;
use crate::transport::{
    Driver, Entry, Facts, Handler, Stream, Tally, WebSocket, catch_panic, masking_key, within,
};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{Instrument, Span};

/// What a connection is made with.
pub(super) struct Target<P> {
    pub(super) url: Url,
    pub(super) options: Arc<ClientOptions>,
    pub(super) rules: Arc<Rules>,
    pub(super) instance: P,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) timings: Timings,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) tally: Arc<Tally>,
}

/// What decides about a request where the instance does not.
pub(super) type Hook = dyn Fn(TransportDetails) -> Asking + Send + Sync;
pub(super) type Asking =
    Pin<Box<dyn Future<Output = Result<ConnectingRequest, HandlerError>> + Send>>;

/// A connection whose opening handshake is done.
pub(super) struct Opened<S, P> {
    driver: Driver<S, ClientHandler<P>>,
    ws: WebSocket,
    details: TransportDetails,
    /// The octets of the request.
    request: Vec<u8>,
    response: Box<ConnectionResponse>,
    /// Its place in the list of the factory.
    entry: Entry,
}

/// The same on what was dialed.
pub(super) enum OpenedLine<P> {
    Tcp(Opened<TcpStream, P>),
    #[cfg(feature = "rustls")]
    Tls(Opened<TlsStream<TcpStream>, P>),
    Other(Opened<Box<dyn Stream>, P>),
}

impl<P: WebSocketClientProtocol> OpenedLine<P> {
    /// Runs the connection to its end.
    pub(super) async fn run(self) -> CloseInfo {
        match self {
            Self::Tcp(opened) => opened.run().await,
            #[cfg(feature = "rustls")]
            Self::Tls(opened) => opened.run().await,
            Self::Other(opened) => opened.run().await,
        }
    }
}

impl<S: Stream, P: WebSocketClientProtocol> Opened<S, P> {
    /// Runs the connection to its end.
    pub(super) async fn run(mut self) -> CloseInfo {
        self.driver.run().await
    }

    /// Lets the connection run in a task.
    pub(super) fn spawn(self) -> WebSocket {
        let (mut driver, entry) = (self.driver, self.entry);
        tokio::spawn(async move {
            // Listed among the connections of its factory for as long as it runs.
            let _entry = entry;
            driver.run().await;
        });
        self.ws
    }
}

impl<S: Stream> Opened<S, InboxProtocol> {
    /// Lets the connection run in a task, as long as what is returned is kept.
    pub(super) fn own(self) -> WebSocketStream {
        let Self {
            mut driver,
            ws,
            details,
            request,
            response,
            entry,
        } = self;
        let inbox = Arc::clone(&driver.handler().0.0);
        let heads = Heads {
            request: Box::new(server::sent(&request, details)),
            response: Some(response),
        };
        let hold = Arc::clone(&inbox);
        driver.hold_close(hold);
        let driving: Driving = Box::pin(async move {
            let _entry = entry;
            driver.run().await;
        });
        let owner = Owner::new(ws, inbox, heads).driven_by(driving);
        WebSocketStream::new(owner)
    }
}

/// Opens a connection on a stream.
pub(super) async fn on_stream<P: WebSocketClientProtocol, S: Stream>(
    target: Target<P>,
    details: TransportDetails,
    mut stream: S,
) -> Result<Opened<S, P>> {
    let (mut opening, instance) = Opening::new(target, details.peer());
    let (mut handler, span) = (ClientHandler(instance), opening.span.clone());
    let since = Instant::now();
    let shaken = async {
        opening.ask(&mut handler, &details, since).await?;
        let exchange = opening.exchange(&details, since, Redirects::Refuse);
        match exchange.run(&mut stream).await? {
            Answer::Opened(shaken) => Ok(shaken),
            Answer::Redirected(_, refusal) => Err(refusal.into()),
        }
    };
    match shaken.instrument(span.clone()).await {
        Ok(shaken) => Ok(opening.finish((stream, details), handler, shaken).await),
        Err(error) => {
            opening.tell_refused(details.peer(), &error);
            let telling = give_up(handler, details.peer(), error);
            Err(telling.instrument(span).await)
        }
    }
}

/// Opens a connection on what was dialed, and on what is dialed then, if the server leads on.
pub(super) async fn on_line<P: WebSocketClientProtocol>(
    target: Target<P>,
    mut dialed: Dialed,
    dialer: Dialer<'_>,
) -> Result<OpenedLine<P>> {
    let (mut opening, instance) = Opening::new(target, dialed.details.peer());
    let (mut handler, span) = (ClientHandler(instance), opening.span.clone());
    let shaken = async {
        let asked = opening.ask(&mut handler, &dialed.details, dialed.since);
        asked.await?;
        loop {
            let exchange = opening.exchange(&dialed.details, dialed.since, Redirects::Follow);
            let answer = match &mut dialed.line {
                Line::Tcp(stream) => exchange.run(stream).await,
                #[cfg(feature = "rustls")]
                Line::Tls(stream) => exchange.run(stream).await,
                Line::Other(stream) => exchange.run(stream).await,
            };
            match answer? {
                Answer::Opened(shaken) => return Ok(shaken),
                Answer::Redirected(location, _) => opening.journey.follow(&location)?,
            }
            opening.span.record("path", path(opening.journey.url()));
            dialed = dial_again(&opening.journey, dialer).await?;
        }
    };
    let shaken: Result<Shaken> = Box::pin(shaken.instrument(span.clone())).await;
    let Dialed { line, details, .. } = dialed;
    let shaken = match shaken {
        Ok(shaken) => shaken,
        Err(error) => {
            opening.tell_refused(details.peer(), &error);
            let telling = give_up(handler, details.peer(), error);
            return Err(telling.instrument(span).await);
        }
    };
    Ok(match line {
        Line::Tcp(stream) => {
            OpenedLine::Tcp(opening.finish((stream, details), handler, shaken).await)
        }
        #[cfg(feature = "rustls")]
        Line::Tls(stream) => {
            OpenedLine::Tls(opening.finish((stream, details), handler, shaken).await)
        }
        Line::Other(stream) => {
            OpenedLine::Other(opening.finish((stream, details), handler, shaken).await)
        }
    })
}

/// Dials where the server leads.
async fn dial_again(journey: &Journey, dialer: Dialer<'_>) -> Result<Dialed> {
    let url = journey.url();
    // Without the query, in which tokens travel.
    tracing::debug!(host = url.host(), path = path(url), "redirected");
    // A name that is asked for is that of the first server.
    #[cfg(feature = "rustls")]
    let tls = dialer.tls.cloned().map(|tls| match journey.has_crossed() {
        true => tls.nameless(),
        false => tls,
    });
    let mut dialer = dialer;
    dialer.url = url;
    dialer.options = journey.options();
    #[cfg(feature = "rustls")]
    {
        dialer.tls = tls.as_ref();
    }
    dialer.dial().await
}

/// Tells the instance that the connection does not open.
pub(super) async fn give_up<P: WebSocketClientProtocol>(
    mut handler: ClientHandler<P>,
    peer: &Peer,
    error: Error,
) -> Error {
    tracing::info!(%peer, error = &error as &dyn std::error::Error, "opening handshake failed");
    let info = CloseInfo::never_opened(error.to_string(), Endpoint::Local);
    // Whatever comes of these, there is nothing left to close.
    let _ = catch_panic(handler.on_error(&error)).await;
    let _ = catch_panic(handler.on_close(info)).await;
    error
}

/// An instance that does not like the response closes with 1000, unless it says otherwise.
fn decline(error: HandlerError) -> HandlerError {
    let Some(source) = error.source() else {
        return error;
    };
    tracing::info!(error = source, "on_connect declines the connection");
    HandlerError::close(CloseCode::NORMAL, "")
}

/// An opening handshake under way.
pub(super) struct Opening {
    pub(super) journey: Journey,
    rules: Arc<Rules>,
    hook: Option<Arc<Hook>>,
    id: u64,
    pub(super) span: Span,
    timings: Timings,
    observer: Option<Arc<dyn Observer>>,
    tally: Arc<Tally>,
}

impl Opening {
    pub(super) fn new<P>(target: Target<P>, peer: &Peer) -> (Self, P) {
        let Target {
            url,
            options,
            rules,
            instance,
            hook,
            timings,
            observer,
            tally,
        } = target;
        let id = next_id();
        let span = span(id, peer);
        span.record("path", path(&url));
        let journey = Journey::new(url, (*options).clone());
        let opening = Self {
            journey,
            rules,
            hook,
            id,
            span,
            timings,
            observer,
            tally,
        };
        (opening, instance)
    }

    pub(super) fn tell_refused(&self, peer: &Peer, error: &Error) {
        if let Some(observer) = &self.observer {
            tell_observer(&**observer, |observer| observer.refused(peer, error));
        }
    }

    pub(super) fn deadline(&self, since: Instant) -> Option<Instant> {
        let time = self.journey.options().common.open_handshake_timeout;
        time.map(|time| since + time)
    }

    /// Asks the instance, or else the hook, what the request is to be.
    pub(super) async fn ask<P: WebSocketClientProtocol>(
        &mut self,
        handler: &mut ClientHandler<P>,
        details: &TransportDetails,
        since: Instant,
    ) -> Result<()> {
        let asking = async {
            match (handler.0.on_connecting(details).await?, &self.hook) {
                (None, Some(hook)) => match hook(details.clone()).await {
                    Ok(connecting) => Ok(Some(connecting)),
                    Err(error) => Err(Error::Handler(error.into())),
                },
                (connecting, _) => Ok(connecting),
            }
        };
        let connecting = within(self.deadline(since), catch_panic(asking))
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))?
            .map_err(|_| Error::Handler("on_connecting panicked".into()))??;
        self.journey.set_connecting(connecting);
        Ok(())
    }

    fn exchange<'a>(
        &'a self,
        details: &'a TransportDetails,
        since: Instant,
        redirects: Redirects,
    ) -> Exchange<'a> {
        Exchange {
            journey: &self.journey,
            details,
            deadline: self.deadline(since),
            redirects,
        }
    }

    /// Makes the driver, and lets the instance look at the answer.
    pub(super) async fn finish<P: WebSocketClientProtocol, S: Stream>(
        mut self,
        (stream, details): (S, TransportDetails),
        handler: ClientHandler<P>,
        shaken: Shaken,
    ) -> Opened<S, P> {
        let Shaken {
            request,
            response,
            agreed,
            early,
            received,
            times,
        } = shaken;
        self.span.record("subprotocol", &agreed.subprotocol);
        self.timings.track_at(Moment::Request, times.0);
        self.timings.track_at(Moment::Response, times.1);
        let octets = (received, request.len());
        let (ws, receiver) = self.halves(agreed, details.peer(), octets);
        let entry = self.tally.list(&ws);
        ws.tell_opened();
        let mut driver = Driver::new(stream, (ws.clone(), receiver), handler, early);
        driver
            .begin(async |handler: &mut ClientHandler<P>| {
                let verdict = handler.0.on_connect(&response).await;
                verdict.map_err(decline)
            })
            .await;
        Opened {
            driver,
            ws,
            details,
            request,
            response,
            entry,
        }
    }

    fn halves(
        &self,
        agreed: Agreed,
        peer: &Peer,
        opening: (usize, usize),
    ) -> (WebSocket, Receiver) {
        let rules = &self.rules;
        let deflate = agreed.deflate.map(|parameters| DeflateSettings {
            parameters,
            options: agreed.deflate_options,
        });
        let interest = Interest {
            span: self.span.clone(),
            observer: self.observer.clone(),
            timings: self.timings.clone(),
        };
        let facts = Facts {
            id: self.id,
            peer: peer.clone(),
            path: path(self.journey.url()).into(),
            subprotocol: agreed.subprotocol.map(Into::into),
            opening: Facts::heads(opening),
            observation: Observation::new(rules, (self.id, peer), interest),
        };
        let sender = Sender::new(Arc::clone(rules), deflate.as_ref(), Box::new(masking_key));
        let ws = WebSocket::new(facts, sender, Arc::clone(rules));
        (ws, Receiver::new(Arc::clone(rules), deflate.as_ref()))
    }
}

/// The path of a request, without the query.
fn path(url: &Url) -> &str {
    url.resource().split('?').next().unwrap_or("/")
}
