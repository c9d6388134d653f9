//! SOCKS5 (RFC 1928) with user and password (RFC 1929).

use std::net::IpAddr;

use super::{Place, SocksReply, Step, TunnelError, take};
use crate::options::ProxyServer;

/// A conversation with a proxy, until the tunnel stands.
pub(super) struct Socks5 {
    state: State,
    /// What tells user and password, if there are any.
    authentication: Option<Vec<u8>>,
    request: Vec<u8>,
}

enum State {
    Start,
    Method,
    Authentication,
    Reply,
}

impl Socks5 {
    pub(super) fn new(
        proxy: &ProxyServer,
        place: &Place<'_>,
        port: u16,
    ) -> Result<Self, TunnelError> {
        let authentication = proxy.credentials().map(|credentials| {
            let (user, password) = (&credentials.user, &credentials.password);
            let length = |text: &[u8]| u8::try_from(text.len()).unwrap_or(u8::MAX);
            let mut octets = vec![SUBNEGOTIATION, length(user)];
            octets.extend_from_slice(user);
            octets.push(length(password));
            octets.extend_from_slice(password);
            octets
        });
        let mut request = vec![VERSION, CONNECT, 0];
        match place {
            Place::Address(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend_from_slice(&address.octets());
            }
            Place::Address(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend_from_slice(&address.octets());
            }
            Place::Name(name) => {
                let unsupported = |_| TunnelError::UnsupportedHost {
                    host: (*name).to_owned(),
                };
                request.push(NAME);
                request.push(u8::try_from(name.len()).map_err(unsupported)?);
                request.extend_from_slice(name.as_bytes());
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        Ok(Self {
            state: State::Start,
            authentication,
            request,
        })
    }

    pub(super) fn advance(&mut self, received: &mut Vec<u8>) -> Result<Step, TunnelError> {
        match self.state {
            State::Start => {
                self.state = State::Method;
                Ok(Step::Write(match self.authentication {
                    Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
                    None => vec![VERSION, 1, NO_AUTHENTICATION],
                }))
            }
            State::Method => {
                expect(received, VERSION)?;
                let Some([_, method]) = take(received) else {
                    return Ok(Step::Read);
                };
                self.take_method(method)
            }
            State::Authentication => {
                expect(received, SUBNEGOTIATION)?;
                match take(received) {
                    None => Ok(Step::Read),
                    Some([_, 0]) => Ok(self.ask()),
                    Some([_, _]) => Err(TunnelError::AuthenticationRefused),
                }
            }
            State::Reply => read_reply(received),
        }
    }

    fn take_method(&mut self, method: u8) -> Result<Step, TunnelError> {
        match (method, self.authentication.take()) {
            (NO_AUTHENTICATION, _) => Ok(self.ask()),
            (USER_AND_PASSWORD, Some(octets)) => {
                self.state = State::Authentication;
                Ok(Step::Write(octets))
            }
            (NO_METHOD, _) => Err(TunnelError::NoAcceptableMethod),
            _ => Err(TunnelError::MalformedAnswer),
        }
    }

    fn ask(&mut self) -> Step {
        self.state = State::Reply;
        Step::Write(std::mem::take(&mut self.request))
    }
}

/// Reads the reply; the address in it, which the proxy connects from, is of no concern.
fn read_reply(received: &mut Vec<u8>) -> Result<Step, TunnelError> {
    expect(received, VERSION)?;
    match received.get(1) {
        None => return Ok(Step::Read),
        Some(0) => {}
        // Some proxies send no more than that.
        Some(code) => return Err(TunnelError::Socks(SocksReply::of_5(*code))),
    }
    let length = match (received.get(3), received.get(4)) {
        (Some(&IPV4), _) => 4,
        (Some(&IPV6), _) => 16,
        (Some(&NAME), Some(length)) => 1 + usize::from(*length),
        (None, _) | (Some(&NAME), None) => return Ok(Step::Read),
        _ => return Err(TunnelError::MalformedAnswer),
    };
    // Before it version, reply, a reserved octet and the type; behind it the port.
    let whole = 4 + length + 2;
    if received.len() < whole {
        return Ok(Step::Read);
    }
    received.drain(..whole);
    Ok(Step::Done)
}

fn expect(received: &[u8], version: u8) -> Result<(), TunnelError> {
    match received.first() {
        Some(first) if *first != version => Err(TunnelError::MalformedAnswer),
        _ => Ok(()),
    }
}

const VERSION: u8 = 5;
/// RFC 1929 §2.
const SUBNEGOTIATION: u8 = 1;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
