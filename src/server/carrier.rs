//! What carries an opening handshake: a stream of our own, or another HTTP server.

use super::opening::LAST_RESPONSE;
use crate::error::Result;
use crate::peer::Peer;
use crate::transport::{Stream, close_stream, write_all};
use tokio::time::{Duration, timeout};

/// Takes the response of an opening handshake, and becomes the stream of the connection.
pub(crate) trait Carrier: Send + 'static {
    type Stream: Stream;

    /// Whether the socket was accepted elsewhere, so that nobody has set it up.
    const IS_FOREIGN: bool = false;

    /// Sends the response that opens the connection.
    fn open(self, response: Vec<u8>) -> impl Future<Output = Result<Carried<Self::Stream>>> + Send;

    /// Sends a last response, which the client may take so long to read; whether it does or not, the
    /// connection is over.
    fn answer(self, response: Vec<u8>, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The stream of a connection that has opened.
pub(crate) struct Carried<S> {
    pub(crate) stream: S,
    /// What came behind the request.
    pub(crate) early: Vec<u8>,
    /// Who is at the other end, where only the stream tells.
    pub(crate) peer: Option<Peer>,
}

impl<S: Stream> Carrier for S {
    type Stream = S;

    async fn open(mut self, response: Vec<u8>) -> Result<Carried<S>> {
        write_all(&mut self, &response).await?;
        Ok(Carried {
            stream: self,
            early: Vec::new(),
            peer: None,
        })
    }

    async fn answer(mut self, response: Vec<u8>, time: Duration) {
        let writing = timeout(time, write_all(&mut self, &response));
        if matches!(writing.await, Ok(Ok(()))) {
            let _ = timeout(LAST_RESPONSE, close_stream(&mut self)).await;
        }
    }
}
