//! The rules that users of the protocol traits can rely on.

use crate::wire::{Raw, Wire, request, settle, status};
use motorway::frame::Opcode;
use motorway::{
    CloseCause, CloseCode, CloseInfo, HandlerError, HandlerResult, Message, MessageKind, Result,
    ServerOptions, TimeoutKind, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

type Log = Arc<Mutex<Vec<String>>>;

/// Does what the text of a message says, and writes down what happens.
struct Script(Log);

impl Script {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

impl WebSocketServerProtocol for Script {
    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        self.note("open");
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        let text = message.into_text()?;
        self.note(format!("begin {}", &text[..text.len().min(20)]));
        match text.as_str() {
            "sleep" => tokio::time::sleep(Duration::from_secs(60)).await,
            "fail" => return Err(std::io::Error::other("a secret").into()),
            "refuse" => return Err(HandlerError::close(CloseCode::POLICY_VIOLATION, "no")),
            "panic" => panic!("as asked"),
            "wait for the end" => self.note(format!("closed {}", ws.closed().await.code)),
            "ping" => self.note(format!("rtt {:?}", ws.ping("are you there").await?)),
            "leave unfinished" => {
                let mut writer = ws.begin_message(MessageKind::Text).await?;
                writer.write("half").await?;
            }
            "all kinds" => {
                ws.send("1").await?;
                ws.pong("2")?;
                ws.send("3").await?;
                ws.close(CloseCode::NORMAL, "4").await?;
                assert!(
                    ws.send("5").await.is_err(),
                    "nothing goes after a close frame"
                );
            }
            "in parts" => {
                let mut writer = ws.begin_message(MessageKind::Text).await?;
                writer.write("one ").await?;
                assert!(ws.try_send("too early").is_err());
                writer.write("two").await?;
                writer.finish().await?;
                ws.send("then").await?;
            }
            _ => ws.send(text).await?,
        }
        self.note("end");
        Ok(())
    }

    async fn on_timeout(&mut self, _: &WebSocket, kind: TimeoutKind) -> HandlerResult {
        self.note(format!("{kind:?}"));
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        self.note(format!("close {}", info.code));
        Ok(())
    }
}

async fn connect(
    options: ServerOptions,
) -> (Raw<DuplexStream>, JoinHandle<Result<CloseInfo>>, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let mut factory = WebSocketServerFactory::new(move || Script(Arc::clone(&kept)));
    factory.set_protocol_options(options).unwrap();
    let (near, far) = tokio::io::duplex(4 << 20);
    let serving = tokio::spawn(factory.serve_stream(far));
    let mut peer = Raw::client(near);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    (peer, serving, log)
}

async fn default() -> (Raw<DuplexStream>, JoinHandle<Result<CloseInfo>>, Log) {
    connect(ServerOptions::default()).await
}

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn callbacks_run_in_order_and_the_close_is_echoed() {
    let (mut peer, serving, log) = default().await;
    peer.send_all(&[Wire::text("a"), Wire::text("b"), Wire::close(1000, "bye")])
        .await;
    assert_eq!(peer.frame().await, Wire::text("a"));
    assert_eq!(peer.frame().await, Wire::text("b"));
    assert_eq!(peer.frame().await, Wire::close(1000, "bye"));
    assert_eq!(peer.next().await, None, "the server closes TCP first");
    drop(peer);
    let info = serving.await.unwrap().unwrap();
    assert!(info.opened && info.was_clean && info.is_ok());
    assert_eq!(info.reason, "bye");
    assert_eq!(
        lines(&log),
        ["open", "begin a", "end", "begin b", "end", "close 1000"]
    );
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_callback_waits() {
    let (mut peer, _serving, log) = default().await;
    peer.send_all(&[Wire::text("sleep"), Wire::text("queued"), Wire::ping("1")])
        .await;
    assert_eq!(peer.frame().await, Wire::pong("1"));
    peer.send(Wire::ping("2")).await;
    assert_eq!(peer.frame().await, Wire::pong("2"));
    assert_eq!(lines(&log), ["open", "begin sleep"]);
    assert_eq!(
        peer.frame().await,
        Wire::text("queued"),
        "and no pong twice"
    );
    peer.say_goodbye().await;
}

#[tokio::test(start_paused = true)]
async fn the_close_of_the_peer_is_seen_while_a_callback_waits() {
    let (mut peer, serving, log) = default().await;
    peer.text("wait for the end").await;
    settle().await;
    peer.send(Wire::close(1001, "")).await;
    assert_eq!(peer.frame().await.code(), 1001);
    drop(peer);
    assert!(serving.await.unwrap().unwrap().was_clean);
    assert_eq!(lines(&log)[2..], ["closed 1001", "end", "close 1001"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_behind_messages_that_wait() {
    let (mut peer, _serving, _log) =
        connect(ServerOptions::default().close_handshake_timeout(Duration::from_secs(100))).await;
    peer.send_all(&[
        Wire::text("sleep"),
        Wire::text("late"),
        Wire::close(1000, ""),
    ])
    .await;
    assert_eq!(peer.frame().await, Wire::text("late"));
    assert_eq!(peer.frame().await.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_no_longer_than_the_closing_handshake_may_take() {
    let (mut peer, serving, log) = default().await;
    peer.send_all(&[
        Wire::text("sleep"),
        Wire::text("late"),
        Wire::close(1000, ""),
    ])
    .await;
    let before = tokio::time::Instant::now();
    assert_eq!(peer.frame().await.code(), 1000);
    assert_eq!(peer.next().await, None);
    assert_eq!(before.elapsed().as_secs(), 5);
    let info = serving.await.unwrap().unwrap();
    assert!(
        matches!(
            info.cause,
            CloseCause::Timeout(TimeoutKind::ClosingHandshake)
        ),
        "{info:?}"
    );
    assert!(
        lines(&log).contains(&"end".to_owned()),
        "the callback was not cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_stops_at_256_kib() {
    let (near, far) = tokio::io::duplex(1 << 10);
    let factory = WebSocketServerFactory::new(|| Script(Log::default()));
    let _serving = tokio::spawn(factory.serve_stream(far));
    let mut peer = Raw::client(near);
    peer.write(request("")).await;
    peer.head().await;
    peer.text("sleep").await;
    let frame = Wire::binary([0; 1000]).masked().encode();
    let mut sent = 0;
    let flood = async {
        loop {
            tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &frame)
                .await
                .unwrap();
            sent += frame.len();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(30), flood)
            .await
            .is_err()
    );
    assert!((250 << 10..300 << 10).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_a_callback_resolves_inside_of_it() {
    let (mut peer, _serving, log) = default().await;
    peer.text("ping").await;
    assert_eq!(peer.frame().await, Wire::ping("are you there"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    peer.send(Wire::pong("are you there")).await;
    settle().await;
    assert_eq!(lines(&log)[2..], ["rtt 2s", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_callback_outlives_its_connection() {
    let (mut peer, serving, log) = default().await;
    peer.text("sleep").await;
    settle().await;
    drop(peer);
    let info = serving.await.unwrap().unwrap();
    assert_eq!((info.code, info.was_clean), (CloseCode::ABNORMAL, false));
    assert_eq!(lines(&log), ["open", "begin sleep", "end", "close 1006"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_or_a_panic_closes_with_1011_and_tells_nothing() {
    for (order, code) in [("fail", 1011), ("panic", 1011), ("refuse", 1008)] {
        let (mut peer, serving, log) = default().await;
        peer.send_all(&[Wire::text("before"), Wire::text(order), Wire::text("after")])
            .await;
        assert_eq!(peer.frame().await, Wire::text("before"));
        let close = peer.frame().await;
        assert_eq!(close.code(), code, "{order}");
        assert!(
            code == 1008 || close.payload.len() == 2,
            "no text of the error: {close:?}"
        );
        peer.send(Wire::close(code, "")).await;
        assert_eq!(peer.next().await, None);
        drop(peer);
        assert!(serving.await.unwrap().unwrap().was_clean);
        assert!(!lines(&log).contains(&"begin after".to_owned()));
        assert_eq!(lines(&log).last().unwrap(), &format!("close {code}"));
    }
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_message_are_not_mixed_with_others() {
    let (mut peer, _serving, _log) = default().await;
    peer.text("in parts").await;
    let parts: Vec<_> = [peer.frame().await, peer.frame().await, peer.frame().await].into();
    assert_eq!(parts[0], Wire::text("one ").unfinished());
    assert_eq!(
        parts[1],
        Wire::new(Opcode::Continuation, "two").unfinished()
    );
    assert_eq!(parts[2], Wire::new(Opcode::Continuation, ""));
    assert_eq!(peer.frame().await, Wire::text("then"));
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_the_request_is_received_in_order() {
    let factory = WebSocketServerFactory::new(|| Script(Log::default()));
    let (near, far) = tokio::io::duplex(1 << 16);
    let _serving = tokio::spawn(factory.serve_stream(far));
    let mut peer = Raw::client(near);
    let mut octets = request("").into_bytes();
    octets.extend(Wire::text("first").masked().encode());
    octets.extend_from_slice(b"\xa1\x80\0\0\0\0"); // RSV2
    octets.extend(Wire::ping("never").masked().encode());
    peer.write(octets).await;
    assert_eq!(status(&peer.head().await), 101);
    assert_eq!(peer.frame().await, Wire::text("first"));
    assert_eq!(peer.frame().await.code(), 1002);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_ping_behind_a_violation_is_not_answered() {
    let (mut peer, _serving, _log) = default().await;
    let mut octets = Wire::text("sleep").masked().encode();
    octets.extend_from_slice(b"\xa1\x80\0\0\0\0"); // RSV2
    octets.extend(Wire::ping("never").masked().encode());
    peer.write(octets).await;
    assert_eq!(peer.frame().await.code(), 1002);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_callback_sends_goes_out_in_order() {
    let (mut peer, _serving, _log) = default().await;
    peer.text("all kinds").await;
    assert_eq!(peer.frame().await, Wire::text("1"));
    assert_eq!(peer.frame().await, Wire::pong("2"));
    assert_eq!(peer.frame().await, Wire::text("3"));
    assert_eq!(peer.frame().await, Wire::close(1000, "4"));
}

#[tokio::test(start_paused = true)]
async fn a_message_left_unfinished_fails_the_connection() {
    let (mut peer, _serving, _log) = default().await;
    peer.text("leave unfinished").await;
    assert_eq!(peer.frame().await, Wire::text("half").unfinished());
    assert_eq!(peer.frame().await.code(), 1011);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn messages_before_a_violation_are_answered_before_the_connection_fails() {
    let (mut peer, serving, _log) = default().await;
    let mut octets = [Wire::text("one"), Wire::text("two")]
        .map(|frame| frame.masked().encode())
        .concat();
    octets.extend_from_slice(b"\x83\x80\0\0\0\0");
    peer.write(octets).await;
    assert_eq!(peer.frame().await, Wire::text("one"));
    assert_eq!(peer.frame().await, Wire::text("two"));
    assert_eq!(peer.frame().await.code(), 1002);
    assert_eq!(peer.next().await, None);
    drop(peer);
    let info = serving.await.unwrap().unwrap();
    assert!(matches!(info.cause, CloseCause::Protocol(_)), "{info:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes_tcp_is_gone_in_time() {
    let (mut peer, serving, _log) = default().await;
    peer.send(Wire::close(1000, "")).await;
    let before = tokio::time::Instant::now();
    serving.await.unwrap().unwrap();
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(peer.frame().await.code(), 1000);
}

#[tokio::test(start_paused = true)]
async fn automatic_pings_drop_a_peer_that_is_silent() {
    let options = ServerOptions::default()
        .auto_ping_interval(Duration::from_secs(10))
        .auto_ping_timeout(Duration::from_secs(5))
        .auto_ping_size(20);
    let (mut peer, serving, log) = connect(options).await;
    let before = tokio::time::Instant::now();
    let ping = peer.frame().await;
    assert_eq!(
        (ping.opcode, ping.payload.len(), before.elapsed().as_secs()),
        (Opcode::Ping, 20, 10)
    );
    peer.send(Wire::pong(&ping.payload)).await;
    assert_eq!(peer.frame().await.opcode, Opcode::Ping);
    assert_eq!(before.elapsed().as_secs(), 20);
    assert_eq!(peer.next().await, None);
    assert_eq!(before.elapsed().as_secs(), 25);
    serving.await.unwrap().unwrap();
    assert!(lines(&log).contains(&"AutoPing".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_costs_one_pong() {
    let (near, far) = tokio::io::duplex(256);
    let handle = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&handle);
    struct Keep(Arc<Mutex<Option<WebSocket>>>);
    impl WebSocketServerProtocol for Keep {
        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            *self.0.lock().unwrap() = Some(ws.clone());
            Ok(())
        }
    }
    let factory = WebSocketServerFactory::new(move || Keep(Arc::clone(&kept)));
    let _serving = tokio::spawn(factory.serve_stream(far));
    let mut peer = Raw::client(near);
    peer.write(request("")).await;
    peer.head().await;
    for _ in 0..10_000 {
        peer.send(Wire::ping([b'x'; 100])).await;
    }
    let ws = handle.lock().unwrap().clone().unwrap();
    assert!(ws.buffered() < 8 << 10, "{}", ws.buffered());
}
