//! A client's connection from the first octet to the last.

use super::WebSocketClientProtocol;
use super::connector::InboxProtocol;
use super::protocol::ClientHandler;
use crate::close::CloseCode;
use crate::connection::{
    CloseInfo, DeflateSettings, Endpoint, Receiver, Rules, Sender, TimeoutKind,
};
use crate::error::{Error, HandlerError, Result};
use crate::handshake::client::{self, ConnectionResponse};
use crate::handshake::server;
use crate::handshake::{Agreed, HeadLimits, HeadReader, TransportDetails, Url};
use crate::observe::{HeadLog, Interest, Observation, next_id, span};
use crate::options::ClientOptions;
use crate::stream::{Driving, Heads, Owner, WebSocketStream};
use crate::transport::{
    Driver, Facts, Handler, Stream, WebSocket, catch_panic, masking_key, random_octets,
    read_response, within, write_all,
};
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

/// What a connection is made with.
pub(super) struct Target<P> {
    pub(super) url: Url,
    pub(super) options: Arc<ClientOptions>,
    pub(super) rules: Arc<Rules>,
    pub(super) instance: P,
    /// When the time for the opening handshake began to run; TLS is part of it.
    pub(super) since: Instant,
}

/// A connection whose opening handshake is done.
struct Opened<S, P> {
    driver: Driver<S, ClientHandler<P>>,
    ws: WebSocket,
    /// The octets of the request.
    request: Vec<u8>,
    response: Box<ConnectionResponse>,
}

/// Opens a connection on a stream and runs it to its end.
pub(super) async fn run<P: WebSocketClientProtocol, S: Stream>(
    target: Target<P>,
    details: TransportDetails,
    stream: S,
) -> Result<CloseInfo> {
    let Opened { mut driver, .. } = Box::pin(open(target, details, stream)).await?;
    Ok(driver.run().await)
}

/// Opens a connection on a stream and lets it run in a task.
pub(super) async fn spawn<P: WebSocketClientProtocol, S: Stream>(
    target: Target<P>,
    details: TransportDetails,
    stream: S,
) -> Result<WebSocket> {
    let opened = Box::pin(open(target, details, stream)).await?;
    let Opened { mut driver, ws, .. } = opened;
    tokio::spawn(async move {
        driver.run().await;
    });
    Ok(ws)
}

/// Opens a connection on a stream; lets it run in a task, as long as what is returned is kept.
pub(super) async fn own<S: Stream>(
    target: Target<InboxProtocol>,
    details: TransportDetails,
    stream: S,
) -> Result<WebSocketStream> {
    let inbox = Arc::clone(&target.instance.0);
    let transport = details.clone();
    let opened = Box::pin(open(target, details, stream)).await?;
    let Opened {
        mut driver,
        ws,
        request,
        response,
    } = opened;
    let heads = Heads {
        request: Box::new(server::sent(&request, transport)),
        response: Some(response),
    };
    let hold = Arc::clone(&inbox);
    driver.hold_close(hold);
    let driving: Driving = Box::pin(async move {
        driver.run().await;
    });
    let owner = Owner::new(ws, inbox, heads).driven_by(driving);
    Ok(WebSocketStream::new(owner))
}

async fn open<P: WebSocketClientProtocol, S: Stream>(
    target: Target<P>,
    details: TransportDetails,
    stream: S,
) -> Result<Opened<S, P>> {
    let Target {
        url,
        options,
        rules,
        instance,
        since,
    } = target;
    let mut handler = ClientHandler(instance);
    let opening = Opening {
        url,
        options,
        rules,
        details,
        since,
    };
    let (id, peer) = (next_id(), opening.details.peer());
    let span = span(id, peer);
    span.record("path", opening.path());
    let shaking = opening.shake_hands(stream, &mut handler);
    match shaking.instrument(span.clone()).await {
        Ok((stream, (request, response), agreed, early)) => {
            span.record("subprotocol", &agreed.subprotocol);
            let observation = Observation::new(&opening.rules, (id, peer), Interest { span });
            let (ws, receiver) = opening.halves(agreed, (id, observation));
            let mut driver = Driver::new(stream, (ws.clone(), receiver), handler, early);
            driver
                .begin(async |handler: &mut ClientHandler<P>| {
                    let verdict = handler.0.on_connect(&response).await;
                    verdict.map_err(decline)
                })
                .await;
            Ok(Opened {
                driver,
                ws,
                request,
                response: Box::new(response),
            })
        }
        Err(error) => {
            let telling = async {
                tracing::info!(%peer, error = &error as &dyn std::error::Error, "opening handshake failed");
                let info = CloseInfo::never_opened(error.to_string(), Endpoint::Local);
                // Whatever comes of these, there is nothing left to close.
                let _ = catch_panic(handler.on_error(&error)).await;
                let _ = catch_panic(handler.on_close(info)).await;
            };
            telling.instrument(span).await;
            Err(error)
        }
    }
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
struct Opening {
    url: Url,
    options: Arc<ClientOptions>,
    rules: Arc<Rules>,
    details: TransportDetails,
    since: Instant,
}

impl Opening {
    async fn shake_hands<P: WebSocketClientProtocol, S: Stream>(
        &self,
        mut stream: S,
        handler: &mut ClientHandler<P>,
    ) -> Result<(S, (Vec<u8>, ConnectionResponse), Agreed, Vec<u8>)> {
        let time = self.options.common.open_handshake_timeout;
        let deadline = time.map(|time| self.since + time);
        let connecting = catch_panic(handler.0.on_connecting(&self.details));
        let connecting = within(deadline, connecting)
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))?
            .map_err(|_| Error::Handler("on_connecting panicked".into()))??;
        let key = random_octets();
        let (request, sent) = client::request(&self.url, &self.options, connecting.as_ref(), key)?;
        let (heads, peer) = (HeadLog::new(&self.options.common), self.details.peer());
        heads.request(peer, &request);
        let limits = HeadLimits::from(&*self.options);
        let exchange = async {
            write_all(&mut stream, &request).await?;
            read_response(&mut stream, HeadReader::new(limits)).await
        };
        let read = within(deadline, exchange)
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
        heads.response(peer, &read.octets);
        let early = read.early;
        let (mut response, agreed) = client::check(read.head, &sent)?;
        response.set_peer(self.details.peer().clone());
        Ok((stream, (request, response), agreed, early))
    }

    /// The path of the request, without the query.
    fn path(&self) -> &str {
        self.url.resource().split('?').next().unwrap_or("/")
    }

    fn halves(
        &self,
        agreed: Agreed,
        (id, observation): (u64, Option<Box<Observation>>),
    ) -> (WebSocket, Receiver) {
        let rules = &self.rules;
        let deflate = agreed.deflate.map(|parameters| DeflateSettings {
            parameters,
            options: agreed.deflate_options,
        });
        let facts = Facts {
            id,
            peer: self.details.peer().clone(),
            path: self.path().into(),
            subprotocol: agreed.subprotocol.map(Into::into),
            observation,
        };
        let sender = Sender::new(Arc::clone(rules), deflate.as_ref(), Box::new(masking_key));
        let ws = WebSocket::new(facts, sender, Arc::clone(rules));
        (ws, Receiver::new(Arc::clone(rules), deflate.as_ref()))
    }
}
