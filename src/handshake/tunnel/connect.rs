//! HTTP CONNECT (RFC 9110 §9.3.6).

use super::{Place, Step, TunnelError};
use crate::handshake::client::AnswerReader;
use crate::handshake::write::HeadWriter;
use crate::handshake::{HandshakeError, HeadLimits};
use crate::options::ProxyServer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A request for a tunnel, until it is answered.
pub(super) struct Connect {
    request: Option<Vec<u8>>,
    reader: AnswerReader,
}

impl Connect {
    pub(super) fn new(proxy: &ProxyServer, to: (&Place<'_>, u16), limits: HeadLimits) -> Self {
        let authority = match to {
            (Place::Address(address), port) if address.is_ipv6() => format!("[{address}]:{port}"),
            (Place::Address(address), port) => format!("{address}:{port}"),
            (Place::Name(name), port) => format!("{name}:{port}"),
        };
        let mut head = HeadWriter::connect(&authority);
        head.header("Host", &authority);
        if let Some(credentials) = proxy.credentials() {
            // RFC 7617 §2.
            let both = [&credentials.user[..], b":", &credentials.password].concat();
            let basic = format!("Basic {}", STANDARD.encode(both));
            head.header("Proxy-Authorization", basic);
        }
        Self {
            request: Some(head.finish(b"")),
            reader: AnswerReader::new(limits),
        }
    }

    pub(super) fn advance(&mut self, received: &mut Vec<u8>) -> Result<Step, TunnelError> {
        if let Some(request) = self.request.take() {
            return Ok(Step::Write(request));
        }
        let Some((head, length)) = self.reader.response(received).map_err(judge)? else {
            return Ok(Step::Read);
        };
        received.drain(..length);
        let status = head.status();
        // §9.3.6: "Any 2xx (Successful) response indicates that the sender […] will switch to
        // tunnel mode immediately after the response header section".
        if status.is_success() {
            return Ok(Step::Done);
        }
        let headers = head.into_headers();
        Err(TunnelError::Refused { status, headers })
    }
}

fn judge(error: HandshakeError) -> TunnelError {
    match error {
        HandshakeError::HeadTooLarge { .. }
        | HandshakeError::LineTooLong { .. }
        | HandshakeError::TooManyHeaders { .. } => TunnelError::HeadTooLarge(error),
        error => TunnelError::MalformedHead(error),
    }
}
