//! What a factory does on a listener of its own, it does mounted: the same requests, to both.

use crate::http2::connect_on;
use crate::world::{Raw, frame, request, serve, soon, until};
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use motorway::{
    CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, Error, HandlerResult, Message,
    Observed, Observer, Peer, Server, ServerOptions, Stats, StatusCode, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// What callbacks and an observer were told, in order.
#[derive(Clone, Debug, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Journal {
    fn opened(&self, connection: &Observed<'_>) {
        self.note(format!("opened {}", connection.path));
    }

    fn refused(&self, _: &Peer, error: &Error) {
        self.note(format!("refused: {error:?}"));
    }

    fn closed(&self, _: &Observed<'_>, info: &CloseInfo, stats: &Stats) {
        self.note(format!("closed: {info}, {stats:?}"));
    }
}

/// Does what the path says, and notes it.
struct Scripted(Journal);

impl WebSocketServerProtocol for Scripted {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        self.0.note(format!("on_connect {}", request.target()));
        match request.path() {
            "/denied" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).reason("no, no")),
            "/moved" => Err(ConnectionDeny::new(StatusCode::FOUND).header("location", "/here")),
            "/unchanged" => Err(ConnectionDeny::new(StatusCode::NOT_MODIFIED).body("body")),
            "/panics" => panic!("as asked"),
            "/unoffered" => Ok(ConnectionAccept::new().protocol("unoffered")),
            "/reserved" => Ok(ConnectionAccept::new().header("content-length", "5")),
            "/wrong" => {
                let options = ServerOptions::default().max_connections(0);
                Ok(ConnectionAccept::new().options(options.max_header_size(0)))
            }
            _ => Ok(ConnectionAccept::new().header("x-own", "1")),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.0.note("on_open");
        Ok(ws.send("welcome").await?)
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        self.0.note("on_message");
        match message.as_text() {
            Some("fail") => Err(std::io::Error::other("as asked").into()),
            Some("panic") => panic!("as asked"),
            _ => Ok(()),
        }
    }

    async fn on_error(&mut self, error: &Error) -> HandlerResult {
        self.0.note(format!("on_error: {error:?}"));
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        self.0.note(format!("on_close: {info}"));
        Ok(())
    }
}

struct World {
    factory: WebSocketServerFactory<Scripted>,
    journal: Journal,
    address: SocketAddr,
    _server: Option<Server>,
}

/// The same factory mounted, and on a listener of its own.
async fn both(options: ServerOptions) -> [World; 2] {
    let mut worlds = Vec::new();
    for is_mounted in [true, false] {
        let journal = Journal::default();
        let noting = journal.clone();
        let mut factory = WebSocketServerFactory::new(move || Scripted(noting.clone()));
        factory.set_protocol_options(options.clone()).unwrap();
        factory.set_observer(journal.clone());
        let (address, server) = if is_mounted {
            let app = Router::new().fallback_service(factory.clone().into_service());
            (serve(app).await, None)
        } else {
            let server = factory.listen("127.0.0.1:0").await.unwrap();
            (server.local_addr(), Some(server))
        };
        worlds.push(World {
            factory,
            journal,
            address,
            _server: server,
        });
    }
    worlds.try_into().ok().unwrap()
}

impl World {
    /// Sends octets, and returns the status of the answer, its body, and what was noted once the
    /// connection is over.
    async fn run(&self, asked: &str, then: &[u8]) -> (String, Vec<u8>, Vec<String>) {
        let mut raw = Raw::connect(self.address).await;
        let answer = raw.ask(asked).await;
        raw.send(then).await;
        if answer.status().contains(" 101 ") {
            soon(raw.0.read_to_end(&mut Vec::new())).await.ok();
        }
        drop(raw);
        until(|| self.factory.connection_count() == 0).await;
        let noted = self.journal.take();
        (answer.status().to_owned(), answer.body, noted)
    }
}

/// Asks both for the same, and expects the same of them.
async fn compare(cases: Vec<(String, Vec<u8>)>) {
    let options = ServerOptions::default()
        .allowed_origins(["self"])
        .protocols(["chat"]);
    let [mounted, own] = both(options).await;
    for (asked, then) in cases {
        let got = mounted.run(&asked, &then).await;
        assert_eq!(got, own.run(&asked, &then).await, "{asked}");
        assert!(!got.2.is_empty(), "{asked}");
    }
}

fn valid() -> String {
    request("/chat?room=1", "Sec-WebSocket-Protocol: chat\r\n")
}

#[tokio::test]
async fn those_who_get_in_are_told_the_same() {
    let close = frame(0x88, b"\x03\xe8");
    let after = |payload: &[u8]| [frame(0x81, payload), close.clone()].concat();
    let whole = "GET http://server.example.com/chat";
    let cases = [
        (valid(), close.clone()),
        (valid(), frame(0x88, b"\x0f\xa0why")),
        (valid(), after(b"fail")),
        (valid(), after(b"panic")),
        (valid(), frame(0xf1, b"reserved bits")),
        (valid(), frame(0x81, b"\xff not utf-8")),
        (
            valid().replace("websocket", "h2c, WebSocket"),
            close.clone(),
        ),
        (valid().replace("GET /chat", whole), close.clone()),
    ];
    compare(cases.to_vec()).await;
}

#[tokio::test]
async fn those_who_do_not_are_told_the_same() {
    let mut cases: Vec<_> = ["denied", "moved", "unchanged", "panics"]
        .into_iter()
        .chain(["unoffered", "reserved", "wrong"])
        .map(|path| request(&format!("/{path}"), ""))
        .collect();
    cases.extend(
        [
            "Origin: https://other.example",
            "Content-Length: 1",
            "Sec-WebSocket-Extensions: ;",
            "Sec-WebSocket-Protocol: a, a",
        ]
        .map(|line| request("/", &format!("{line}\r\n"))),
    );
    cases.extend(
        [
            ("Upgrade: websocket", "Upgrade: h2c, foo"),
            ("Connection: Upgrade", "Connection: close"),
            ("Version: 13", "Version: 12"),
            ("GET ", "POST "),
            ("GET /chat", "GET http://other.example/chat"),
            ("/chat?room=1", "*"),
        ]
        .map(|(from, to)| valid().replace(from, to)),
    );
    cases.extend(
        ["GET / HTTP/1.1\r\nHost: a", "DELETE / HTTP/1.1\r\nHost: a"]
            .into_iter()
            .chain(["GET / HTTP/1.1\r\nHost: a b"])
            .map(|head| format!("{head}\r\n\r\n")),
    );
    let cases = cases.into_iter().map(|asked| (asked, Vec::new()));
    compare(cases.collect()).await;
}

// Who asks for a URL of `https` does not make a connection secure.
#[tokio::test]
async fn a_request_does_not_say_that_it_is_secure() {
    let worlds = both(ServerOptions::default().allowed_origins(["self"])).await;
    let asked = request(
        "https://server.example.com/",
        "Origin: https://server.example.com\r\n",
    );
    for world in worlds {
        let answer = Raw::connect(world.address).await.ask(&asked).await;
        assert!(answer.status().contains("403"), "{}", answer.status());
    }
}

#[tokio::test]
async fn a_shutdown_of_the_factory_waits_for_streams() {
    let journal = Journal::default();
    let noting = journal.clone();
    let factory = WebSocketServerFactory::new(move || Slow(noting.clone()));
    let (near, far) = tokio::io::duplex(1 << 16);
    let serving = tokio::spawn(factory.serve_stream(near));
    let connector = motorway::Connector::new("ws://localhost/").unwrap();
    let mut ws = soon(connector.connect_stream(far)).await.unwrap();
    let (closed, shut_down) = tokio::join!(
        soon(ws.recv()),
        factory.shutdown(1001, "", Duration::from_secs(20)),
    );
    assert_eq!(closed.unwrap(), None);
    shut_down.unwrap();
    assert_eq!(journal.take(), ["on_close has ended"]);
    assert_eq!(factory.connection_count(), 0);
    assert!(soon(serving).await.unwrap().unwrap().was_clean);
}

/// Takes a while to end.
struct Slow(Journal);

impl WebSocketServerProtocol for Slow {
    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.note("on_close has ended");
        Ok(())
    }
}

// What is not polled cannot be dropped by anybody else.
#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_forever_for_what_nobody_runs() {
    let factory = WebSocketServerFactory::new(|| Slow(Journal::default()));
    let (near, _far) = tokio::io::duplex(1 << 16);
    let mut serving = std::pin::pin!(factory.serve_stream(near));
    tokio::select! {
        biased;
        _ = &mut serving => panic!("nobody asks"),
        () = std::future::ready(()) => {}
    }
    let shutdown = factory.shutdown(1001, "", Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(600), shutdown)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(factory.connection_count(), 1);
}

// RFC 9110 §9.3.2: no content for HEAD; hyper frames HTTP/2 as it is told.
#[tokio::test]
async fn a_refusal_of_head_has_no_content_over_http2() {
    let factory = WebSocketServerFactory::new(|| Slow(Journal::default()));
    factory
        .shutdown(1001, "", Duration::from_secs(1))
        .await
        .unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let upgrading = factory.upgrade(&mut request);
        async move { upgrading.await.map(|(response, _)| response) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(far), service));
    let mut sender = connect_on(near).await;
    let asked = Request::head("http://a/").body(()).unwrap();
    let (response, _) = sender.send_request(asked, true).unwrap();
    let response = soon(response).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("content-length"));
    let content = soon(response.into_body().data()).await;
    assert!(content.is_none(), "{content:?}");
}
