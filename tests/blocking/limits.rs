//! What a server on threads bears: many clients, silent ones, slow ones, and callbacks that panic.

use crate::peer::{Echo, read_rest};
use motorway::blocking::{Server, connect};
use motorway::{ConnectionAccept, ServerOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn dial(url: &str) -> TcpStream {
    let address: SocketAddr = url["ws://".len()..].trim_end_matches('/').parse().unwrap();
    TcpStream::connect(address).unwrap()
}

/// Sends a request; returns the status of the response.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST.as_bytes()).unwrap();
    status(stream)
}

fn status(stream: &mut TcpStream) -> String {
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    String::from_utf8(start[9..].to_vec()).unwrap()
}

#[test]
fn of_clients_that_come_together_as_many_get_in_as_there_is_room_for() {
    let echo = Echo::start(ServerOptions::default().max_connections(4));
    // All are connected before the first of them says anything.
    let mut streams: Vec<_> = (0..8).map(|_| dial(&echo.url)).collect();
    thread::sleep(Duration::from_millis(100));
    let answers: Vec<_> = streams.iter_mut().rev().map(ask).collect();
    let opened = answers.iter().filter(|answer| *answer == "101").count();
    let refused = answers.iter().filter(|answer| *answer == "503").count();
    assert_eq!((opened, refused), (4, 4), "{answers:?}");
}

#[test]
fn a_head_that_trickles_in_does_not_renew_its_time() {
    let options = ServerOptions::default().open_handshake_timeout(Duration::from_millis(300));
    let echo = Echo::start(options);
    let mut slow = dial(&echo.url);
    let mut reading = slow.try_clone().unwrap();
    let start = Instant::now();
    let ended = thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = reading.read_to_end(&mut rest);
        start.elapsed()
    });
    for octet in REQUEST.bytes().cycle().take(600) {
        if slow.write_all(&[octet]).is_err() || ended.is_finished() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = slow.shutdown(std::net::Shutdown::Both);
    assert!(ended.join().unwrap() < Duration::from_secs(25));
}

#[test]
fn silent_clients_hold_nobody_up_and_their_places_come_back() {
    let options = ServerOptions::default().max_connections(30);
    let echo = Echo::start(options.open_handshake_timeout(Duration::from_secs(2)));
    let silent: Vec<_> = (0..29).map(|_| dial(&echo.url)).collect();
    let mut ws = connect(&echo.url).unwrap();
    ws.send("hi").unwrap();
    assert!(ws.recv().unwrap().is_some());
    for mut stream in silent {
        assert!(read_rest(&mut stream).is_empty());
    }
    let all: Vec<_> = (0..29).map(|_| connect(&echo.url).unwrap()).collect();
    assert!(connect(&echo.url).is_err());
    drop(all);
}

#[test]
fn a_panic_in_on_connect_concerns_one_client() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.on_connect(|request| match request.origin() {
        None => panic!("a panic that this test asks for"),
        Some(_) => Ok(ConnectionAccept::new()),
    });
    let (url, stopper) = (format!("ws://{}", server.local_addr()), server.stopper());
    let serving = thread::spawn(move || server.serve(|_| Ok(())));
    assert_eq!(ask(&mut dial(&url)), "500");
    assert_eq!(ask(&mut dial(&url)), "500");
    stopper.stop();
    serving.join().unwrap().unwrap();
}

#[test]
fn a_server_that_stops_lets_nobody_in_any_more() {
    let (asked, is_asked) = channel();
    let (stopped, is_stopped) = channel::<()>();
    let is_stopped = Arc::new(std::sync::Mutex::new(is_stopped));
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.on_connect(move |_| {
        asked.send(()).unwrap();
        let _ = is_stopped.lock().unwrap().recv();
        Ok(ConnectionAccept::new())
    });
    let (url, stopper) = (format!("ws://{}", server.local_addr()), server.stopper());
    let serving = thread::spawn(move || server.serve(|_| Ok(())));
    let mut stream = dial(&url);
    stream.write_all(REQUEST.as_bytes()).unwrap();
    is_asked.recv().unwrap();
    stopper.stop();
    drop(stopped);
    assert_eq!(status(&mut stream), "503");
    drop(stream);
    serving.join().unwrap().unwrap();
}
