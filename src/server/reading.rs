//! The head of a request on a stream of our own.

use super::failure::gone;
use super::incoming::{is_among, too_slow};
use super::lobby::Seat;
use super::opening::Opening;
use crate::error::{Error, Result};
use crate::handshake::{HandshakeError, HeadLimits, HeadReader, RequestHead, server};
use crate::observe::Moment;
use crate::transport::{Read, Stream, read_proxy_header, read_request, within};

/// The head of a request, and what goes with it.
pub(crate) struct Arrived {
    pub(super) head: RequestHead,
    /// The octets that came with the head.
    pub(super) early: Vec<u8>,
    pub(super) path_params: Vec<(String, String)>,
}

impl From<RequestHead> for Arrived {
    fn from(head: RequestHead) -> Self {
        Self {
            head,
            early: Vec::new(),
            path_params: Vec::new(),
        }
    }
}

impl<S: Stream> Opening<S> {
    /// Reads the head of the request; answers one that cannot be read.
    pub(super) async fn read(&mut self) -> Result<Arrived> {
        let options = &self.settings.options;
        let limits = HeadLimits::from(options);
        let Some(stream) = &mut self.carrier else {
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
            () = Seat::evicted(self.seat.as_ref()) => Ok(Err(too_slow())),
            () = self.lifecycle.draining.cancelled() => Ok(Err(HandshakeError::ShuttingDown.into())),
        };
        self.seat = None;
        match read {
            Err(_) => Err(too_slow()),
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
                    early,
                    ..Arrived::from(head)
                })
            }
            // Whoever it is, it does not speak HTTP.
            Ok(Err(Error::Handshake(error))) if *error == HandshakeError::InvalidProxyHeader => {
                self.carrier = None;
                Err(Error::Handshake(error))
            }
            Ok(Err(Error::Handshake(error))) => self.refuse(*error).await,
            Ok(Err(error)) => Err(error),
        }
    }
}
