//! The trait that servers implement.

use crate::connection::{CloseInfo, MessageKind, Receive, TimeoutKind};
use crate::error::{Error, HandlerResult};
use crate::handshake::server::{ConnectionAccept, ConnectionDeny, ConnectionRequest};
use crate::message::{Message, Payload};
use crate::transport::{Handler, WebSocket, impl_handler};
use std::time::Duration;

/// The behaviour of a server's connections: implement the callbacks that you need.
///
/// A [factory](crate::WebSocketServerFactory) makes one instance for each connection, so the fields of your type are
/// the state of a connection. Write the callbacks as `async fn`.
///
/// ```
/// use motorway::{HandlerResult, Message, WebSocket, WebSocketServerProtocol};
///
/// struct Echo;
///
/// impl WebSocketServerProtocol for Echo {
///     async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
///         ws.send(message).await?;
///         Ok(())
///     }
/// }
/// ```
///
/// # What you can rely on
///
/// 1. Each connection has an instance of its own, never used again. Its callbacks run one at a
///    time, in order: `on_connect`, `on_open`, any, `on_close`.
/// 2. While a callback waits, the connection goes on: pings are answered, the peer's close frame is
///    seen, what was sent goes out, and up to 256 KiB are read ahead. Beyond that TCP holds the peer
///    back, and the clocks of automatic pings stop, so that a healthy peer is not dropped.
/// 3. A callback is not cancelled while the server runs, not even when its connection dies; the
///    socket and buffers are freed at once, and `send` fails. It is dropped only at the deadline of
///    a shutdown, or with the runtime.
/// 4. An error or a panic in a callback closes that one connection, with 1011 unless the error says
///    otherwise, and is logged once. (Not with `panic = "abort"`.)
/// 5. What the callbacks of one read send goes out in one write where the socket takes it.
/// 6. The [`WebSocket`] is cheap to clone and can be used from any task.
/// 7. Every async function says what happens when its future is dropped.
pub trait WebSocketServerProtocol: Send + 'static {
    /// In which pieces data are received: whole messages unless said otherwise.
    const RECEIVE: Receive = Receive::Messages;

    /// Whether pings are answered without your doing, at once even while a callback waits.
    const AUTO_PONG: bool = true;

    /// Called after every check of the opening handshake has passed: accepts or denies the
    /// connection, chooses the subprotocol, and adds headers to the response.
    ///
    /// By default the first of the client's subprotocols that the options name is chosen; that is
    /// also what happens when `Ok(ConnectionAccept::default())` names none. The time it takes
    /// counts towards `open_handshake_timeout`. If the server shuts down meanwhile, the client gets
    /// 503 all the same, and [`on_close`](Self::on_close) is called.
    ///
    /// ```
    /// use motorway::{ConnectionAccept, ConnectionDeny, ConnectionRequest, StatusCode, WebSocketServerProtocol};
    ///
    /// struct Chat;
    ///
    /// impl WebSocketServerProtocol for Chat {
    ///     async fn on_connect(&mut self, request: &ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> {
    ///         if request.path() != "/chat" {
    ///             return Err(StatusCode::NOT_FOUND.into());
    ///         }
    ///         Ok(ConnectionAccept::select(request.protocols(), ["chat.v2", "chat.v1"]))
    ///     }
    /// }
    /// ```
    fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> impl Future<Output = Result<ConnectionAccept, ConnectionDeny>> + Send {
        let _ = request;
        async { Ok(ConnectionAccept::default()) }
    }

    /// Called once, when the opening handshake is done; messages can be sent from here on.
    fn on_open(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send {
        let _ = ws;
        async { Ok(()) }
    }

    /// Called for each whole message, in order; the next one waits until this one is handled.
    ///
    /// With [`RECEIVE`](Self::RECEIVE) other than [`Receive::Messages`] it is not called.
    fn on_message(
        &mut self,
        ws: &WebSocket,
        message: Message<'_>,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, message);
        async { Ok(()) }
    }

    /// Called when a message begins, with [`Receive::Frames`] and [`Receive::Stream`].
    fn on_message_begin(
        &mut self,
        ws: &WebSocket,
        kind: MessageKind,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, kind);
        async { Ok(()) }
    }

    /// Called when a frame begins, with [`Receive::Stream`]; `length` is that of its payload in
    /// octets as on the wire, so compressed where the message is.
    fn on_message_frame_begin(
        &mut self,
        ws: &WebSocket,
        length: u64,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, length);
        async { Ok(()) }
    }

    /// Called for payload as it arrives, inflated and checked, with [`Receive::Stream`].
    ///
    /// A character of a text message may be split between two calls.
    fn on_message_frame_data(
        &mut self,
        ws: &WebSocket,
        chunk: Payload<'_>,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, chunk);
        async { Ok(()) }
    }

    /// Called when a frame ends, with [`Receive::Stream`].
    fn on_message_frame_end(
        &mut self,
        ws: &WebSocket,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = ws;
        async { Ok(()) }
    }

    /// Called for each whole frame, inflated and checked, with [`Receive::Frames`].
    fn on_message_frame(
        &mut self,
        ws: &WebSocket,
        payload: Payload<'_>,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, payload);
        async { Ok(()) }
    }

    /// Called when a message ends, with [`Receive::Frames`] and [`Receive::Stream`].
    fn on_message_end(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send {
        let _ = ws;
        async { Ok(()) }
    }

    /// Called for each ping; it has been answered already, unless [`AUTO_PONG`](Self::AUTO_PONG) is
    /// off.
    fn on_ping(
        &mut self,
        ws: &WebSocket,
        payload: &[u8],
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, payload);
        async { Ok(()) }
    }

    /// Called for each pong, asked for or not.
    fn on_pong(
        &mut self,
        ws: &WebSocket,
        payload: &[u8],
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, payload);
        async { Ok(()) }
    }

    /// Called when an automatic ping was answered, with the round-trip time.
    fn on_auto_pong(
        &mut self,
        ws: &WebSocket,
        rtt: Duration,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, rtt);
        async { Ok(()) }
    }

    /// Called when no more than 64 KiB are buffered, after `send` had to wait or `try_send` failed
    /// because more than 256 KiB were.
    fn on_drain(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send {
        let _ = ws;
        async { Ok(()) }
    }

    /// Called before [`on_close`](Self::on_close) if something took too long.
    fn on_timeout(
        &mut self,
        ws: &WebSocket,
        kind: TimeoutKind,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (ws, kind);
        async { Ok(()) }
    }

    /// Called before [`on_close`](Self::on_close) if the peer broke the protocol, something took
    /// too long, or the stream failed.
    fn on_error(&mut self, error: &Error) -> impl Future<Output = HandlerResult> + Send {
        let _ = error;
        async { Ok(()) }
    }

    /// Called exactly once for every instance on which `on_connect` was called, whatever went wrong
    /// in between; [`CloseInfo::opened`] tells whether the connection ever opened. Nothing is
    /// called after it.
    fn on_close(&mut self, info: CloseInfo) -> impl Future<Output = HandlerResult> + Send {
        let _ = info;
        async { Ok(()) }
    }
}

/// A server's protocol instance as the driver sees it.
pub(super) struct ServerHandler<P>(pub(super) P);

impl_handler!(ServerHandler, WebSocketServerProtocol);
