//! What is received, however the stream cuts it.

use crate::peer::{pair, read_frame, server_pair};
use motorway::blocking::Received;
use motorway::connection::TimeoutKind;
use motorway::{ClientOptions, CloseCode, Error, Message, ProtocolError, SendError, ServerOptions};
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Frames of a server, and the messages in them.
fn conversation() -> (Vec<u8>, Vec<Message<'static>>) {
    let mut octets = b"\x81\x05Hello\x89\x02hi\x82\x00".to_vec();
    // Fragments with a ping between them, cut inside of a character.
    octets.extend(b"\x01\x01\xc3\x89\x00\x80\x01\xa4");
    octets.extend(b"\x82\x7e\x01\x00");
    octets.extend([7; 256]);
    octets.extend(b"\x8a\x01x\x82\x7f\0\0\0\0\0\x01\0\0");
    octets.extend([8; 65_536]);
    let messages: [Message<'_>; 5] = [
        "Hello".into(),
        b"".into(),
        "ä".into(),
        vec![7; 256].into(),
        vec![8; 65_536].into(),
    ];
    (octets, messages.into())
}

/// Numbers that are the same for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[test]
fn recv_timeout_loses_nothing_wherever_it_is_cut() {
    let (octets, expected) = conversation();
    for seed in 1..=12 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 >> seed);
        let (mut ws, mut peer) = pair(ClientOptions::default());
        let mut received = Vec::new();
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let longest = [3, 40, 30_000][random.below(3)];
            let length = (1 + random.below(longest)).min(rest.len());
            peer.write_all(&rest[..length]).unwrap();
            rest = &rest[length..];
            let wait = Duration::from_millis(random.below(2) as u64);
            match ws.recv_timeout(wait).unwrap() {
                Received::Message(message) => received.push(message),
                Received::Nothing => {}
                Received::Closed => panic!("seed {seed}"),
            }
        }
        while received.len() < expected.len() {
            received.push(ws.recv().unwrap().unwrap());
        }
        assert!(received == expected, "seed {seed}");
        assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), Received::Nothing);
        assert_eq!(read_frame(&mut peer), (0x8a, b"hi".to_vec()));
        assert_eq!(read_frame(&mut peer), (0x8a, vec![]));
    }
}

#[test]
fn pings_are_answered_while_recv_waits() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let receiving = thread::spawn(move || ws.recv());
    for _ in 0..3 {
        peer.write_all(b"\x89\x04ping").unwrap();
        assert_eq!(read_frame(&mut peer), (0x8a, b"ping".to_vec()));
    }
    peer.write_all(b"\x81\x02ok").unwrap();
    assert_eq!(receiving.join().unwrap().unwrap(), Some("ok".into()));
}

#[test]
fn ping_returns_when_it_is_answered_and_keeps_the_messages() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let answering = thread::spawn(move || {
        let (_, payload) = read_frame(&mut peer);
        assert_eq!(payload, b"are you there?");
        peer.write_all(b"\x81\x01a\x8a\x04else\x81\x01b\x8a\x0eare you there?\x81\x01c")
            .unwrap();
        peer
    });
    let time = ws.ping("are you there?").unwrap();
    assert!(time < Duration::from_secs(60));
    let _peer = answering.join().unwrap();
    let received: Vec<_> = ws.by_ref().take(3).map(Result::unwrap).collect();
    assert_eq!(received, ["a", "b", "c"].map(Message::from));
    let unanswered = ws.handle().ping_timeout("", Duration::from_millis(1));
    assert_eq!(unanswered.unwrap(), None);
    assert!(matches!(
        ws.ping([0; 126]),
        Err(Error::Send(SendError::ControlPayloadTooLong { size: 126 }))
    ));
}

#[test]
fn ping_fails_rather_than_reading_ahead_without_end() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    let message = [&b"\x82\x7e\xff\xff"[..], &[0; 65_535]].concat();
    let flooding = thread::spawn(move || {
        for _ in 0..20 {
            peer.write_all(&message).unwrap();
        }
        peer
    });
    let Err(Error::ReadAheadFull { octets }) = ws.ping("") else {
        panic!("answered");
    };
    assert!((256 << 10..512 << 10).contains(&octets), "{octets}");
    for _ in 0..20 {
        assert_eq!(ws.recv().unwrap().unwrap().len(), 65_535);
    }
    flooding.join().unwrap();
}

#[test]
fn message_above_the_limit_fails_the_connection() {
    let options = ClientOptions::default().max_message_payload_size(4);
    let (mut ws, mut peer) = pair(options);
    assert!(matches!(
        ws.send("12345"),
        Err(Error::Send(SendError::MessageTooLarge {
            size: 5,
            limit: 4
        }))
    ));
    peer.write_all(b"\x81\x041234\x81\x0512345").unwrap();
    let closing = thread::spawn(move || read_frame(&mut peer));
    assert_eq!(ws.recv().unwrap(), Some("1234".into()));
    for _ in 0..2 {
        assert!(matches!(
            ws.recv(),
            Err(Error::Protocol(ProtocolError::MessageTooLarge { limit: 4 }))
        ));
    }
    assert!(matches!(ws.next(), Some(Err(_))));
    assert!(ws.next().is_none());
    let (opcode, payload) = closing.join().unwrap();
    assert_eq!((opcode, &payload[..2]), (0x88, &1009_u16.to_be_bytes()[..]));
    assert!(!ws.handle().is_open());
}

#[test]
fn server_fails_a_client_that_does_not_mask() {
    let (mut ws, mut peer) = server_pair(ServerOptions::default());
    peer.write_all(b"\x81\x02hi").unwrap();
    let closing = thread::spawn(move || read_frame(&mut peer));
    assert!(matches!(
        ws.recv(),
        Err(Error::Protocol(ProtocolError::UnmaskedFrame))
    ));
    let (_, payload) = closing.join().unwrap();
    assert_eq!(payload[..2], 1002_u16.to_be_bytes());
    assert_eq!(
        ws.close_info().unwrap().local.unwrap().code,
        CloseCode::PROTOCOL_ERROR
    );
}

#[test]
fn answer_goes_out_before_a_later_fault_fails_the_connection() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    // An empty frame with a reserved opcode behind the message.
    peer.write_all(b"\x81\x02hi\x83\x00").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hi".into()));
    ws.send("answer").unwrap();
    let receiving = thread::spawn(move || ws.recv());
    assert_eq!(read_frame(&mut peer), (0x81, b"answer".to_vec()));
    assert_eq!(read_frame(&mut peer).0, 0x88);
    drop(peer);
    assert!(matches!(receiving.join().unwrap(), Err(Error::Protocol(_))));
}

#[test]
fn timeout_of_recv_is_no_fault() {
    let (mut ws, mut peer) = pair(ClientOptions::default());
    for _ in 0..3 {
        assert_eq!(
            ws.recv_timeout(Duration::from_millis(5)).unwrap(),
            Received::Nothing
        );
    }
    peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    let closing = thread::spawn(move || read_frame(&mut peer));
    let received = ws.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(received, Received::Closed);
    assert_eq!(closing.join().unwrap().0, 0x88);
    assert_ne!(TimeoutKind::AutoPing.to_string(), "");
}
