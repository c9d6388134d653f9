//! How WebSockets and their connection end.

use crate::server::{Goodbye, Read, Server, builder, open, pair};
use crate::wire::{Wire, within};
use h2::Reason;
use motorway::{
    CloseCause, CloseCode, CloseInfo, Connector, Endpoint, Error, Http2Connection, Http2Error,
    WebSocketStream,
};
use std::io;
use std::time::Duration;

/// Waits for the end of a stream that nobody closes.
async fn end_of(ws: &mut WebSocketStream) -> CloseInfo {
    while let Ok(Some(_)) = within(ws.recv()).await {}
    within(ws.handle().closed()).await
}

fn io_kind(info: &CloseInfo) -> io::ErrorKind {
    match &info.cause {
        CloseCause::Io(error) => error.kind(),
        cause => panic!("{cause:?}"),
    }
}

async fn assert_not_open(connector: &Connector, http2: &Http2Connection) {
    match within(connector.connect_over(http2)).await {
        Err(Error::Http2(error)) => {
            assert!(matches!(*error, Http2Error::NotOpen { .. }), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_client_closes() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    let closing = async {
        let frame = channel.frame().await;
        assert_eq!(frame.code(), 1001);
        channel.send(Wire::close(1001, "")).await;
        channel.end();
        channel.read().await
    };
    let (closed, last) = tokio::join!(within(ws.close(CloseCode::GOING_AWAY, "")), closing);
    closed.unwrap();
    // END_STREAM, not RST_STREAM: as TCP ends with a FIN (RFC 8441 §5).
    assert_eq!(last, Read::End);
    let info = within(ws.handle().closed()).await;
    assert!(info.was_clean, "{info:?}");
    assert_eq!(
        (info.code, info.closed_by),
        (CloseCode::GOING_AWAY, Endpoint::Local)
    );
}

#[tokio::test]
async fn the_server_closes() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    channel.send(Wire::text("last")).await;
    channel.send(Wire::close(4000, "enough")).await;
    assert_eq!(channel.frame().await.code(), 4000);
    channel.end();
    assert_eq!(channel.read().await, Read::End);
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "last");
    let info = end_of(&mut ws).await;
    assert!(info.was_clean, "{info:?}");
    assert_eq!(
        (info.code, &*info.reason),
        (CloseCode::from(4000), "enough")
    );
    assert_eq!(info.closed_by, Endpoint::Peer);
}

// RFC 9113 §8.1: a server that has said all may reset with NO_ERROR, which is no fault.
#[tokio::test]
async fn a_server_that_needs_no_answer_to_its_close_frame_is_answered_in_vain() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    channel.send(Wire::close(1000, "")).await;
    channel.end();
    // `h2` resets what the server has said all on with NO_ERROR.
    drop(channel);
    let info = end_of(&mut ws).await;
    assert_eq!(info.code, CloseCode::NORMAL, "{info:?}");
    assert!(info.was_clean, "{info:?}");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_message_is_an_error() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    let half = Wire::text("first half").unfinished().encode();
    channel.write(half).await.unwrap();
    channel.write(vec![0x80]).await.unwrap();
    channel.reset(Reason::CANCEL);
    let error = within(ws.recv()).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let info = end_of(&mut ws).await;
    assert_eq!((info.code, info.was_clean), (CloseCode::ABNORMAL, false));
    assert_eq!(io_kind(&info), io::ErrorKind::ConnectionReset);
    // The others are not touched by it.
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    ws.send("still here").await.unwrap();
    assert_eq!(channel.frame().await, Wire::text("still here"));
}

// A writer that waits for room learns of the reset, too.
#[tokio::test]
async fn a_reset_wakes_who_waits_to_write() {
    let mut narrow = builder();
    narrow.initial_window_size(10);
    let (connector, http2, mut server) = pair(narrow).await;
    let (ws, channel) = open(&connector, &http2, &mut server).await;
    let handle = ws.handle().clone();
    ws.send(vec![0; 1000]).await.unwrap();
    channel.reset(Reason::INTERNAL_ERROR);
    let info = within(handle.closed()).await;
    assert_eq!(io_kind(&info), io::ErrorKind::ConnectionReset);
    assert!(info.unsent_octets > 0, "{info:?}");
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_not_clean() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    channel.send(Wire::text("the last words")).await;
    channel.end();
    assert_eq!(
        within(ws.recv_text()).await.unwrap().unwrap(),
        "the last words"
    );
    let info = end_of(&mut ws).await;
    assert_eq!((info.code, info.was_clean), (CloseCode::ABNORMAL, false));
    assert!(matches!(info.cause, CloseCause::Dropped), "{info:?}");
    assert_eq!(channel.read().await, Read::Reset(Reason::CANCEL));
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    let aborted = ws.handle().clone();
    aborted.abort();
    assert_eq!(channel.read().await, Read::Reset(Reason::CANCEL));
    let info = within(aborted.closed()).await;
    assert!(matches!(info.cause, CloseCause::Aborted), "{info:?}");
    assert!(http2.is_open());
    drop(ws);
}

// As over TCP, where what was written is on its way.
#[tokio::test]
async fn what_was_sent_before_a_stream_is_dropped_arrives() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    ws.send("the last words").await.unwrap();
    ws.send(vec![1; 30_000]).await.unwrap();
    drop(ws);
    assert_eq!(channel.frame().await, Wire::text("the last words"));
    assert_eq!(channel.frame().await.payload.len(), 30_000);
    channel.left().await;
}

// RFC 6455 §7.1.7: who breaks the protocol gets a close frame; the stream then ends.
#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    channel.send(Wire::text("masked").masked()).await;
    assert_eq!(channel.frame().await.code(), 1002);
    assert_eq!(channel.read().await, Read::End);
    channel.end();
    let info = end_of(&mut ws).await;
    assert!(matches!(info.cause, CloseCause::Protocol(_)), "{info:?}");
}

#[tokio::test]
async fn goaway_lets_what_is_open_go_on() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, mut channel) = open(&connector, &http2, &mut server).await;
    server.go(Goodbye::Graceful);
    while http2.is_open() {
        tokio::task::yield_now().await;
    }
    assert_not_open(&connector, &http2).await;
    ws.send("still open").await.unwrap();
    let frame = channel.frame().await;
    channel.send(frame).await;
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "still open");
    let echo = tokio::spawn(channel.echo());
    within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    assert!(within(ws.handle().closed()).await.was_clean);
    within(echo).await.unwrap();
    within(server.ended()).await.unwrap();
}

#[tokio::test]
async fn goaway_at_once_is_an_error_of_every_websocket() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut first, _one) = open(&connector, &http2, &mut server).await;
    let (mut second, _two) = open(&connector, &http2, &mut server).await;
    server.go(Goodbye::Abrupt(Reason::ENHANCE_YOUR_CALM));
    for ws in [&mut first, &mut second] {
        let info = end_of(ws).await;
        assert_eq!((info.code, info.was_clean), (CloseCode::ABNORMAL, false));
        io_kind(&info);
    }
    assert!(!http2.is_open());
    assert_not_open(&connector, &http2).await;
}

#[tokio::test]
async fn a_request_that_the_server_has_not_seen_is_not_open() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (_ws, _channel) = open(&connector, &http2, &mut server).await;
    let asking = tokio::spawn(async move { connector.connect_over(&http2).await });
    let asked = server.asked().await;
    server.go(Goodbye::Cut);
    let error = within(asking).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    drop(asked);
}

// The task of the connection and its stream must not outlive what they are for.
#[tokio::test]
async fn the_connection_ends_with_its_last_handle_and_websocket() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut ws, channel) = open(&connector, &http2, &mut server).await;
    let other = http2.clone();
    drop(http2);
    drop(other);
    // A WebSocket keeps it.
    ws.send("still open").await.unwrap();
    let echo = tokio::spawn(channel.echo());
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "still open");
    within(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    drop(ws);
    within(echo).await.unwrap();
    within(server.ended()).await.unwrap();
}

#[tokio::test]
async fn a_handle_alone_keeps_the_connection() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (ws, mut channel) = open(&connector, &http2, &mut server).await;
    drop(ws);
    channel.left().await;
    drop(channel);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(http2.is_open());
    let (_ws, _channel) = open(&connector, &http2, &mut server).await;
}

#[tokio::test]
async fn a_runtime_that_ends_takes_all_with_it() {
    let (near, far) = crate::server::duplex();
    let _server = crate::server::echoes(Server::start(builder(), far));
    let handle = within(tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let connector = Connector::new("ws://localhost/").unwrap();
        let (ws, http2) = runtime.block_on(async {
            let http2 = connector.connect_http2_stream(near).await.unwrap();
            let ws = connector.connect_over(&http2).await.unwrap();
            (ws, http2)
        });
        drop(runtime);
        assert!(!http2.is_open());
        ws.handle().clone()
    }))
    .await
    .unwrap();
    let info = within(handle.closed()).await;
    assert!(!info.was_clean);
}
