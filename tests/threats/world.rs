//! Raw octets against a real end: a server that listens, or a client that dialled, which echo.

pub(crate) use crate::octets::*;
use motorway::{
    ClientOptions, CloseInfo, HandlerResult, Message, Server, ServerOptions, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

/// Waits, but not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    let output = timeout(Duration::from_secs(60), future).await;
    output.expect("it hangs")
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "never: {what}");
}

pub(crate) trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Octets for S {}

/// A peer that reads and writes octets.
pub(crate) struct Raw {
    pub(crate) stream: Box<dyn Octets>,
    buffer: Vec<u8>,
    taken: usize,
}

impl Raw {
    pub(crate) fn on(stream: impl Octets + 'static) -> Self {
        let (buffer, taken) = (Vec::new(), 0);
        Self {
            stream: Box::new(stream),
            buffer,
            taken,
        }
    }

    pub(crate) async fn dial(server: &Server) -> Self {
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::on(stream)
    }

    /// Writes; tells whether the other end took it all.
    pub(crate) async fn write(&mut self, octets: impl AsRef<[u8]>) -> bool {
        let written = within(self.stream.write_all(octets.as_ref())).await;
        written.is_ok() && within(self.stream.flush()).await.is_ok()
    }

    /// Reads more; false at the end of the stream.
    async fn fill(&mut self) -> bool {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let read = within(self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(1..))
    }

    /// Reads a head of HTTP; what there is of it if the stream ends before it does.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&rest[..end + 4]).into_owned();
                self.taken += end + 4;
                return head;
            }
            if !self.fill().await {
                return String::from_utf8_lossy(&self.buffer).into_owned();
            }
        }
    }

    /// Reads a frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Came> {
        loop {
            if let Some((came, length)) = decode(&self.buffer[self.taken..]) {
                self.taken += length;
                return Some(came);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads all that comes until the stream ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }
}

/// What an instance was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Open,
    Message(usize),
    Close { code: u16, was_clean: bool },
}

/// Echoes, and writes down what it was told.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    told: Arc<Mutex<Vec<Told>>>,
    opened: UnboundedSender<WebSocket>,
}

impl Echo {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    fn open(&self, ws: &WebSocket) -> HandlerResult {
        self.tell(Told::Open);
        Ok(self.opened.send(ws.clone())?)
    }

    async fn message(&self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        self.tell(Told::Message(message.len()));
        Ok(ws.send(message).await?)
    }

    fn close(&self, info: &CloseInfo) -> HandlerResult {
        let code = info.code.as_u16();
        self.tell(Told::Close {
            code,
            was_clean: info.was_clean,
        });
        Ok(())
    }
}

macro_rules! echoes {
    ($protocol:ident) => {
        impl $protocol for Echo {
            async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
                self.open(ws)
            }
            async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
                self.message(ws, message).await
            }
            async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
                self.close(&info)
            }
        }
    };
}
echoes!(WebSocketServerProtocol);
echoes!(WebSocketClientProtocol);

/// A factory of servers that echo, and what its instances tell.
pub(crate) struct World {
    pub(crate) factory: WebSocketServerFactory<Echo>,
    pub(crate) told: Arc<Mutex<Vec<Told>>>,
    pub(crate) opened: UnboundedReceiver<WebSocket>,
}

impl World {
    pub(crate) fn new(options: ServerOptions) -> Self {
        let (told, (sender, opened)) = (Arc::default(), unbounded_channel());
        let echo = Echo {
            told: Arc::clone(&told),
            opened: sender,
        };
        let mut factory = WebSocketServerFactory::new(move || echo.clone());
        factory.set_protocol_options(options).unwrap();
        Self {
            factory,
            told,
            opened,
        }
    }

    /// A server on the loopback.
    pub(crate) async fn listen(&self) -> Server {
        self.factory.listen("127.0.0.1:0").await.unwrap()
    }
}

/// A server of default options, which echoes.
pub(crate) async fn echo_server() -> (Server, World) {
    let world = World::new(ServerOptions::default());
    (world.listen().await, world)
}

/// Sends a request to a server of default options, and returns the status of the answer and all that
/// comes until it closes; 101 at once where it opens.
pub(crate) async fn ask(server: &Server, octets: impl AsRef<[u8]>) -> (u16, String) {
    let mut raw = Raw::dial(server).await;
    raw.write(octets).await;
    let mut head = raw.head().await;
    if status(&head) != 101 {
        head.push_str(&String::from_utf8_lossy(&raw.rest().await));
    }
    (status(&head), head)
}

/// An open connection of ours, from the peer's place.
pub(crate) struct Talk {
    pub(crate) name: &'static str,
    pub(crate) raw: Raw,
    masks: Masks,
    pub(crate) ws: WebSocket,
    pub(crate) told: Arc<Mutex<Vec<Told>>>,
    /// The server, where it is the one under test.
    _server: Option<Server>,
}

impl Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Compresses nothing that is short, so that it can be read here.
pub(crate) fn deflate() -> motorway::DeflateOptions {
    motorway::DeflateOptions::default().threshold(1000)
}

/// Both ends in default options, with these lines in the opening handshake.
pub(crate) async fn both_ends(lines: &str) -> [Talk; 2] {
    let (mut server, mut client) = (ServerOptions::default(), ClientOptions::default());
    if lines == DEFLATE {
        server = server.per_message_deflate(deflate());
        client = client.per_message_deflate(deflate());
    }
    [
        Talk::to_server(server, lines).await,
        Talk::to_client(client, lines).await,
    ]
}

impl Talk {
    /// With a server, as a client.
    pub(crate) async fn to_server(options: ServerOptions, lines: &str) -> Self {
        let mut world = World::new(options);
        let server = world.listen().await;
        let mut raw = Raw::dial(&server).await;
        raw.write(request(lines)).await;
        let head = raw.head().await;
        assert_eq!(status(&head), 101, "{head}");
        let ws = within(world.opened.recv()).await.unwrap();
        let (name, masks, told) = ("server", Masks::Yes, world.told);
        Self {
            name,
            raw,
            masks,
            ws,
            told,
            _server: Some(server),
        }
    }

    /// With a client, as a server.
    pub(crate) async fn to_client(options: ClientOptions, lines: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (told, (sender, mut opened)) = (Arc::default(), unbounded_channel());
        let echo = Echo {
            told: Arc::clone(&told),
            opened: sender,
        };
        let mut factory = WebSocketClientFactory::new(url, move || echo.clone()).unwrap();
        factory.set_protocol_options(options).unwrap();
        tokio::spawn(async move { factory.run().await });
        let (stream, _) = within(listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Raw::on(stream);
        let head = raw.head().await;
        raw.write(response(&head, lines)).await;
        let ws = within(opened.recv()).await.unwrap();
        let (name, masks) = ("client", Masks::No);
        Self {
            name,
            raw,
            masks,
            ws,
            told,
            _server: None,
        }
    }

    pub(crate) fn frame(&self, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        frame(first, payload.as_ref(), self.masks)
    }

    /// The bit that says that a frame of this peer is masked.
    pub(crate) fn mask_bit(&self) -> u8 {
        if self.masks == Masks::Yes { 0x80 } else { 0 }
    }

    pub(crate) async fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) -> bool {
        let octets = self.frame(first, payload);
        self.raw.write(octets).await
    }

    pub(crate) async fn next(&mut self) -> Came {
        let frame = self.raw.frame().await;
        frame.unwrap_or_else(|| panic!("{self:?} has ended"))
    }

    /// A message comes back.
    pub(crate) async fn assert_echoes(&mut self) {
        self.send(TEXT, "still there?").await;
        let came = self.next().await;
        assert_eq!(came.payload, b"still there?", "{self:?}");
    }

    /// Reads to the end, and says what the last frame was; asks that the connection is finished: no
    /// frame after the close frame, no callback after the last one, nothing that can still be sent.
    pub(crate) async fn ended(mut self) -> u16 {
        let mut code = 0;
        while let Some(came) = self.raw.frame().await {
            assert_eq!(code, 0, "{self:?}: {came:?} after the close frame");
            code = came.code();
        }
        // Ends TCP, for which the other end waits.
        self.raw = Raw::on(tokio::io::empty());
        within(self.ws.closed()).await;
        assert!(
            self.ws.send("more").await.is_err(),
            "{self:?} is still usable"
        );
        let is_close = |told: &&Told| matches!(told, Told::Close { .. });
        let told = Arc::clone(&self.told);
        until("on_close", || {
            told.lock().unwrap().iter().any(|told| is_close(&told))
        })
        .await;
        let told = self.told.lock().unwrap();
        assert_eq!(
            told.iter().filter(is_close).count(),
            1,
            "{self:?}: {told:?}"
        );
        assert!(
            told.last().is_some_and(|told| is_close(&told)),
            "{self:?}: {told:?}"
        );
        code
    }
}
