//! Connections held as streams, against a peer by hand.

use crate::streams::{Choppy, Watch, Watched};
use crate::wire::{Raw, Wire, header, response, settle, within};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCause, CloseCode, Connector, Error, Message, ProtocolError, SendError,
    WebSocketStream,
};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

const ROOM: usize = 64 << 10;

/// Opens a client's stream on `ours`, to a server by hand on `theirs`.
pub(crate) async fn open_on<S>(
    ours: S,
    theirs: DuplexStream,
    options: ClientOptions,
) -> (WebSocketStream, Raw<DuplexStream>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connector = Connector::new("ws://localhost/room?n=1").unwrap();
    connector.set_protocol_options(options).unwrap();
    let mut peer = Raw::server(theirs);
    let answer = async {
        let request = peer.head().await;
        let protocol = header(&request, "sec-websocket-protocol");
        let chosen = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        peer.write(response(&request, &chosen.unwrap_or_default()))
            .await;
    };
    let (ws, ()) = tokio::join!(connector.connect_stream(ours), answer);
    (ws.unwrap(), peer)
}

pub(crate) async fn open() -> (WebSocketStream, Raw<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(ROOM);
    open_on(ours, theirs, ClientOptions::default()).await
}

fn text(message: Option<Message<'static>>) -> String {
    message.expect("a message").into_text().unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn messages_are_received_in_order_and_then_the_end() {
    let (mut ws, mut peer) = open().await;
    peer.send_all(&[
        Wire::text("one"),
        Wire::binary([2]),
        Wire::close(4000, "bye"),
    ])
    .await;
    assert_eq!(text(ws.recv().await.unwrap()), "one");
    assert_eq!(ws.recv().await.unwrap(), Some(Message::from(&[2])));
    assert_eq!(peer.frame().await.code(), 4000);
    drop(peer);
    assert_eq!(within(ws.recv()).await.unwrap(), None);
    assert_eq!(ws.recv().await.unwrap(), None);
    let info = ws.close_info().unwrap();
    assert!(info.was_clean && info.code == CloseCode::from(4000));
}

#[tokio::test(start_paused = true)]
async fn the_opening_handshake_is_told() {
    let (ours, theirs) = tokio::io::duplex(ROOM);
    let options = ClientOptions::default()
        .protocols(["chat"])
        .header("x-extra", "1");
    let (ws, _peer) = open_on(ours, theirs, options).await;
    let request = ws.request();
    assert_eq!((request.path(), request.query()), ("/room", Some("n=1")));
    assert_eq!(request.host(), "localhost");
    assert_eq!(request.header("x-extra"), Some("1"));
    assert_eq!((request.version(), request.protocols().len()), (13, 1));
    assert_eq!(ws.subprotocol(), Some("chat"));
    assert_eq!(ws.response().unwrap().protocol(), Some("chat"));
    assert_eq!(ws.handle().path(), "/room");
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_the_end_and_discards_what_comes() {
    let (mut ws, mut peer) = open().await;
    ws.send("last").await.unwrap();
    peer.text("unread").await;
    let closing = async {
        for size in [1, 70_000, 500_000] {
            peer.send(Wire::binary(vec![0; size])).await;
        }
        assert_eq!(peer.frame().await, Wire::text("last").masked());
        assert_eq!(peer.frame().await, Wire::close(1000, "done").masked());
        peer.send(Wire::close(1000, "done")).await;
        peer.next().await
    };
    let (info, end) = tokio::join!(ws.close(CloseCode::NORMAL, "done"), closing);
    // The client waits for the server to close TCP first.
    assert!(end.is_none());
    let info = info.unwrap();
    assert!(!info.was_clean, "the peer did not close TCP: {info}");
    assert_eq!(info.code, CloseCode::NORMAL);
    let sent = ws.send("more").await.unwrap_err();
    assert!(matches!(sent, Error::Send(SendError::Closed)));
    assert_eq!(ws.close(1000, "").await.unwrap().code, CloseCode::NORMAL);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_must_not_be_sent_changes_nothing() {
    let (mut ws, mut peer) = open().await;
    peer.text("kept").await;
    ws.close(1005, "").await.unwrap_err();
    assert_eq!(text(ws.recv().await.unwrap()), "kept");
    ws.send("on").await.unwrap();
    assert_eq!(peer.frame().await, Wire::text("on").masked());
}

#[tokio::test(start_paused = true)]
async fn recv_fails_when_the_connection_is_lost() {
    // Dropped without a close frame.
    let (mut ws, mut peer) = open().await;
    peer.text("before").await;
    drop(peer);
    assert_eq!(text(ws.recv().await.unwrap()), "before");
    for _ in 0..2 {
        let Err(Error::Closed(info)) = within(ws.recv()).await else {
            panic!("it was lost")
        };
        assert!(matches!(info.cause, CloseCause::Dropped));
    }
    // Against the protocol.
    let (mut ws, mut peer) = open().await;
    peer.send(Wire::text("masked")).await;
    peer.write(Wire::text("x").masked().encode()).await;
    assert_eq!(text(ws.recv().await.unwrap()), "masked");
    assert_eq!(peer.frame().await.code(), 1002);
    drop(peer);
    let error = within(ws.recv()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::MaskedFrame)));
    // A network that fails.
    let (ours, theirs) = tokio::io::duplex(ROOM);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    let (mut ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    watch.fail_reads();
    peer.text("never").await;
    assert!(matches!(within(ws.recv()).await, Err(Error::Io(_))));
    // By this end.
    let (mut ws, _peer) = open().await;
    ws.handle().abort();
    assert!(matches!(within(ws.recv()).await, Err(Error::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_the_connection_hold_while_nobody_receives() {
    let (ours, theirs) = tokio::io::duplex(ROOM);
    let options = ClientOptions::default()
        .auto_ping_interval(Duration::from_secs(10))
        .auto_ping_timeout(Duration::from_secs(5));
    let (mut ws, mut peer) = open_on(ours, theirs, options).await;
    let opened = Instant::now();
    assert_eq!(peer.frame().await.opcode, Opcode::Ping);
    sleep(Duration::from_secs(60)).await;
    assert!(matches!(ws.recv().await, Err(Error::Timeout(_))));
    assert!(!ws.handle().is_open() && opened.elapsed() < Duration::from_secs(80));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_messages_sent_while_nobody_receives() {
    let (ws, mut peer) = open().await;
    let handle = ws.handle().clone();
    peer.send(Wire::ping("a")).await;
    assert_eq!(peer.frame().await, Wire::pong("a").masked());
    // Also behind messages that fill the inbox.
    peer.send(Wire::binary(vec![0; 60_000])).await;
    peer.send_all(&[Wire::text("waits"), Wire::ping("b")]).await;
    assert_eq!(peer.frame().await, Wire::pong("b").masked());
    handle.send("from elsewhere").await.unwrap();
    assert_eq!(peer.frame().await, Wire::text("from elsewhere").masked());
    drop(ws);
}

#[tokio::test(start_paused = true)]
async fn the_close_waits_a_second_for_answers_and_no_longer() {
    let (mut ws, mut peer) = open().await;
    peer.send_all(&[Wire::text("1"), Wire::text("2"), Wire::close(1000, "")])
        .await;
    for number in ["1", "2"] {
        assert_eq!(text(ws.recv().await.unwrap()), number);
        sleep(Duration::from_millis(400)).await;
        ws.send(number).await.unwrap();
        assert_eq!(peer.frame().await, Wire::text(number).masked());
    }
    let asked = Instant::now();
    let (end, close) = tokio::join!(timeout(Duration::from_millis(1), ws.recv()), peer.frame());
    assert!(end.is_err() && asked.elapsed() < Duration::from_millis(2));
    assert_eq!(close.code(), 1000);
    // One that sends, and receives no more.
    let (mut ws, mut peer) = open().await;
    peer.send_all(&[
        Wire::text("subscribe"),
        Wire::text("x"),
        Wire::close(1000, ""),
    ])
    .await;
    assert_eq!(text(ws.recv().await.unwrap()), "subscribe");
    let asked = Instant::now();
    while ws.send("tick").await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(800) && waited < Duration::from_millis(1200));
    assert_eq!(text(ws.recv().await.unwrap()), "x");
    // Behind our own close frame there is nothing to wait for.
    let (mut ws, mut peer) = open().await;
    peer.text("busy").await;
    assert_eq!(text(ws.recv().await.unwrap()), "busy");
    ws.handle().close(1000, "").await.unwrap();
    assert_eq!(peer.frame().await.code(), 1000);
    let asked = Instant::now();
    peer.send(Wire::close(1000, "")).await;
    drop(peer);
    assert!(within(ws.handle().closed()).await.was_clean);
    assert!(asked.elapsed() < Duration::from_millis(10));
    // And one that has received nothing that it could answer.
    let (ws, mut peer) = open().await;
    let asked = Instant::now();
    peer.send(Wire::close(1000, "")).await;
    assert_eq!(peer.frame().await.code(), 1000);
    assert!(asked.elapsed() < Duration::from_millis(1));
    drop(ws);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_the_peer_back() {
    let (mut ws, peer) = open().await;
    let mut peer = peer.stream;
    let mut sent = 0;
    let frame = Wire::binary(vec![7; 1000]).encode();
    // Frames of 1000 octets, until nothing moves any more.
    loop {
        let writing = tokio::io::AsyncWriteExt::write_all(&mut peer, &frame);
        if timeout(Duration::from_secs(5), writing).await.is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 1000, "nothing holds the peer back");
    }
    // The inbox, what is read ahead, and the pipe itself.
    let most = (64 << 10) + (256 << 10) + ROOM + 8000;
    assert!(sent * 1000 <= most, "{sent} kB");
    for _ in 0..sent {
        assert_eq!(within(ws.recv()).await.unwrap().unwrap().len(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_an_open_stream_sends_1001_and_drops_the_connection() {
    let (ours, theirs) = tokio::io::duplex(ROOM);
    let watch = Watch::default();
    let ours = Watched {
        inner: ours,
        watch: watch.clone(),
    };
    let (ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    let handle = ws.handle().clone();
    ws.send("sent before").await.unwrap();
    drop(ws);
    // At once, without anybody else being run.
    assert!(watch.is_dropped());
    let info = handle.close_info().unwrap();
    assert_eq!(info.local.as_ref().unwrap().code, CloseCode::GOING_AWAY);
    assert!(!info.was_clean && info.unsent_octets == 0);
    assert_eq!(peer.frame().await, Wire::text("sent before").masked());
    assert_eq!(peer.frame().await.code(), 1001);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_waits_for_nobody() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let (ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    ws.send(vec![0; 100_000]).await.unwrap();
    settle().await;
    let handle = ws.handle().clone();
    drop(ws);
    assert!(handle.close_info().unwrap().unsent_octets > 0);
    assert!(peer.rest().await.len() <= 1 << 10);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_frees_its_task() {
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    for _ in 0..3 {
        let (ws, peer) = open().await;
        drop(ws);
        drop(peer);
    }
    let (mut ws, mut peer) = open().await;
    peer.send(Wire::close(1000, "")).await;
    peer.frame().await;
    drop(peer);
    assert_eq!(ws.recv().await.unwrap(), None);
    settle().await;
    let after = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(before, after);
}

#[test]
fn a_stream_may_be_dropped_outside_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (ws, mut peer) = runtime.block_on(open());
    drop(ws);
    runtime.block_on(async {
        assert_eq!(peer.frame().await.code(), 1001);
        assert_eq!(peer.next().await, None);
    });
    let (ws, _peer) = runtime.block_on(open());
    drop(runtime);
    assert!(!ws.handle().is_open() || ws.close_info().is_none());
    drop(ws);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cuts_everything_delivers_everything() {
    for seed in 1..30 {
        let (ours, theirs) = tokio::io::duplex(300);
        let ours = Choppy { inner: ours, seed };
        let (mut ws, peer) = open_on(ours, theirs, ClientOptions::default()).await;
        let (reading, mut writing) = tokio::io::split(peer.stream);
        let answering = tokio::spawn(async move {
            for size in [0_usize, 1, 125, 126, 70_000] {
                let frame = Wire::binary(vec![1; size]).encode();
                tokio::io::AsyncWriteExt::write_all(&mut writing, &frame)
                    .await
                    .unwrap();
            }
            writing
        });
        let mut reader = Raw::server(tokio::io::join(reading, tokio::io::sink()));
        for size in [0_usize, 1, 125, 126, 70_000] {
            let message = within(ws.recv()).await.unwrap().unwrap();
            assert_eq!(message.len(), size);
            let (sent, frame) = tokio::join!(ws.send(message), reader.frame());
            sent.unwrap();
            assert_eq!(frame.payload.len(), size);
        }
        answering.await.unwrap();
    }
}
