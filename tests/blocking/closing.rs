//! How connections end.

use crate::peer::{Echo, pair, read_frame, read_rest, server_pair};
use motorway::connection::TimeoutKind;
use motorway::{
    ClientOptions, CloseCause, CloseCode, Endpoint, Error, SendError, ServerOptions, blocking,
};
use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn codes_and_reasons_go_both_ways() {
    let echo = Echo::start(ServerOptions::default());
    for (code, reason) in [(1000, "done"), (3000, ""), (4999, "ä")] {
        let mut ws = blocking::connect(&echo.url).unwrap();
        let info = ws.close(code, reason).unwrap();
        assert!(info.was_clean, "{info}");
        assert_eq!((info.code.as_u16(), &*info.reason), (code, reason));
        assert_eq!(info.closed_by, Endpoint::Local);
        // A second close changes nothing.
        assert_eq!(ws.close(4000, "again").unwrap().code.as_u16(), code);
    }
}

#[test]
fn close_of_the_peer_is_answered_and_ends_recv() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let receiving = thread::spawn(move || (ws.recv().unwrap(), ws.close_info().unwrap()));
    peer.write_all(b"\x88\x05\x0f\xa1bye").unwrap();
    assert_eq!(read_frame(&mut peer), (0x88, b"\x0f\xa1bye".to_vec()));
    // The client waits for the server to drop TCP.
    peer.shutdown(Shutdown::Write).unwrap();
    let (received, info) = receiving.join().unwrap();
    assert_eq!(received, None);
    assert!(info.was_clean && info.closed_by == Endpoint::Peer, "{info}");
    assert_eq!((info.code.as_u16(), &*info.reason), (4001, "bye"));
    assert_eq!(read_rest(&mut peer), b"");
}

#[test]
fn server_drops_tcp_first() {
    let (mut ws, mut peer) = server_pair(ServerOptions::default());
    let closing = thread::spawn(move || ws.close(CloseCode::GOING_AWAY, "").unwrap());
    assert_eq!(read_frame(&mut peer), (0x88, vec![3, 0xe9]));
    peer.write_all(b"\x88\x82\0\0\0\0\x03\xe9").unwrap();
    assert_eq!(read_rest(&mut peer), b"");
    drop(peer);
    assert!(closing.join().unwrap().is_ok());
}

#[test]
fn what_comes_while_close_waits_can_be_received() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let serving = thread::spawn(move || {
        assert_eq!(read_frame(&mut peer).0, 0x88);
        peer.write_all(b"\x81\x04last\x88\x02\x03\xe8").unwrap();
    });
    assert!(ws.close(CloseCode::NORMAL, "").unwrap().is_ok());
    serving.join().unwrap();
    assert_eq!(ws.recv().unwrap(), Some("last".into()));
    assert_eq!(ws.recv().unwrap(), None);
}

#[test]
fn code_that_must_not_be_sent_is_refused() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    assert!(matches!(
        ws.close(CloseCode::ABNORMAL, ""),
        Err(Error::Send(SendError::InvalidCloseCode { code: 1006 }))
    ));
    ws.send("still open").unwrap();
    assert_eq!(read_frame(&mut peer).1, b"still open");
}

#[test]
fn peer_that_drops_tcp_is_an_error() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    peer.write_all(b"\x81\x02hi\x81\x05brok").unwrap();
    drop(peer);
    assert_eq!(ws.recv().unwrap(), Some("hi".into()));
    let Err(Error::Closed(error)) = ws.recv() else {
        panic!("no error");
    };
    assert!(matches!(error.cause, CloseCause::Dropped), "{error}");
    let info = ws.close_info().unwrap();
    assert!(!info.was_clean && info.code == CloseCode::ABNORMAL);
    assert!(matches!(info.cause, CloseCause::Dropped), "{info}");
    // Sending fails now, closing says what happened.
    assert!(ws.send("late").is_err());
    assert!(!ws.close(CloseCode::NORMAL, "").unwrap().was_clean);
}

#[test]
fn what_came_before_a_write_broke_can_be_received() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    ws.send("never read").unwrap();
    peer.write_all(b"\x81\x02hi").unwrap();
    // Dropped with octets unread: the connection is reset.
    peer.peek(&mut [0]).unwrap();
    drop(peer);
    let failed = (0..1000).any(|_| ws.send("more").is_err());
    assert!(failed);
    if let Ok(received) = ws.recv() {
        assert_eq!(received, Some("hi".into()));
        assert!(matches!(ws.recv(), Err(Error::Io(_))));
    }
    let info = ws.close_info().unwrap();
    assert!(matches!(info.cause, CloseCause::Io(_)), "{info}");
}

#[test]
fn peer_that_does_not_close_is_dropped_in_time() {
    let timeout = Duration::from_millis(50);
    let options = ClientOptions::default().close_handshake_timeout(timeout);
    let (mut ws, mut peer) = pair(options);
    let began = Instant::now();
    let info = ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(began.elapsed() >= timeout);
    assert!(!info.was_clean);
    let kind = TimeoutKind::ClosingHandshake;
    assert!(
        matches!(info.cause, CloseCause::Timeout(found) if found == kind),
        "{info}"
    );
    assert!(matches!(ws.recv(), Err(Error::Timeout(found)) if found == kind));
    assert_eq!(read_frame(&mut peer).0, 0x88);
    assert_eq!(read_rest(&mut peer), b"");
}

#[test]
fn server_that_does_not_drop_tcp_is_dropped_in_time() {
    let timeout = Duration::from_millis(30);
    let options = ClientOptions::default().server_connection_drop_timeout(timeout);
    let (mut ws, mut peer) = pair(options);
    peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    let kind = TimeoutKind::ServerConnectionDrop;
    assert!(matches!(ws.recv(), Err(Error::Timeout(found)) if found == kind));
    assert_eq!(ws.close_info().unwrap().code, CloseCode::NORMAL);
}

#[test]
fn dropping_says_goodbye() {
    let (ws, mut peer) = pair(ClientOptions::default());
    let handle = ws.handle().clone();
    drop(ws);
    assert_eq!(read_frame(&mut peer), (0x88, vec![3, 0xe9]));
    assert_eq!(read_rest(&mut peer), b"");
    assert!(!handle.is_open());
    assert!(matches!(
        handle.send("late"),
        Err(Error::Send(SendError::Closed))
    ));
}

#[test]
fn abort_ends_a_thread_that_receives() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let handle = ws.handle().clone();
    let receiving = thread::spawn(move || ws.recv());
    peer.write_all(b"\x89\x00").unwrap();
    assert_eq!(read_frame(&mut peer).0, 0x8a);
    handle.abort();
    assert!(receiving.join().unwrap().is_err());
    assert!(matches!(
        handle.close_info().unwrap().cause,
        CloseCause::Aborted
    ));
    assert_eq!(read_rest(&mut peer), b"");
}

#[test]
fn close_keeps_a_window_of_what_comes_and_drops_the_rest() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let message = [&b"\x82\x7e\xff\xff"[..], &[0; 65_535]].concat();
    let serving = thread::spawn(move || {
        assert_eq!(read_frame(&mut peer).0, 0x88);
        for _ in 0..40 {
            peer.write_all(&message).unwrap();
        }
        peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    });
    assert!(ws.close(CloseCode::NORMAL, "").unwrap().is_ok());
    serving.join().unwrap();
    let kept = ws.by_ref().map(Result::unwrap).count();
    assert!((4..=5).contains(&kept), "{kept}");
}
