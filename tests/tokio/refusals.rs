//! What a client is told of an answer that refuses, and what it asks for.

use crate::wire::{Raw, header, response, within};
use motorway::{ClientOptions, ConnectingRequest, Connector, Error, HandlerError, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// Connects to a server that answers so, and perhaps closes then.
async fn refused(answer: &[u8], closes: bool) -> Error {
    let connector = Connector::new("ws://localhost/").unwrap();
    let (ours, theirs) = duplex(4 << 20);
    let mut peer = Raw::server(theirs);
    let answering = async {
        peer.head().await;
        peer.write(answer).await;
        match closes {
            true => drop(peer),
            false => std::future::pending().await,
        }
    };
    let connecting = within(connector.connect_stream(ours));
    tokio::select! {
        error = connecting => error.unwrap_err(),
        () = async { answering.await; std::future::pending().await } => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_answer_is_told() {
    for (head, body, closes) in [
        (
            "HTTP/1.1 403 No\r\nContent-Length: 5\r\nX-Why: because\r\n\r\n",
            "no no",
            false,
        ),
        (
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nX-Why: because\r\n\r\n",
            "3\r\nno \r\n2\r\nno\r\n0\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 403 No\r\nX-Why: because\r\n\r\n", "no no", true),
        ("HTTP/1.0 403 No\r\nX-Why: because\r\n\r\n", "no no", true),
    ] {
        let error = refused(format!("{head}{body}").as_bytes(), closes).await;
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        assert_eq!(error.headers().unwrap()["x-why"], "because");
        let found = error.body().unwrap();
        assert!(!found.is_truncated(), "{head}");
        assert_eq!(found.text(), "no no");
        assert!(format!("{error:#?}").contains("length: 5"), "{error:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_in_time_is_cut_off() {
    let error = refused(b"HTTP/1.1 500 No\r\n\r\nhalf", false).await;
    let body = error.body().unwrap();
    assert_eq!((&*body.text(), body.is_truncated()), ("half", true));
    let answer = [&b"HTTP/1.1 500 No\r\n\r\n"[..], &vec![b'x'; 3 << 20]].concat();
    let error = refused(&answer, false).await;
    let body = error.body().unwrap();
    assert_eq!(
        (body.as_bytes().len(), body.is_truncated()),
        (1 << 20, true)
    );
}

#[tokio::test]
async fn other_errors_have_no_answer() {
    let error = motorway::connect("ws://no.such.invalid/")
        .await
        .unwrap_err();
    assert!(error.status().is_none() && error.headers().is_none() && error.body().is_none());
}

/// Answers one request well; returns it.
async fn answer(theirs: DuplexStream) -> (String, DuplexStream) {
    let mut peer = Raw::server(theirs);
    let request = peer.head().await;
    peer.write(response(&request, "")).await;
    peer.stream.flush().await.unwrap();
    (request, peer.stream)
}

#[tokio::test(start_paused = true)]
async fn headers_are_computed_before_each_attempt() {
    let mut connector = Connector::new("ws://localhost/").unwrap();
    let count = Arc::new(AtomicU32::new(0));
    connector.on_connecting(move |details| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            assert!(!details.is_server());
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(ConnectingRequest::new().header("authorization", format!("Bearer {number}")))
        }
    });
    for expected in ["Bearer 1", "Bearer 2"] {
        let (ours, theirs) = duplex(4096);
        let both = async { tokio::join!(connector.connect_stream(ours), answer(theirs)) };
        let (ws, (request, _stream)) = within(both).await;
        assert_eq!(header(&request, "authorization").as_deref(), Some(expected));
        assert_eq!(
            ws.unwrap().request().header("authorization"),
            Some(expected)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_cannot_be_computed_fail_the_attempt_before_anything_is_sent() {
    let mut connector = Connector::new("ws://localhost/").unwrap();
    let connect = async |connector: &Connector| {
        let (ours, theirs) = duplex(4096);
        let error = within(connector.connect_stream(ours)).await.unwrap_err();
        assert!(Raw::server(theirs).rest().await.is_empty());
        error
    };
    connector.on_connecting(|_| async { Err(std::io::Error::other("no token").into()) });
    let Error::Handler(error) = connect(&connector).await else {
        panic!("not an error of the callback");
    };
    assert_eq!(error.to_string(), "no token");
    connector.on_connecting(|_| async { Err(HandlerError::close(1000, "")) });
    assert!(matches!(connect(&connector).await, Error::Handler(_)));
    connector.on_connecting(|_| async { panic!("on purpose") });
    assert!(matches!(connect(&connector).await, Error::Handler(_)));
    connector.on_connecting(|_| std::future::pending());
    assert!(matches!(connect(&connector).await, Error::Timeout(_)));
    // What only the handshake may set, and what would be two lines.
    for (name, value) in [
        ("sec-websocket-key", "a"),
        ("host", "b"),
        ("x", "a\r\nb: c"),
    ] {
        connector.on_connecting(move |_| async move {
            Ok(ConnectingRequest::new().header(name, value))
        });
        let error = connect(&connector).await;
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
        let options = ClientOptions::default().header(name, value);
        let error = connector.set_protocol_options(options).unwrap_err();
        let Error::Options(error) = error else {
            panic!("{error:?}");
        };
        assert!(
            error.option() == "headers" && error.to_string().contains(name),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn interim_answers_are_no_refusal() {
    let connector = Connector::new("ws://localhost/").unwrap();
    let (ours, theirs) = duplex(1 << 16);
    let mut peer = Raw::server(theirs);
    let answering = async {
        let request = peer.head().await;
        let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n";
        peer.write(hints).await;
        peer.write(response(&request, "")).await;
        peer.text("early").await;
    };
    let (ws, ()) = tokio::join!(within(connector.connect_stream(ours)), answering);
    let mut ws = ws.unwrap();
    assert_eq!(ws.response().unwrap().header("link"), None);
    assert_eq!(&*within(ws.recv_text()).await.unwrap().unwrap(), "early");
}
