//! SOCKS4 and SOCKS4a, as their descriptions by Ying-Da Lee have them.

use std::net::{IpAddr, Ipv4Addr};

use super::{Place, SocksReply, Step, TunnelError, take};
use crate::options::ProxyServer;

/// A request, until it is answered.
pub(super) struct Socks4 {
    request: Option<Vec<u8>>,
}

impl Socks4 {
    pub(super) fn new(
        proxy: &ProxyServer,
        place: &Place<'_>,
        port: u16,
    ) -> Result<Self, TunnelError> {
        let (address, name) = match place {
            Place::Address(IpAddr::V4(address)) => (*address, None),
            Place::Address(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => (address, None),
                None => {
                    let host = address.to_string();
                    return Err(TunnelError::UnsupportedHost { host });
                }
            },
            // SOCKS4a: "set the first three bytes of DSTIP to NULL and the last byte to a non-zero
            // value".
            Place::Name(name) => (Ipv4Addr::new(0, 0, 0, 1), Some(name)),
        };
        let mut request = vec![VERSION, CONNECT];
        request.extend_from_slice(&port.to_be_bytes());
        request.extend_from_slice(&address.octets());
        if let Some(credentials) = proxy.credentials() {
            request.extend_from_slice(&credentials.user);
        }
        request.push(0);
        if let Some(name) = name {
            request.extend_from_slice(name.as_bytes());
            request.push(0);
        }
        Ok(Self {
            request: Some(request),
        })
    }

    pub(super) fn advance(&mut self, received: &mut Vec<u8>) -> Result<Step, TunnelError> {
        if let Some(request) = self.request.take() {
            return Ok(Step::Write(request));
        }
        // Whatever is no answer is told by its first octet.
        if received.first().is_some_and(|version| *version != 0) {
            return Err(TunnelError::MalformedAnswer);
        }
        match take::<8>(received) {
            None => Ok(Step::Read),
            Some([_, GRANTED, ..]) => Ok(Step::Done),
            Some([_, code, ..]) => Err(TunnelError::Socks(SocksReply::of_4(code))),
        }
    }
}

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;
