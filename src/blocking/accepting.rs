//! The opening handshake of a blocking server, for one client.

use super::lobby::Seat;
use super::opening::{Head, Shaking};
use super::server::Server;
use super::stopper::Counted;
use super::stream::{Opened, Opening, WebSocketStream};
use super::transport::{Plain, Transport};
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

/// A client that was accepted.
pub(super) struct Visitor<'a> {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// Its place among all connections. One that is not counted is refused for no lack of room.
    pub(super) counted: Option<&'a Counted<'a>>,
    /// Where it waits until its request is there.
    pub(super) seat: Option<Seat<'a>>,
}

/// Makes the opening handshake, TLS included; whoever is refused is told.
pub(super) fn shake_hands(server: &Server, visitor: Visitor<'_>) -> Result<WebSocketStream> {
    let Visitor {
        stream,
        peer,
        counted,
        seat,
    } = visitor;
    let options = &server.options;
    set_up(&SockRef::from(&stream), &options.common)?;
    let mut details = TransportDetails::server(peer.into()).at(stream.local_addr().ok());
    let deadline = options.common.open_handshake_timeout.and_then(after);
    let plain = Plain::new(stream)?;
    if let Some(seat) = &seat {
        seat.sit(plain.socket());
    }
    let mut transport: Box<dyn Transport> = Box::new(plain);
    let is_proxy =
        (options.proxy_protocol.as_ref()).is_ok_and(|trusted| trusted.contain(peer.ip()));
    if is_proxy {
        let shaking = Shaking {
            transport,
            deadline,
        };
        if let Some(source) = shaking.read_proxy_header()?.source() {
            details.set_peer(source.into());
        }
        transport = shaking.transport;
    }
    let (shaking, details) = server.security.shake_hands(transport, details, deadline)?;
    let accepting = Accepting {
        server,
        heads: HeadLog::new(&options.common),
        peer: details.peer().clone(),
        shaking,
    };
    let read = match accepting.read() {
        Err(Error::Handshake(error)) => return accepting.refuse(*error),
        read => read?,
    };
    drop(seat);
    accepting.open(read, details, counted)
}

impl<'a> Accepting<'a> {
    fn open(
        mut self,
        read: Head<RequestHead>,
        mut details: TransportDetails,
        counted: Option<&Counted<'_>>,
    ) -> Result<WebSocketStream> {
        let options = &self.server.options;
        if let Some(peer) = server::forwarded_peer(&read.head, options) {
            self.peer = peer.clone();
            details.set_peer(peer);
        }
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
        // A closure of the user's chooses among offers of compression.
        let accepted = AssertUnwindSafe(|| server::accept(&request, &accept, &options));
        let (response, agreed) = match catch_unwind(accepted) {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return self.refuse(error),
            Err(_) => return self.deny(&ConnectionDeny::internal("a closure panicked")),
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
        let rules = match options {
            Cow::Borrowed(_) => self.server.rules.clone(),
            Cow::Owned(own) => Rules::server(&own),
        };
        Ok(WebSocketStream::new(opened, rules, None))
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
