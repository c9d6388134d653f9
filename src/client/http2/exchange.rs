//! One request and its answer on a connection of HTTP/2.

use super::stream::Http2Stream;
use super::{Http2Connection, fault};
use crate::client::exchange::Shaken;
use crate::connection::TimeoutKind;
use crate::error::{Error, Result};
use crate::handshake::client::{BodyReader, Journey, http2};
use crate::handshake::{HeadLimits, TransportDetails};
use crate::observe::HeadLog;
use crate::transport::within;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, response};
use std::future::poll_fn;
use tokio::time::Instant;

/// A request of an opening handshake over HTTP/2, to be sent.
pub(super) struct Exchange<'a> {
    pub(super) journey: &'a Journey,
    pub(super) details: &'a TransportDetails,
    pub(super) deadline: Option<Instant>,
}

/// An answer, and the two directions of its stream.
struct Answered {
    head: response::Parts,
    body: RecvStream,
    outflow: SendStream<Bytes>,
    written: Instant,
}

impl Exchange<'_> {
    pub(super) async fn run(&self, connection: &Http2Connection) -> Result<(Shaken, Http2Stream)> {
        let (url, options) = (self.journey.url(), self.journey.options());
        let connecting = self.journey.connecting();
        let (mut request, sent) = http2::request(url, options, connecting)?;
        let (heads, peer) = (HeadLog::new(&options.common), self.details.peer());
        if heads.is_on() {
            heads.request(peer, &shown(&request));
        }
        let octets = as_http1(&request);
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        let answered = within(self.deadline, ask(connection, request)).await;
        let answered = answered.map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
        let Answered {
            head,
            mut body,
            outflow,
            written,
        } = answered;
        let answer = head_of(&format!("HTTP/2 {}", head.status.as_str()), &head.headers);
        heads.response(peer, &answer);
        if !head.status.is_success() {
            let mut reader = BodyReader::until_end();
            // What has come until then is as good as it gets.
            let _ = within(self.deadline, read_body(&mut body, &mut reader)).await;
            return Err(http2::refused(head, reader.finish()).into());
        }
        let (mut response, agreed) = http2::check(head, &sent, HeadLimits::from(options))?;
        response.set_peer(peer.clone());
        response.set_url(url.clone());
        let shaken = Shaken {
            request: octets,
            response: Box::new(response),
            agreed,
            early: Vec::new(),
            received: answer.len(),
            times: (written, Instant::now()),
        };
        let stream = Http2Stream::new(outflow, body, &connection.desk);
        Ok((shaken, stream))
    }
}

/// Sends a request as soon as the server has room for it (RFC 9113 §5.1.2), and waits for the answer.
async fn ask(connection: &Http2Connection, request: Request<()>) -> Result<Answered> {
    let mut requests = connection.requests.clone();
    let ready = poll_fn(|context| requests.poll_ready(context)).await;
    ready.map_err(|error| fault::not_open(&error))?;
    let sent = requests.send_request(request, false);
    let (answer, outflow) = sent.map_err(|error| fault::not_open(&error))?;
    let written = Instant::now();
    let answer = answer.await.map_err(|error| fault::of_request(&error))?;
    let (head, body) = answer.into_parts();
    Ok(Answered {
        head,
        body,
        outflow,
        written,
    })
}

/// Reads as far as there is something to read.
async fn read_body(body: &mut RecvStream, reader: &mut BodyReader) {
    while !reader.is_done() {
        match body.data().await {
            Some(Ok(octets)) => {
                reader.receive(&octets);
                // Of a stream that is over, nothing needs to be released.
                let _ = body.flow_control().release_capacity(octets.len());
            }
            Some(Err(_)) => return,
            None => return reader.receive_eof(),
        }
    }
}

/// Writes a request as it goes over HTTP/2, for the log.
fn shown(request: &Request<()>) -> Vec<u8> {
    let line = format!("CONNECT {} HTTP/2\r\n:protocol: websocket", request.uri());
    head_of(&line, request.headers())
}

/// Writes a request as it would go over HTTP/1.1, which is how streams show it; its octets are those that
/// are counted, for HPACK writes fewer.
fn as_http1(request: &Request<()>) -> Vec<u8> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let line = format!("GET {target} HTTP/1.1\r\nHost: {host}");
    head_of(&line, request.headers())
}

fn head_of(line: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(line.as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
