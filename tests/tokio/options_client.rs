//! What the options of a client alone do, on the wire and on the clock.

use crate::probe::{End, PIPE, open_client, open_client_with, quiet};
use crate::wire::{Raw, Wire, header, response, settle, within};
use motorway::{
    ClientOptions, CloseCause, ConnectError, Error, OptionsError, ProtocolError, TimeoutKind,
    WebSocketClientFactory,
};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::Instant;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn frames_with_a_mask_fail_the_connection_unless_accepted() {
    for (accept, lines) in [(false, 0), (true, 1)] {
        let options = ClientOptions::default().accept_masked_server_frames(accept);
        let mut session = open_client(&quiet(), options).await;
        session
            .peer
            .write(Wire::text("masked").masked().encode())
            .await;
        settle().await;
        assert_eq!(session.log.count("message masked"), lines);
        if accept {
            session.peer.text("bare").await;
            settle().await;
            assert_eq!(session.log.count("message bare"), 1);
        } else {
            assert_eq!(session.peer.frame().await.code(), 1002);
            let info = session.end().await;
            let error = ProtocolError::MaskedFrame;
            assert!(matches!(info.cause, CloseCause::Protocol(found) if found == error));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_to_the_server_are_masked_unless_told_otherwise() {
    for mask in [true, false] {
        let options = ClientOptions::default().mask_client_frames(mask);
        let mut session = open_client(&quiet(), options).await;
        session.ws().send("hello").await.unwrap();
        session
            .peer
            .send_all(&[Wire::ping("p"), Wire::close(1000, "")])
            .await;
        for expected in [Wire::text("hello"), Wire::pong("p"), Wire::close(1000, "")] {
            let frame = session.peer.frame().await;
            assert_eq!(frame.masked, mask);
            assert_eq!(frame.payload, expected.payload);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_frame_has_a_key_of_its_own() {
    let mut session = open_client(&quiet(), ClientOptions::default()).await;
    let mut keys = std::collections::HashSet::new();
    for _ in 0..100 {
        session.ws().send("").await.unwrap();
        keys.insert(session.peer.octets(6).await);
    }
    assert_eq!(keys.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn the_server_may_take_so_long_to_drop_tcp() {
    let default = ClientOptions::default();
    let drop_time = TimeoutKind::ServerConnectionDrop;
    for (options, expected, kind) in [
        (default.clone(), 1, drop_time),
        (
            default.clone().server_connection_drop_timeout(seconds(30)),
            30,
            drop_time,
        ),
        // Without it the closing handshake, whose end this is, has its own limit.
        (
            default.server_connection_drop_timeout(None),
            5,
            TimeoutKind::ClosingHandshake,
        ),
    ] {
        for local in [false, true] {
            let mut session = open_client(&quiet(), options.clone()).await;
            let start = Instant::now();
            match local {
                true => session.ws().close(1000, "").await.unwrap(),
                false => session.peer.send(Wire::close(1000, "")).await,
            }
            assert_eq!(session.peer.frame().await.code(), 1000);
            if local {
                session.peer.send(Wire::close(1000, "")).await;
            }
            assert_eq!(session.peer.next().await, None);
            assert_eq!(start.elapsed().as_secs(), expected, "{kind:?}");
            let info = session.end().await;
            assert!(
                matches!(info.cause, CloseCause::Timeout(found) if found == kind),
                "{info:?}"
            );
            assert!(!info.was_clean);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_timeout_the_end_of_tcp_is_waited_for() {
    let options = ClientOptions::default()
        .server_connection_drop_timeout(seconds(0))
        .close_handshake_timeout(None);
    let mut session = open_client(&quiet(), options).await;
    session.peer.send(Wire::close(1000, "")).await;
    session.peer.frame().await;
    tokio::time::sleep(seconds(3600)).await;
    assert!(!session.task.is_finished());
    assert!(session.end().await.was_clean);
}

/// Does not answer those who connect: the queue of a listener that accepts none is full.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn connecting_may_take_so_long() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        queue.push(stream.unwrap());
        assert!(queue.len() < 10);
    }
    let probe = quiet();
    let made = probe.clone();
    let mut factory =
        WebSocketClientFactory::new(format!("ws://{address}/"), move || made.clone()).unwrap();
    let options = ClientOptions::default().connect_timeout(Duration::from_millis(100));
    factory.set_protocol_options(options).unwrap();
    let start = std::time::Instant::now();
    for error in [
        factory.run().await.unwrap_err(),
        factory.connect().await.unwrap_err(),
    ] {
        let Error::Connect(error) = error else {
            panic!("{error:?}");
        };
        assert!(matches!(*error, ConnectError::Timeout { .. }), "{error:?}");
    }
    assert!((200..20_000).contains(&start.elapsed().as_millis()));
    assert!(
        probe.log().lines().is_empty(),
        "no callback of what never connected"
    );
}

#[tokio::test(start_paused = true)]
async fn origin_and_user_agent_are_told_as_asked_for() {
    let motorway = concat!("motorway/", env!("CARGO_PKG_VERSION"));
    let default = ClientOptions::default();
    for (options, origin, agent) in [
        (default.clone(), None, Some(motorway)),
        (
            default
                .clone()
                .origin("https://a.org")
                .useragent("own/1".to_owned()),
            Some("https://a.org"),
            Some("own/1"),
        ),
        (default.useragent(None), None, None),
    ] {
        let (_session, request) = open_client_with(&quiet(), options, "").await;
        assert_eq!(header(&request, "origin").as_deref(), origin);
        assert_eq!(header(&request, "user-agent").as_deref(), agent);
    }
}

#[tokio::test(start_paused = true)]
async fn protocols_are_offered_and_no_other_is_accepted() {
    let options = ClientOptions::default().protocols(["v2", "v1"]);
    let chosen = "Sec-WebSocket-Protocol: v1\r\n";
    let (session, request) = open_client_with(&quiet(), options.clone(), chosen).await;
    let offered = header(&request, "sec-websocket-protocol");
    assert_eq!(offered.as_deref(), Some("v2, v1"));
    assert_eq!(session.ws().subprotocol(), Some("v1"));
    let (session, _) = open_client_with(&quiet(), options.clone(), "").await;
    assert_eq!(session.ws().subprotocol(), None);
    for (options, chosen) in [
        (options, "Sec-WebSocket-Protocol: v3\r\n"),
        (ClientOptions::default(), "Sec-WebSocket-Protocol: v1\r\n"),
    ] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = End::Client(options).start(&quiet(), ours);
        let mut peer = Raw::server(theirs);
        let request = peer.head().await;
        peer.write(response(&request, chosen)).await;
        let error = within(task).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_options_count_for_new_connections_and_invalid_ones_for_none() {
    let probe = quiet();
    let mut factory = probe.client(ClientOptions::default().origin("https://1"));
    let invalid = ClientOptions::default()
        .origin("https://2")
        .max_frame_payload_size(1)
        .max_headers(7);
    let valid = ClientOptions::default()
        .origin("https://3")
        .max_frame_payload_size(1);
    let mut peers = Vec::new();
    for (options, expected) in [
        (None, "https://1"),
        (Some(invalid), "https://1"),
        (Some(valid), "https://3"),
    ] {
        match options.map(|options| factory.set_protocol_options(options)) {
            Some(Err(Error::Options(error))) => {
                assert!(matches!(
                    *error,
                    OptionsError::OutOfRange {
                        option: "max_headers",
                        ..
                    }
                ));
            }
            set => assert!(matches!(set, None | Some(Ok(())))),
        }
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let mut peer = Raw::server(theirs);
        let answer = async {
            let request = peer.head().await;
            assert_eq!(header(&request, "origin").as_deref(), Some(expected));
            peer.write(response(&request, "")).await;
        };
        let (ws, ()) = within(async { tokio::join!(factory.connect_stream(ours), answer) }).await;
        ws.unwrap();
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.text("ab").await;
    }
    settle().await;
    assert_eq!(
        probe.log().count("message ab"),
        2,
        "running ones keep theirs"
    );
    assert_eq!(peers[2].frame().await.code(), 1009);
}
