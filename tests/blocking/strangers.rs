//! What strangers may try at the door of a blocking server, and at its end: each test has the name of a
//! threat.

use crate::heads::{SECOND, lenient, long, smuggled};
use crate::octets::{BINARY, CLOSE, DEFLATE, Masks, PING, frame, request, status};
use crate::peer::{Echo, listen};
use crate::raw::{Raw, ask, until};
use motorway::blocking::{Connector, Server, WebSocketApp};
use motorway::{
    ClientOptions, CloseCause, CloseCode, ConnectionAccept, ConnectionDeny, ServerOptions,
    StatusCode, TimeoutKind,
};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_blocking_server_cuts_off_a_head_of_any_length() {
    let echo = Echo::start(ServerOptions::default());
    for (octets, expected) in long() {
        let (status, head) = ask(echo.address(), &octets);
        assert_eq!(status, expected, "{} octets: {head}", octets.len());
    }
}

#[test]
fn a_blocking_server_refuses_what_is_smuggled_once() {
    let echo = Echo::start(ServerOptions::default());
    for (octets, expected) in smuggled() {
        let (status, answer) = ask(echo.address(), octets.clone() + SECOND);
        assert_eq!(status, expected, "{octets}{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{octets}{answer}");
        assert!(!answer.contains("admin"), "{answer}");
    }
}

/// No `Host`, two of them, and whatever else may be read in two ways; and two keys.
#[test]
fn a_blocking_server_refuses_lenient_http() {
    let echo = Echo::start(ServerOptions::default());
    let keys = request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    for (octets, expected) in lenient().into_iter().chain([(keys, 400)]) {
        let (status, answer) = ask(echo.address(), &octets);
        assert_eq!(status, expected, "{octets:?}: {answer}");
    }
    assert!(echo.opened.try_recv().is_err(), "nobody got in");
}

#[test]
fn blocking_answers_have_no_header_of_anybody_else() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let evil = "x\r\nSet-Cookie: evil=1";
    let echo = Echo::on(server.on_connect(move |request| match request.path() {
        "/reason" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).reason(evil)),
        "/deny" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).header("x-why", evil)),
        "/accept" => Ok(ConnectionAccept::new().header("x-why", evil)),
        "/protocol" => Ok(ConnectionAccept::new().protocol(evil)),
        _ => Err(StatusCode::NOT_FOUND.into()),
    }));
    for path in [
        "/reason",
        "/deny",
        "/accept",
        "/protocol",
        "/%0d%0aSet-Cookie:%20evil",
    ] {
        let (status, answer) = ask(echo.address(), request("").replacen('/', path, 1));
        assert!([403, 404, 500].contains(&status), "{path}: {answer}");
        assert!(!answer.to_lowercase().contains("\nset-cookie"), "{answer}");
    }
    for options in [
        ClientOptions::default().header("x-a", "b\r\nX: y"),
        ClientOptions::default().origin("https://a\r\nX: y"),
        ClientOptions::default().protocols(["a\r\nX: y"]),
    ] {
        let (listener, url) = listen();
        let connector = Connector::new(url).unwrap().options(options);
        connector.connect().unwrap_err();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "refused before it is connected");
    }
}

/// A panic in a closure of the options, in a thread of the server: that client alone has no connection, and
/// the server ends as ever.
#[test]
fn a_panic_in_a_closure_of_the_options_concerns_one_client() {
    let options = ServerOptions::default().max_connections(3);
    let echo = Echo::start(
        options.per_message_compression_accept(|_| panic!("a panic that this test asks for")),
    );
    for _ in 0..5 {
        until("it is told", || {
            ask(echo.address(), request(DEFLATE)).0 == 500
        });
        until("its place is free", || {
            let mut raw = Raw::dial(echo.address());
            raw.write(request(""));
            status_of(&mut raw) == 101
        });
    }
}

fn status_of(raw: &mut Raw) -> u16 {
    status(&raw.head())
}

/// A panic in a callback of a client goes on in the thread that called it; the server is told.
#[test]
fn a_panic_in_a_callback_of_an_app_ends_its_connection() {
    let echo = Echo::start(ServerOptions::default());
    let app = WebSocketApp::new(Connector::new(&echo.url).unwrap())
        .on_open(|_| panic!("a panic that this test asks for"));
    assert!(catch_unwind(AssertUnwindSafe(|| app.run_forever())).is_err());
    let ws = echo.opened.recv().unwrap();
    until("it has ended", || ws.close_info().is_some());
    assert_eq!(ws.close_info().unwrap().code, CloseCode::GOING_AWAY);
}

/// A peer that never answers Close, or answers and never closes TCP, or says something else all the while:
/// one deadline for all of it, which nothing renews.
#[test]
fn a_peer_that_never_closes_is_gone_from_blocking_ends_at_the_deadline() {
    let time = Duration::from_millis(500);
    let answer = frame(CLOSE, &[3, 232], Masks::Yes);
    let trickle = frame(PING, b"still here", Masks::Yes);
    let data = frame(BINARY, &[0; 60_000], Masks::Yes);
    for octets in [Vec::new(), trickle, answer, data] {
        let options = ServerOptions::default().close_handshake_timeout(time);
        let echo = Echo::start(options);
        let mut raw = Raw::open(echo.address(), "");
        let ws = echo.opened.recv().unwrap();
        let start = Instant::now();
        let closing = thread::spawn(move || ws.close(CloseCode::NORMAL, "").unwrap());
        while !closing.is_finished() {
            assert!(start.elapsed() < Duration::from_secs(30), "no end");
            raw.write(&octets);
            thread::sleep(Duration::from_millis(1));
        }
        let info = closing.join().unwrap();
        let late = matches!(
            info.cause,
            CloseCause::Timeout(TimeoutKind::ClosingHandshake)
        );
        assert!(late && start.elapsed() >= time, "{info}");
    }
}

/// The same behind a full send queue, and for the end of a server: slow readers do not put it off.
#[test]
fn slow_readers_do_not_put_off_the_end_of_a_blocking_server() {
    let time = Duration::from_millis(500);
    let echo = Echo::start(ServerOptions::default().close_handshake_timeout(time));
    let message = frame(BINARY, &vec![0; 12 << 20], Masks::Yes);
    let mut raws: Vec<_> = (0..6).map(|_| Raw::open(echo.address(), "")).collect();
    let open: Vec<_> = raws.iter().map(|_| echo.opened.recv().unwrap()).collect();
    for raw in &mut raws {
        assert!(raw.write(&message));
        assert!(raw.write(&message[..100]));
    }
    // Until their echoes have begun, and stand still.
    for raw in &mut raws {
        assert_eq!(raw.stream.peek(&mut [0]).unwrap(), 1);
    }
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    drop(echo);
    assert!(start.elapsed() < Duration::from_secs(20));
    for ws in open {
        let info = ws.close_info().unwrap();
        assert!(!info.was_clean && info.unsent_octets > 0, "{info:?}");
    }
}

/// Peers that reset before they are accepted, or at once after.
#[test]
fn resets_do_not_end_a_blocking_server() {
    let echo = Echo::start(ServerOptions::default());
    for _ in 0..100 {
        let raw = Raw::dial(echo.address());
        let zero = Some(Duration::ZERO);
        socket2::SockRef::from(&raw.stream)
            .set_linger(zero)
            .unwrap();
    }
    Raw::open(echo.address(), "").assert_echoes();
}

/// What a client is answered without an end is read no further than a head may be long.
#[test]
fn a_blocking_client_cuts_off_an_answer_of_any_length() {
    for endless in [
        "HTTP/1.1 101 ",
        "HTTP/1.1 101 S\r\nX: ",
        "HTTP/1.1 101 S\r\na: b\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let mut raw = Raw::on(listener.accept().unwrap().0);
            raw.head();
            raw.write(endless);
            let more = ["aaaaaa", "a: b\r\n"][usize::from(endless.ends_with('\n'))];
            raw.write(more.repeat(1 << 20))
        });
        Connector::new(url).unwrap().connect().unwrap_err();
        assert!(!serving.join().unwrap(), "6 MiB were read");
    }
}
