//! Which callbacks of a client come when, and what they may decide.

use crate::probe::{PIPE, Session, open_client, open_client_with, quiet};
use crate::wire::{Raw, Wire, header, response, settle, within};
use motorway::{
    ClientOptions, CloseCause, CloseCode, ConnectingRequest, ConnectionResponse, Error,
    HandlerError, HandlerResult, HandshakeError, Message, TimeoutKind, TransportDetails, WebSocket,
    WebSocketClientFactory, WebSocketClientProtocol,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_everything_in_order() {
    let (session, _) = open_client_with(&quiet(), ClientOptions::default(), "X-Extra: 1\r\n").await;
    let Session {
        mut peer,
        log,
        task,
    } = session;
    peer.send_all(&[Wire::text("hello"), Wire::close(1000, "bye")])
        .await;
    assert_eq!(peer.frame().await, Wire::close(1000, "bye").masked());
    drop(peer);
    let info = within(task).await.unwrap().unwrap();
    assert!(info.was_clean && info.is_ok());
    assert_eq!(
        log.lines(),
        ["connecting", "connect", "open", "message hello", "close"]
    );
}

#[tokio::test(start_paused = true)]
async fn on_connecting_may_change_the_request() {
    let probe = quiet().on_connecting(|| {
        Ok(Some(
            ConnectingRequest::new()
                .host("chat.example.com")
                .port(81)
                .resource("/room/9")
                .header("authorization", "Bearer 1")
                .origin("https://example.com")
                .useragent("mine")
                .protocols(["a", "b"]),
        ))
    });
    let options = ClientOptions::default().protocols(["other"]);
    let with = "Sec-WebSocket-Protocol: b\r\n";
    let (session, request) = open_client_with(&probe, options, with).await;
    assert!(request.starts_with("GET /room/9 HTTP/1.1\r\n"), "{request}");
    for (name, value) in [
        ("host", "chat.example.com:81"),
        ("authorization", "Bearer 1"),
        ("origin", "https://example.com"),
        ("user-agent", "mine"),
        ("sec-websocket-protocol", "a, b"),
    ] {
        assert_eq!(header(&request, name).as_deref(), Some(value), "{request}");
    }
    assert_eq!(session.ws().subprotocol(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_on_connecting_sends_nothing() {
    for panics in [false, true] {
        let probe = quiet().on_connecting(move || {
            assert!(!panics, "on purpose");
            Err(std::io::Error::other("no").into())
        });
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let factory = probe.client(ClientOptions::default());
        within(factory.run_stream(ours)).await.unwrap_err();
        assert!(Raw::server(theirs).rest().await.is_empty());
        let lines = probe.log().lines();
        assert_eq!(
            (&*lines[0], &**lines.last().unwrap()),
            ("connecting", "close")
        );
        assert_eq!(probe.log().count("close"), 1);
        assert!(!probe.log().info().opened);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_clients_on_connect_closes() {
    for (own, code) in [(false, 1000), (true, 4002)] {
        let probe = quiet().on_connected(move || match own {
            true => Err(HandlerError::close(4002, "no")),
            false => Err(std::io::Error::other("a secret").into()),
        });
        let mut session = open_client(&probe, ClientOptions::default()).await;
        let frame = session.peer.frame().await;
        assert_eq!(frame.code(), code);
        assert!(!String::from_utf8_lossy(&frame.payload).contains("secret"));
        session
            .peer
            .send_all(&[Wire::text("late"), Wire::close(code, "")])
            .await;
        let log = session.log.clone();
        let info = session.end().await;
        assert_eq!(log.lines(), ["connecting", "connect", "close"]);
        assert!(matches!(info.cause, CloseCause::Handler), "{info:?}");
        assert_eq!(info.code, CloseCode::from(code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_hears_of_it_once() {
    let answer = "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 0\r\n\r\n";
    let probe = quiet();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let factory = probe.client(ClientOptions::default());
    let task = tokio::spawn(async move { factory.run_stream(ours).await });
    let mut peer = Raw::server(theirs);
    peer.head().await;
    peer.write(answer).await;
    let error = within(task).await.unwrap().unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error}")
    };
    let HandshakeError::Refused {
        status, headers, ..
    } = *error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (status.as_u16(), &headers["x-why"]),
        (403, &"because".parse().unwrap())
    );
    assert_eq!(
        probe.log().lines(),
        ["connecting", "error Handshake", "close"]
    );
    assert!(!probe.log().info().opened);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let probe = quiet();
    let (ours, _theirs) = tokio::io::duplex(PIPE);
    let factory = probe.client(ClientOptions::default());
    let start = Instant::now();
    let error = within(factory.run_stream(ours)).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout(TimeoutKind::OpeningHandshake)),
        "{error}"
    );
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(
        probe.log().lines(),
        ["connecting", "error Timeout", "close"]
    );
}

#[tokio::test(start_paused = true)]
async fn messages_right_behind_the_answer_are_not_lost() {
    let probe = quiet();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let factory = probe.client(ClientOptions::default());
    tokio::spawn(async move { factory.run_stream(ours).await });
    let mut peer = Raw::server(theirs);
    let request = peer.head().await;
    let early = Wire::text("early").encode();
    peer.write([response(&request, "").as_bytes(), &early].concat())
        .await;
    settle().await;
    let expected = ["connecting", "connect", "open", "message early"];
    assert_eq!(probe.log().lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn on_connecting_has_as_long_as_the_opening_handshake() {
    struct Slow;
    impl WebSocketClientProtocol for Slow {
        async fn on_connecting(
            &mut self,
            _: &TransportDetails,
        ) -> motorway::Result<Option<ConnectingRequest>> {
            std::future::pending().await
        }
    }
    let (ours, _theirs) = tokio::io::duplex(1000);
    let factory = WebSocketClientFactory::new("ws://localhost/", || Slow).unwrap();
    let start = Instant::now();
    let error = within(factory.run_stream(ours)).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout(TimeoutKind::OpeningHandshake)),
        "{error}"
    );
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_on_connect_waits() {
    struct Slow;
    impl WebSocketClientProtocol for Slow {
        async fn on_connect(&mut self, _: &ConnectionResponse) -> HandlerResult {
            sleep(Duration::from_secs(60)).await;
            Ok(())
        }
        async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
            Ok(ws.send(message).await?)
        }
    }
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let factory = WebSocketClientFactory::new("ws://localhost/", || Slow).unwrap();
    tokio::spawn(async move { factory.run_stream(ours).await });
    let mut peer = Raw::server(theirs);
    let request = peer.head().await;
    // With the answer comes the beginning of what is sent then.
    let early = [Wire::text("one").encode(), Wire::ping("x").encode()].concat();
    peer.write([response(&request, "").as_bytes(), &early].concat())
        .await;
    peer.send(Wire::ping("y")).await;
    let start = Instant::now();
    assert_eq!(peer.frame().await, Wire::pong("x").masked());
    assert_eq!(peer.frame().await, Wire::pong("y").masked());
    assert!(start.elapsed().as_secs() < 1);
    assert_eq!(peer.frame().await, Wire::text("one").masked());
}
