//! Futures that are dropped before they are done.

use crate::server::{Asked, Server, builder, connected, duplex, open, pair};
use crate::wire::within;
use h2::Reason;
use motorway::{Connector, WebSocketClientFactory, WebSocketClientProtocol};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncReadExt;

struct Silent;

impl WebSocketClientProtocol for Silent {}

/// Lets the other tasks run that can run now.
async fn others_run() {
    for _ in 0..30 {
        tokio::task::yield_now().await;
    }
}

/// Answers what asks, unless it was given up.
async fn answer(asked: Asked) -> Option<crate::server::Channel> {
    let mut channel = asked.open();
    others_run().await;
    let mut context = Context::from_waker(Waker::noop());
    match channel.outflow.poll_reset(&mut context) {
        Poll::Pending => Some(channel),
        _ => None,
    }
}

#[tokio::test]
async fn a_websocket_that_is_given_up_leaves_nothing_behind() {
    let (near, far) = duplex();
    let factory = WebSocketClientFactory::new(crate::server::URL, || Silent).unwrap();
    let mut server = Server::start(builder(), far);
    let http2 = within(factory.connect_http2_stream(near)).await.unwrap();
    let mut finished = false;
    for polls in 0.. {
        {
            let mut connecting = pin!(factory.connect_over(&http2));
            let mut context = Context::from_waker(Waker::noop());
            let mut channel = None;
            for _ in 0..polls {
                if connecting.as_mut().poll(&mut context).is_ready() {
                    finished = true;
                    break;
                }
                others_run().await;
                if let Some(asked) = server.was_asked() {
                    // The answer comes one poll later.
                    channel = match polls % 2 {
                        0 => answer(asked).await,
                        _ => {
                            drop(asked);
                            None
                        }
                    };
                }
            }
            drop(channel);
        }
        others_run().await;
        if finished {
            break;
        }
        assert!(factory.connections().is_empty());
        if let Some(mut asked) = server.was_asked() {
            assert_eq!(asked.given_up().await, Reason::CANCEL);
        }
        assert!(http2.is_open());
        assert!(polls < 100);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_reset() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (handle, over) = (http2.clone(), connector);
    let asking = tokio::spawn(async move { over.connect_over(&handle).await });
    let mut asked = server.asked().await;
    asking.abort();
    assert_eq!(asked.given_up().await, Reason::CANCEL);
    assert!(http2.is_open());
}

#[tokio::test]
async fn a_connection_that_is_given_up_is_dropped() {
    let connector = Connector::new("ws://localhost/").unwrap();
    for polls in 0..4 {
        let (near, mut far) = duplex();
        {
            let mut connecting = pin!(connector.connect_http2_stream(near));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                assert!(connecting.as_mut().poll(&mut context).is_pending());
                others_run().await;
            }
        }
        // What was written, and the end.
        within(far.read_to_end(&mut Vec::new())).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_is_given_up_loses_nothing() {
    let connector = Connector::new("ws://localhost/").unwrap();
    let (http2, mut server) = connected(&connector, builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    for number in 0..20 {
        {
            let mut receiving = pin!(ws.recv());
            let mut context = Context::from_waker(Waker::noop());
            assert!(receiving.as_mut().poll(&mut context).is_pending());
        }
        channel
            .send(crate::wire::Wire::text(&number.to_string()))
            .await;
        let text = within(ws.recv_text()).await.unwrap().unwrap();
        assert_eq!(text, number.to_string());
    }
}
