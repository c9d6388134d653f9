//! Which callbacks come when, and what they may decide.

use crate::probe::{Frames, Log, NoPong, PIPE, Pieces, Probe, What, open, open_with, probe, quiet};
use crate::wire::{Raw, Wire, header, masked, request, request_for, settle, status, within};
use motorway::frame::Opcode;
use motorway::{
    CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, DeflateOptions, Error,
    HandshakeError, Result, ServerOptions, StatusCode, TimeoutKind,
};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

type Verdict = std::result::Result<ConnectionAccept, ConnectionDeny>;

/// A server that decides like this, asked with these headers: its answer, and the peer.
struct Asked {
    head: String,
    peer: Raw<DuplexStream>,
    log: Log,
    task: JoinHandle<Result<CloseInfo>>,
}

async fn ask<F>(
    decide: impl Fn(ConnectionRequest) -> F + Send + Sync + 'static,
    headers: &str,
) -> Asked
where
    F: Future<Output = Verdict> + Send + 'static,
{
    let probe = quiet().on_connect(decide);
    let options = ServerOptions::default().protocols(["chat.v1"]);
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(probe.factory(options).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request_for("/room/7?who=me", headers)).await;
    let head = peer.head().await;
    Asked {
        head,
        peer,
        log: probe.log(),
        task,
    }
}

#[tokio::test(start_paused = true)]
async fn on_connect_sees_the_request_and_accepts_with_headers() {
    let decide = |request: ConnectionRequest| async move {
        assert_eq!(request.path(), "/room/7");
        assert_eq!(request.param("who").as_deref(), Some("me"));
        assert_eq!(request.cookie("sid"), Some("1"));
        assert_eq!(request.protocols(), ["chat.v2", "chat.v1"]);
        Ok(ConnectionAccept::new()
            .protocol("chat.v2")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2"))
    };
    let headers = "Cookie: sid=1\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n";
    let asked = ask(decide, headers).await;
    assert_eq!(status(&asked.head), 101);
    assert_eq!(
        header(&asked.head, "sec-websocket-protocol").unwrap(),
        "chat.v2"
    );
    for cookie in ["a=1", "b=2"] {
        assert!(
            asked.head.contains(&format!("set-cookie: {cookie}\r\n")),
            "{}",
            asked.head
        );
    }
    settle().await;
    assert_eq!(asked.log.ws().subprotocol(), Some("chat.v2"));
}

#[tokio::test(start_paused = true)]
async fn by_default_the_first_of_the_clients_subprotocols_is_taken() {
    let headers = "Sec-WebSocket-Protocol: other, chat.v1\r\n";
    let asked = ask(|_| async { Ok(ConnectionAccept::default()) }, headers).await;
    assert_eq!(
        header(&asked.head, "sec-websocket-protocol").unwrap(),
        "chat.v1"
    );
    let asked = ask(|_| async { Ok(ConnectionAccept::default()) }, "").await;
    assert_eq!(header(&asked.head, "sec-websocket-protocol"), None);
}

#[tokio::test(start_paused = true)]
async fn on_connect_denies_with_status_headers_and_body() {
    let decide = |_: ConnectionRequest| async {
        Err(ConnectionDeny::new(StatusCode::TOO_MANY_REQUESTS)
            .reason("slow\r\ndown")
            .header("retry-after", "7")
            .body("later"))
    };
    let Asked {
        head,
        mut peer,
        log,
        task,
    } = ask(decide, "").await;
    assert_eq!(status(&head), 429);
    assert_eq!(header(&head, "retry-after").unwrap(), "7");
    assert_eq!(header(&head, "connection").unwrap(), "close");
    assert_eq!(header(&head, "content-length").unwrap(), "5");
    assert!(
        !head.lines().any(|line| line == "down"),
        "no line is injected"
    );
    assert_eq!(peer.rest().await, b"later");
    drop(peer);
    let error = within(task).await.unwrap().unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error}")
    };
    let HandshakeError::Denied { status, .. } = *error else {
        panic!("{error}")
    };
    assert_eq!(status, 429);
    assert_eq!(log.lines(), ["connect", "close"]);
    assert!(!log.info().opened && !log.info().was_clean);
}

#[tokio::test(start_paused = true)]
async fn an_internal_denial_keeps_its_error_here() {
    let asked = ask(|_| async { Err(ConnectionDeny::internal("a secret")) }, "").await;
    assert_eq!(status(&asked.head), 500);
    let Asked { mut peer, .. } = asked;
    assert!(!String::from_utf8_lossy(&peer.rest().await).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_subprotocol_that_was_not_offered_is_answered_with_500() {
    let decide = |_: ConnectionRequest| async { Ok(ConnectionAccept::new().protocol("mine")) };
    let Asked {
        head,
        peer,
        log,
        task,
    } = ask(decide, "").await;
    assert_eq!(status(&head), 500);
    drop(peer);
    within(task).await.unwrap().unwrap_err();
    assert_eq!(log.count("close"), 1);
}

/// A server whose `on_connect` takes so long.
fn slow(seconds: u64) -> Probe<crate::probe::Messages> {
    quiet().on_connect(move |_| async move {
        sleep(Duration::from_secs(seconds)).await;
        Ok(ConnectionAccept::default())
    })
}

#[tokio::test(start_paused = true)]
async fn on_connect_counts_towards_the_opening_timeout_but_is_not_cancelled() {
    let probe = quiet();
    let log = probe.log();
    let probe = probe.on_connect(move |_| {
        let log = log.clone();
        async move {
            sleep(Duration::from_secs(9)).await;
            log.push("connected");
            Ok(ConnectionAccept::default())
        }
    });
    let factory = probe.factory(ServerOptions::default());
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let start = Instant::now();
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    assert!(peer.rest().await.is_empty());
    assert_eq!(
        start.elapsed().as_secs(),
        5,
        "the client is dropped at the deadline"
    );
    let error = within(task).await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Timeout(TimeoutKind::OpeningHandshake)),
        "{error}"
    );
    assert_eq!(start.elapsed().as_secs(), 9, "the callback completes");
    let lines = probe.log().lines();
    assert_eq!(lines[..2], ["connect", "connected"]);
    assert_eq!(lines.last().unwrap(), "close");
    assert_eq!(probe.log().count("close"), 1);
    assert_eq!(probe.log().count("error Timeout"), 1, "{lines:?}");
    assert!(!probe.log().info().opened);
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn on_connect_that_is_slow_but_in_time_is_fine() {
    let mut session = open(&slow(4), ServerOptions::default()).await;
    session.peer.send(Wire::ping("")).await;
    assert_eq!(session.peer.frame().await, Wire::pong(""));
}

#[tokio::test(start_paused = true)]
async fn early_messages_come_once_and_after_on_open() {
    let probe = probe(|what| async move {
        if let What::Open(_) = what {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    tokio::spawn(probe.factory(ServerOptions::default()).serve_stream(ours));
    let mut peer = Raw::client(theirs);
    let early = masked(&[Wire::text("1"), Wire::text("2")]);
    peer.write([request("").as_bytes(), &early[..early.len() - 1]].concat())
        .await;
    peer.head().await;
    peer.write(&early[early.len() - 1..]).await;
    peer.text("3").await;
    sleep(Duration::from_secs(2)).await;
    let expected = ["connect", "open", "message 1", "message 2", "message 3"];
    assert_eq!(probe.log().lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_stream_face_shows_every_piece_in_order() {
    let mut session = open(&quiet().mode::<Pieces>(), ServerOptions::default()).await;
    let first = Wire::text("he").unfinished().masked().encode();
    let last = Wire::new(Opcode::Continuation, "llo").masked().encode();
    session.peer.write(&first[..7]).await;
    settle().await;
    session.peer.write(&first[7..]).await;
    session.peer.send(Wire::ping("p")).await;
    session.peer.write(last).await;
    session.peer.send(Wire::binary("")).await;
    settle().await;
    let expected = [
        "connect",
        "open",
        "begin Text",
        "frame begin 2",
        "data h",
        "data e",
        "frame end",
        "ping p",
        "frame begin 3",
        "data llo",
        "frame end",
        "end",
        "begin Binary",
        "frame begin 0",
        "frame end",
        "end",
    ];
    assert_eq!(session.log.lines(), expected);
    assert_eq!(session.ws().stats().messages_received, 2);
}

#[tokio::test(start_paused = true)]
async fn the_frame_face_shows_whole_frames() {
    let mut session = open(&quiet().mode::<Frames>(), ServerOptions::default()).await;
    let frames = [
        Wire::text("he").unfinished(),
        Wire::ping("p"),
        Wire::new(Opcode::Continuation, "llo"),
    ];
    session.peer.send_all(&frames).await;
    settle().await;
    let expected = [
        "connect",
        "open",
        "begin Text",
        "frame he",
        "ping p",
        "frame llo",
        "end",
    ];
    assert_eq!(session.log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_frame_faces_inflate() {
    // RFC 7692 §7.2.3.1: "Hello" in one frame.
    let mut hello = Wire::text("");
    hello.payload = vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    hello.rsv1 = true;
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let with = ("Sec-WebSocket-Extensions: permessage-deflate\r\n", PIPE);
    let (mut session, _) = open_with(&quiet().mode::<Frames>(), options.clone(), with).await;
    session.peer.send(hello.clone()).await;
    settle().await;
    assert_eq!(
        session.log.lines()[2..],
        ["begin Text", "frame Hello", "end"]
    );
    let (mut session, _) = open_with(&quiet().mode::<Pieces>(), options, with).await;
    session.peer.send(hello).await;
    settle().await;
    let lines = session.log.lines();
    assert_eq!(lines[2..4], ["begin Text", "frame begin 7"]);
    let data: String = lines
        .iter()
        .filter_map(|line| line.strip_prefix("data "))
        .collect();
    assert_eq!(data, "Hello");
}

#[tokio::test(start_paused = true)]
async fn pings_and_pongs_are_told_and_pings_answered() {
    let probe = probe(|what| async move {
        match what {
            // Answered already when the callback runs.
            What::Ping(ws, payload) => ws.send_binary(payload).await?,
            What::Pong(ws, payload) => ws.send_binary(payload).await?,
            _ => {}
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    session
        .peer
        .send_all(&[Wire::ping("1"), Wire::pong("2")])
        .await;
    assert_eq!(session.peer.frame().await, Wire::pong("1"));
    assert_eq!(session.peer.frame().await, Wire::binary("1"));
    assert_eq!(session.peer.frame().await, Wire::binary("2"));
}

#[tokio::test(start_paused = true)]
async fn without_auto_pong_only_the_callback_answers() {
    let probe = probe(|what| async move {
        match what {
            What::Ping(ws, payload) if payload == b"answer" => ws.pong("mine")?,
            What::Message(..) => sleep(Duration::from_secs(1)).await,
            _ => {}
        }
        Ok(())
    });
    let mut session = open(&probe.mode::<NoPong>(), ServerOptions::default()).await;
    let frames = [
        Wire::ping("ignore"),
        Wire::text("busy"),
        Wire::ping("answer"),
    ];
    session.peer.send_all(&frames).await;
    assert_eq!(session.peer.frame().await, Wire::pong("mine"));
    assert!(session.peer.is_quiet().await);
    let expected = [
        "connect",
        "open",
        "ping ignore",
        "message busy",
        "ping answer",
    ];
    assert_eq!(session.log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn on_auto_pong_tells_the_round_trip_time() {
    let options = ServerOptions::default().auto_ping_interval(Duration::from_secs(10));
    let mut session = open(&quiet(), options).await;
    let ping = session.peer.frame().await;
    assert_eq!(ping.opcode, Opcode::Ping);
    sleep(Duration::from_millis(300)).await;
    session.peer.send(Wire::pong(&ping.payload)).await;
    settle().await;
    session.peer.send(Wire::pong("unsolicited")).await;
    settle().await;
    let lines = session.log.lines();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!((&*lines[2], &*lines[4]), ("pong", "pong"));
    let millis: u64 = lines[3]
        .strip_prefix("auto pong ")
        .unwrap()
        .parse()
        .unwrap();
    assert!((300..=302).contains(&millis), "{millis}");
}

#[tokio::test(start_paused = true)]
async fn control_frames_cut_in_two_are_not_misread_while_on_auto_pong_waits() {
    let probe = probe(|what| async move {
        if let What::AutoPong = what {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    let options = ServerOptions::default().auto_ping_interval(Duration::from_secs(10));
    let mut session = open(&probe, options).await;
    let ping = session.peer.frame().await;
    // The payload of the ping looks like a close frame.
    let trap = Wire::ping(Wire::close(1000, "x").encode());
    let mut trap = trap.encode();
    trap[1] |= 0x80;
    trap.splice(2..2, [0; 4]);
    let pong = Wire::pong(&ping.payload).masked().encode();
    session.peer.write([&pong[..], &trap[..6]].concat()).await;
    settle().await;
    session.peer.write(&trap[6..]).await;
    session.peer.text("after").await;
    sleep(Duration::from_secs(3)).await;
    assert!(session.ws().is_open(), "{:?}", session.ws().close_info());
    assert_eq!(session.log.count("message after"), 1);
}
