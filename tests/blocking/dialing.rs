//! What is connected to, from where, and what is told if that fails.

use crate::peer::{accept, listen, read_request};
use motorway::blocking::Connector;
use motorway::{ClientOptions, ConnectError, ConnectingRequest, Error, HandlerError};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

fn failure(url: &str, options: ClientOptions) -> ConnectError {
    let error = Connector::new(url).unwrap().options(options).connect();
    match error.unwrap_err() {
        Error::Connect(error) => *error,
        error => panic!("{error:?}"),
    }
}

#[test]
fn each_failure_to_connect_is_an_error_of_its_own() {
    let (listener, url) = listen();
    drop(listener);
    let options = ClientOptions::default;
    let error = failure(&url, options());
    assert!(
        matches!(&error, ConnectError::Refused { host, attempts: 1, .. } if host == "127.0.0.1"),
        "{error:?}"
    );
    let error = failure("ws://server.invalid/", options());
    assert!(
        matches!(error, ConnectError::Unresolved { .. }),
        "{error:?}"
    );
    let local: SocketAddr = "[::1]:0".parse().unwrap();
    let error = failure(&url, options().local_addr(local));
    assert!(matches!(error, ConnectError::NoAddress { .. }), "{error:?}");
}

/// Regression: the option was passed over.
#[test]
fn a_client_connects_from_the_address_that_it_is_told_to() {
    let (listener, url) = listen();
    let local: SocketAddr = "127.0.0.7:0".parse().unwrap();
    let options = ClientOptions::default().local_addr(local);
    let connecting = thread::spawn(move || Connector::new(url).unwrap().options(options).connect());
    let stream = accept(&listener);
    assert_eq!(stream.peer_addr().unwrap().ip(), local.ip());
    connecting.join().unwrap().unwrap();
}

#[test]
fn it_connects_to_another_place_and_asks_for_that_of_the_url() {
    let (listener, _) = listen();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = String::from_utf8(read_request(&mut stream)).unwrap();
        assert!(
            request.contains("\r\nHost: server.invalid:81\r\n"),
            "{request}"
        );
        stream
            .write_all(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let options = ClientOptions::default().connect_to(address);
    let connector = Connector::new("ws://server.invalid:81/").unwrap();
    let error = connector.options(options).connect().unwrap_err();
    assert_eq!(error.status().unwrap(), 418);
    serving.join().unwrap();
}

/// Regression: a host of the name `unix` was looked for.
#[cfg(unix)]
#[test]
fn a_unix_socket_is_dialed() {
    use std::os::unix::net::UnixListener;
    let path = std::env::temp_dir().join(format!("motorway-blocking-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let url = format!("ws://unix:{}", path.display());
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let stream = std::os::fd::OwnedFd::from(stream);
        let mut stream = std::net::TcpStream::from(stream);
        let request = String::from_utf8(read_request(&mut stream)).unwrap();
        assert!(request.contains("\r\nHost: unix\r\n"), "{request}");
        stream
            .write_all(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let error = Connector::new(&url).unwrap().connect().unwrap_err();
    assert_eq!(error.status().unwrap(), 418);
    serving.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = failure(&url, ClientOptions::default());
    assert!(matches!(error, ConnectError::Socket { .. }), "{error:?}");
}

#[test]
fn what_is_asked_for_is_decided_before_each_attempt() {
    let (listener, url) = listen();
    let tokens = std::sync::Mutex::new(vec!["two", "one"]);
    let connector = Connector::new(url).unwrap().on_connecting(move |details| {
        assert!(!details.is_server() && details.local().is_some());
        let token = tokens.lock().unwrap().pop();
        let token = token.ok_or(HandlerError::from(std::io::Error::other("spent")))?;
        Ok(ConnectingRequest::new().header("authorization", token))
    });
    let serving = thread::spawn(move || {
        for expected in ["one", "two"] {
            let (mut stream, _) = listener.accept().unwrap();
            let request = String::from_utf8(read_request(&mut stream)).unwrap();
            assert!(
                request.contains(&format!("\r\nauthorization: {expected}\r\n")),
                "{request}"
            );
            stream
                .write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
        // Nothing is sent.
        let (mut stream, _) = listener.accept().unwrap();
        assert!(crate::peer::read_rest(&mut stream).is_empty());
    });
    for _ in 0..2 {
        assert_eq!(connector.connect().unwrap_err().status().unwrap(), 401);
    }
    let error = connector.connect().unwrap_err();
    assert!(
        matches!(&error, Error::Handler(error) if error.to_string() == "spent"),
        "{error:?}"
    );
    serving.join().unwrap();
}

#[test]
fn a_proxy_that_is_silent_has_as_long_as_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let time = Duration::from_millis(50);
    let options = ClientOptions::default().proxy(proxy).connect_timeout(time);
    let error = failure("ws://server.invalid/", options);
    assert!(
        matches!(&error, ConnectError::Timeout { host, .. } if host == "server.invalid"),
        "{error:?}"
    );
}

#[test]
fn messages_are_received_as_text_or_octets() {
    let (mut ws, mut peer) = crate::peer::pair(ClientOptions::default());
    peer.write_all(b"\x81\x01a\x82\x01b\x82\x01\xff\x81\x01c\x82\x01\xfe")
        .unwrap();
    peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    assert_eq!(&*ws.recv_text().unwrap().unwrap(), "a");
    assert_eq!(&*ws.recv_text().unwrap().unwrap(), "b");
    let Error::NotUtf8(payload) = ws.recv_text().unwrap_err() else {
        panic!("not utf-8");
    };
    assert_eq!(payload.as_ref(), b"\xff");
    assert_eq!(&*ws.recv_bytes().unwrap().unwrap(), b"c");
    assert_eq!(&*ws.recv_bytes().unwrap().unwrap(), b"\xfe");
    drop(peer);
    assert_eq!(ws.recv_text().unwrap(), None);
    assert_eq!(ws.recv_bytes().unwrap(), None);
}
