//! A protocol that writes down every callback and does what a test tells it to.

use crate::wire::{Raw, request, response, settle, status, within};
use motorway::{
    ClientOptions, CloseInfo, ConnectingRequest, ConnectionAccept, ConnectionDeny,
    ConnectionRequest, ConnectionResponse, Error, HandlerResult, Message, MessageKind, Payload,
    Receive, Result, SendError, ServerOptions, Stream, TimeoutKind, TransportDetails, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

/// A callback and what it is about.
#[derive(Debug)]
pub(crate) enum What {
    Open(WebSocket),
    Message(WebSocket, Message<'static>),
    Piece(WebSocket),
    Ping(WebSocket, Vec<u8>),
    Pong(WebSocket, Vec<u8>),
    AutoPong,
    Drain,
    Timeout,
    Error,
    Close,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Hook = Arc<dyn Fn(What) -> Boxed<HandlerResult> + Send + Sync>;
type Verdict = std::result::Result<ConnectionAccept, ConnectionDeny>;
type Connect = Arc<dyn Fn(ConnectionRequest) -> Boxed<Verdict> + Send + Sync>;
type Connecting = Arc<dyn Fn() -> Result<Option<ConnectingRequest>> + Send + Sync>;
type Connected = Arc<dyn Fn() -> HandlerResult + Send + Sync>;

/// What is written down.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    info: Option<CloseInfo>,
    ws: Option<WebSocket>,
}

impl Log {
    pub(crate) fn push(&self, line: impl Into<String>) {
        self.0.lock().unwrap().lines.push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.clone()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|other| *other == line).count()
    }

    /// What `on_close` was given.
    pub(crate) fn info(&self) -> CloseInfo {
        self.0
            .lock()
            .unwrap()
            .info
            .clone()
            .expect("on_close was called")
    }

    /// The handle that `on_open` was given.
    pub(crate) fn ws(&self) -> WebSocket {
        self.0
            .lock()
            .unwrap()
            .ws
            .clone()
            .expect("on_open was called")
    }
}

/// In which mode the probe receives.
pub(crate) trait Mode: Send + 'static {
    const RECEIVE: Receive = Receive::Messages;
    const AUTO_PONG: bool = true;
}

pub(crate) struct Messages;
impl Mode for Messages {}
pub(crate) struct Frames;
impl Mode for Frames {
    const RECEIVE: Receive = Receive::Frames;
}
pub(crate) struct Pieces;
impl Mode for Pieces {
    const RECEIVE: Receive = Receive::Stream;
}
pub(crate) struct NoPong;
impl Mode for NoPong {
    const AUTO_PONG: bool = false;
}

/// The protocol.
pub(crate) struct Probe<M> {
    hook: Hook,
    connect: Connect,
    connecting: Connecting,
    connected: Connected,
    log: Log,
    mode: PhantomData<fn() -> M>,
}

impl<M> Clone for Probe<M> {
    fn clone(&self) -> Self {
        Self {
            hook: Arc::clone(&self.hook),
            connect: Arc::clone(&self.connect),
            connecting: Arc::clone(&self.connecting),
            connected: Arc::clone(&self.connected),
            log: self.log.clone(),
            mode: PhantomData,
        }
    }
}

/// A probe that does this in its callbacks.
pub(crate) fn probe<F>(hook: impl Fn(What) -> F + Send + Sync + 'static) -> Probe<Messages>
where
    F: Future<Output = HandlerResult> + Send + 'static,
{
    Probe {
        hook: Arc::new(move |what| Box::pin(hook(what))),
        connect: Arc::new(|_| Box::pin(async { Ok(ConnectionAccept::default()) })),
        connecting: Arc::new(|| Ok(None)),
        connected: Arc::new(|| Ok(())),
        log: Log::default(),
        mode: PhantomData,
    }
}

/// A probe that does nothing but take notes.
pub(crate) fn quiet() -> Probe<Messages> {
    probe(|_| async { Ok(()) })
}

/// A probe that sends messages back.
pub(crate) fn echo() -> Probe<Messages> {
    probe(|what| async move {
        if let What::Message(ws, message) = what {
            ws.send(message).await?;
        }
        Ok(())
    })
}

impl<M: Mode> Probe<M> {
    pub(crate) fn mode<N: Mode>(self) -> Probe<N> {
        let Self {
            hook,
            connect,
            connecting,
            connected,
            log,
            ..
        } = self;
        Probe {
            hook,
            connect,
            connecting,
            connected,
            log,
            mode: PhantomData,
        }
    }

    /// Sets what a server's `on_connect` does.
    pub(crate) fn on_connect<F>(
        mut self,
        connect: impl Fn(ConnectionRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        self.connect = Arc::new(move |request| Box::pin(connect(request)));
        self
    }

    /// Sets what a client's `on_connecting` does.
    pub(crate) fn on_connecting(
        mut self,
        connecting: impl Fn() -> Result<Option<ConnectingRequest>> + Send + Sync + 'static,
    ) -> Self {
        self.connecting = Arc::new(connecting);
        self
    }

    /// Sets what a client's `on_connect` does.
    pub(crate) fn on_connected(
        mut self,
        connected: impl Fn() -> HandlerResult + Send + Sync + 'static,
    ) -> Self {
        self.connected = Arc::new(connected);
        self
    }

    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    pub(crate) fn factory(&self, options: ServerOptions) -> WebSocketServerFactory<Self> {
        let probe = self.clone();
        let mut factory = WebSocketServerFactory::new(move || probe.clone());
        factory
            .set_protocol_options(options)
            .expect("valid options");
        factory
    }

    pub(crate) fn client(&self, options: ClientOptions) -> WebSocketClientFactory<Self> {
        let probe = self.clone();
        let mut factory =
            WebSocketClientFactory::new("ws://localhost/", move || probe.clone()).unwrap();
        factory
            .set_protocol_options(options)
            .expect("valid options");
        factory
    }

    async fn call(&mut self, line: impl Into<String>, what: What) -> HandlerResult {
        self.log.push(line);
        (self.hook)(what).await
    }
}

macro_rules! callbacks {
    () => {
        const RECEIVE: Receive = M::RECEIVE;
        const AUTO_PONG: bool = M::AUTO_PONG;

        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            self.log.0.lock().unwrap().ws = Some(ws.clone());
            self.call("open", What::Open(ws.clone())).await
        }
        async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
            let line = match message.as_text() {
                Some(text) if text.len() < 100 => format!("message {text}"),
                Some(text) => format!("message of {}", text.len()),
                None if message.is_text() => format!("unchecked of {}", message.len()),
                None => format!("binary of {}", message.len()),
            };
            self.call(line, What::Message(ws.clone(), message.into_owned()))
                .await
        }
        async fn on_message_begin(&mut self, ws: &WebSocket, kind: MessageKind) -> HandlerResult {
            self.call(format!("begin {kind:?}"), What::Piece(ws.clone()))
                .await
        }
        async fn on_message_frame_begin(&mut self, ws: &WebSocket, length: u64) -> HandlerResult {
            self.call(format!("frame begin {length}"), What::Piece(ws.clone()))
                .await
        }
        async fn on_message_frame_data(
            &mut self,
            ws: &WebSocket,
            chunk: Payload<'_>,
        ) -> HandlerResult {
            let line = format!("data {}", String::from_utf8_lossy(&chunk));
            self.call(line, What::Piece(ws.clone())).await
        }
        async fn on_message_frame_end(&mut self, ws: &WebSocket) -> HandlerResult {
            self.call("frame end", What::Piece(ws.clone())).await
        }
        async fn on_message_frame(
            &mut self,
            ws: &WebSocket,
            payload: Payload<'_>,
        ) -> HandlerResult {
            let line = format!("frame {}", String::from_utf8_lossy(&payload));
            self.call(line, What::Piece(ws.clone())).await
        }
        async fn on_message_end(&mut self, ws: &WebSocket) -> HandlerResult {
            self.call("end", What::Piece(ws.clone())).await
        }
        async fn on_ping(&mut self, ws: &WebSocket, payload: &[u8]) -> HandlerResult {
            let line = format!("ping {}", String::from_utf8_lossy(payload));
            self.call(line, What::Ping(ws.clone(), payload.to_vec()))
                .await
        }
        async fn on_pong(&mut self, ws: &WebSocket, payload: &[u8]) -> HandlerResult {
            self.call("pong", What::Pong(ws.clone(), payload.to_vec()))
                .await
        }
        async fn on_auto_pong(&mut self, _: &WebSocket, rtt: Duration) -> HandlerResult {
            let line = format!("auto pong {}", rtt.as_millis());
            self.call(line, What::AutoPong).await
        }
        async fn on_drain(&mut self, _: &WebSocket) -> HandlerResult {
            self.call("drain", What::Drain).await
        }
        async fn on_timeout(&mut self, _: &WebSocket, kind: TimeoutKind) -> HandlerResult {
            self.call(format!("timeout {kind:?}"), What::Timeout).await
        }
        async fn on_error(&mut self, error: &Error) -> HandlerResult {
            let text = format!("{error:#?}");
            let kind = text.split(['(', ' ']).next().unwrap_or_default();
            self.call(format!("error {kind}"), What::Error).await
        }
        async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
            self.log.0.lock().unwrap().info = Some(info.clone());
            self.call("close", What::Close).await
        }
    };
}

impl<M: Mode> WebSocketServerProtocol for Probe<M> {
    async fn on_connect(&mut self, request: &ConnectionRequest) -> Verdict {
        self.log.push("connect");
        (self.connect)(request.clone()).await
    }
    callbacks!();
}

impl<M: Mode> WebSocketClientProtocol for Probe<M> {
    async fn on_connecting(&mut self, _: &TransportDetails) -> Result<Option<ConnectingRequest>> {
        self.log.push("connecting");
        (self.connecting)()
    }
    async fn on_connect(&mut self, _: &ConnectionResponse) -> HandlerResult {
        self.log.push("connect");
        (self.connected)()
    }
    callbacks!();
}

/// A connection between our end, in a task, and a peer by hand.
pub(crate) struct Session {
    pub(crate) peer: Raw<DuplexStream>,
    pub(crate) log: Log,
    pub(crate) task: JoinHandle<Result<CloseInfo>>,
}

impl Session {
    pub(crate) fn ws(&self) -> WebSocket {
        self.log.ws()
    }

    /// Waits for the end of the connection.
    pub(crate) async fn end(self) -> CloseInfo {
        let Self { peer, task, .. } = self;
        drop(peer);
        within(task).await.expect("no panic").expect("it opened")
    }
}

/// How much fits on the way between the two ends.
pub(crate) const PIPE: usize = 16 << 10;

/// The request for compression, or its grant.
pub(crate) const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Above how many buffered octets `send` waits.
pub(crate) const HIGH_WATER: usize = 256 << 10;

/// Checks that something was refused because the connection is closing or closed.
pub(crate) fn is_closed<T: std::fmt::Debug>(result: Result<T>) {
    let closed = matches!(result, Err(Error::Send(SendError::Closed)));
    assert!(closed, "{result:?}");
}

/// Our end, by its options.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Server(ServerOptions),
    Client(ClientOptions),
}

/// Both ends with options that both have: `both_ends!(|options| options.max_fragments(3))`.
macro_rules! both_ends {
    (|$options:ident| $set:expr) => {{
        let $options = ::motorway::ServerOptions::default();
        let server = $crate::probe::End::Server($set);
        let $options = ::motorway::ClientOptions::default();
        [server, $crate::probe::End::Client($set)]
    }};
}
pub(crate) use both_ends;

impl End {
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Runs our end on a stream, in a task.
    pub(crate) fn start<M: Mode, S: Stream>(
        self,
        probe: &Probe<M>,
        ours: S,
    ) -> JoinHandle<Result<CloseInfo>> {
        match self {
            Self::Server(options) => tokio::spawn(probe.factory(options).serve_stream(ours)),
            Self::Client(options) => {
                let factory = probe.client(options);
                tokio::spawn(async move { factory.run_stream(ours).await })
            }
        }
    }

    /// Opens a connection.
    pub(crate) async fn open<M: Mode>(self, probe: &Probe<M>) -> Session {
        self.open_on(probe, tokio::io::duplex(PIPE), "").await.0
    }

    /// Opens a connection on these two ends of a stream, with these headers from the peer; returns
    /// the head of our request or response, too.
    pub(crate) async fn open_on<M: Mode, S: Stream>(
        self,
        probe: &Probe<M>,
        (ours, theirs): (S, DuplexStream),
        headers: &str,
    ) -> (Session, String) {
        let is_server = self.is_server();
        let log = probe.log();
        let task = self.start(probe, ours);
        let mut peer = match is_server {
            true => Raw::client(theirs),
            false => Raw::server(theirs),
        };
        if is_server {
            peer.write(request(headers)).await;
        }
        let head = peer.head().await;
        match is_server {
            true => assert_eq!(status(&head), 101, "{head}"),
            false => peer.write(response(&head, headers)).await,
        }
        settle().await;
        (Session { peer, log, task }, head)
    }
}

/// Opens a connection to a server.
pub(crate) async fn open<M: Mode>(probe: &Probe<M>, options: ServerOptions) -> Session {
    End::Server(options).open(probe).await
}

/// Opens a connection to a server with these headers and this much room on the way; returns the
/// head of the response, too.
pub(crate) async fn open_with<M: Mode>(
    probe: &Probe<M>,
    options: ServerOptions,
    (headers, room): (&str, usize),
) -> (Session, String) {
    let end = End::Server(options);
    end.open_on(probe, tokio::io::duplex(room), headers).await
}

/// Opens a connection of a client to a server by hand.
pub(crate) async fn open_client<M: Mode>(probe: &Probe<M>, options: ClientOptions) -> Session {
    End::Client(options).open(probe).await
}

/// As `open_client`, with these headers in the response; returns the request, too.
pub(crate) async fn open_client_with<M: Mode>(
    probe: &Probe<M>,
    options: ClientOptions,
    headers: &str,
) -> (Session, String) {
    let end = End::Client(options);
    end.open_on(probe, tokio::io::duplex(PIPE), headers).await
}
