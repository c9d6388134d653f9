//! RFC 6455 §5.1 and §5.3, and the options that relax them.

#![cfg(test)]

use crate::engine::masked;
use bytes::BytesMut;
use motorway::connection::{CloseCause, Connection, Event, Happening, IncomingMask, Rules};
use motorway::frame::MaskingKey;
use motorway::{ClientOptions, Message, ProtocolError, ServerOptions};
use std::time::Instant;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn connection(rules: Rules) -> Connection {
    // A fresh key for each frame (§5.3).
    let mut counter = 0;
    let keys = move || {
        counter += 1;
        MaskingKey::from([counter, 0, 0, 0])
    };
    Connection::new(rules, None, Box::new(keys), Instant::now())
}

fn server(options: &ServerOptions) -> Connection {
    connection(Rules::server(options))
}

fn client(options: &ClientOptions) -> Connection {
    connection(Rules::client(options))
}

/// Feeds the octets at once and one by one; returns the one message, or the broken rule.
fn received(make: impl Fn() -> Connection, octets: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    let feed = |size: usize| {
        let mut connection = make();
        for chunk in octets.chunks(size) {
            connection.receive(&mut BytesMut::from(chunk), Instant::now());
        }
        connection.receive_eof(Instant::now());
        match connection.poll_event() {
            Some(Happening::Event(Event::Message(message))) => Ok(message.as_bytes().to_vec()),
            Some(Happening::Closed(info)) => match info.cause {
                CloseCause::Protocol(error) => Err(error),
                cause => panic!("{cause}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let at_once = feed(octets.len());
    assert_eq!(feed(1), at_once);
    at_once
}

// §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
#[test]
fn server_refuses_frames_without_a_mask() {
    for octets in [&b"\x81\x05Hello"[..], b"\x89\x00", b"\x88\x00", b"\x02\x00"] {
        let error = received(|| server(&ServerOptions::default()), octets);
        assert_eq!(error, Err(ProtocolError::UnmaskedFrame));
    }
    assert_eq!(ProtocolError::UnmaskedFrame.close_code().as_u16(), 1002);
}

// §5.1: "A client MUST close a connection if it detects a masked frame."
#[test]
fn client_refuses_frames_with_a_mask() {
    for octets in [&b"\x81\x05Hello"[..], b"\x89\x00", b"\x88\x00", b"\x02\x00"] {
        let error = received(|| client(&ClientOptions::default()), &masked(octets, KEY));
        assert_eq!(error, Err(ProtocolError::MaskedFrame));
    }
    assert_eq!(ProtocolError::MaskedFrame.close_code().as_u16(), 1002);
}

#[test]
fn server_may_accept_frames_without_a_mask() {
    let options = ServerOptions::default().require_masked_client_frames(false);
    for octets in [b"\x81\x05Hello".to_vec(), masked(b"\x81\x05Hello", KEY)] {
        assert_eq!(
            received(|| server(&options), &octets),
            Ok(b"Hello".to_vec())
        );
    }
}

#[test]
fn client_may_accept_frames_with_a_mask() {
    let options = ClientOptions::default().accept_masked_server_frames(true);
    for octets in [b"\x81\x05Hello".to_vec(), masked(b"\x81\x05Hello", KEY)] {
        assert_eq!(
            received(|| client(&options), &octets),
            Ok(b"Hello".to_vec())
        );
    }
}

// §5.3: "a fresh masking key" for each frame; §5.1: "A server MUST NOT mask any frames".
#[test]
fn only_the_client_masks_and_with_a_fresh_key_for_each_frame() {
    let mut client = client(&ClientOptions::default());
    client.send("ab").unwrap();
    client.ping(b"cd").unwrap();
    let expected = b"\x81\x82\x01\0\0\0\x60b\x89\x82\x02\0\0\0\x61d";
    assert_eq!(client.poll_output().unwrap(), expected[..]);
    let mut server = server(&ServerOptions::default());
    server.send("ab").unwrap();
    server.ping(b"cd").unwrap();
    assert_eq!(server.poll_output().unwrap(), b"\x81\x02ab\x89\x02cd"[..]);
}

#[test]
fn masks_may_be_switched_round() {
    let options = ServerOptions::default().mask_server_frames(true);
    let mut server = server(&options);
    server.send("ab").unwrap();
    assert_eq!(
        server.poll_output().unwrap(),
        b"\x81\x82\x01\0\0\0\x60b"[..]
    );
    let options = ClientOptions::default().mask_client_frames(false);
    let mut client = client(&options);
    client.send("ab").unwrap();
    assert_eq!(client.poll_output().unwrap(), b"\x81\x02ab"[..]);
}

// Autobahn's `applyMask`: the key is there, the payload is as it was, in both directions.
#[test]
fn mask_that_is_not_applied_leaves_payloads_alone() {
    let options = ClientOptions::default().apply_mask(false);
    let mut client = client(&options);
    client.send("ab").unwrap();
    client.ping(b"cd").unwrap();
    let octets = client.poll_output().unwrap();
    assert_eq!(octets, b"\x81\x82\x01\0\0\0ab\x89\x82\x02\0\0\0cd"[..]);
    let options = ServerOptions::default().apply_mask(false);
    assert_eq!(received(|| server(&options), &octets), Ok(b"ab".to_vec()));
    let fragmented = b"\x01\x81\x09\x09\x09\x09a\x80\x81\x09\x09\x09\x09b";
    assert_eq!(
        received(|| server(&options), fragmented),
        Ok(b"ab".to_vec())
    );
    let mut pinged = server(&options);
    pinged.receive(
        &mut BytesMut::from(&b"\x89\x82\x09\x09\x09\x09cd"[..]),
        Instant::now(),
    );
    let Some(Happening::Event(Event::Ping(payload))) = pinged.poll_event() else {
        panic!("a ping");
    };
    assert_eq!(payload, b"cd");
}

// §5.3: the key goes on over chunks and begins anew with each frame, whatever its length.
#[test]
fn mask_goes_on_over_chunks_of_any_size() {
    let payload: Vec<u8> = (0..=255).cycle().take(700).collect();
    for first in [1, 2, 3, 5, 126, 350] {
        let frames = [
            masked(&crate::engine::frame(0x02, &payload[..first]), KEY),
            masked(&crate::engine::frame(0x80, &payload[first..]), [1, 2, 3, 4]),
        ];
        let octets = frames.concat();
        for size in [1, 2, 3, 5, 8, 31, 33, 128, 1000] {
            let mut server = server(&ServerOptions::default());
            for chunk in octets.chunks(size) {
                server.receive(&mut BytesMut::from(chunk), Instant::now());
            }
            let Some(Happening::Event(Event::Message(message))) = server.poll_event() else {
                panic!("a message");
            };
            assert_eq!(message, Message::from(&payload[..]));
        }
    }
}

#[test]
fn rules_follow_the_options() {
    let server = |options: ServerOptions| Rules::server(&options).incoming_mask;
    let client = |options: ClientOptions| Rules::client(&options).incoming_mask;
    assert_eq!(server(ServerOptions::default()), IncomingMask::Required);
    assert_eq!(client(ClientOptions::default()), IncomingMask::Refused);
}
