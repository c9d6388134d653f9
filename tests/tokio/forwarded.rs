//! Peers behind proxies.

use crate::wire::{Raw, request, status};
use motorway::{
    ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, Message, Peer, Router,
    ServerOptions, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::net::SocketAddr;
use tokio::io::{AsyncWriteExt, DuplexStream};

/// Sends back who the peer is, as the request and the handle have it.
struct Who(String);

impl WebSocketServerProtocol for Who {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        self.0 = request.peer().to_string();
        Ok(ConnectionAccept::default())
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message<'_>) -> HandlerResult {
        assert_eq!(self.0, ws.peer().to_string());
        Ok(ws.send(self.0.as_str()).await?)
    }
}

const PROXY: &str = "10.0.0.1:50000";

fn factory(options: ServerOptions) -> WebSocketServerFactory<Who> {
    let mut factory = WebSocketServerFactory::new(|| Who(String::new()));
    factory.set_protocol_options(options).unwrap();
    factory
}

fn open(options: ServerOptions, peer: &str) -> Raw<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(4096);
    let peer: SocketAddr = peer.parse().unwrap();
    let factory = factory(options);
    tokio::spawn(async move { factory.serve_stream_from(ours, peer.into()).await });
    Raw::client(theirs)
}

/// Opens with these octets before the handshake, in pieces of this size; returns who we are.
async fn who(mut peer: Raw<DuplexStream>, octets: &[u8], piece: usize) -> String {
    for octets in octets.chunks(piece) {
        // Who is dropped gets rid of the rest no more.
        let _ = peer.stream.write_all(octets).await;
        tokio::task::yield_now().await;
    }
    let Some(head) = peer.try_head().await else {
        return "dropped".to_owned();
    };
    if status(&head) != 101 {
        return status(&head).to_string();
    }
    peer.text("who?").await;
    let answer = peer.frame().await.payload;
    peer.say_goodbye().await;
    String::from_utf8(answer).unwrap()
}

fn trusting() -> ServerOptions {
    ServerOptions::default().proxy_protocol(["10.0.0.0/8"])
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_tells_the_peer_first() {
    let tcp4 = b"PROXY TCP4 192.0.2.1 10.0.0.9 1234 80\r\n".to_vec();
    let unknown = b"PROXY UNKNOWN\r\n".to_vec();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let request = request("").into_bytes();
    for piece in [1, 7, 4096] {
        for (header, expected) in [
            (&tcp4, "tcp4:192.0.2.1:1234"),
            (&unknown, "tcp4:10.0.0.1:50000"),
            (&local, "tcp4:10.0.0.1:50000"),
            (&Vec::new(), "dropped"),
            (&tcp4[..20].to_vec(), "dropped"),
            (&tcp4.repeat(2), "400"),
        ] {
            let octets = [&header[..], &request].concat();
            let found = who(open(trusting(), PROXY), &octets, piece).await;
            assert_eq!(found, expected, "{piece}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_not_believed() {
    let octets = format!("PROXY TCP4 192.0.2.1 10.0.0.9 1234 80\r\n{}", request(""));
    let stranger = "11.0.0.1:1";
    for options in [trusting(), ServerOptions::default()] {
        let found = who(open(options, stranger), octets.as_bytes(), 4096).await;
        assert_eq!(found, "400");
    }
    let found = who(open(trusting(), stranger), request("").as_bytes(), 4096).await;
    assert_eq!(found, "tcp4:11.0.0.1:1");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_dropped_in_time() {
    let mut peer = open(trusting(), PROXY);
    peer.write("PROXY").await;
    let start = tokio::time::Instant::now();
    assert_eq!(peer.rest().await, b"");
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn x_forwarded_for_goes_beyond_the_proxy_protocol() {
    let header = "X-Forwarded-For: 9.9.9.9, 203.0.113.7, 10.0.0.2\r\n";
    let proxied = format!("PROXY UNKNOWN\r\n{}", request(header));
    for (options, octets, expected) in [
        (trusting().trust_x_forwarded_for(2), proxied, "203.0.113.7"),
        (
            ServerOptions::default().trust_x_forwarded_for(1),
            request(header),
            "10.0.0.2",
        ),
        (
            ServerOptions::default(),
            request(header),
            "tcp4:10.0.0.1:50000",
        ),
    ] {
        let found = who(open(options, PROXY), octets.as_bytes(), 4096).await;
        assert_eq!(found, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_believes_for_its_routes() {
    let mut router = Router::new().route("/", factory(ServerOptions::default()));
    let options = trusting().trust_x_forwarded_for(1);
    router.set_protocol_options(options).unwrap();
    let (ours, theirs) = tokio::io::duplex(4096);
    let peer = Peer::from(PROXY.parse::<SocketAddr>().unwrap());
    tokio::spawn(router.serve_stream_from(ours, peer));
    let octets = format!("PROXY UNKNOWN\r\n{}", request("X-Forwarded-For: ::1\r\n"));
    assert_eq!(
        who(Raw::client(theirs), octets.as_bytes(), 4096).await,
        "::1"
    );
}
