//! Runtimes that end while their connections are busy, and what is left of these outside.

use crate::wire::within;
use motorway::{
    ClientOptions, CloseCode, Connector, DeflateOptions, HandlerResult, Hub, Message, Server,
    ServerOptions, WebSocket, WebSocketServerFactory, WebSocketServerProtocol, WebSocketStream,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How often instances were made, and dropped.
#[derive(Default)]
struct Lives {
    made: AtomicUsize,
    dropped: AtomicUsize,
    handles: Mutex<Vec<WebSocket>>,
}

/// Echoes; at `wait` it waits for ever.
struct Busy {
    lives: Arc<Lives>,
    hub: Hub,
}

impl WebSocketServerProtocol for Busy {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.lives.handles.lock().unwrap().push(ws.clone());
        self.hub.join(ws, "all")?;
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        if message.as_text() == Some("wait") {
            std::future::pending::<()>().await;
        }
        Ok(ws.send(message).await?)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // What a user's own drop may do: use the handles and the hub.
        for ws in &*self.lives.handles.lock().unwrap() {
            let _ = (ws.try_send("bye"), ws.buffered(), ws.is_open());
        }
        let _ = self.hub.member_count("all");
        self.lives.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(workers.max(1))
        .enable_all()
        .build()
        .unwrap()
}

struct World {
    lives: Arc<Lives>,
    hub: Hub,
    factory: WebSocketServerFactory<Busy>,
    server: Server,
    url: String,
}

async fn world() -> World {
    let lives = Arc::<Lives>::default();
    let hub = Hub::in_memory();
    let (alive, shared) = (Arc::clone(&lives), hub.clone());
    let mut factory = WebSocketServerFactory::new(move || {
        alive.made.fetch_add(1, Ordering::SeqCst);
        Busy {
            lives: Arc::clone(&alive),
            hub: shared.clone(),
        }
    });
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::from_millis(20))
        .auto_ping_timeout(Duration::from_secs(60))
        .per_message_deflate(DeflateOptions::default());
    factory.set_protocol_options(options).unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr());
    World {
        lives,
        hub,
        factory,
        server,
        url,
    }
}

async fn connect(url: &str) -> WebSocketStream {
    let mut connector = Connector::new(url).unwrap();
    let options = ClientOptions::default()
        .auto_ping_interval(Duration::from_millis(15))
        .auto_ping_timeout(Duration::from_secs(60))
        .open_handshake_timeout(Duration::from_secs(60))
        .per_message_deflate(DeflateOptions::default());
    connector.set_protocol_options(options).unwrap();
    within(connector.connect()).await.unwrap()
}

/// Talks until the connection ends, or for ever.
async fn chatter(mut ws: WebSocketStream, number: usize) -> usize {
    let mut heard = 0;
    if number.is_multiple_of(5) {
        let _ = ws.send("wait").await;
    }
    loop {
        if ws.send(vec![0; 100 + heard % 50_000]).await.is_err() {
            return heard;
        }
        match ws.recv().await {
            Ok(Some(_)) => heard += 1,
            _ => return heard,
        }
    }
}

/// Ends the runtime of the server, or of the clients, in the midst of everything.
fn ends_amidst(workers: usize, end: fn(Runtime)) {
    let (serving, dialing) = (runtime(workers), runtime(1));
    let world = serving.block_on(world());
    // A runtime of one thread runs only while somebody waits in it.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let url = world.url.clone();
            dialing.spawn(async move { chatter(connect(&url).await, number).await })
        })
        .collect();
    let factory = world.factory.clone();
    let thread = std::thread::spawn(move || {
        serving.block_on(async {
            let all = async {
                while factory.connection_count() < 20 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            within(all).await;
            let _ = stopped.await;
        });
        end(serving);
    });
    drop(stop);
    thread.join().expect("the runtime ends");
    let heard = dialing.block_on(async {
        let mut heard = 0;
        for client in clients {
            heard += within(client).await.expect("no client panics");
        }
        heard
    });
    assert!(heard > 0);
    // All of it is gone, and known to be.
    let World {
        lives,
        hub,
        factory,
        server,
        ..
    } = world;
    let handles = lives.handles.lock().unwrap().clone();
    dialing.block_on(async {
        for ws in &handles {
            let info = within(ws.closed()).await;
            assert!(!info.was_clean, "{info:?}");
            assert!(ws.try_send("late").is_err());
            within(ws.send("late")).await.unwrap_err();
            within(ws.ping("late")).await.unwrap_err();
        }
        within(hub.publish("all", "late")).await.unwrap();
    });
    let made = lives.made.load(Ordering::SeqCst);
    assert_eq!(lives.dropped.load(Ordering::SeqCst), made);
    assert_eq!(factory.connection_count(), 0);
    drop(server);
    assert_eq!(handles.len(), 20);
}

#[test]
fn a_servers_runtime_of_one_thread_is_dropped() {
    ends_amidst(0, drop);
}

#[test]
fn a_servers_runtime_of_two_threads_is_dropped() {
    ends_amidst(2, drop);
}

#[test]
fn a_servers_runtime_is_given_some_time() {
    ends_amidst(2, |runtime| {
        runtime.shutdown_timeout(Duration::from_secs(60))
    });
}

/// A client's stream outlives the runtime that ran it, with pings due and more to send than fits.
fn left_behind(use_it: impl AsyncFnOnce(WebSocketStream), workers: usize) {
    let (serving, dialing, other) = (runtime(1), runtime(workers), runtime(0));
    let world = serving.block_on(world());
    let ws = dialing.block_on(async {
        let ws = connect(&world.url).await;
        // The server does not read behind it.
        ws.send("wait").await.unwrap();
        let full = async {
            loop {
                ws.send_binary(vec![7; 100_000])
                    .uncompressed()
                    .await
                    .unwrap();
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(300), full).await;
        ws
    });
    let handle = ws.handle().clone();
    let unread = world.lives.handles.lock().unwrap().pop().unwrap();
    drop(dialing);
    other.block_on(use_it(ws));
    other.block_on(async {
        let info = within(handle.closed()).await;
        assert!(!info.was_clean, "{info:?}");
        within(handle.send("late")).await.unwrap_err();
    });
    unread.abort();
    drop(world);
}

#[test]
fn a_stream_whose_runtime_is_gone_is_dropped() {
    for workers in [0, 1] {
        left_behind(async |ws| drop(ws), workers);
    }
}

#[test]
fn a_stream_whose_runtime_is_gone_has_ended() {
    for workers in [0, 1] {
        left_behind(
            async |mut ws| {
                let end = async {
                    // What had arrived may be read.
                    while ws.recv().await?.is_some() {}
                    Ok::<_, motorway::Error>(())
                };
                within(end).await.unwrap_err();
            },
            workers,
        );
    }
}

#[test]
fn a_stream_whose_runtime_is_gone_can_be_closed() {
    for workers in [0, 1] {
        left_behind(
            async |mut ws| {
                let closing = ws.close(CloseCode::NORMAL, "");
                let info = within(closing).await.unwrap();
                assert!(!info.was_clean);
            },
            workers,
        );
    }
}

#[test]
fn who_waits_in_another_runtime_is_woken() {
    let (serving, dialing, other) = (runtime(1), runtime(1), runtime(1));
    let world = serving.block_on(world());
    let mut ws = dialing.block_on(connect(&world.url));
    let handle = ws.handle().clone();
    let receiving = other.spawn(async move { ws.recv().await });
    let closed = other.spawn(async move { handle.closed().await });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!receiving.is_finished());
    drop(dialing);
    other.block_on(async {
        assert!(!within(closed).await.unwrap().was_clean);
        within(receiving).await.unwrap().unwrap_err();
    });
}
