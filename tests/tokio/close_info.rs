//! What is said of an end, where it takes more than a table: before the opening, at a shutdown,
//! with octets that are not sent.

use crate::probe::{End, Log, PIPE, What, both_ends, open, open_client, probe, quiet};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, request, response, settle, status, within};
use motorway::{
    ClientOptions, CloseCause, CloseCode, CloseInfo, ConnectionDeny, Endpoint, Error, Server,
    ServerOptions, StatusCode, TimeoutKind, WebSocket,
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Checks what is said of a connection that never opened.
fn never_opened(log: &Log, calls: &[&str], error: &Error) {
    assert_eq!(log.lines(), calls);
    let info = log.info();
    assert!(matches!(info.cause, CloseCause::Opening), "{info:?}");
    assert_eq!(
        (info.opened, info.was_clean, info.is_ok()),
        (false, false, false)
    );
    assert_eq!(info.code, CloseCode::ABNORMAL);
    assert_eq!(
        (info.local, info.remote, info.unsent_octets),
        (None, None, 0)
    );
    assert_eq!(info.reason, error.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_connection_does_not_open_hears_of_it_once() {
    for (decides, peer_stays, calls) in [
        ("slowly", true, &["connect", "error Timeout", "close"][..]),
        ("to deny", true, &["connect", "close"]),
        ("to panic", true, &["connect", "close"]),
        ("to accept", false, &["connect", "error Io", "close"]),
    ] {
        let probe = quiet().on_connect(move |_| async move {
            match decides {
                "slowly" => sleep(seconds(6)).await,
                "to deny" => return Err(ConnectionDeny::new(StatusCode::FORBIDDEN)),
                "to panic" => panic!("on purpose"),
                _ => sleep(seconds(1)).await,
            }
            Ok(motorway::ConnectionAccept::new())
        });
        let factory = probe.factory(ServerOptions::default());
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        settle().await;
        if peer_stays {
            peer.rest().await;
        }
        drop(peer);
        let error = within(task).await.unwrap().unwrap_err();
        never_opened(&probe.log(), calls, &error);
        assert_eq!(factory.connection_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_makes_no_instance() {
    for head in ["", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let probe = quiet();
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = End::Server(ServerOptions::default()).start(&probe, ours);
        let mut peer = Raw::client(theirs);
        peer.write(head).await;
        drop(peer);
        let error = within(task).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error:?}");
        assert!(probe.log().lines().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_connection_does_not_open_hears_of_it_once() {
    let accept = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: wrong\r\n\r\n";
    for (answer, call) in [
        (None, "error Timeout"),
        (Some(""), "error Io"),
        (Some("HTTP/1.1 101 Half"), "error Io"),
        (Some("SSH-2.0-motorway\r\n\r\n"), "error Handshake"),
        (Some("HTTP/1.1 200 OK\r\n\r\n"), "error Handshake"),
        (Some(accept), "error Handshake"),
    ] {
        let probe = quiet();
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = End::Client(ClientOptions::default()).start(&probe, ours);
        let mut peer = Raw::server(theirs);
        peer.head().await;
        let waits = answer.is_none();
        peer.write(answer.unwrap_or_default()).await;
        let _kept = waits.then_some(peer);
        let error = within(task).await.unwrap().unwrap_err();
        never_opened(&probe.log(), &["connecting", call, "close"], &error);
    }
}

#[tokio::test(start_paused = true)]
async fn octets_that_were_not_sent_are_counted() {
    for end in both_ends!(|options| options) {
        let probe = quiet();
        let (session, _) = end.open_on(&probe, tokio::io::duplex(1000), "").await;
        let ws = session.ws();
        ws.send(vec![0; 5000]).await.unwrap();
        settle().await;
        let buffered = ws.buffered();
        assert!((4000..4100).contains(&buffered), "{buffered}");
        ws.abort();
        let info = within(session.task).await.unwrap().unwrap();
        assert_eq!(info.unsent_octets, buffered);
        assert_eq!(ws.buffered(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_dropped_with_the_closing_handshake() {
    for end in both_ends!(|options| options) {
        let (mut session, _) = end.open_on(&quiet(), tokio::io::duplex(1000), "").await;
        let ws = session.ws();
        ws.send(vec![0; 5000]).await.unwrap();
        session.peer.send(Wire::close(4000, "theirs")).await;
        settle().await;
        let start = Instant::now();
        let info = within(session.task).await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), 4, "{info:?}");
        assert!(!info.was_clean && info.unsent_octets > 4000, "{info:?}");
        assert_eq!((info.code.as_u16(), info.closed_by), (4000, Endpoint::Peer));
        assert_eq!(info.reason, "theirs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_only_reads_after_its_close_frame_gets_all_that_was_sent() {
    for end in both_ends!(|options| options) {
        let (session, _) = end.open_on(&quiet(), tokio::io::duplex(1000), "").await;
        let (mut peer, ws) = (session.peer, session.log.ws());
        ws.send(vec![7; 5000]).await.unwrap();
        peer.send(Wire::close(1000, "")).await;
        peer.stream.shutdown().await.unwrap();
        settle().await;
        assert_eq!(peer.frame().await.payload, [7; 5000]);
        assert_eq!(peer.frame().await.code(), 1000);
        let info = within(session.task).await.unwrap().unwrap();
        assert!(info.was_clean && info.unsent_octets == 0, "{info:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_local_frame_is_the_one_that_was_sent() {
    for end in both_ends!(|options| options) {
        let mut session = end.open(&quiet()).await;
        session.ws().close(4000, "ä".repeat(100)).await.unwrap();
        let frame = session.peer.frame().await;
        session.peer.send(Wire::close(1000, "")).await;
        let local = session.end().await.local.unwrap();
        assert_eq!(local.reason.as_bytes(), &frame.payload[2..]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_both_close_frames_is_clean() {
    for end in both_ends!(|options| options) {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let watch = Watch::default();
        let ours = Watched {
            inner: ours,
            watch: watch.clone(),
        };
        let (mut session, _) = end.open_on(&quiet(), (ours, theirs), "").await;
        session.peer.send(Wire::close(1000, "")).await;
        assert_eq!(session.peer.frame().await.code(), 1000);
        settle().await;
        watch.fail_reads();
        let info = session.end().await;
        assert!(info.was_clean && info.is_ok(), "{info:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_drop_tcp_is_told_of() {
    let mut session = open_client(&quiet(), ClientOptions::default()).await;
    session.peer.send(Wire::close(4000, "theirs")).await;
    assert_eq!(session.peer.frame().await.code(), 4000);
    assert_eq!(session.peer.next().await, None);
    let log = session.log.clone();
    let info = session.end().await;
    let kind = TimeoutKind::ServerConnectionDrop;
    assert!(matches!(info.cause, CloseCause::Timeout(found) if found == kind));
    assert_eq!(
        (info.was_clean, info.code.as_u16(), info.closed_by),
        (false, 4000, Endpoint::Peer)
    );
    let calls = ["timeout ServerConnectionDrop", "error Timeout", "close"];
    assert_eq!(log.lines()[3..], calls);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_drop_tcp_is_told_of() {
    let mut session = open(&quiet(), ServerOptions::default()).await;
    session.peer.send(Wire::close(4000, "theirs")).await;
    let start = Instant::now();
    let info = within(&mut session.task).await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    let kind = TimeoutKind::ClosingHandshake;
    assert!(matches!(info.cause, CloseCause::Timeout(found) if found == kind));
    assert_eq!(
        (info.was_clean, info.code.as_u16(), info.closed_by),
        (false, 4000, Endpoint::Peer)
    );
    let calls = ["timeout ClosingHandshake", "error Timeout", "close"];
    assert_eq!(session.log.lines()[2..], calls);
}

#[tokio::test(start_paused = true)]
async fn callbacks_of_the_end_that_fail_change_nothing() {
    for panics in [false, true] {
        let probe = probe(move |what| async move {
            match what {
                What::Timeout | What::Error | What::Close if panics => panic!("on purpose"),
                What::Timeout | What::Error | What::Close => Err(std::fmt::Error.into()),
                _ => Ok(()),
            }
        });
        for end in both_ends!(|options| options) {
            let mut session = end.open(&probe).await;
            session.ws().close(4000, "").await.unwrap();
            session.peer.frame().await;
            assert_eq!(session.peer.next().await, None);
            let before = session.log.count("close");
            let log = session.log.clone();
            let info = session.end().await;
            assert!(matches!(info.cause, CloseCause::Timeout(_)), "{info:?}");
            let lines = log.lines();
            let calls = ["timeout ClosingHandshake", "error Timeout", "close"];
            assert_eq!(lines[lines.len() - 3..], calls, "{before}");
        }
    }
}

/// A server with one connection.
async fn listening(
    probe: &crate::probe::Probe<crate::probe::Messages>,
) -> (Server, Raw<TcpStream>, WebSocket) {
    let server = probe
        .factory(ServerOptions::default())
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    let mut peer = Raw::client(TcpStream::connect(server.local_addr()).await.unwrap());
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    while server.connections().is_empty() || probe.log().lines().len() < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    (server, peer, probe.log().ws())
}

fn is_shutdown(info: &CloseInfo, was_clean: bool) {
    assert!(matches!(info.cause, CloseCause::Shutdown), "{info:?}");
    assert_eq!(
        (info.was_clean, info.closed_by),
        (was_clean, Endpoint::Local)
    );
    assert_eq!(
        info.local.as_ref().unwrap().code,
        CloseCode::SERVICE_RESTART
    );
}

#[tokio::test]
async fn a_shutdown_is_clean_for_those_who_answer_and_not_for_others() {
    for answers in [true, false] {
        let probe = quiet();
        let (server, mut peer, ws) = listening(&probe).await;
        let deadline = Duration::from_millis(if answers { 60_000 } else { 50 });
        let stopping =
            tokio::spawn(server.shutdown(CloseCode::SERVICE_RESTART, "moving", deadline));
        assert_eq!(peer.frame().await, Wire::close(1012, "moving"));
        if answers {
            peer.send(Wire::close(1012, "moving")).await;
            assert_eq!(peer.next().await, None);
            drop(peer);
        } else {
            assert!(peer.rest().await.is_empty());
        }
        within(stopping).await.unwrap().unwrap();
        assert_eq!(probe.log().lines(), ["connect", "open", "close"]);
        is_shutdown(&probe.log().info(), answers);
        is_shutdown(&within(ws.closed()).await, answers);
    }
}

/// RFC 6455 §7.1.1: the server closes TCP first. Once both close frames are exchanged it owes the peer
/// nothing, and waits for nothing.
#[tokio::test]
async fn a_server_waits_for_no_peer_that_keeps_tcp_open() {
    for begins in [Endpoint::Local, Endpoint::Peer] {
        let probe = quiet();
        let (server, mut peer, ws) = listening(&probe).await;
        if begins == Endpoint::Local {
            ws.close(4000, "ours").await.unwrap();
            assert_eq!(peer.frame().await, Wire::close(4000, "ours"));
        }
        let answered = std::time::Instant::now();
        peer.send(Wire::close(4000, "ours")).await;
        let info = within(ws.closed()).await;
        // The closing handshake has five seconds, and the peer would get them.
        assert!(answered.elapsed() < Duration::from_secs(4), "{info:?}");
        assert_eq!((info.was_clean, info.closed_by), (true, begins));
        while !server.connections().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        // The end is an end, and no reset.
        if begins == Endpoint::Peer {
            assert_eq!(peer.frame().await, Wire::close(4000, "ours"));
        }
        assert_eq!(peer.next().await, None);
    }
}

/// What a peer has sent behind its close frame is read, or else it would turn our close frame into a
/// reset.
#[tokio::test]
async fn what_came_behind_the_close_frame_makes_the_end_no_reset() {
    for (length, sent) in [
        (1, 9_000),
        (4088, 9_000),
        (4096, 9_000),
        (20_000, 9_000),
        (20_000, 50_000),
    ] {
        let (_server, mut peer, ws) = listening(&quiet()).await;
        ws.send(vec![7; sent]).await.unwrap();
        let mut octets = peer.encode(Wire::close(4000, "theirs"));
        octets.resize(octets.len() + length, 0x81);
        peer.write(octets).await;
        assert_eq!(peer.frame().await, Wire::binary(vec![7; sent]));
        assert_eq!(peer.frame().await, Wire::close(4000, "theirs"), "{length}");
        // Where much was sent, the server waits for the peer's end.
        drop(peer);
        let info = within(ws.closed()).await;
        assert!(info.was_clean, "{info:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_dropped_resets_its_connections() {
    let probe = quiet();
    let (server, mut peer, ws) = listening(&probe).await;
    drop(server);
    let info = within(ws.closed()).await;
    assert!(matches!(info.cause, CloseCause::Shutdown), "{info:?}");
    assert_eq!(
        (info.was_clean, info.closed_by, info.local),
        (false, Endpoint::Local, None)
    );
    let read = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0; 10]).await;
    assert_eq!(
        read.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_reset_by_the_peer_is_an_error_of_the_stream() {
    let probe = quiet();
    let (_server, peer, ws) = listening(&probe).await;
    peer.stream.set_zero_linger().unwrap();
    drop(peer);
    let info = within(ws.closed()).await;
    assert!(matches!(info.cause, CloseCause::Io(_)), "{info:?}");
    assert_eq!(
        (info.code, info.closed_by),
        (CloseCode::ABNORMAL, Endpoint::Peer)
    );
    while probe.log().count("close") == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        probe.log().lines(),
        ["connect", "open", "error Io", "close"]
    );
}

#[tokio::test(start_paused = true)]
async fn responses_tell_nothing_of_our_errors() {
    let internal = || ConnectionDeny::internal(std::io::Error::other("a secret"));
    let probe = quiet().on_connect(move |_| async move { Err(internal()) });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    End::Server(ServerOptions::default()).start(&probe, ours);
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    let answer = String::from_utf8(peer.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("secret"));
    // A client whose instance refuses the response.
    let probe = quiet().on_connected(|| Err(std::io::Error::other("a secret").into()));
    let (ours, theirs) = tokio::io::duplex(PIPE);
    End::Client(ClientOptions::default()).start(&probe, ours);
    let mut peer = Raw::server(theirs);
    let request = peer.head().await;
    peer.write(response(&request, "")).await;
    assert_eq!(peer.frame().await.payload, [3, 232]);
}
