//! Factories that answer requests of hyper.

use super::asked::Asked;
use super::carrier::HttpBody;
use super::connection::{MountedConnection, State};
use crate::error::Result;
use crate::server::{WebSocketServerFactory, WebSocketServerProtocol};
use http::{Request, Response};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

impl<P: WebSocketServerProtocol> WebSocketServerFactory<P> {
    /// Answers a request that a server of hyper 1 has read, and upgrades it where that is what it
    /// asks for.
    ///
    /// The same as on a listener of our own: every check, `on_connect`, denials with status, headers
    /// and body, pages for plain requests, `max_connections`, and 503 once the factory
    /// [shuts down](Self::shutdown). Send the response in any case, and run the connection in a task;
    /// that of a request that was refused is over at once. The options of the head are those of the
    /// other server.
    ///
    /// Over HTTP/1.1 the connection must be served with upgrades, over HTTP/2 with
    /// `enable_connect_protocol` (RFC 8441). Who asks is not in a request: put a
    /// [`TransportDetails`](crate::TransportDetails) or a [`Peer`](crate::Peer) into its extensions.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use motorway::HttpBody;
    /// use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
    ///
    /// struct Quiet;
    /// impl WebSocketServerProtocol for Quiet {}
    ///
    /// async fn answer(
    ///     factory: WebSocketServerFactory<Quiet>,
    ///     mut request: Request<hyper::body::Incoming>,
    /// ) -> motorway::Result<Response<HttpBody>> {
    ///     let (response, connection) = factory.upgrade(&mut request).await?;
    ///     tokio::spawn(connection);
    ///     Ok(response)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the request asks for an upgrade and is none of hyper's, or was upgraded already.
    /// Whatever the client has done wrong is told by the response, and by the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, as hyper does when the client leaves, it drops the callback that
    /// runs; `on_close` is then not called. [`into_service`](Self::into_service) does not.
    pub fn upgrade<B>(
        &self,
        request: &mut Request<B>,
    ) -> impl Future<Output = Result<(Response<HttpBody>, MountedConnection)>> + Send + use<P, B>
    {
        let asked = Asked::of(request);
        let factory = self.clone();
        async move {
            asked.check_upgrade()?;
            let (request, mut answer) = asked.carried();
            let mut running = Box::pin(factory.serve_request(request));
            let mut over = None;
            let response = {
                let mut answer = pin!(answer.get());
                poll_fn(|context| {
                    if over.is_none()
                        && let Poll::Ready(result) = running.as_mut().poll(context)
                    {
                        over = Some(result);
                    }
                    answer.as_mut().poll(context)
                })
                .await
            };
            let state = match over {
                Some(result) => State::Over(Some(result)),
                None => State::Running(running),
            };
            Ok((response, MountedConnection(state)))
        }
    }
}
