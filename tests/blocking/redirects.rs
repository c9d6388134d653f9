//! Redirects of the opening handshake, and answers before the one that counts.

use crate::peer::{accept, listen, read_request};
use motorway::blocking::Connector;
use motorway::handshake::accept_key;
use motorway::{ClientOptions, ConnectingRequest, Error, HandshakeError};
use std::io::Write;
use std::net::TcpListener;
use std::thread;

fn lead(listener: &TcpListener, location: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let request = String::from_utf8(read_request(&mut stream)).unwrap();
    let answer = format!("HTTP/1.1 302 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    request
}

fn connector(url: &str, redirects: u32) -> Connector {
    let options = ClientOptions::default().max_redirects(redirects);
    let options = options.header("cookie", "a=b").header("x-kept", "1");
    let request = ConnectingRequest::new()
        .resource("/first")
        .header("authorization", "c");
    Connector::new(url)
        .unwrap()
        .options(options)
        .request(request)
}

#[test]
fn redirects_are_followed_and_secrets_stay_behind() {
    let ((one, url), (two, other)) = (listen(), listen());
    let connecting = connector(&url, 2);
    let connecting = thread::spawn(move || connecting.connect());
    let request = lead(&one, "b?c");
    assert!(request.starts_with("GET /first "), "{request}");
    let request = lead(&one, &other.replace("ws:", "http:"));
    assert!(request.starts_with("GET /b?c "), "{request}");
    assert!(request.contains("cookie: a=b") && request.contains("authorization: c"));
    let (mut stream, _) = two.accept().unwrap();
    let request = String::from_utf8(read_request(&mut stream)).unwrap();
    assert!(
        request.starts_with("GET / ") && request.contains("x-kept: 1"),
        "{request}"
    );
    assert!(
        !request.contains("cookie") && !request.contains("authorization"),
        "{request}"
    );
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept_key(key.unwrap());
    let answer = format!(
        "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(b"\x81\x02hi");
    stream.write_all(&answer).unwrap();
    let mut ws = connecting.join().unwrap().unwrap();
    assert_eq!(&*ws.recv_text().unwrap().unwrap(), "hi");
    assert_eq!(ws.response().unwrap().url().unwrap().to_string(), other);
    assert_eq!(ws.handle().path(), "/");
}

#[test]
fn redirects_are_refusals_unless_asked_for_and_too_many_are_told() {
    for (redirects, location) in [(0, "/b"), (1, "/b"), (1, "ftp://x/")] {
        let (listener, url) = listen();
        let connecting = connector(&url, redirects);
        let connecting = thread::spawn(move || connecting.connect());
        lead(&listener, location);
        if (redirects, location) == (1, "/b") {
            lead(&listener, "/c");
        }
        let error = connecting.join().unwrap().unwrap_err();
        let Error::Handshake(error) = error else {
            panic!("{error:?}");
        };
        match (redirects, location) {
            (0, _) => assert_eq!(error.status(), 302),
            (_, "/b") => assert!(
                matches!(*error, HandshakeError::TooManyRedirects { limit: 1, .. }),
                "{error:?}"
            ),
            _ => assert!(
                matches!(*error, HandshakeError::InvalidRedirect { .. }),
                "{error:?}"
            ),
        }
    }
}

#[test]
fn nothing_is_followed_on_a_stream_that_was_given() {
    let (listener, url) = listen();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let connecting = connector(&url, 5);
    let connecting = thread::spawn(move || connecting.connect_stream(stream));
    lead(&listener, "/b");
    assert_eq!(
        connecting.join().unwrap().unwrap_err().status().unwrap(),
        302
    );
}

#[test]
fn a_place_to_connect_to_is_that_of_the_first_server_alone() {
    let ((one, _), (two, other)) = (listen(), listen());
    let options = ClientOptions::default().max_redirects(1);
    let options = options.connect_to(one.local_addr().unwrap());
    let connector = Connector::new("ws://server.invalid/")
        .unwrap()
        .options(options);
    let connecting = thread::spawn(move || connector.connect());
    lead(&one, &other);
    let _stream = accept(&two);
    connecting.join().unwrap().unwrap();
}
