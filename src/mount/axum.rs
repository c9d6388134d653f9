//! The extractor for axum.

use super::asked::Asked;
use super::carrier::refusal;
use super::service::answer;
use crate::error::HandlerResult;
use crate::handshake::HandshakeError;
use crate::peer::Peer;
use crate::server::{HandlerProtocol, WebSocketServerFactory, WebSocketServerProtocol};
use crate::stream::WebSocketStream;
use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, Version};
use std::fmt;
use std::net::SocketAddr;
use std::sync::LazyLock;

/// A request for a WebSocket, as an extractor of axum; a handler answers it with a factory or with a
/// handler of its own.
///
/// A plain request is rejected with 426; `Option<WebSocketUpgrade>` is `None` for it.
/// Over HTTP/1.1 the route must take GET, over HTTP/2 (axum's feature `http2`) CONNECT: `axum::routing::any`
/// takes both. Who asks is known if the app is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`, or if a layer puts a
/// [`TransportDetails`](crate::TransportDetails) into the extensions. For those who come from
/// `axum::extract::ws` there is [a page](crate::guide::axum).
///
/// ```
/// use axum::extract::{Path, State};
/// use axum::{Router, response::Response, routing::any};
/// use motorway::WebSocketUpgrade;
/// use motorway::{HandlerResult, WebSocket, WebSocketServerFactory, WebSocketServerProtocol};
///
/// struct Room(String);
///
/// impl WebSocketServerProtocol for Room {
///     async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
///         Ok(ws.send(format!("welcome to {}", self.0)).await?)
///     }
/// }
///
/// async fn enter(
///     upgrade: WebSocketUpgrade,
///     Path(room): Path<String>,
///     State(factory): State<WebSocketServerFactory<Room>>,
/// ) -> Response {
///     upgrade.serve_as(&factory, Room(room)).await
/// }
///
/// let factory = WebSocketServerFactory::new(|| Room("nowhere".to_owned()));
/// let app: Router = Router::new().route("/rooms/{room}", any(enter)).with_state(factory);
/// ```
pub struct WebSocketUpgrade {
    asked: Asked,
}

impl WebSocketUpgrade {
    /// Answers the request as the factory says, and runs the connection in a task, with an instance
    /// of the factory's.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, as axum does when the client leaves, it has begun: the callbacks
    /// run to their end, in a task.
    pub async fn serve<P: WebSocketServerProtocol>(
        self,
        factory: &WebSocketServerFactory<P>,
    ) -> Response {
        answer(factory, self.asked, None).await.into_response()
    }

    /// As [`serve`](Self::serve), with this instance, which may hold what other extractors have found.
    ///
    /// # Cancel safety
    ///
    /// As `serve`.
    pub async fn serve_as<P: WebSocketServerProtocol>(
        self,
        factory: &WebSocketServerFactory<P>,
        instance: P,
    ) -> Response {
        let answering = answer(factory, self.asked, Some(instance));
        answering.await.into_response()
    }

    /// Answers the request and runs `handler` on the stream of its connection, in a task, with the
    /// default options; what [`from_handler`](WebSocketServerFactory::from_handler) says of handlers
    /// holds.
    ///
    /// Such connections are in no statistics and no shutdown: for these use
    /// [`on_upgrade_with`](Self::on_upgrade_with).
    ///
    /// ```
    /// use axum::{Router, routing::any};
    /// use motorway::WebSocketUpgrade;
    ///
    /// let app: Router = Router::new().route("/echo", any(|upgrade: WebSocketUpgrade| {
    ///     upgrade.on_upgrade(|mut ws| async move {
    ///         while let Some(message) = ws.recv().await? {
    ///             ws.send(message).await?;
    ///         }
    ///         Ok(())
    ///     })
    /// }));
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn on_upgrade<H, F>(self, handler: H) -> Response
    where
        H: FnOnce(WebSocketStream) -> F + Send + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        self.on_upgrade_with(&DEFAULT, handler).await
    }

    /// As [`on_upgrade`](Self::on_upgrade), with the options, the limits, the statistics and the
    /// shutdown of a factory, in place of the factory's own handler.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn on_upgrade_with<H, F>(
        self,
        factory: &WebSocketServerFactory<HandlerProtocol>,
        handler: H,
    ) -> Response
    where
        H: FnOnce(WebSocketStream) -> F + Send + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let instance = factory.handled_once(handler);
        self.serve_as(factory, instance).await
    }
}

/// The factory of handlers that come without one.
static DEFAULT: LazyLock<WebSocketServerFactory<HandlerProtocol>> =
    LazyLock::new(|| WebSocketServerFactory::from_handler(|_| async { Ok(()) }));

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = NotWebSocket;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotWebSocket> {
        let asked = Asked::of_parts(parts);
        match asked.is_plain() {
            true => Err(NotWebSocket(asked.version())),
            false => Ok(Self { asked }),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = NotWebSocket;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, NotWebSocket> {
        Ok(
            <Self as FromRequestParts<S>>::from_request_parts(parts, state)
                .await
                .ok(),
        )
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade").finish_non_exhaustive()
    }
}

/// The rejection of [`WebSocketUpgrade`]: the request is a plain one, and is answered with 426, over
/// HTTP/2 with 400.
///
/// ```
/// use axum::response::{IntoResponse, Redirect, Response};
/// use motorway::{NotWebSocket, WebSocketUpgrade};
///
/// async fn enter(upgrade: Result<WebSocketUpgrade, NotWebSocket>) -> Response {
///     match upgrade {
///         Ok(upgrade) => upgrade.on_upgrade(|ws| async move { Ok(ws.send("welcome").await?) }).await,
///         Err(_) => Redirect::to("/help").into_response(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::any(enter));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("request does not ask for a websocket")]
pub struct NotWebSocket(Version);

impl IntoResponse for NotWebSocket {
    fn into_response(self) -> Response {
        refusal(&HandshakeError::UpgradeRequired, self.0).into_response()
    }
}

/// Returns who asks, as axum says.
pub(super) fn peer(extensions: &Extensions) -> Option<Peer> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(Peer::from(*address))
}
