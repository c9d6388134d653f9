//! Factories told apart by path.

use crate::wire::{Raw, Wire, header, request_for, status};
use motorway::{
    ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, HttpResponse, Peer, Router,
    ServerOptions, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;

/// Says which route it is of, and what the path told it.
struct Teller {
    route: &'static str,
    told: String,
}

impl WebSocketServerProtocol for Teller {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let room = request.path_param("room").unwrap_or("-");
        let query = request.param("q");
        self.told = format!("{} {room} {}", self.route, query.unwrap_or_default());
        Ok(ConnectionAccept::default())
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send(self.told.as_str()).await?)
    }
}

struct Other;

impl WebSocketServerProtocol for Other {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send(format!("other {}", ws.path())).await?)
    }
}

fn teller(route: &'static str) -> WebSocketServerFactory<Teller> {
    WebSocketServerFactory::new(move || Teller {
        route,
        told: String::new(),
    })
}

fn router() -> Router {
    let mut limited = teller("limited");
    let options = ServerOptions::default().max_connections(1);
    let options = options.allowed_origins(["https://a.com"]);
    limited.set_protocol_options(options).unwrap();
    let mut paged = WebSocketServerFactory::new(|| Other);
    paged.on_http(|request| async move {
        let page = request.path_param("page")?.to_owned();
        Some(HttpResponse::text(page))
    });
    Router::new()
        .route("/files/{*rest}", WebSocketServerFactory::new(|| Other))
        .route("/{room}", teller("any"))
        .route("/chat/{room}", teller("chat"))
        .route("/chat/lobby", teller("lobby"))
        .route("/limited", limited)
        .route("/pages/{page}", paged)
}

fn open(router: &Router) -> Raw<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(router.serve_stream_from(ours, Peer::Unknown));
    Raw::client(theirs)
}

async fn greeting(router: &Router, target: &str) -> String {
    let mut peer = open(router);
    // What comes with the request must not get lost on its way through the router.
    let early = peer.encode(Wire::ping("early"));
    peer.write([request_for(target, "").into_bytes(), early].concat())
        .await;
    let head = peer.head().await;
    match status(&head) {
        101 => {
            let text = peer.frame().await.payload;
            assert_eq!(peer.frame().await, Wire::pong("early"));
            peer.say_goodbye().await;
            String::from_utf8(text).unwrap()
        }
        status => status.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_path_decides_and_the_most_particular_route_wins() {
    let router = router();
    for (target, expected) in [
        ("/chat/lobby", "lobby - "),
        ("/chat/tea%20room?q=1", "chat tea room 1"),
        ("/chat", "any chat "),
        ("/files/a/b", "other /files/a/b"),
        ("http://localhost/chat/x", "chat x "),
        ("/limited", "limited - "),
        ("/", "404"),
        ("/chat/a/b", "404"),
        ("/nothing/here", "404"),
        ("/chat/%FF", "404"),
        ("/a#b", "400"),
    ] {
        assert_eq!(greeting(&router, target).await, expected, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_route_keeps_its_own_options_and_limit() {
    let router = router();
    let mut first = open(&router);
    first.write(request_for("/limited", "")).await;
    assert_eq!(status(&first.head().await), 101);
    assert_eq!(greeting(&router, "/limited").await, "503");
    assert_eq!(greeting(&router, "/chat/x").await, "chat x ");
    drop(first);
    let mut peer = open(&router);
    let origin = "Origin: https://b.com\r\n";
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    peer.write(request_for("/limited", origin)).await;
    assert_eq!(status(&peer.head().await), 403);
    let mut peer = open(&router);
    peer.write(request_for("/chat/x", origin)).await;
    assert_eq!(status(&peer.head().await), 101);
}

#[tokio::test(start_paused = true)]
async fn the_router_limits_all_together() {
    let mut router = router();
    router
        .set_protocol_options(ServerOptions::default().max_connections(1))
        .unwrap();
    let mut first = open(&router);
    first.write(request_for("/a", "")).await;
    assert_eq!(status(&first.head().await), 101);
    assert_eq!(router.connection_count(), 1);
    assert_eq!(greeting(&router, "/chat/x").await, "503");
    drop(first);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(router.connection_count(), 0);
    assert_eq!(greeting(&router, "/chat/x").await, "chat x ");
}

async fn get(router: &Router, target: &str) -> (u16, String) {
    let mut peer = open(router);
    peer.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .await;
    let head = peer.head().await;
    let body = String::from_utf8(peer.rest().await).unwrap();
    let length = header(&head, "content-length").unwrap();
    assert_eq!(length, body.len().to_string());
    (status(&head), body)
}

#[tokio::test(start_paused = true)]
async fn pages_come_from_the_route_or_else_from_the_router() {
    let mut router = router();
    assert_eq!(get(&router, "/pages/one").await, (200, "one".to_owned()));
    assert!(get(&router, "/chat/x").await.1.contains("WebSocket server"));
    assert_eq!(get(&router, "/").await.0, 404);
    router.on_http(|request| async move {
        (request.path() == "/").then(|| HttpResponse::html("<p>index</p>"))
    });
    assert_eq!(get(&router, "/").await, (200, "<p>index</p>".to_owned()));
    assert_eq!(get(&router, "/no/page").await.0, 404);
    assert_eq!(get(&router, "/pages/one").await, (200, "one".to_owned()));
}

#[tokio::test]
async fn a_router_listens_and_shuts_down() {
    let server = router().listen("127.0.0.1:0").await.unwrap();
    let mut peer = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    peer.write(request_for("/chat/x", "")).await;
    assert_eq!(status(&peer.head().await), 101);
    assert_eq!(peer.frame().await, Wire::text("chat x "));
    assert_eq!(server.connections().len(), 1);
    let stopping = tokio::spawn(server.run_until(async {}));
    assert_eq!(peer.frame().await.code(), 1001);
    peer.send(Wire::close(1001, "")).await;
    assert_eq!(peer.next().await, None);
    drop(peer);
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn patterns_that_cannot_be_are_told_when_it_is_to_listen() {
    for (one, two) in [("chat", "/"), ("/{a}", "/{b}"), ("/a", "/a"), ("/{a", "/")] {
        let router = Router::new()
            .route(one, teller("one"))
            .route(two, teller("two"));
        let error = router.listen("127.0.0.1:0").await.unwrap_err();
        let motorway::Error::Options(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.option(), "route");
        let (stream, _peer) = tokio::io::duplex(64);
        let served = router.serve_stream_from(stream, Peer::Unknown).await;
        assert!(served.is_err());
    }
}
