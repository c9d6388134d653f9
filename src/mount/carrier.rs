//! An opening handshake on another HTTP server.

use super::stream::take_over;
use crate::error::{Error, Result};
use crate::handshake::{HandshakeError, RequestHead, server};
use crate::options::ServerOptions;
use crate::server::{Carried, Carrier};
use crate::transport::AnyStream;
use bytes::Bytes;
use http::{Method, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio::time::Duration;

/// The body of the responses that a mounted factory makes: all of it at once, which for a WebSocket
/// is nothing.
pub type HttpBody = Full<Bytes>;

/// Gives the response to the other server, and takes its stream.
pub(super) struct HttpCarrier {
    reply: oneshot::Sender<Response<HttpBody>>,
    upgrade: Option<OnUpgrade>,
    version: Version,
}

/// The response, as soon as there is one.
pub(super) struct Answer {
    reply: oneshot::Receiver<Response<HttpBody>>,
    method: Method,
    version: Version,
}

impl HttpCarrier {
    pub(super) fn new(upgrade: Option<OnUpgrade>, head: &RequestHead) -> (Self, Answer) {
        let (sender, reply) = oneshot::channel();
        let (method, version) = (head.method().clone(), head.version());
        let carrier = Self {
            reply: sender,
            upgrade,
            version,
        };
        let answer = Answer {
            reply,
            method,
            version,
        };
        (carrier, answer)
    }
}

impl Carrier for HttpCarrier {
    type Stream = AnyStream;

    const IS_FOREIGN: bool = true;

    async fn open(self, response: Vec<u8>) -> Result<Carried<AnyStream>> {
        let upgrade = self.upgrade.ok_or(HandshakeError::NotUpgradable)?;
        let response = form(&response, self.version);
        if self.reply.send(response).is_err() {
            return Err(gone());
        }
        match upgrade.await {
            Ok(upgraded) => Ok(take_over(upgraded, self.version)),
            // The client has left.
            Err(error) if error.is_canceled() => Err(gone()),
            Err(error) => Err(Error::Io(std::io::Error::other(error))),
        }
    }

    async fn answer(self, response: Vec<u8>, _: Duration) {
        // Nobody waits for it if the client has left.
        let _ = self.reply.send(form(&response, self.version));
    }
}

impl Answer {
    /// Waits for the response; one who was dropped without any is told that the server is to blame.
    pub(super) async fn get(&mut self) -> Response<HttpBody> {
        let response = match (&mut self.reply).await {
            Ok(response) => response,
            Err(_) => refusal(&HandshakeError::ShuttingDown, self.version),
        };
        // RFC 9110 §9.3.2. Over HTTP/2 hyper would send what is there.
        if self.method == Method::HEAD {
            return response.map(|_| HttpBody::default());
        }
        response
    }
}

/// Makes the response to a request that never got as far as a factory's options.
pub(super) fn refusal(error: &HandshakeError, version: Version) -> Response<HttpBody> {
    form(&server::refuse(error, &ServerOptions::default()), version)
}

fn form(octets: &[u8], version: Version) -> Response<HttpBody> {
    let formed = server::into_http(octets, version);
    let formed = formed.unwrap_or_else(|_| {
        // What we have written ourselves can be read; if not, nobody is let in.
        let mut fault = Response::default();
        *fault.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        fault
    });
    let mut response = formed.map(HttpBody::new);
    if let Ok(reason) = ReasonPhrase::try_from(server::reason(octets))
        && Some(reason.as_bytes()) != response.status().canonical_reason().map(str::as_bytes)
    {
        response.extensions_mut().insert(reason);
    }
    response
}

fn gone() -> Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into()
}
