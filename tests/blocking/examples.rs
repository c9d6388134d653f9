//! The examples run against an echo server, with its few lines about when to stop.

use crate::peer::{Echo, accept, listen, read_frame};
use motorway::ServerOptions;
use std::io::Write;
use std::thread;

#[path = "../../examples/long_lived.rs"]
#[expect(dead_code, reason = "main is for the command line")]
mod long_lived;
#[path = "../../examples/short_lived.rs"]
#[expect(dead_code, reason = "main is for the command line")]
mod short_lived;

#[test]
fn short_lived_connection_gets_its_answer() {
    let echo = Echo::start(ServerOptions::default());
    short_lived::short_lived_connection(&echo.url).unwrap();
    assert!(short_lived::short_lived_connection("ws://127.0.0.1:1/").is_err());
}

#[test]
fn long_lived_connection_answers_until_the_server_closes() {
    let (listener, url) = listen();
    let serving = thread::spawn(move || {
        let mut stream = accept(&listener);
        let mut received = vec![read_frame(&mut stream)];
        for _ in 0..3 {
            stream.write_all(b"\x81\x0bhello world").unwrap();
            received.push(read_frame(&mut stream));
        }
        stream.write_all(b"\x88\x02\x03\xe8").unwrap();
        received.push(read_frame(&mut stream));
        received
    });
    let info = long_lived::long_lived_connection(&url).unwrap();
    assert!(info.is_ok(), "{info}");
    let frames = serving.join().unwrap();
    assert_eq!(frames[0], (0x81, b"hello there".to_vec()));
    assert!(
        frames[1..4]
            .iter()
            .all(|frame| *frame == (0x81, b"hello again".to_vec()))
    );
    assert_eq!(frames[4], (0x88, vec![3, 0xe8]));
}
