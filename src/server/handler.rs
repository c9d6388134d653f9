//! Servers made of a handler: one async function for each connection, on a stream.

use super::companion::{Calls, Companion};
use super::{Server, WebSocketServerFactory, WebSocketServerProtocol};
use crate::address::ListenAddress;
use crate::connection::CloseInfo;
use crate::error::{HandlerResult, Result};
use crate::handshake::server::{ConnectionAccept, ConnectionDeny, ConnectionRequest};
use crate::message::Message;
use crate::options::OptionsError;
use crate::stream::{Heads, Inbox, Owner, WebSocketStream};
use crate::transport::WebSocket;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Listens on an address and runs `handler` for each connection, with the default options.
///
/// Keep the [`Server`] that is returned: dropping it stops it at once. The handler runs in the task
/// of its connection. When it returns `Ok`, the connection is closed with 1000; an error or a panic
/// closes it with 1011, unless the error is one of
/// [`HandlerError::close`](crate::HandlerError::close), and is logged once.
/// [`WebSocketServerFactory::from_handler`] takes options.
///
/// ```no_run
/// use motorway::WebSocketStream;
///
/// #[tokio::main]
/// async fn main() -> motorway::Result<()> {
///     let server = motorway::serve("127.0.0.1:8765", |mut ws: WebSocketStream| async move {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok(())
///     })
///     .await?;
///     server.run_until(tokio::signal::ctrl_c()).await
/// }
/// ```
///
/// # Errors
///
/// Fails if the address is not valid, or cannot be resolved or bound.
///
/// # Cancel safety
///
/// Dropped before it resolves, it listens to nothing.
pub async fn serve<A, H, F>(address: A, handler: H) -> Result<Server>
where
    A: TryInto<ListenAddress>,
    OptionsError: From<A::Error>,
    H: Fn(WebSocketStream) -> F + Send + Sync + 'static,
    F: Future<Output = HandlerResult> + Send + 'static,
{
    let factory = WebSocketServerFactory::from_handler(handler);
    factory.listen(address).await
}

/// As [`serve`], with state that all handlers share: each is given a clone.
///
/// ```no_run
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// # async fn example() -> motorway::Result<()> {
/// let visits = Arc::new(AtomicUsize::new(0));
/// let server = motorway::serve_with("127.0.0.1:8765", visits, |ws, visits| async move {
///     let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
///     Ok(ws.send(format!("visit {visit}")).await?)
/// })
/// .await?;
/// server.run_until(tokio::signal::ctrl_c()).await
/// # }
/// ```
///
/// # Errors
///
/// Fails if the address is not valid, or cannot be resolved or bound.
///
/// # Cancel safety
///
/// Dropped before it resolves, it listens to nothing.
pub async fn serve_with<A, T, H, F>(address: A, state: T, handler: H) -> Result<Server>
where
    A: TryInto<ListenAddress>,
    OptionsError: From<A::Error>,
    T: Clone + Send + Sync + 'static,
    H: Fn(WebSocketStream, T) -> F + Send + Sync + 'static,
    F: Future<Output = HandlerResult> + Send + 'static,
{
    serve(address, move |ws| handler(ws, state.clone())).await
}

/// The protocol behind handlers; see [`WebSocketServerFactory::from_handler`].
pub struct HandlerProtocol {
    gate: Gate,
    inbox: Arc<Inbox>,
    handler: Arc<Calls>,
}

impl WebSocketServerFactory<HandlerProtocol> {
    /// Makes a factory that runs `handler` for each connection, with the default options.
    ///
    /// ```no_run
    /// use motorway::{DeflateOptions, ServerOptions, WebSocketServerFactory};
    ///
    /// # async fn example() -> motorway::Result<()> {
    /// let mut factory = WebSocketServerFactory::from_handler(|mut ws| async move {
    ///     while let Some(message) = ws.recv().await? {
    ///         ws.send(message).await?;
    ///     }
    ///     Ok(())
    /// });
    /// factory.set_protocol_options(
    ///     ServerOptions::default().per_message_deflate(DeflateOptions::default()),
    /// )?;
    /// factory.listen("127.0.0.1:8765").await?.run_until(tokio::signal::ctrl_c()).await
    /// # }
    /// ```
    ///
    /// # What you can rely on
    ///
    /// 1. The handler runs in the task of its connection. While it waits, whatever for, the
    ///    connection goes on, as it does [while nobody receives](WebSocketStream#while-nobody-receives).
    /// 2. It is not cancelled while the server runs, not even when its connection dies: `recv` then
    ///    fails, and `send`. It is dropped only at the deadline of a shutdown, or with the runtime.
    /// 3. Its end closes the connection: with 1000 after `Ok`, after an error or a panic with 1011,
    ///    unless the error says otherwise. What it sent before goes out first. If the stream was
    ///    given away to another task, that one still receives what comes until the close.
    /// 4. A shutdown closes the connection, upon which `recv` returns `None`, and waits for the
    ///    handler.
    pub fn from_handler<H, F>(handler: H) -> Self
    where
        H: Fn(WebSocketStream) -> F + Send + Sync + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let handler: Arc<Calls> = Arc::new(move |stream| Box::pin(handler(stream)));
        let gate = Gate::default();
        let make = move || HandlerProtocol {
            gate: Arc::clone(&gate),
            inbox: Arc::default(),
            handler: Arc::clone(&handler),
        };
        Self::beside(
            make,
            Some(|instance, ws, request| {
                let heads = Heads {
                    request,
                    response: None,
                };
                let inbox = Arc::clone(&instance.inbox);
                let owner = Owner::new(ws, Arc::clone(&inbox), heads);
                Companion::new(owner, inbox, Arc::clone(&instance.handler))
            }),
        )
    }
}

impl WebSocketServerFactory<HandlerProtocol> {
    /// Sets what accepts or denies valid requests, before there is a stream for the handler, as
    /// [`WebSocketServerProtocol::on_connect`] does. Set again, it replaces what was set before.
    ///
    /// The request is a copy. A panic is answered with 500.
    ///
    /// ```
    /// use motorway::{ConnectionAccept, ConnectionDeny, StatusCode, WebSocketServerFactory};
    ///
    /// let mut factory = WebSocketServerFactory::from_handler(|mut ws| async move {
    ///     Ok(ws.send("welcome").await?)
    /// });
    /// factory.on_connect(|request| async move {
    ///     match request.cookie("sid") {
    ///         Some(_) => Ok(ConnectionAccept::select(request.protocols(), ["chat"])),
    ///         None => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).reason("no session")),
    ///     }
    /// });
    /// ```
    pub fn on_connect<F, A>(&mut self, ask: F)
    where
        F: Fn(ConnectionRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Result<ConnectionAccept, ConnectionDeny>> + Send + 'static,
    {
        let ask: Ask = Arc::new(move |request| Box::pin(ask(request)));
        // All instances share the gate, and this one is made for nothing else.
        let gate = Arc::clone(&(self.shared.make)().gate);
        *gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(ask);
    }
}

#[cfg(feature = "axum")]
impl WebSocketServerFactory<HandlerProtocol> {
    /// Makes an instance whose handler is this one, in place of the factory's.
    pub(crate) fn handled_once<H, F>(&self, handler: H) -> HandlerProtocol
    where
        H: FnOnce(WebSocketStream) -> F + Send + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let handler = Mutex::new(Some(handler));
        let mut instance = (self.shared.make)();
        instance.handler = Arc::new(move |stream| {
            let handler = handler.lock();
            let handler = handler.unwrap_or_else(PoisonError::into_inner).take();
            Box::pin(async move {
                match handler {
                    Some(handler) => handler(stream).await,
                    // An instance has one connection.
                    None => Ok(()),
                }
            })
        });
        instance
    }
}

/// The user's function that accepts or denies.
type Ask = Arc<dyn Fn(ConnectionRequest) -> Asked + Send + Sync>;

type Asked = Pin<Box<dyn Future<Output = Result<ConnectionAccept, ConnectionDeny>> + Send>>;

/// The place for that function, which the instances of a factory share.
type Gate = Arc<Mutex<Option<Ask>>>;

impl WebSocketServerProtocol for HandlerProtocol {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let ask = self.gate.lock();
        let ask = ask.unwrap_or_else(PoisonError::into_inner).clone();
        match ask {
            Some(ask) => ask(request.clone()).await,
            None => Ok(ConnectionAccept::default()),
        }
    }

    fn on_message(
        &mut self,
        _: &WebSocket,
        message: Message<'_>,
    ) -> impl Future<Output = HandlerResult> + Send {
        self.inbox.push(message)
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        self.inbox.end();
        Ok(())
    }
}

impl Drop for HandlerProtocol {
    /// The driver may be dropped before the end.
    fn drop(&mut self) {
        self.inbox.end();
    }
}

impl fmt::Debug for HandlerProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerProtocol").finish_non_exhaustive()
    }
}
