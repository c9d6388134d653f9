//! Servers made of handlers, against a client by hand.

use crate::wire::{KEY, Raw, Wire, request, request_for, settle, status, within};
use motorway::{
    CloseCause, CloseCode, CloseInfo, DeflateOptions, Error, HandlerError, HandlerResult, Message,
    Result, ServerOptions, WebSocketServerFactory, WebSocketStream,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

type Served = JoinHandle<Result<CloseInfo>>;

/// Serves one connection with this handler, to a client by hand.
async fn open<F>(
    handler: impl Fn(WebSocketStream) -> F + Send + Sync + 'static,
) -> (Raw<DuplexStream>, Served)
where
    F: Future<Output = HandlerResult> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let factory = WebSocketServerFactory::from_handler(handler);
    let served = tokio::spawn(factory.serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request_for("/room?n=1", "")).await;
    assert_eq!(status(&peer.head().await), 101);
    (peer, served)
}

async fn end(served: Served) -> CloseInfo {
    within(served).await.unwrap().unwrap()
}

async fn echo(mut ws: WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_echo_answers_in_order_and_ends_with_its_peer() {
    let (mut peer, served) = open(echo).await;
    peer.send_all(&[
        Wire::text("a"),
        Wire::ping("p"),
        Wire::binary(vec![1; 70_000]),
        Wire::text("c"),
        Wire::close(1001, "bye"),
    ])
    .await;
    let mut frames = Vec::new();
    while let Some(frame) = peer.next().await {
        frames.push(frame);
    }
    frames.retain(|frame| frame != &Wire::pong("p"));
    let expected = [
        Wire::text("a"),
        Wire::binary(vec![1; 70_000]),
        Wire::text("c"),
        Wire::close(1001, "bye"),
    ];
    assert_eq!(frames, expected);
    drop(peer);
    assert!(end(served).await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_request() {
    let (mut peer, _served) = open(|ws| async move {
        assert_eq!(ws.request().path(), "/room");
        assert_eq!(ws.request().param("n").as_deref(), Some("1"));
        assert_eq!(ws.request().header("sec-websocket-key"), Some(KEY));
        assert!(ws.response().is_none());
        Ok(ws.send("seen").await?)
    })
    .await;
    assert_eq!(peer.frame().await, Wire::text("seen"));
    assert_eq!(peer.frame().await.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_returns_closes_the_connection() {
    type Case = (u16, fn() -> HandlerResult);
    let cases: [Case; 5] = [
        (1000, || Ok(())),
        (1011, || Ok(std::fs::read("/no/such/file").map(drop)?)),
        (4001, || Err(HandlerError::close(4001, "no"))),
        (1011, || panic!("on purpose")),
        (1011, || {
            Err(Error::Io(std::io::ErrorKind::Other.into()).into())
        }),
    ];
    for (code, outcome) in cases {
        for waits in [false, true] {
            let (mut peer, served) = open(move |ws| async move {
                ws.send("first").await?;
                if waits {
                    sleep(Duration::from_secs(1)).await;
                }
                outcome()
            })
            .await;
            assert_eq!(peer.frame().await, Wire::text("first"));
            let close = peer.frame().await;
            assert_eq!(close.code(), code);
            peer.send(close).await;
            assert_eq!(peer.next().await, None);
            drop(peer);
            let info = end(served).await;
            assert!(info.was_clean);
            match code {
                1000 => assert!(matches!(info.cause, CloseCause::Local)),
                _ => assert!(matches!(
                    info.cause,
                    CloseCause::Handler | CloseCause::Panic
                )),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_it_is_called_closes_with_1011() {
    fn panics(_: WebSocketStream) -> std::future::Ready<HandlerResult> {
        panic!("on purpose")
    }
    let (mut peer, _served) = open(panics).await;
    assert_eq!(peer.frame().await.code(), 1011);
}

#[tokio::test(start_paused = true)]
async fn what_is_unread_does_not_keep_a_handler_from_closing() {
    let (mut peer, served) = open(|ws| async move {
        sleep(Duration::from_secs(1)).await;
        Ok(ws.send("enough").await?)
    })
    .await;
    for _ in 0..200 {
        peer.send(Wire::binary(vec![0; 1000])).await;
    }
    assert_eq!(peer.frame().await, Wire::text("enough"));
    assert_eq!(peer.frame().await.code(), 1000);
    peer.send_all(&[Wire::binary(vec![0; 50_000]), Wire::close(1000, "")])
        .await;
    assert_eq!(peer.next().await, None);
    drop(peer);
    assert!(end(served).await.was_clean);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_handler_waits() {
    let (mut peer, _served) = open(|ws| async move {
        sleep(Duration::from_secs(60)).await;
        Ok(ws.send("awake").await?)
    })
    .await;
    for _ in 0..100 {
        peer.send_all(&[Wire::text("not read"), Wire::ping("alive")])
            .await;
        assert_eq!(peer.frame().await, Wire::pong("alive"));
    }
    assert_eq!(peer.frame().await, Wire::text("awake"));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_before_the_end_of_the_handler_sends_1001() {
    let done = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&done);
    let (mut peer, served) = open(move |ws| {
        let done = Arc::clone(&counter);
        async move {
            drop(ws);
            sleep(Duration::from_secs(5)).await;
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    assert_eq!(peer.frame().await.code(), 1001);
    assert_eq!(peer.next().await, None, "the connection is dropped at once");
    assert_eq!(done.load(Ordering::SeqCst), 0);
    // The handler is not cancelled by it.
    let info = end(served).await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(info.local.unwrap().code, CloseCode::GOING_AWAY);
}

#[tokio::test(start_paused = true)]
async fn a_stream_given_away_works_in_another_task() {
    let (mut peer, served) = open(|ws| async move {
        let other = tokio::spawn(echo(ws));
        other.await?
    })
    .await;
    peer.text("there").await;
    assert_eq!(peer.frame().await, Wire::text("there"));
    peer.say_goodbye().await;
    assert!(end(served).await.was_clean);
    // Dropped in that task, while the handler waits.
    let (mut peer, _served) = open(|ws| async move {
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            drop(ws);
        });
        std::future::pending().await
    })
    .await;
    assert_eq!(peer.frame().await.code(), 1001);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_cancelled_when_its_connection_dies() {
    let (peer, served) = open(|mut ws| async move {
        let lost = ws.recv().await.unwrap_err();
        assert!(matches!(lost, Error::Closed(_)));
        sleep(Duration::from_secs(100)).await;
        assert!(ws.send("too late").await.is_err());
        Err(HandlerError::close(4000, "nobody hears this"))
    })
    .await;
    drop(peer);
    let info = end(served).await;
    assert!(matches!(info.cause, CloseCause::Dropped));
}

// Servers.

async fn raw_client(address: std::net::SocketAddr) -> Raw<TcpStream> {
    let mut peer = Raw::client(TcpStream::connect(address).await.unwrap());
    peer.write(request("")).await;
    peer
}

async fn client(address: std::net::SocketAddr) -> Raw<TcpStream> {
    let mut peer = raw_client(address).await;
    assert_eq!(status(&peer.head().await), 101);
    peer
}

#[tokio::test]
async fn serve_and_connect_are_two_ends() {
    let server = motorway::serve("127.0.0.1:0", |mut ws: WebSocketStream| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?
        }
        Ok(())
    })
    .await
    .unwrap();
    let mut ws = motorway::connect(format!("ws://{}/", server.local_addr()))
        .await
        .unwrap();
    for n in 0..100 {
        ws.send(format!("message {n}")).await.unwrap();
    }
    for n in 0..100 {
        let message = within(ws.recv()).await.unwrap().unwrap();
        assert_eq!(message, Message::from(format!("message {n}")));
    }
    let info = within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    assert!(info.is_ok(), "{info}");
    within(server.shutdown(1001, "", Duration::from_secs(5)))
        .await
        .unwrap();
}

#[tokio::test]
async fn handlers_share_state() {
    let state = Arc::new(AtomicUsize::new(0));
    let server = motorway::serve_with("127.0.0.1:0", state, |ws, state| async move {
        let visit = state.fetch_add(1, Ordering::SeqCst);
        Ok(ws.send(format!("visit {visit}")).await?)
    })
    .await
    .unwrap();
    for visit in 0..3 {
        let mut peer = client(server.local_addr()).await;
        assert_eq!(peer.frame().await, Wire::text(&format!("visit {visit}")));
    }
}

#[tokio::test]
async fn a_shutdown_ends_the_streams_and_waits_for_the_handlers() {
    let finished = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&finished);
    let server = motorway::serve_with("127.0.0.1:0", state, |mut ws, finished| async move {
        assert_eq!(ws.recv().await?, None);
        sleep(Duration::from_millis(50)).await;
        finished.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
    .await
    .unwrap();
    let mut peer = client(server.local_addr()).await;
    let stopping = tokio::spawn(server.shutdown(1012, "restart", Duration::from_secs(60)));
    let close = peer.frame().await;
    assert_eq!(close.code(), 1012);
    peer.send(close).await;
    drop(peer);
    within(stopping).await.unwrap().unwrap();
    assert_eq!(finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_handler_is_dropped_at_the_deadline_of_a_shutdown() {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    for graceful in [true, false] {
        let dropped = Arc::new(Notify::new());
        let server = motorway::serve_with(
            "127.0.0.1:0",
            Arc::clone(&dropped),
            |ws, dropped| async move {
                let _guard = OnDrop(dropped);
                ws.send("up").await?;
                std::future::pending().await
            },
        )
        .await
        .unwrap();
        let mut peer = client(server.local_addr()).await;
        assert_eq!(peer.frame().await, Wire::text("up"));
        match graceful {
            true => {
                let stopping = server.shutdown(1001, "", Duration::from_millis(20));
                within(stopping).await.unwrap();
            }
            false => drop(server),
        }
        within(dropped.notified()).await;
    }
}

#[tokio::test]
async fn options_and_limits_hold_for_handlers() {
    let mut factory = WebSocketServerFactory::from_handler(echo);
    factory
        .set_protocol_options(
            ServerOptions::default()
                .max_connections(1)
                .max_message_payload_size(10)
                .max_frame_payload_size(10)
                .protocols(["chat"])
                .per_message_deflate(DeflateOptions::default()),
        )
        .unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    let mut first = client(server.local_addr()).await;
    let mut second = raw_client(server.local_addr()).await;
    assert_eq!(status(&second.head().await), 503);
    assert_eq!(server.connections().len(), 1);
    first.send(Wire::binary([0; 11])).await;
    assert_eq!(first.frame().await.code(), 1009);
    drop((first, second));
    while factory.connection_count() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let mut third = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    third
        .write(request(
            "Sec-WebSocket-Protocol: x, chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        ))
        .await;
    let head = third.head().await;
    assert!(head.contains("permessage-deflate") && head.contains("chat"));
    settle().await;
}
