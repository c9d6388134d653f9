//! What a blocking end does about its options. `every_option` knows where each is tried.

use crate::octets::{
    BINARY, CLOSE, DEFLATE, FIN, KEY, Masks, PING, TEXT, field, frame, request, response,
};
use crate::peer::{Echo, listen};
use crate::raw::{Raw, ask};
use motorway::blocking::Connector;
use motorway::{ClientOptions, DeflateOptions, PerMessageDeflateOffer, ServerOptions};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

fn server() -> ServerOptions {
    ServerOptions::default()
}

fn client() -> ClientOptions {
    ClientOptions::default()
}

#[test]
fn frames_are_as_a_server_was_told() {
    let masked = |first, payload: &[u8]| frame(first, payload, Masks::Yes);
    let parts = |count: usize| {
        let rest = frame(0, b"x", Masks::Yes).repeat(count - 2);
        [masked(TEXT & !FIN, b"x"), rest, masked(FIN, b"x")].concat()
    };
    for (options, octets, code) in [
        (
            server().max_frame_payload_size(10),
            masked(BINARY, &[0; 11]),
            1009,
        ),
        (server().max_message_payload_size(2), parts(3), 1009),
        (server().max_fragments(2), parts(3), 1009),
        (
            server().echo_close_code_reason(false),
            masked(CLOSE, b"\x0f\xa1"),
            1000,
        ),
        (server(), masked(CLOSE, b"\x0f\xa1"), 4001),
        (server(), masked(TEXT, b"\xff"), 1007),
        (server(), frame(TEXT, b"x", Masks::No), 1002),
        // Dropped without a word.
        (server().fail_by_drop(true), masked(FIN | 3, b""), 0),
    ] {
        let echo = Echo::start(options);
        let mut raw = Raw::open(echo.address(), "");
        raw.write(octets);
        assert_eq!(raw.code(), code);
    }
}

#[test]
fn messages_are_as_a_server_was_told() {
    let masked = |first, payload: &[u8]| frame(first, payload, Masks::Yes);
    let ping = Duration::from_millis(50);
    for (options, octets, payload) in [
        (
            server().utf8_validate_incoming(false),
            masked(TEXT, b"\xff"),
            &b"\xff"[..],
        ),
        (
            server().require_masked_client_frames(false),
            frame(TEXT, b"x", Masks::No),
            b"x",
        ),
        (
            server().mask_server_frames(true),
            masked(TEXT, b"masked"),
            b"masked",
        ),
        (
            server().auto_fragment_size(4),
            masked(TEXT, b"12345678"),
            b"1234",
        ),
        // As it was on the wire.
        (
            server().apply_mask(false),
            masked(BINARY, &[0x37, 0xfa]),
            &[0, 0],
        ),
    ] {
        let masks = payload == b"masked";
        let echo = Echo::start(options);
        let mut raw = Raw::open(echo.address(), "");
        raw.write(octets);
        let came = raw.frame().unwrap();
        assert_eq!(
            (came.payload.as_slice(), came.key.is_some()),
            (payload, masks)
        );
    }
    let echo = Echo::start(server().auto_ping_interval(ping).auto_ping_size(77));
    let came = Raw::open(echo.address(), "").frame().unwrap();
    assert_eq!((came.first, came.payload.len()), (PING, 77));
}

#[test]
fn heads_are_as_a_server_was_told() {
    let origin = |origin: &str| request(&format!("Origin: {origin}\r\n"));
    let plain = "GET /?redirect=http://a/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let long = request(&format!("X: {}\r\n", "a".repeat(600)));
    let draft = request("").replace("Version: 13", "Version: 8");
    for (options, octets, expected) in [
        (
            server().max_header_size(512).max_header_line(512),
            long.clone(),
            431,
        ),
        (server().max_header_line(128), long, 431),
        (server().max_headers(8), request(&"a: b\r\n".repeat(8)), 431),
        (server().versions([8, 13]), draft.clone(), 101),
        (server(), draft, 426),
        (
            server().allowed_origins(["https://a.com"]),
            origin("https://b.com"),
            403,
        ),
        (
            server().allowed_origins(["https://a.com"]),
            origin("null"),
            403,
        ),
        (
            server()
                .allowed_origins(["https://a.com"])
                .allow_null_origin(true),
            origin("null"),
            101,
        ),
        (server().external_port(81), request(""), 400),
        (server().web_status(false), plain.clone(), 426),
        (server().web_status(true), plain.clone(), 200),
        (server().web_status_redirect(true), plain, 303),
    ] {
        let echo = Echo::start(options);
        let (status, answer) = ask(echo.address(), &octets);
        assert_eq!(status, expected, "{octets}{answer}");
    }
}

#[test]
fn answers_are_as_a_server_was_told() {
    let options = server()
        .server("here".to_owned())
        .header("x-a", "b")
        .protocols(["chat"]);
    let echo = Echo::start(options.per_message_deflate(DeflateOptions::default()));
    let asked = request(&format!("Sec-WebSocket-Protocol: chat\r\n{DEFLATE}"));
    let (_, answer) = ask(echo.address(), asked);
    for (name, value) in [
        ("server", "here"),
        ("x-a", "b"),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        let found = field(&answer, name);
        assert!(
            found.is_some_and(|found| found.starts_with(value)),
            "{answer}"
        );
    }
    let options = server()
        .serve_flash_socket_policy(true)
        .flash_socket_policy("<all/>\0");
    let echo = Echo::start(options);
    let (_, answer) = ask(echo.address(), "<policy-file-request/>\0");
    assert_eq!(answer, "<all/>\0");
}

/// What a client asks for.
fn asked(options: ClientOptions) -> String {
    let (listener, url) = listen();
    let connecting = thread::spawn(move || {
        let connector = Connector::new(url).unwrap().options(options);
        connector.connect().unwrap_err();
    });
    let head = Raw::on(listener.accept().unwrap().0).head();
    connecting.join().unwrap();
    head
}

#[test]
fn requests_are_as_a_client_was_told() {
    let mut headers = motorway::HeaderMap::new();
    headers.insert("x-b", motorway::HeaderValue::from_static("c"));
    let options = client().headers(&headers).header("x-a", "b");
    let options = options
        .origin("https://a.com")
        .useragent("me".to_owned())
        .version(10);
    let offers = [PerMessageDeflateOffer::new()];
    let options = options.per_message_compression_offers(offers);
    let head = asked(options.protocols(["chat"]));
    for (name, value) in [
        ("x-a", "b"),
        ("x-b", "c"),
        ("user-agent", "me"),
        ("sec-websocket-origin", "https://a.com"),
        ("sec-websocket-version", "8"),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        let found = field(&head, name);
        assert!(
            found.is_some_and(|found| found.starts_with(value)),
            "{head}"
        );
    }
}

#[test]
fn compression_is_as_closures_want_it() {
    let options = server().per_message_deflate(DeflateOptions::default());
    let echo = Echo::start(options.per_message_compression_accept(|_| None));
    let (status, answer) = ask(echo.address(), request(DEFLATE));
    assert_eq!(
        (status, field(&answer, "sec-websocket-extensions")),
        (101, None)
    );
    let (listener, url) = listen();
    let serving = thread::spawn(move || {
        let mut raw = Raw::on(listener.accept().unwrap().0);
        let head = raw.head();
        raw.write(response(&head, DEFLATE));
    });
    let options = client().per_message_deflate(DeflateOptions::default());
    let options = options.per_message_compression_accept(|_| None);
    Connector::new(url)
        .unwrap()
        .options(options)
        .connect()
        .unwrap_err();
    serving.join().unwrap();
}

#[test]
fn frames_are_as_a_client_was_told() {
    let open = |options| {
        let (listener, url) = listen();
        let connector = Connector::new(url).unwrap().options(options);
        let connecting = thread::spawn(move || connector.connect().unwrap());
        let mut raw = Raw::on(listener.accept().unwrap().0);
        let head = raw.head();
        assert_ne!(field(&head, "sec-websocket-key").unwrap(), KEY);
        raw.write(response(&head, ""));
        (connecting.join().unwrap(), raw)
    };
    let (mut ws, mut raw) = open(client().mask_client_frames(false));
    ws.send("x").unwrap();
    assert_eq!(raw.frame().unwrap().key, None);
    let (mut ws, mut raw) = open(client().accept_masked_server_frames(true));
    raw.write(frame(TEXT, b"x", Masks::Yes));
    assert_eq!(ws.recv().unwrap(), Some("x".into()));
    let (mut ws, mut raw) = open(client());
    raw.write(frame(TEXT, b"x", Masks::Yes));
    drop(raw);
    ws.recv().unwrap_err();
}

#[cfg(target_os = "linux")]
#[test]
fn sockets_are_as_a_client_was_told() {
    let (listener, url) = listen();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let kept = stream.try_clone().unwrap();
    let time = Duration::from_secs(47);
    let options = client()
        .tcp_no_delay(true)
        .tcp_keepalive(time)
        .tcp_user_timeout(time);
    let connector = Connector::new(url).unwrap().options(options);
    drop(listener);
    connector.connect_stream(stream).unwrap_err();
    let socket = socket2::SockRef::from(&kept);
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), time);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(time));
}

/// The server accepts one at a time by hand, so that the others wait in the queue of the system.
#[cfg(target_os = "linux")]
#[test]
fn a_backlog_holds_also_where_it_is_set_later() {
    let accepted = |backlog| {
        let server = motorway::blocking::Server::bind("127.0.0.1:0").unwrap();
        let server = server.options(self::server().backlog(backlog)).unwrap();
        let time = Duration::from_millis(300);
        let dial = || TcpStream::connect_timeout(&server.local_addr(), time);
        let streams: Vec<_> = (0..8).map_while(|_| dial().ok()).collect();
        streams.len()
    };
    assert!(accepted(1) < 5);
    assert_eq!(accepted(100), 8);
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_goes_over_the_wire_is_logged() {
    for (options, target) in [
        (client().log_frames(true), "motorway::frames"),
        (client().log_octets(true), "motorway::octets"),
        (client(), ""),
    ] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let echo = Echo::start(server());
        tracing::subscriber::with_default(subscriber, || {
            let connector = Connector::new(&echo.url).unwrap().options(options);
            let mut ws = connector.connect().unwrap();
            ws.send("hello").unwrap();
            ws.recv().unwrap();
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains(target), "{log}");
        assert_eq!(target.is_empty(), !log.contains("motorway::"), "{log}");
    }
}
