//! Several threads on one connection.

use crate::peer::{Echo, pair, read_frame};
use motorway::blocking::connect;
use motorway::{ClientOptions, CloseCode, Message, ServerOptions};
use std::io::Write;
use std::thread;

#[test]
fn one_thread_receives_while_others_send() {
    let echo = Echo::start(ServerOptions::default());
    let mut ws = connect(&echo.url).unwrap();
    let writers: Vec<_> = (0..3_u8)
        .map(|writer| {
            let handle = ws.handle().clone();
            thread::spawn(move || {
                for i in 0..400_usize {
                    handle.send(vec![writer; i * 97]).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0; 3];
    for _ in 0..1200 {
        let octets = ws.recv().unwrap().unwrap().into_bytes();
        let writer = match octets.first() {
            Some(writer) => usize::from(*writer),
            None => continue,
        };
        next[writer] += 1;
        // Whole, and in the order in which its thread sent it.
        assert_eq!(octets.len(), next[writer] * 97);
        assert!(octets.iter().all(|octet| usize::from(*octet) == writer));
    }
    assert_eq!(next, [399; 3]);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert!(ws.close(CloseCode::NORMAL, "").unwrap().is_ok());
}

#[test]
fn both_ends_flood_each_other() {
    let echo = Echo::start(ServerOptions::default());
    let mut ws = connect(&echo.url).unwrap();
    let handle = ws.handle().clone();
    let message = vec![7; 1 << 20];
    let sent = message.clone();
    let writer = thread::spawn(move || (0..40).try_for_each(|_| handle.send(&sent[..])));
    for _ in 0..40 {
        assert!(ws.recv().unwrap() == Some(Message::from(&message[..])));
    }
    writer.join().unwrap().unwrap();
}

#[test]
fn send_reads_ahead_while_the_peer_takes_nothing() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let serving = thread::spawn(move || {
        // Nothing is read before the ping is answered, and the pong comes behind the message.
        peer.write_all(b"\x81\x02hi\x89\x00").unwrap();
        let mut head = [0; 14];
        std::io::Read::read_exact(&mut peer, &mut head).unwrap();
        let length = u64::from_be_bytes(head[2..10].try_into().unwrap());
        let copied = std::io::copy(
            &mut std::io::Read::take(&mut peer, length),
            &mut std::io::sink(),
        );
        assert_eq!(copied.unwrap(), length);
        read_frame(&mut peer)
    });
    ws.send(vec![0; 40 << 20]).unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hi".into()));
    let receiving = thread::spawn(move || ws.recv());
    assert_eq!(serving.join().unwrap(), (0x8a, vec![]));
    assert!(receiving.join().unwrap().is_err());
}

#[test]
fn close_from_another_thread_ends_recv() {
    let echo = Echo::start(ServerOptions::default());
    let mut ws = connect(&echo.url).unwrap();
    let handle = ws.handle().clone();
    let receiving = thread::spawn(move || ws.recv());
    let info = handle.close(4000, "from outside").unwrap();
    assert!(info.was_clean && info.code.as_u16() == 4000, "{info}");
    assert_eq!(receiving.join().unwrap().unwrap(), None);
}

#[test]
fn pings_of_threads_are_answered_while_another_receives() {
    let echo = Echo::start(ServerOptions::default());
    let mut ws = connect(&echo.url).unwrap();
    let pinging: Vec<_> = (0..4_u8)
        .map(|thread| {
            let handle = ws.handle().clone();
            thread::spawn(move || {
                for i in 0..50 {
                    handle.ping([thread, i]).unwrap();
                }
            })
        })
        .collect();
    let handle = ws.handle().clone();
    let receiving = thread::spawn(move || ws.recv());
    pinging
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(handle.close(CloseCode::NORMAL, "").unwrap().was_clean);
    assert_eq!(receiving.join().unwrap().unwrap(), None);
}
