//! As `futures`, for those that make connections, servers and publications, and for octets.

use crate::futures::{WORDS, World, each, open, poll_times, run};
use crate::trickle::Trickle;
use crate::wire::{Raw, response, within};
use motorway::frame::Opcode;
use motorway::{
    Connector, HandlerResult, Hub, Message, Overflow, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol, WebSocketStream,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

impl WebSocketClientProtocol for Echo {}

#[test]
fn connecting() {
    run(async {
        let polls = each(async |times| {
            let (ours, theirs) = tokio::io::duplex(9_000);
            let peer = tokio::spawn(async move {
                let mut peer = Raw::server(theirs);
                if let Some(request) = peer.try_head().await {
                    let response = response(&request, "");
                    // Fails where nobody listens any more.
                    let _ = peer.stream.write_all(response.as_bytes()).await;
                }
                peer.rest().await
            });
            let connector = Connector::new("ws://localhost/").unwrap();
            let connected =
                poll_times(connector.connect_stream(Trickle::new(ours, 5)), times).await;
            let done = connected.map(|ws| drop(ws.unwrap())).is_some();
            // Whatever it came to, the stream ends with it.
            within(peer).await.unwrap();
            done
        })
        .await;
        assert!(polls > 20, "{polls}: it did not wait");
    });
}

#[test]
fn reading_octets() {
    run(async {
        let polls = each(async |times| {
            let World { ws, peer } = open(1).await;
            let mut io = ws.into_io();
            let mut buffer = [0; 64];
            // Text is no octets: that is an error, which is told until somebody has heard it.
            let read = poll_times(io.read(&mut buffer), times).await;
            match &read {
                Some(read) => assert!(read.is_err()),
                None => drop(within(io.read(&mut buffer)).await.unwrap_err()),
            }
            let frames = within(peer).await.unwrap();
            assert_eq!(frames.last().unwrap().code(), 1003);
            drop(io);
            read.is_some()
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}

#[test]
fn writing_octets() {
    run(async {
        let polls = each(async |times| {
            let (ours, theirs) = tokio::io::duplex(9_000);
            let peer = tokio::spawn(async move {
                let mut peer = Raw::server(theirs);
                let request = peer.head().await;
                peer.write(response(&request, "")).await;
                let mut octets = 0;
                loop {
                    let frame = peer.frame().await;
                    if frame.opcode == Opcode::Close {
                        peer.send(frame).await;
                        return octets;
                    }
                    octets += frame.payload.len();
                }
            });
            let connector = Connector::new("ws://localhost/").unwrap();
            let ws = within(connector.connect_stream(Trickle::new(ours, 9_000)))
                .await
                .unwrap();
            let mut io = ws.into_io();
            let mut expected = 0;
            // Until it would wait.
            while let Some(written) = poll_times(io.write(&[1; 16_000]), 1).await {
                expected += written.unwrap();
            }
            let written = poll_times(io.write(b"x"), times).await;
            expected += written
                .as_ref()
                .map_or(0, |written| *written.as_ref().unwrap());
            let flushed = poll_times(io.flush(), times / 2).await;
            let shut = poll_times(io.shutdown(), times / 8).await;
            within(io.shutdown()).await.unwrap();
            assert_eq!(within(peer).await.unwrap(), expected);
            written.is_some() && flushed.is_some() && shut.is_some()
        })
        .await;
        assert!(polls > 20, "{polls}: it did not wait");
    });
}

#[test]
fn pairs_in_memory() {
    run(async {
        let polls = each(async |times| {
            let server = WebSocketServerFactory::new(|| Echo);
            let client = WebSocketClientFactory::new("ws://localhost/", || Echo).unwrap();
            let pair = poll_times(motorway::testing::pair(&server, &client), times).await;
            let done = pair.is_some();
            if let Some(pair) = pair {
                pair.unwrap().client.abort();
            }
            within(async {
                while server.connection_count() > 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            done
        })
        .await;
        assert!(polls > 1, "{polls}: it did not wait");
    });
}

/// Waits until a server has so many connections.
async fn until(factory: &WebSocketServerFactory<Echo>, count: usize) {
    within(async {
        while factory.connection_count() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connecting_by_tcp() {
    let server = WebSocketServerFactory::new(|| Echo);
    let listening = server.listen("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listening.local_addr());
    let connector = Connector::new(&url).unwrap();
    let client = WebSocketClientFactory::new(&url, || Echo).unwrap();
    let polls = each(async |times| {
        let stream = poll_times(connector.connect(), times)
            .await
            .map(Result::unwrap);
        let free = poll_times(motorway::connect(&url), times)
            .await
            .map(Result::unwrap);
        let ws = poll_times(client.connect(), times)
            .await
            .map(Result::unwrap);
        let ran = poll_times(client.run(), times).await;
        assert!(ran.is_none(), "nobody closes it");
        if let Some(ws) = &ws {
            // It runs by itself.
            within(ws.ping("")).await.unwrap();
            ws.abort();
        }
        let done = stream.is_some() && free.is_some() && ws.is_some();
        drop((stream, free));
        until(&server, 0).await;
        done
    })
    .await;
    assert!(polls > 1, "{polls}: it did not wait");
}

#[tokio::test]
async fn waiting_for_the_next_connection() {
    let server = WebSocketServerFactory::new(|| Echo);
    let listening = server.listen("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listening.local_addr());
    let polls = each(async |times| {
        let mut connections = Connector::new(&url).unwrap().reconnecting();
        let first = poll_times(connections.next(), times).await;
        let done = first.is_some();
        let ws = match first {
            Some(ws) => ws.unwrap(),
            None => within(connections.next()).await.unwrap(),
        };
        // One that goes on where it was has not made two.
        ws.send("x").await.unwrap();
        until(&server, 1).await;
        drop(ws);
        drop(connections);
        until(&server, 0).await;
        done
    })
    .await;
    assert!(polls > 1, "{polls}: it did not wait");
}

/// Waits until nobody listens there.
async fn free(address: SocketAddr) {
    within(async {
        while TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn listening() {
    // A port that was free a moment ago.
    let probe = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let factory = WebSocketServerFactory::new(|| Echo);
    each(async |times| {
        let handler = |mut ws: WebSocketStream| async move {
            while ws.recv().await?.is_some() {}
            Ok(())
        };
        let listening = poll_times(factory.listen(address), times).await;
        let mut done = listening.map(|server| drop(server.unwrap())).is_some();
        free(address).await;
        let all = poll_times(factory.listen_all([address.to_string()]), times).await;
        done &= all.map(|server| drop(server.unwrap())).is_some();
        free(address).await;
        let served = poll_times(motorway::serve(address, handler), times).await;
        done &= served.map(|server| drop(server.unwrap())).is_some();
        free(address).await;
        done
    })
    .await;
}

#[test]
fn publishing() {
    run(async {
        for way in 0..4 {
            let polls = each(async |times| {
                let hub = Hub::in_memory();
                let world = open(9_000).await;
                let ws = world.handle();
                hub.set_overflow(&ws, Overflow::wait()).unwrap();
                hub.join(&ws, "topic").unwrap();
                let filled = match way {
                    // The one that publishes does not keep up, so it waits.
                    0 | 1 => world.fill(),
                    _ => 0,
                };
                let done = match way {
                    0 => poll_times(hub.publish_from(&ws, "topic", "x"), times).await,
                    1 => poll_times(hub.publish_except(&ws, "topic", "x"), times).await,
                    2 => poll_times(hub.publish("topic", "x"), times).await,
                    _ => poll_times(hub.broadcast("x"), times).await,
                };
                let done = done.map(Result::unwrap).is_some();
                let frames = world.finish(&WORDS).await;
                let published = usize::from(done && way != 1);
                assert_eq!(frames.len(), filled + published, "{way}");
                done
            })
            .await;
            assert_eq!(polls > 1, way < 2, "{way}: {polls}");
        }
    });
}

#[test]
fn events_of_a_hub() {
    run(async {
        let polls = each(async |times| {
            let hub = Hub::in_memory();
            let mut events = hub.events();
            let world: World = open(9_000).await;
            let ws = world.handle();
            let joining = hub.clone();
            let joins = tokio::spawn(async move {
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                joining.join(&ws, "topic").unwrap();
            });
            let event = poll_times(events.next(), times).await;
            let done = event.is_some();
            let event = match event {
                Some(event) => event,
                None => within(events.next()).await,
            };
            assert!(format!("{event:?}").contains("topic"), "{event:?}");
            within(joins).await.unwrap();
            done
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}
