//! The server on threads.

use crate::peer::{Echo, read_rest, server_pair};
use motorway::blocking::{Connector, Server, WebSocketApp, connect};
use motorway::{
    CloseCause, CloseCode, ConnectionDeny, Error, HandlerError, HandshakeError, ServerOptions,
    StatusCode,
};
use std::io::Write;
use std::net::TcpStream;
use std::thread;

#[test]
fn end_of_the_handler_decides_the_close_code() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (url, stopper) = (format!("ws://{}", server.local_addr()), server.stopper());
    let serving = thread::spawn(move || {
        server.serve(|ws| match ws.request().unwrap().path() {
            "/ok" => Ok(()),
            "/error" => Err("x".parse::<u8>().unwrap_err().into()),
            "/close" => Err(HandlerError::close(4001, "enough")),
            _ => panic!("a panic that this test asks for"),
        })
    });
    for (path, code) in [
        ("ok", 1000),
        ("error", 1011),
        ("close", 4001),
        ("panic", 1011),
    ] {
        let mut ws = connect(format!("{url}/{path}")).unwrap();
        assert_eq!(ws.recv().unwrap(), None);
        let info = ws.close_info().unwrap();
        assert_eq!(info.code.as_u16(), code, "{path}");
        assert!(info.was_clean);
    }
    stopper.stop();
    serving.join().unwrap().unwrap();
}

#[test]
fn stopping_closes_every_connection() {
    let echo = Echo::start(ServerOptions::default());
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut ws = connect(&echo.url).unwrap();
            ws.send("hi").unwrap();
            assert_eq!(ws.recv().unwrap(), Some("hi".into()));
            thread::spawn(move || (ws.recv().unwrap(), ws.close_info().unwrap().code))
        })
        .collect();
    let url = echo.url.clone();
    drop(echo);
    for client in clients {
        assert_eq!(client.join().unwrap(), (None, CloseCode::GOING_AWAY));
    }
    assert!(connect(url).is_err());
}

#[test]
fn requests_can_be_denied_and_refused() {
    let options = ServerOptions::default().allowed_origins(["http://good.example"]);
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .options(options)
        .unwrap();
    let server = server.on_connect(|request| match request.path() {
        "/teapot" => Err(ConnectionDeny::new(StatusCode::IM_A_TEAPOT)),
        _ => Ok(motorway::ConnectionAccept::new().header("x-path", request.path())),
    });
    let url = format!("ws://{}", server.local_addr());
    let clients = thread::spawn(move || {
        let good = Connector::new(format!("{url}/good"))
            .unwrap()
            .connect()
            .unwrap();
        assert_eq!(good.response().unwrap().header("x-path"), Some("/good"));
        let options = motorway::ClientOptions::default().origin("http://bad.example");
        let bad = Connector::new(&url).unwrap().options(options).connect();
        let teapot = connect(format!("{url}/teapot"));
        [bad, teapot].map(|refused| match refused {
            Err(Error::Handshake(error)) => error.status().as_u16(),
            other => panic!("{other:?}"),
        })
    });
    assert!(server.accept().is_ok());
    assert!(matches!(
        server.accept(),
        Err(Error::Handshake(error)) if *error == HandshakeError::OriginRefused
    ));
    let status = StatusCode::IM_A_TEAPOT;
    assert!(matches!(
        server.accept(),
        Err(Error::Handshake(error)) if error.status() == status
    ));
    assert_eq!(clients.join().unwrap(), [403, 418]);
}

#[test]
fn plain_request_gets_the_status_page() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let accepting = thread::spawn(move || server.accept().map(|_| ()));
    let page = String::from_utf8(read_rest(&mut stream)).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("WebSocket server"));
    drop(stream);
    assert!(accepting.join().unwrap().is_err());
}

#[test]
fn connections_above_the_limit_are_refused() {
    let echo = Echo::start(ServerOptions::default().max_connections(1));
    let mut first = connect(&echo.url).unwrap();
    first.send("hi").unwrap();
    assert!(first.recv().unwrap().is_some());
    assert!(matches!(
        connect(&echo.url),
        Err(Error::Handshake(error)) if error.status() == StatusCode::SERVICE_UNAVAILABLE
    ));
}

#[test]
fn server_knows_the_request() {
    let (ws, _peer) = server_pair(ServerOptions::default());
    assert_eq!(ws.request().unwrap().query(), Some("a=1"));
    assert_eq!(ws.handle().path(), "/chat");
    assert!(ws.response().is_none());
}

#[test]
fn callback_that_fails_closes_the_connection() {
    let echo = Echo::start(ServerOptions::default());
    let (mut opened, mut told) = (0, Vec::new());
    let info = WebSocketApp::new(Connector::new(&echo.url).unwrap())
        .on_open(|ws| {
            opened += 1;
            Ok(ws.send("hi")?)
        })
        .on_message(|_, message| {
            assert_eq!(message, "hi".into());
            Err(HandlerError::close(4002, "enough"))
        })
        .on_close(|info| told.push(info.code.as_u16()))
        .run_forever()
        .unwrap();
    assert!(
        info.was_clean && matches!(info.cause, CloseCause::Handler),
        "{info}"
    );
    assert_eq!((opened, told), (1, vec![4002]));
}

#[test]
fn connection_that_does_not_open_is_an_error_of_the_app() {
    let mut errors = 0;
    let run = WebSocketApp::new(Connector::new("ws://127.0.0.1:1").unwrap())
        .on_error(|_| errors += 1)
        .on_close(|_| panic!("never was open"))
        .run_forever();
    assert!(run.is_err());
    assert_eq!(errors, 1);
}
