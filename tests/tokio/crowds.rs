//! Crowds of clients on several threads, while their server shuts down.

#![cfg(target_os = "linux")]

use motorway::{
    CloseCode, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, Error,
    HandlerResult, ListenAddress, Message, Server, ServerOptions, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CLIENTS: usize = 24;
const LONG: Duration = Duration::from_secs(60);

/// What the instances of a factory have seen.
#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    opened: AtomicUsize,
    echoed: AtomicUsize,
    closed: AtomicUsize,
    unclean: AtomicUsize,
    wanted: AtomicUsize,
    enough: Notify,
}

struct Echo(Arc<Seen>);

fn add(count: &AtomicUsize) -> usize {
    count.fetch_add(1, Ordering::SeqCst) + 1
}

fn read(count: &AtomicUsize) -> usize {
    count.load(Ordering::SeqCst)
}

impl WebSocketServerProtocol for Echo {
    async fn on_connect(
        &mut self,
        _: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        add(&self.0.asked);
        tokio::task::yield_now().await;
        Ok(ConnectionAccept::new())
    }

    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        add(&self.0.opened);
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        if add(&self.0.echoed) >= read(&self.0.wanted) {
            self.0.enough.notify_one();
        }
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        add(&self.0.closed);
        if info.opened && !info.was_clean {
            add(&self.0.unclean);
        }
        Ok(())
    }
}

/// Connects time and again until nobody is there; returns how many echoes came.
async fn client(url: String) -> usize {
    let mut heard = 0;
    loop {
        let mut ws = match motorway::connect(&url).await {
            Ok(ws) => ws,
            Err(Error::Handshake(error)) if error.status() == 503 => return heard,
            Err(Error::Connect(_)) => return heard,
            Err(Error::Io(error)) => {
                let gone = [
                    ErrorKind::ConnectionReset,
                    ErrorKind::NotConnected,
                    ErrorKind::UnexpectedEof,
                    ErrorKind::BrokenPipe,
                ];
                assert!(gone.contains(&error.kind()), "{error:?}");
                return heard;
            }
            Err(error) => panic!("{error:?}"),
        };
        for number in 0..40 {
            if ws.send(format!("{number}")).await.is_err() {
                break;
            }
            match ws.recv().await.unwrap() {
                Some(message) => assert_eq!(message, format!("{number}").into()),
                None => break,
            }
            heard += 1;
        }
        let info = ws.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(info.was_clean, "{info:?}");
    }
}

/// Ends a server in the midst of its clients, after so many echoes.
async fn end_amidst(server: Server, seen: &Arc<Seen>, echoes: usize) {
    seen.wanted.store(echoes, Ordering::SeqCst);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let addresses = server.addresses();
        let address = &addresses[number % addresses.len()];
        let url = match address.path() {
            Some(path) => format!("ws://unix:{}", path.display()),
            None => format!("ws://127.0.0.1:{}", address.port().unwrap()),
        };
        clients.spawn(client(url));
    }
    if echoes > 0 {
        timeout(LONG, seen.enough.notified()).await.unwrap();
    }
    let shutdown = server.shutdown(1001, "bye", 2 * LONG);
    timeout(LONG, shutdown).await.unwrap().unwrap();
    let mut heard = 0;
    while let Some(ended) = timeout(LONG, clients.join_next()).await.unwrap() {
        heard += ended.unwrap();
    }
    assert_eq!(heard, read(&seen.echoed), "echoes heard");
    assert_eq!(read(&seen.asked), read(&seen.closed), "instances told");
    assert!(read(&seen.opened) <= read(&seen.asked));
    assert_eq!(read(&seen.unclean), 0);
}

fn factory() -> (WebSocketServerFactory<Echo>, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let shared = Arc::clone(&seen);
    let mut factory = WebSocketServerFactory::new(move || Echo(Arc::clone(&shared)));
    // Nobody is to be given up only because the machine is busy.
    let options = ServerOptions::default().open_handshake_timeout(LONG);
    let options = options.close_handshake_timeout(LONG);
    factory.set_protocol_options(options).unwrap();
    (factory, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn workers_that_shut_down_lose_nothing_and_do_not_hang() {
    let workers = NonZeroUsize::new(4).unwrap();
    for echoes in [0, 1, 30, 1500] {
        let (factory, seen) = factory();
        let server = factory.listen_workers("127.0.0.1:0", workers).await;
        let server = server.unwrap();
        let address = server.local_addr();
        end_amidst(server, &seen, echoes).await;
        assert_eq!(factory.connection_count(), 0);
        // The port is free again, on all threads.
        drop(std::net::TcpListener::bind(address).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_listeners_that_shut_down_lose_nothing_and_do_not_hang() {
    let path = std::env::temp_dir().join(format!("motorway-crowd-{}", std::process::id()));
    for echoes in [0, 1, 30, 1500] {
        let (factory, seen) = factory();
        let addresses = [
            ListenAddress::tcp("127.0.0.1", 0),
            ListenAddress::tcp("127.0.0.1", 0),
            ListenAddress::unix(&path),
        ];
        let server = factory.listen_all(addresses).await.unwrap();
        assert_eq!(server.addresses().len(), 3);
        end_amidst(server, &seen, echoes).await;
        assert_eq!(factory.connection_count(), 0);
        assert!(!path.exists());
    }
}
