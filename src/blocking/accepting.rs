//! The opening handshake of a blocking server, for one client.

use super::opening::{Head, Shaking};
use super::server::Server;
use super::stopper::Counted;
use super::stream::{Opened, Opening, WebSocketStream};
use super::transport::Plain;
use super::websocket::after;
use crate::connection::Rules;
use crate::error::{Error, Result};
use crate::handshake::server::{
    self, Checked, ConnectionAccept, ConnectionDeny, ConnectionRequest,
};
use crate::handshake::{HandshakeError, HeadLimits, HeadReader, RequestHead, TransportDetails};
use crate::observe::HeadLog;
use crate::options::ServerOptions;
use crate::peer::Peer;
use crate::socket::set_up;
use socket2::SockRef;
use std::borrow::Cow;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A client whose opening handshake is under way.
struct Accepting<'a> {
    server: &'a Server,
    shaking: Shaking,
    heads: HeadLog,
    peer: Peer,
}

/// Makes the opening handshake, TLS included; whoever is refused is told. A client that is not
/// `counted` is refused for no lack of room.
pub(super) fn shake_hands(
    server: &Server,
    (stream, peer): (TcpStream, SocketAddr),
    counted: Option<&Counted<'_>>,
) -> Result<WebSocketStream> {
    let options = &server.options;
    set_up(&SockRef::from(&stream), &options.common)?;
    let details = TransportDetails::server(peer.into()).at(stream.local_addr().ok());
    let deadline = options.common.open_handshake_timeout.and_then(after);
    let plain = Box::new(Plain::new(stream)?);
    let (shaking, details) = server.security.shake_hands(plain, details, deadline)?;
    let accepting = Accepting {
        server,
        heads: HeadLog::new(&options.common),
        peer: details.peer().clone(),
        shaking,
    };
    accepting.open(details, counted)
}

impl<'a> Accepting<'a> {
    fn open(
        self,
        details: TransportDetails,
        counted: Option<&Counted<'_>>,
    ) -> Result<WebSocketStream> {
        let options = &self.server.options;
        let read = match self.read() {
            Err(Error::Handshake(error)) => return self.refuse(*error),
            read => read?,
        };
        if let Some(limit) = options.max_connections
            && counted.is_some_and(|counted| counted.exceeds(limit))
        {
            return self.refuse(HandshakeError::TooManyConnections);
        }
        let request = match server::check(read.head, options, details) {
            Checked::Upgrade(request) => request,
            Checked::Http(request) => {
                self.answer(&server::status_page(&request, options));
                return Err(HandshakeError::UpgradeRequired.into());
            }
            Checked::Refused { error, response } => {
                self.answer(&response);
                return Err(error.into());
            }
        };
        let (accept, options) = match self.ask(&request) {
            Ok(verdict) => verdict,
            Err(deny) => return self.deny(&deny),
        };
        // Whoever has not been let in before the server stops is not let in any more.
        if counted.is_some() && self.server.stopping.is_stopped() {
            return self.refuse(HandshakeError::ShuttingDown);
        }
        let (response, agreed) = match server::accept(&request, &accept, &options) {
            Ok(accepted) => accepted,
            Err(error) => return self.refuse(error),
        };
        self.heads.response(&self.peer, &response);
        self.shaking.write_all(&response)?;
        let opened = Opened {
            transport: self.shaking.transport,
            path: request.path().to_owned(),
            peer: request.peer().clone(),
            opening: Opening::Request(request),
            agreed,
            early: read.early,
        };
        Ok(WebSocketStream::new(opened, Rules::server(&options), None))
    }

    fn read(&self) -> Result<Head<RequestHead>> {
        let mut reader = HeadReader::new(HeadLimits::from(&self.server.options));
        let read = self.shaking.read_head(|octets| {
            let read = reader.request(octets);
            read.inspect_err(|_| self.heads.unreadable(&self.peer, octets))
        })?;
        self.heads.request(&self.peer, &read.octets);
        Ok(read)
    }

    /// Asks the user; returns the options that hold from here on, too.
    fn ask(
        &self,
        request: &ConnectionRequest,
    ) -> Result<(ConnectionAccept, Cow<'a, ServerOptions>), ConnectionDeny> {
        let options = &self.server.options;
        let accept = match &self.server.on_connect {
            None => ConnectionAccept::new(),
            // A panic is to concern this client alone, and is printed by then.
            Some(call) => catch_unwind(AssertUnwindSafe(|| call(request)))
                .map_err(|_| ConnectionDeny::internal("on_connect panicked"))??,
        };
        let options = match accept.own_options() {
            Some(own) => {
                own.validate().map_err(ConnectionDeny::internal)?;
                Cow::Owned(own.clone())
            }
            None => Cow::Borrowed(options),
        };
        if accept.subprotocol().is_some() {
            return Ok((accept, options));
        }
        let chosen = ConnectionAccept::default_for(request, &options);
        match chosen.subprotocol() {
            Some(protocol) => Ok((accept.protocol(protocol), options)),
            None => Ok((accept, options)),
        }
    }

    fn refuse<T>(self, error: HandshakeError) -> Result<T> {
        let response = server::refuse(&error, &self.server.options);
        self.answer(&response);
        Err(error.into())
    }

    fn deny<T>(self, deny: &ConnectionDeny) -> Result<T> {
        if let Some(error) = deny.source_error() {
            let error = error as &dyn std::error::Error;
            tracing::error!(peer = %self.peer, error, "on_connect failed");
        }
        self.answer(&server::deny(deny));
        let status = deny.status();
        Err(HandshakeError::Denied { status }.into())
    }

    fn answer(self, response: &[u8]) {
        self.heads.response(&self.peer, response);
        self.shaking.answer(response);
    }
}
