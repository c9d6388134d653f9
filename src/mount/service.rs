//! Factories as services of tower.

use super::asked::Asked;
use super::carrier::{HttpBody, refusal};
use crate::server::{WebSocketServerFactory, WebSocketServerProtocol};
use http::{Request, Response};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// A factory as a `tower::Service` of `http::Request`s, whatever their body; always ready, never
/// fails, and cheap to clone. See [`into_service`](crate::WebSocketServerFactory::into_service).
pub struct WebSocketService<P> {
    factory: WebSocketServerFactory<P>,
}

impl<P: WebSocketServerProtocol> WebSocketServerFactory<P> {
    /// Makes a service of the factory, which can be nested at any path of axum, or be given to a
    /// server of hyper.
    ///
    /// It answers as [`upgrade`](Self::upgrade) does, plain requests included, and runs connections in
    /// tasks of the runtime. A callback that runs is not dropped when the client leaves. Where the
    /// request cannot be upgraded, the client gets 500, and an error is logged. See
    /// [Mounting](crate::guide::mounting).
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::Router;
    /// use motorway::{WebSocketServerFactory, WebSocketServerProtocol};
    ///
    /// struct Quiet;
    /// impl WebSocketServerProtocol for Quiet {}
    ///
    /// let factory = WebSocketServerFactory::new(|| Quiet);
    /// let app: Router = Router::new()
    ///     .route_service("/quiet", factory.clone().into_service())
    ///     .nest_service("/more", factory.into_service());
    /// # }
    /// ```
    #[must_use]
    pub fn into_service(self) -> WebSocketService<P> {
        WebSocketService { factory: self }
    }
}

impl<P: WebSocketServerProtocol, B> Service<Request<B>> for WebSocketService<P> {
    type Response = Response<HttpBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let answering = answer(&self.factory, Asked::of(&mut request), None);
        Box::pin(async move { Ok(answering.await) })
    }
}

/// Answers a request, with an instance of the factory's or with this one, and lets its connection run
/// in a task.
pub(super) fn answer<P: WebSocketServerProtocol>(
    factory: &WebSocketServerFactory<P>,
    asked: Asked,
    instance: Option<P>,
) -> impl Future<Output = Response<HttpBody>> + Send + use<P> {
    let factory = factory.clone();
    async move {
        if let Err(error) = asked.check_upgrade() {
            tracing::error!(%error, "cannot answer a request of another server");
            return refusal(&error, asked.version());
        }
        let (request, mut answer) = asked.carried();
        match instance {
            Some(instance) => tokio::spawn(factory.serve_request_as(request, || instance)),
            None => tokio::spawn(factory.serve_request(request)),
        };
        answer.get().await
    }
}

impl<P> Clone for WebSocketService<P> {
    fn clone(&self) -> Self {
        Self {
            factory: self.factory.clone(),
        }
    }
}

impl<P> fmt::Debug for WebSocketService<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketService").finish_non_exhaustive()
    }
}
