//! What connections share: threads, corks, wakers and ports; none of it leaks or starves.

use crate::probe::{What, echo, open, probe, quiet};
use crate::wire::{Raw, Wire, masked, request, settle, within};
use motorway::{CloseCode, HandlerResult, ServerOptions, WebSocket, WebSocketServerFactory};
use motorway::{Message, WebSocketClientFactory, WebSocketServerProtocol};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Never has to wait: first the request, then frames without end, until `left` reads are done.
struct Endless {
    head: Vec<u8>,
    frames: Vec<u8>,
    left: usize,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            buffer.put_slice(&head);
        } else if self.left > 0 {
            self.left -= 1;
            buffer.put_slice(&self.frames);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_stream_that_never_waits_lets_others_run() {
    let stream = Endless {
        head: request("").into_bytes(),
        frames: masked(&[Wire::text("x")]),
        left: 20_000,
    };
    let serving = quiet()
        .factory(ServerOptions::default())
        .serve_stream(stream);
    let task = tokio::spawn(serving);
    let mut turns = 0;
    while !task.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(turns > 100, "20,000 reads in {turns} turns");
}

/// Takes a microsecond for each message and pong.
struct Busy;

impl WebSocketServerProtocol for Busy {
    async fn on_message(&mut self, _: &WebSocket, _: Message<'_>) -> HandlerResult {
        spend_a_microsecond();
        Ok(())
    }

    async fn on_pong(&mut self, _: &WebSocket, _: &[u8]) -> HandlerResult {
        spend_a_microsecond();
        Ok(())
    }
}

fn spend_a_microsecond() {
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_micros(1) {}
}

#[test]
fn a_flood_of_small_messages_lets_others_run() {
    flood(&Wire::binary([]));
}

#[test]
fn a_flood_of_pongs_lets_others_run() {
    flood(&Wire::pong([]));
}

/// Floods a server with a frame, and measures how long others have to wait for their turn.
fn flood(frame: &Wire) {
    let (tell, told) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let factory = WebSocketServerFactory::new(|| Busy);
            let server = factory.listen("127.0.0.1:0").await.unwrap();
            tell.send(server.local_addr()).unwrap();
            let (start, mut worst) = (Instant::now(), Duration::ZERO);
            while start.elapsed() < Duration::from_secs(2) {
                let before = Instant::now();
                sleep(Duration::from_millis(1)).await;
                worst = worst.max(before.elapsed());
            }
            worst
        })
    });
    let mut peer = std::net::TcpStream::connect(told.recv().unwrap()).unwrap();
    peer.write_all(request("").as_bytes()).unwrap();
    assert!(peer.read(&mut [0; 1024]).unwrap() > 0);
    let flood = frame.clone().masked().encode().repeat(100_000);
    while peer.write_all(&flood).is_ok() {}
    let worst = server.join().unwrap();
    // Without sharing it is seconds; a build for tests on a busy machine is slow as it is.
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}

/// A stream that panics when it is told to.
struct Bomb {
    inner: DuplexStream,
    armed: Arc<AtomicBool>,
}

impl AsyncRead for Bomb {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bomb {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.armed.load(Ordering::SeqCst), "on purpose");
        Pin::new(&mut self.inner).poll_write(context, octets)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_ends_its_connection_and_reaches_no_other() {
    let armed = Arc::new(AtomicBool::new(false));
    let probe = echo();
    let (inner, theirs) = tokio::io::duplex(1 << 16);
    let bomb = Bomb {
        inner,
        armed: Arc::clone(&armed),
    };
    let factory = probe.factory(ServerOptions::default());
    let task = tokio::spawn(factory.serve_stream(bomb));
    let mut victim = Raw::client(theirs);
    victim.write(request("")).await;
    victim.head().await;
    let mut other = open(&echo(), ServerOptions::default()).await;
    armed.store(true, Ordering::SeqCst);
    victim.text("a secret").await;
    let info = task.await.unwrap().unwrap();
    assert!(!info.was_clean);
    assert_eq!(probe.log().count("close"), 1);
    other.peer.text("hello").await;
    assert_eq!(other.peer.frame().await, Wire::text("hello"));
}

/// Panics when it is dropped.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

#[tokio::test]
async fn on_close_comes_although_a_callback_panics_as_it_is_dropped() {
    let probe = probe(|what| async move {
        if let What::Message(..) = what {
            let _loud = Loud;
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let log = probe.log();
    let factory = probe.factory(ServerOptions::default());
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut peer = Raw::client(stream);
    peer.write(request("")).await;
    peer.head().await;
    peer.text("x").await;
    while log.count("message x") == 0 {
        tokio::task::yield_now().await;
    }
    let deadline = Duration::from_millis(10);
    let down = server.shutdown(CloseCode::GOING_AWAY, "", deadline).await;
    down.unwrap();
    assert_eq!(log.count("close"), 1);
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test]
async fn the_port_is_free_after_a_shutdown() {
    let factory = quiet().factory(ServerOptions::default());
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    let deadline = Duration::from_secs(1);
    let down = server.shutdown(CloseCode::GOING_AWAY, "", deadline).await;
    down.unwrap();
    TcpListener::bind(address).await.expect("a free port");
}

/// Counts how often it is woken, and asks the handle something then.
struct Nosy {
    ws: WebSocket,
    woken: AtomicUsize,
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        let _ = self.ws.buffered();
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_may_use_the_handle() {
    let session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let nosy = Arc::new(Nosy {
        ws: ws.clone(),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&nosy));
    let mut context = Context::from_waker(&waker);
    let mut closed = Box::pin(ws.closed());
    let mut ping = Box::pin(ws.ping("x"));
    assert!(closed.as_mut().poll(&mut context).is_pending());
    assert!(ping.as_mut().poll(&mut context).is_pending());
    ws.abort();
    settle().await;
    assert_eq!(nosy.woken.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_leaves_no_waker_behind() {
    let session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    while ws.try_send(vec![0; 64 << 10]).is_ok() {}
    let nosy = Arc::new(Nosy {
        ws: ws.clone(),
        woken: AtomicUsize::new(0),
    });
    let before = Arc::strong_count(&nosy);
    for _ in 0..100 {
        let waker = Waker::from(Arc::clone(&nosy));
        let mut context = Context::from_waker(&waker);
        let mut closed = Box::pin(ws.closed());
        let mut send = Box::pin(ws.send("more"));
        assert!(closed.as_mut().poll(&mut context).is_pending());
        assert!(send.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(Arc::strong_count(&nosy), before);
}

#[tokio::test(start_paused = true)]
async fn a_handle_keeps_nothing_of_the_instance_alive() {
    struct Instance(Arc<()>);
    impl WebSocketServerProtocol for Instance {
        async fn on_message(&mut self, _: &WebSocket, _: Message<'_>) -> HandlerResult {
            assert!(Arc::strong_count(&self.0) > 0);
            Ok(())
        }
        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            HANDLES.lock().unwrap().push(ws.clone());
            Ok(())
        }
    }
    static HANDLES: std::sync::Mutex<Vec<WebSocket>> = std::sync::Mutex::new(Vec::new());
    let held = Arc::new(());
    let shared = Arc::clone(&held);
    let factory = WebSocketServerFactory::new(move || Instance(Arc::clone(&shared)));
    let (ours, theirs) = tokio::io::duplex(4096);
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    peer.head().await;
    peer.send(Wire::close(1000, "")).await;
    while peer.next().await.is_some() {}
    drop(peer);
    task.await.unwrap().unwrap();
    drop(factory);
    assert_eq!(HANDLES.lock().unwrap().len(), 1);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_sent_right_after_connect_goes_out() {
    let server = echo().factory(ServerOptions::default());
    let server = server.listen("127.0.0.1:0").await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let probe = probe(move |what| {
        let tell = tell.clone();
        async move {
            if let What::Message(_, message) = what {
                tell.send(message.into_owned()).unwrap();
            }
            Ok(())
        }
    });
    let url = format!("ws://{}/", server.local_addr());
    let factory = WebSocketClientFactory::new(url, move || probe.clone()).unwrap();
    // On this thread, which is not the one that runs the connection.
    let ws = factory.connect().await.unwrap();
    sleep(Duration::from_millis(50)).await;
    ws.send("hello").await.unwrap();
    let echoed = within(told.recv()).await.unwrap();
    assert_eq!(echoed.into_text().unwrap(), "hello");
}

#[tokio::test]
async fn an_abort_does_not_undo_the_end_of_the_server() {
    let probe = probe(|what| async move {
        if let What::Message(..) = what {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let factory = probe.factory(ServerOptions::default());
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut peer = Raw::client(stream);
    peer.write(request("")).await;
    peer.head().await;
    peer.text("go").await;
    while probe.log().count("message go") == 0 {
        tokio::task::yield_now().await;
    }
    let ws = probe.log().ws();
    drop(server);
    ws.abort();
    let start = Instant::now();
    while factory.connection_count() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the callback was not dropped"
        );
        tokio::task::yield_now().await;
    }
}

/// An owner of octets that asks the handle something when it is dropped.
struct Owner(WebSocket, Vec<u8>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.buffered();
    }
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_payload_may_use_the_handle_when_it_is_dropped() {
    let session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let payload = bytes::Bytes::from_owner(Owner(ws.clone(), vec![0; 100 << 10]));
    ws.send(payload).await.unwrap();
    settle().await;
    assert!(ws.buffered() > 0);
    ws.abort();
    assert!(!within(ws.closed()).await.was_clean);
}
