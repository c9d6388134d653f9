//! RFC 6455 §5.5.1, §7; section 7 of the suite.

#![cfg(test)]

use crate::engine::{Engine, close_body, closed, frame, frames, masked, text};
use bytes::BytesMut;
use motorway::connection::{
    CloseCause, CloseInfo, Connection, Endpoint, Event, Happening, Role, State,
};
use motorway::{CloseCode, CloseFrame, ProtocolError, SendError};
use std::time::Instant;

const KEY: [u8; 4] = [9, 8, 7, 6];

fn receive(connection: &mut Connection, role: Role, octets: &[u8]) -> Vec<Happening> {
    let octets = match role {
        Role::Server => masked(octets, KEY),
        Role::Client => octets.to_vec(),
    };
    connection.receive(&mut BytesMut::from(&octets[..]), Instant::now());
    std::iter::from_fn(|| connection.poll_event()).collect()
}

fn output(connection: &mut Connection, role: Role) -> Vec<Vec<u8>> {
    let octets = connection.poll_output().unwrap_or_default();
    frames(&octets, role == Role::Client)
}

fn end(connection: &mut Connection) -> CloseInfo {
    connection.receive_eof(Instant::now());
    let Some(Happening::Closed(info)) = connection.poll_event() else {
        panic!("closed");
    };
    assert!(
        connection.poll_event().is_none(),
        "closed is the last event"
    );
    assert!(connection.poll_timeout().is_none());
    *info
}

const ROLES: [Role; 2] = [Role::Server, Role::Client];

// §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the
// endpoint MUST send a Close frame in response."
#[test]
fn close_is_answered_with_its_own_code_and_reason() {
    let longest = "*".repeat(123);
    for (body, event) in [
        (vec![], Event::Close(None)),
        (close_body(1000, ""), closed(1000, "")),
        (
            close_body(1000, "Hello World!"),
            closed(1000, "Hello World!"),
        ),
        (close_body(1001, "κόσμε"), closed(1001, "κόσμε")),
        (
            close_body(3000, &longest),
            Event::Close(Some(CloseFrame::new(3000, longest.clone()))),
        ),
    ] {
        let outcome = Engine::new().run(&[&frame(0x88, &body)]);
        assert_eq!(
            (outcome.events, outcome.state),
            (vec![event], State::Complete)
        );
        assert_eq!(outcome.output, [frame(0x88, &body)]);
    }
}

// Autobahn's `echoCloseCodeReason` off.
#[test]
fn close_is_answered_with_1000_where_codes_are_not_echoed() {
    let engine = Engine::new().rules(|rules| rules.echo_close = false);
    for body in [vec![], close_body(1001, "away"), close_body(4999, "")] {
        let outcome = engine.run(&[&frame(0x88, &body)]);
        assert_eq!(outcome.state, State::Complete);
        assert_eq!(outcome.output, [frame(0x88, &close_body(1000, ""))]);
    }
}

// 7.7.*: §7.4.1, §7.4.2 and the codes registered since.
#[test]
fn valid_close_codes_are_accepted() {
    for code in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        let outcome = Engine::new().run(&[&frame(0x88, &close_body(code, "why"))]);
        assert_eq!(outcome.events, [closed(code, "why")]);
        assert_eq!((outcome.state, outcome.error), (State::Complete, None));
        assert_eq!(outcome.output, [frame(0x88, &close_body(code, "why"))]);
    }
}

// 7.9.*, 7.13.*.
#[test]
fn invalid_close_codes_are_answered_with_1002() {
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        for reason in ["", "reason"] {
            let outcome = Engine::new().run(&[&frame(0x88, &close_body(code, reason))]);
            assert_eq!(
                outcome.fails(1002),
                ProtocolError::InvalidCloseCode { code }
            );
        }
    }
}

// 7.3.2: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
#[test]
fn close_with_one_octet_is_answered_with_1002() {
    let outcome = Engine::new().run(&[b"\x88\x01a"]);
    assert_eq!(outcome.fails(1002), ProtocolError::TruncatedCloseCode);
}

// 7.5.1, §8.1: reasons are checked even where messages are not.
#[test]
fn close_reason_that_is_not_utf8_is_answered_with_1007() {
    let unchecked = Engine::new().rules(|rules| rules.validate_utf8 = false);
    for engine in [Engine::new(), unchecked] {
        for reason in [
            &b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"[..],
            b"\xff",
            b"cut \xc3",
        ] {
            let body = [b"\x03\xe8", reason].concat();
            let outcome = engine.run(&[&frame(0x88, &body)]);
            assert_eq!(outcome.fails(1007), ProtocolError::InvalidCloseReason);
        }
    }
}

// 7.1.5: the received code, not 1002.
#[test]
fn close_during_a_fragmented_message_is_answered_with_its_code() {
    let outcome = Engine::new().run(&[b"\x01\x09fragment1", b"\x88\x02\x03\xe8", b"\x80\x00"]);
    assert_eq!(outcome.events, [closed(1000, "")]);
    outcome.answers(&[b"\x88\x02\x03\xe8"]);
}

// §5.5.1: "After both sending and receiving a Close message"; 7.1.1 to 7.1.6.
#[test]
fn whatever_comes_after_close_is_ignored() {
    for after in [
        &b"\x88\x02\x03\xe8"[..],
        b"\x81\x05after",
        b"\x89\x04ping",
        b"\x00\x01x",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x88\x01a",
    ] {
        let outcome = Engine::new().run(&[b"\x81\x06before", b"\x88\x02\x03\xe8", after]);
        assert_eq!(outcome.events, [text("before"), closed(1000, "")]);
        assert_eq!((outcome.state, outcome.error), (State::Complete, None));
        outcome.answers(&[b"\x81\x06before", b"\x88\x02\x03\xe8"]);
    }
}

#[test]
fn messages_before_our_close_is_answered_are_still_received() {
    for role in ROLES {
        let mut connection = Engine::new().connection(role);
        connection
            .close(CloseFrame::new(1001, "away"), Instant::now())
            .unwrap();
        assert_eq!(connection.state(), State::CloseSent);
        assert!(!connection.shuts_down());
        assert_eq!(
            output(&mut connection, role),
            [frame(0x88, &close_body(1001, "away"))]
        );
        let mut events = receive(&mut connection, role, b"\x81\x04late");
        events.extend(receive(&mut connection, role, b"\x88\x02\x03\xe9"));
        let [Happening::Event(message), Happening::Event(close)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((message, close), (&text("late"), &closed(1001, "")));
        // §7.1.1: the server drops TCP first.
        assert_eq!(connection.state(), State::Complete);
        assert_eq!(connection.shuts_down(), role == Role::Server);
        assert_eq!(output(&mut connection, role), Vec::<Vec<u8>>::new());
    }
}

// §5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
#[test]
fn nothing_is_sent_after_close() {
    for role in ROLES {
        let mut connection = Engine::new().connection(role);
        connection
            .close(CloseFrame::new(1000, ""), Instant::now())
            .unwrap();
        connection.poll_output();
        assert_eq!(connection.send("late"), Err(SendError::Closed));
        assert_eq!(connection.ping(b""), Err(SendError::Closed));
        assert_eq!(connection.pong(b""), Err(SendError::Closed));
        connection
            .close(CloseFrame::new(1000, "again"), Instant::now())
            .unwrap();
        assert!(connection.poll_output().is_none());
    }
}

// §7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame".
#[test]
fn reserved_close_codes_are_not_sent() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let mut connection = Engine::new().connection(Role::Server);
        let closed = connection.close(CloseFrame::new(code, ""), Instant::now());
        assert_eq!(closed, Err(SendError::InvalidCloseCode { code }));
        assert_eq!(connection.state(), State::Open);
        assert!(connection.poll_output().is_none());
    }
}

// §5.5: at most 125 octets, of which 2 are the code; §5.5.1: the reason is UTF-8.
#[test]
fn long_reason_is_cut_at_a_character_boundary() {
    for (reason, kept) in [
        ("€".repeat(50), 123),
        ("é".repeat(80), 122),
        ("x".repeat(500), 123),
    ] {
        let mut connection = Engine::new().connection(Role::Server);
        let close = CloseFrame::new(1000, reason.clone());
        connection.close(close, Instant::now()).unwrap();
        let expected = frame(0x88, &close_body(1000, &reason[..kept]));
        assert_eq!(output(&mut connection, Role::Server), [expected]);
    }
}

#[test]
fn close_info_tells_who_closed_and_how() {
    for role in ROLES {
        let mut ours = Engine::new().connection(role);
        ours.close(CloseFrame::new(1000, "bye"), Instant::now())
            .unwrap();
        receive(&mut ours, role, b"\x88\x05\x03\xe8bye");
        ours.poll_output();
        let info = end(&mut ours);
        assert!(info.was_clean && info.is_ok() && info.opened);
        assert_eq!(
            (info.closed_by, info.code, &*info.reason),
            (Endpoint::Local, CloseCode::NORMAL, "bye")
        );
        assert!(matches!(info.cause, CloseCause::Local));
        assert_eq!(info.local, info.remote);

        let mut theirs = Engine::new().connection(role);
        receive(&mut theirs, role, b"\x88\x00");
        theirs.poll_output();
        let info = end(&mut theirs);
        assert!(info.was_clean && info.is_ok());
        assert_eq!(
            (info.closed_by, info.code, &*info.reason),
            (Endpoint::Peer, CloseCode::NO_STATUS, "")
        );
        assert!(matches!(info.cause, CloseCause::Peer));
        assert_eq!((info.local, info.remote), (None, None));
    }
}

// §7.1.5: "If _The WebSocket Connection is Closed_ and no Close control frame was received by the
// endpoint ..., _The WebSocket Connection Close Code_ is considered to be 1006."
#[test]
fn end_of_tcp_without_a_close_frame_is_unclean() {
    for close_first in [false, true] {
        let mut connection = Engine::new().connection(Role::Client);
        if close_first {
            connection
                .close(CloseFrame::new(1000, ""), Instant::now())
                .unwrap();
        }
        let info = end(&mut connection);
        assert!(!info.was_clean && !info.is_ok());
        assert_eq!(info.code, CloseCode::ABNORMAL);
        assert!(matches!(info.cause, CloseCause::Dropped));
        assert_eq!(info.remote, None);
    }
}

// §7.1.7: after failing, "An endpoint MUST NOT continue to attempt to process data".
#[test]
fn failure_is_final() {
    for role in ROLES {
        let mut connection = Engine::new().connection(role);
        receive(&mut connection, role, b"\x83\x00");
        assert_eq!(connection.state(), State::Failed);
        assert!(connection.shuts_down());
        assert_eq!(output(&mut connection, role).len(), 1);
        for octets in [
            &b"\x81\x01a"[..],
            b"\x89\x00",
            b"\x88\x02\x03\xe8",
            b"\x83\x00",
        ] {
            assert!(receive(&mut connection, role, octets).is_empty());
            assert!(connection.poll_output().is_none());
        }
        assert_eq!(connection.send("late"), Err(SendError::Closed));
        assert_eq!(connection.state(), State::Failed);
        let info = end(&mut connection);
        assert!(!info.was_clean);
        assert_eq!(
            (info.code, info.closed_by),
            (CloseCode::ABNORMAL, Endpoint::Local)
        );
        assert!(matches!(info.cause, CloseCause::Protocol(_)));
        assert_eq!(
            info.local.map(|frame| frame.code),
            Some(CloseCode::PROTOCOL_ERROR)
        );
    }
}

#[test]
fn fault_after_our_close_sends_no_second_close() {
    for role in ROLES {
        let mut connection = Engine::new().connection(role);
        connection
            .close(CloseFrame::new(1000, ""), Instant::now())
            .unwrap();
        connection.poll_output();
        receive(&mut connection, role, b"\x83\x00");
        assert_eq!(connection.state(), State::Failed);
        assert!(connection.poll_output().is_none());
        assert!(matches!(
            end(&mut connection).cause,
            CloseCause::Protocol(_)
        ));
    }
}

// Autobahn's `failByDrop`.
#[test]
fn failing_by_drop_sends_no_close_frame() {
    let engine = Engine::new().rules(|rules| rules.fail_by_drop = true);
    let outcome = engine.run(&[b"\x83\x00", b"\x89\x00"]);
    assert_eq!((&*outcome.events, &*outcome.output), (&[][..], &[][..]));
    assert_eq!(outcome.state, State::Failed);
    assert!(outcome.error.is_some());
    for role in ROLES {
        let mut connection = engine.connection(role);
        let events = receive(&mut connection, role, b"\x83\x00");
        let [Happening::Closed(info)] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(!info.was_clean);
        assert_eq!((&info.local, info.code), (&None, CloseCode::ABNORMAL));
        assert!(connection.poll_output().is_none());
    }
}

// What came before the close frame in one read is answered before the close frame is.
#[test]
fn messages_before_close_are_echoed_first() {
    let outcome = Engine::new().run(&[b"\x81\x01a", b"\x82\x01b", b"\x88\x02\x03\xe8"]);
    outcome.answers(&[b"\x81\x01a", b"\x82\x01b", b"\x88\x02\x03\xe8"]);
}

#[test]
fn driver_by_hand_tells_why_the_stream_ended() {
    use motorway::{ClientOptions, connection::Rules};
    let now = Instant::now();
    let rules = Rules::client(&ClientOptions::default());
    let key = Box::new(|| [0; 4].into());
    let mut connection = Connection::new(rules, None, key, now);
    connection.send("Hello").unwrap();
    let frame = CloseFrame::new(1001, "");
    connection
        .close_because(frame, CloseCause::Shutdown, now)
        .unwrap();
    // Frames of 6 octets of header and 5 and 2 of payload.
    assert_eq!(connection.buffered(), 19);
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    connection.end(CloseCause::Io(broken.into()));
    connection.end(CloseCause::Aborted);
    let Some(Happening::Closed(info)) = connection.poll_event() else {
        panic!("not closed");
    };
    assert!(matches!(info.cause, CloseCause::Io(_)), "{info:?}");
    assert_eq!(info.unsent_octets, 19);
    assert!(connection.poll_event().is_none());
    assert!(connection.send("late").is_err());
}
