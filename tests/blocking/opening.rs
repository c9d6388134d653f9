//! The opening handshake of clients.

use crate::peer::{Echo, listen, read_request};
use motorway::blocking::{Connector, connect};
use motorway::connection::TimeoutKind;
use motorway::{ClientOptions, ConnectError, ConnectingRequest, Error, ServerOptions, StatusCode};
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn refusal_is_told_with_status_and_headers() {
    let (listener, url) = listen();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        let response = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nno entry";
        stream.write_all(response).unwrap();
    });
    let error = connect(url).unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(error.headers().unwrap()["www-authenticate"], "Basic");
    assert_eq!(error.body().unwrap().text(), "no entry");
    assert!(!error.body().unwrap().is_truncated());
    serving.join().unwrap();
}

#[test]
fn server_that_says_nothing_is_given_up_in_time() {
    let options = ClientOptions::default().open_handshake_timeout(Duration::from_millis(50));
    for begin in ["", "HTTP/1.1 101 Switching"] {
        let (listener, url) = listen();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(begin.as_bytes()).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let connector = Connector::new(url).unwrap().options(options.clone());
        let kind = TimeoutKind::OpeningHandshake;
        assert!(matches!(connector.connect(), Err(Error::Timeout(found)) if found == kind));
        serving.join().unwrap();
    }
}

#[test]
fn server_that_hangs_up_is_told() {
    let (listener, url) = listen();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
    });
    let Err(Error::Io(error)) = connect(url) else {
        panic!("connected");
    };
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    serving.join().unwrap();
}

#[test]
fn what_cannot_be_connected_to_is_told_apart() {
    #[cfg(not(feature = "rustls"))]
    assert!(matches!(
        connect("wss://localhost/"),
        Err(Error::TlsUnsupported)
    ));
    assert!(matches!(
        connect("http://localhost/"),
        Err(Error::Handshake(_))
    ));
    let (listener, url) = listen();
    drop(listener);
    let Err(Error::Connect(error)) = connect(url) else {
        panic!("connected");
    };
    let ConnectError::Refused { source, .. } = *error else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
    let invalid = ClientOptions::default().auto_ping_size(3);
    let connector = Connector::new("ws://localhost/").unwrap().options(invalid);
    assert!(matches!(connector.connect(), Err(Error::Options(_))));
}

#[test]
fn request_and_response_are_as_asked_for_and_traced() {
    let server = ServerOptions::default()
        .protocols(["chat"])
        .header("x-served", "1");
    let echo = Echo::start(server);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let traced = Arc::clone(&lines);
    let mut ws = Connector::new(format!("{}room?a=1", echo.url))
        .unwrap()
        .options(ClientOptions::default().protocols(["none", "chat"]))
        .request(ConnectingRequest::new().header("x-asked", "1"))
        .trace(move |trace| traced.lock().unwrap().push(trace.to_string()))
        .connect()
        .unwrap();
    assert_eq!(ws.handle().subprotocol(), Some("chat"));
    assert_eq!(ws.handle().path(), "/room");
    assert_eq!(ws.response().unwrap().header("x-served"), Some("1"));
    assert!(ws.request().is_none());
    assert!(ws.handle().peer().socket_addr().is_some());
    ws.send("hi").unwrap();
    ws.recv().unwrap();
    let lines = lines.lock().unwrap();
    assert!(lines[0].starts_with("--- request header ---\nGET /room?a=1 HTTP/1.1\n"));
    assert!(lines[0].contains("\nx-asked: 1\n") && lines[0].ends_with("\n-----------------------"));
    assert!(lines[1].starts_with("--- response header ---\nHTTP/1.1 101 "));
    assert!(lines[2].starts_with(r#"send: b"\x81\x82"#), "{}", lines[2]);
    assert_eq!(lines[3], r#"receive: b"\x81\x02hi""#);
}

#[test]
fn frames_behind_the_response_are_received() {
    let (listener, url) = listen();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = String::from_utf8(read_request(&mut stream)).unwrap();
        let (_, rest) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        let key = motorway::handshake::accept_key(rest.lines().next().unwrap());
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n\r\n\u{1}\u{1}a\0\0"
        );
        stream.write_all(response.as_bytes()).unwrap();
        stream.write_all(b"\x80\x01b").unwrap();
        stream
    });
    let mut ws = connect(url).unwrap();
    assert_eq!(ws.recv().unwrap(), Some("ab".into()));
    serving.join().unwrap();
}
