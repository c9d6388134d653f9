//! Servers that allow so many streams at once (RFC 9113 §5.1.2).

use crate::server::{builder, connected, echoes, open, pair};
use crate::wire::within;
use motorway::{ClientOptions, CloseCode, Connector, Error, TimeoutKind};
use std::sync::Arc;
use std::time::Duration;

fn narrow(places: u32) -> h2::server::Builder {
    let mut builder = builder();
    builder.max_concurrent_streams(places);
    builder
}

#[tokio::test]
async fn a_websocket_waits_for_a_place() {
    let (connector, http2, mut server) = pair(narrow(1)).await;
    let connector = Arc::new(connector);
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    let (asking, over) = (Arc::clone(&connector), http2.clone());
    let waiting = tokio::spawn(async move { asking.connect_over(&over).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished() && server.was_asked().is_none());
    drop(ws);
    channel.left().await;
    drop(channel);
    let _channel = server.accept().await;
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_websocket_does_not_wait_longer_than_the_handshake_may_take() {
    let mut connector = Connector::new("ws://localhost/").unwrap();
    let options = ClientOptions::default().open_handshake_timeout(Duration::from_secs(3));
    connector.set_protocol_options(options).unwrap();
    let (http2, mut server) = connected(&connector, narrow(1)).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    let error = within(connector.connect_over(&http2)).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Timeout(TimeoutKind::OpeningHandshake)
    ));
    // Who has given up takes no place from those who come later.
    drop(ws);
    channel.left().await;
    drop(channel);
    let accepting = async {
        loop {
            let mut asked = server.asked().await;
            // The one that was given up may be seen, and is reset at once.
            let given_up = asked.given_up();
            if tokio::time::timeout(Duration::from_millis(10), given_up)
                .await
                .is_err()
            {
                return asked.open();
            }
        }
    };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
    ws.unwrap();
}

// Many more than there are places, each for a short time.
#[tokio::test]
async fn all_get_their_turn() {
    let (connector, http2, server) = pair(narrow(3)).await;
    echoes(server);
    let connector = Arc::new(connector);
    let talks: Vec<_> = (0..50)
        .map(|number: u32| {
            let (connector, http2) = (Arc::clone(&connector), http2.clone());
            tokio::spawn(async move {
                let mut ws = connector.connect_over(&http2).await.unwrap();
                ws.send(number.to_string()).await.unwrap();
                assert_eq!(ws.recv_text().await.unwrap().unwrap(), number.to_string());
                ws.close(CloseCode::NORMAL, "").await.unwrap();
            })
        })
        .collect();
    for talk in talks {
        within(talk).await.unwrap();
    }
}
