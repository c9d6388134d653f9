//! One request and its answer on a stream.

use crate::connection::TimeoutKind;
use crate::error::{Error, Result};
use crate::handshake::client::{
    self, AnswerReader, BodyReader, ConnectionResponse, Journey, ResponseBody,
};
use crate::handshake::{Agreed, HandshakeError, HeadLimits, TransportDetails};
use crate::observe::HeadLog;
use crate::transport::{Read, Stream, random_octets, read_response, within, write_all};
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// A request of an opening handshake, to be sent.
pub(super) struct Exchange<'a> {
    pub(super) journey: &'a Journey,
    pub(super) details: &'a TransportDetails,
    pub(super) deadline: Option<Instant>,
    pub(super) redirects: Redirects,
}

/// What is to come of an answer that leads elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirects {
    /// It is followed, if the options say so.
    Follow,
    /// It is a refusal: nothing can be dialed.
    Refuse,
}

pub(super) enum Answer {
    Opened(Shaken),
    /// The server leads there; who does not follow is refused.
    Redirected(String, HandshakeError),
}

/// What came of an opening handshake that is done.
pub(super) struct Shaken {
    /// The octets of the request.
    pub(super) request: Vec<u8>,
    pub(super) response: Box<ConnectionResponse>,
    pub(super) agreed: Agreed,
    /// What came with the answer.
    pub(super) early: Vec<u8>,
    /// How many octets the head of the answer had, with interim ones.
    pub(super) received: usize,
    /// When the request was written and when the answer was read.
    pub(super) times: (Instant, Instant),
}

impl Exchange<'_> {
    pub(super) async fn run<S: Stream>(&self, stream: &mut S) -> Result<Answer> {
        let (url, options) = (self.journey.url(), self.journey.options());
        let connecting = self.journey.connecting();
        let (request, sent) = client::request(url, options, connecting, random_octets())?;
        let (heads, peer) = (HeadLog::new(&options.common), self.details.peer());
        heads.request(peer, &request);
        let mut reader = AnswerReader::new(HeadLimits::from(options));
        let exchange = async {
            write_all(stream, &request).await?;
            let written = Instant::now();
            let read = read_response(stream, &mut reader).await?;
            Ok::<_, Error>((read, written))
        };
        let (read, written) = within(self.deadline, exchange)
            .await
            .map_err(|_| Error::Timeout(TimeoutKind::OpeningHandshake))??;
        heads.response(
            peer,
            read.octets.get(reader.skipped()..).unwrap_or_default(),
        );
        let (received, times) = (read.octets.len(), (written, Instant::now()));
        let Read { head, early, .. } = read;
        if head.status() != StatusCode::SWITCHING_PROTOCOLS {
            let follows = self.redirects == Redirects::Follow && options.max_redirects > 0;
            if let Some(location) = client::location(&head).filter(|_| follows) {
                let location = location.to_owned();
                let refusal = client::refused(head, ResponseBody::default());
                return Ok(Answer::Redirected(location, refusal));
            }
            let mut body = BodyReader::new(&head);
            body.receive(&early);
            // What has come until then is as good as it gets.
            let _ = within(self.deadline, read_body(stream, &mut body)).await;
            return Err(client::refused(head, body.finish()).into());
        }
        let (mut response, agreed) = client::check(head, &sent)?;
        response.set_peer(peer.clone());
        response.set_url(url.clone());
        Ok(Answer::Opened(Shaken {
            request,
            response: Box::new(response),
            agreed,
            early,
            received,
            times,
        }))
    }
}

/// Reads as far as there is something to read.
async fn read_body<S: Stream>(stream: &mut S, body: &mut BodyReader) {
    let mut octets = Vec::new();
    while !body.is_done() {
        octets.clear();
        octets.reserve(READ);
        match stream.read_buf(&mut octets).await {
            Ok(0) => return body.receive_eof(),
            Ok(_) => body.receive(&octets),
            Err(_) => return,
        }
    }
}

/// How many octets of a body are asked for at once.
const READ: usize = 8 << 10;
