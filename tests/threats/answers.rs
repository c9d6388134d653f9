//! Answers: what a client takes for one, and what comes with a head.

use crate::world::{
    KEY, Masks, Raw, TEXT, ask, echo_server, frame, request, response, status, within,
};
use motorway::{ClientOptions, Connector, Error, HandshakeError};
use tokio::net::TcpListener;

/// Answers one client of default options so; returns what it came to, and whether all octets were taken.
pub(crate) async fn answered(
    answer: impl FnOnce(&str) -> Vec<u8>,
) -> (Result<motorway::WebSocketStream, Error>, bool) {
    answered_with(ClientOptions::default(), answer).await
}

pub(crate) async fn answered_with(
    options: ClientOptions,
    answer: impl FnOnce(&str) -> Vec<u8>,
) -> (Result<motorway::WebSocketStream, Error>, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connector = Connector::new(format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    connector.set_protocol_options(options).unwrap();
    let dialing = tokio::spawn(async move { connector.connect().await });
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    let request = raw.head().await;
    let taken = raw.write(answer(&request)).await;
    let opened = within(dialing).await.unwrap();
    (opened, taken)
}

pub(crate) fn handshake_error(opened: Result<motorway::WebSocketStream, Error>) -> HandshakeError {
    match opened {
        Err(Error::Handshake(error)) => *error,
        other => panic!("{other:?}"),
    }
}

/// 200 taken for 101 (CVE-2024-23326): a client takes 101 and its tokens, and the accept key of its own
/// key, and nothing else (RFC 6455 §4.1).
#[tokio::test]
async fn a_client_takes_101_only() {
    let replaced = |old: &'static str, new: &'static str| {
        move |request: &str| {
            let answer = response(request, "");
            assert!(answer.contains(old), "{answer}");
            (answer.replace(old, new) + "\u{1}").into_bytes()
        }
    };
    for (old, new) in [
        ("101 Switching Protocols", "200 OK"),
        ("101 Switching Protocols", "100 Continue"),
        ("101 Switching Protocols", "204 No Content"),
        ("101 Switching Protocols", "301 Moved"),
        ("101 Switching Protocols", "426 Upgrade"),
        ("101 Switching Protocols", "1010 S"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("HTTP/1.1", "HTTP/2"),
        ("Upgrade: websocket\r\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: h2c, websocket"),
        ("Connection: Upgrade\r\n", ""),
        ("Connection: Upgrade", "Connection: close"),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
        (
            "Sec-WebSocket-Accept: ",
            "Sec-WebSocket-Accept: a\r\nSec-WebSocket-Accept: ",
        ),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: unasked\r\n\r\n"),
        (
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
        ("\r\n\r\n", "\r\nX: a\0\r\n\r\n"),
        ("\r\n\r\n", "\r\nX : a\r\n\r\n"),
        ("\r\n\r\n", "\r\nX: a\r\n b\r\n\r\n"),
    ] {
        let (opened, _) = answered(replaced(old, new)).await;
        assert!(opened.is_err(), "{old:?} {new:?}");
    }
    // It has no body, whatever it says (RFC 9112 §6.3): what follows is frames.
    for line in ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"] {
        let frames = frame(TEXT, b"no body", Masks::No);
        let answer = |request: &str| [response(request, line).as_bytes(), &frames].concat();
        let mut ws = answered(answer).await.0.unwrap();
        assert_eq!(&*within(ws.recv_text()).await.unwrap().unwrap(), "no body");
    }
    // The answer to somebody else's key.
    let fixed = format!("GET / HTTP/1.1\r\nSec-WebSocket-Key: {KEY}\r\n\r\n");
    let (opened, _) = answered(|_| response(&fixed, "").into_bytes()).await;
    opened.unwrap_err();
    answered(|request| response(request, "").into_bytes())
        .await
        .0
        .unwrap();
}

/// The same for the answer of a server, which a client reads no further either.
#[tokio::test]
async fn an_answer_of_any_length_is_cut_off() {
    for endless in [
        "HTTP/1.1 101 ",
        "HTTP/1.1 101 S\r\nX: ",
        "HTTP/1.1 101 S\r\na: b\r\n",
    ] {
        let (error, taken) = answered(|_| {
            let more = if endless.ends_with('\n') {
                "a: b\r\n"
            } else {
                "aaaaaa"
            };
            [endless, &more.repeat(1 << 20)].concat().into_bytes()
        })
        .await;
        let fault = handshake_error(error);
        assert!(
            matches!(
                fault,
                HandshakeError::LineTooLong { .. } | HandshakeError::TooManyHeaders { .. }
            ),
            "{fault:?}"
        );
        assert!(!taken, "6 MiB were read");
    }
}

/// Octets that come with the head (CVE-2026-130647, CVE-2026-2833): received once, in order, by both ends;
/// those behind a refusal by nobody; a second request behind the first is a frame that is wrong.
#[tokio::test]
async fn early_octets_are_taken_once() {
    let (server, _world) = echo_server().await;
    let frames: Vec<u8> = (0..200)
        .flat_map(|number| frame(TEXT, format!("{number}").as_bytes(), Masks::Yes))
        .collect();
    let octets = [request("").as_bytes(), &frames].concat();
    // Cut within the head, at its end, and within a frame.
    for cut in [10, request("").len(), request("").len() + 3, octets.len()] {
        let mut raw = Raw::dial(&server).await;
        raw.write(&octets[..cut]).await;
        tokio::task::yield_now().await;
        raw.write(&octets[cut..]).await;
        assert_eq!(status(&raw.head().await), 101);
        for number in 0..200 {
            assert_eq!(
                raw.frame().await.unwrap().payload,
                format!("{number}").as_bytes()
            );
        }
        raw.write(frame(TEXT, b"last", Masks::Yes)).await;
        assert_eq!(raw.frame().await.unwrap().payload, b"last");
    }
    let (_, answer) = ask(&server, [request("X : a\r\n").as_bytes(), &frames].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");

    let mut raw = Raw::dial(&server).await;
    raw.write(request("") + &request("")).await;
    assert_eq!(status(&raw.head().await), 101);
    assert_eq!(raw.frame().await.unwrap().code(), 1002);
    assert_eq!(raw.rest().await, b"");

    let (opened, _) = answered(|request| {
        let hello = frame(TEXT, b"hello", Masks::No);
        [response(request, "").as_bytes(), &hello, &hello[..3]].concat()
    })
    .await;
    let mut ws = opened.unwrap();
    assert_eq!(&*within(ws.recv_text()).await.unwrap().unwrap(), "hello");
}
