//! Messages there and back.

use crate::server::{Server, builder, connected, duplex, echoes, open, pair};
use crate::wire::{Wire, within};
use http::Response;
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCode, Connector, DeflateOptions, HandlerResult, Message, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[tokio::test]
async fn both_kinds_of_messages_come_back() {
    let (connector, http2, server) = pair(builder()).await;
    echoes(server);
    let mut ws = within(connector.connect_over(&http2)).await.unwrap();
    ws.send("Hello").await.unwrap();
    ws.send(&[0u8, 255, 1][..]).await.unwrap();
    ws.send("").await.unwrap();
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "Hello");
    let binary = within(ws.recv_bytes()).await.unwrap().unwrap();
    assert_eq!(binary[..], [0, 255, 1]);
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "");
    within(ws.close(CloseCode::NORMAL, "bye")).await.unwrap();
    let info = within(ws.handle().closed()).await;
    assert!(info.was_clean && info.code == CloseCode::NORMAL, "{info:?}");
    assert_eq!(info.reason, "bye");
}

// Larger than all windows of both ends.
#[tokio::test]
async fn a_large_message_comes_back() {
    let (connector, http2, server) = pair(builder()).await;
    echoes(server);
    let mut ws = within(connector.connect_over(&http2)).await.unwrap();
    let large: Vec<u8> = (0..5 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
    for _ in 0..2 {
        ws.send(&large[..]).await.unwrap();
        let back = within(ws.recv_bytes()).await.unwrap().unwrap();
        assert!(back == large);
    }
}

#[tokio::test]
async fn what_is_sent_together_goes_in_one_frame_of_http2() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    // Large enough to be kept apart from what is before it.
    let large = ws.handle().clone();
    assert!(large.try_send("small").is_ok());
    assert!(large.try_send(vec![7; 9000]).is_ok());
    assert!(large.try_send("small").is_ok());
    let octets = within(channel.body.data()).await.unwrap().unwrap();
    assert_eq!(octets.len(), 2 * (2 + 4 + 5) + 2 + 2 + 4 + 9000);
}

#[tokio::test]
async fn messages_are_compressed_where_both_agree() {
    let mut connector = Connector::new("ws://localhost/").unwrap();
    let options = ClientOptions::default()
        .protocols(["b", "a"])
        .per_message_deflate(DeflateOptions::default());
    connector.set_protocol_options(options).unwrap();
    let (http2, mut server) = connected(&connector, builder()).await;
    let accepting = async {
        let asked = server.asked().await;
        let response = Response::builder()
            .header("sec-websocket-protocol", "a")
            .header("sec-websocket-extensions", "permessage-deflate");
        asked.answer(response.body(()).unwrap())
    };
    let (ws, mut channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
    let mut ws = ws.unwrap();
    assert_eq!(ws.subprotocol(), Some("a"));
    let text = "compress ".repeat(1000);
    for _ in 0..2 {
        ws.send(&*text).await.unwrap();
        let frame = channel.frame().await;
        assert!(frame.rsv1 && frame.payload.len() < 200, "{frame:?}");
        channel.send(frame).await;
        assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), text);
    }
}

struct Listener(mpsc::UnboundedSender<String>);

impl WebSocketClientProtocol for Listener {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send("from the instance").await?)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let _ = self.0.send(message.into_text()?.to_string());
        Ok(ws.close(CloseCode::NORMAL, "").await?)
    }
}

#[tokio::test]
async fn protocol_instances_run_over_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echoes(Server::start(builder(), stream)).await.unwrap();
    });
    let (sender, mut told) = mpsc::unbounded_channel();
    let make = move || Listener(sender.clone());
    let factory = WebSocketClientFactory::new(url, make).unwrap();
    let http2 = within(factory.connect_http2()).await.unwrap();
    assert!(http2.is_open());
    let info = within(factory.run_over(&http2)).await.unwrap();
    assert!(info.is_ok(), "{info:?}");
    assert_eq!(told.recv().await.unwrap(), "from the instance");
    let ws = within(factory.connect_over(&http2)).await.unwrap();
    let info = within(ws.closed()).await;
    assert!(info.is_ok(), "{info:?}");
    assert_eq!(told.recv().await.unwrap(), "from the instance");
    assert!(factory.connections().is_empty());
    let stats = factory.stats();
    let messages = (stats.messages_sent, stats.messages_received);
    assert_eq!(messages, (2, 2), "{stats:?}");
    assert_eq!(http2.transport().peer(), ws.peer());
}

#[tokio::test]
async fn pings_are_answered_in_both_directions() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    channel.send(Wire::ping("are you there?")).await;
    let pong = channel.frame().await;
    assert_eq!(pong, Wire::pong("are you there?"));
    let answering = async {
        let ping = channel.frame().await;
        assert_eq!(ping.opcode, Opcode::Ping);
        channel.send(Wire::pong(ping.payload)).await;
    };
    let (answered, ()) = tokio::join!(within(ws.handle().ping("x")), answering);
    answered.unwrap();
    drop(ws);
    channel.left().await;
}

// RFC 9113 §3.4: the preface comes before everything else.
#[tokio::test]
async fn a_client_with_prior_knowledge_begins_with_the_preface() {
    let (near, mut far) = duplex();
    let connector = Connector::new("ws://localhost/").unwrap();
    let connecting = tokio::spawn(async move { connector.connect_http2_stream(near).await });
    let mut preface = [0; 24];
    within(tokio::io::AsyncReadExt::read_exact(&mut far, &mut preface))
        .await
        .unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    connecting.abort();
}
