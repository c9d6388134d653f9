//! A thousand WebSockets on one TCP connection.

use crate::server::{Goodbye, Server, builder, echoes};
use crate::wire::within;
use motorway::{ClientOptions, CloseCause, CloseCode, Connector, Http2Connection, WebSocketStream};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const MANY: usize = 1000;

async fn world() -> (Connector, Http2Connection, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connector =
        Connector::new(format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
    let options = ClientOptions::default().open_handshake_timeout(Duration::from_secs(300));
    connector.set_protocol_options(options).unwrap();
    let accepting = async { Server::start(builder(), listener.accept().await.unwrap().0) };
    let (http2, server) = tokio::join!(within(connector.connect_http2()), accepting);
    (connector, http2.unwrap(), server)
}

async fn talk(mut ws: WebSocketStream, number: usize) {
    for round in 0..5 {
        let text = format!("{number}/{round}");
        ws.send(&*text).await.unwrap();
        ws.send(vec![number.to_le_bytes()[0]; 300]).await.unwrap();
        assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), text);
        let binary = within(ws.recv_bytes()).await.unwrap().unwrap();
        assert_eq!(binary, vec![number.to_le_bytes()[0]; 300]);
    }
    within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    let info = within(ws.handle().closed()).await;
    assert!(info.was_clean, "{info:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_websockets_get_their_own_messages_back() {
    let (connector, http2, server) = world().await;
    echoes(server);
    let mut open = Vec::new();
    for _ in 0..MANY {
        open.push(within(connector.connect_over(&http2)).await.unwrap());
    }
    let mut talks = JoinSet::new();
    for (number, ws) in open.into_iter().enumerate() {
        talks.spawn(talk(ws, number));
    }
    while let Some(talked) = talks.join_next().await {
        talked.unwrap();
    }
    let stats = connector.stats();
    assert_eq!(stats.messages_received, 10 * MANY as u64);
    assert!(http2.is_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_learn_that_tcp_was_cut() {
    let (connector, http2, mut server) = world().await;
    let (mut open, mut channels) = (Vec::new(), Vec::new());
    for _ in 0..MANY {
        let accepting = async { server.accept().await };
        let (ws, channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
        open.push(ws.unwrap());
        channels.push(channel);
    }
    server.go(Goodbye::Cut);
    for mut ws in open {
        while let Ok(Some(_)) = within(ws.recv()).await {}
        let info = within(ws.handle().closed()).await;
        assert_eq!((info.code, info.was_clean), (CloseCode::ABNORMAL, false));
        assert!(matches!(info.cause, CloseCause::Io(_)), "{info:?}");
    }
    assert!(!http2.is_open());
}
