//! What the options that both ends have do, on the wire and on the clock.

use crate::probe::{End, OFFER, PIPE, Session, both_ends, quiet};
use crate::wire::{Raw, Wire, header, request, response, settle, within};
use motorway::frame::Opcode;
use motorway::{
    CloseCause, DeflateOptions, Error, HandshakeError, HeaderMap, ProtocolError, SendError,
    TimeoutKind,
};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What our end answers to these frames with: the code it fails with, or `None` if it goes on.
async fn failure(end: &End, frames: &[Wire]) -> Option<u16> {
    let mut session = end.clone().open(&quiet()).await;
    session.peer.send_all(frames).await;
    session.peer.send(Wire::ping("go on")).await;
    match session.peer.frame().await {
        pong if pong.opcode == Opcode::Pong => None,
        close => Some(close.code()),
    }
}

fn part(opcode: Opcode, length: usize) -> Wire {
    Wire::new(opcode, vec![b'x'; length]).unfinished()
}

#[tokio::test(start_paused = true)]
async fn text_is_checked_to_be_utf8_unless_told_otherwise() {
    let text = Wire::new(Opcode::Text, b"\xff");
    for end in both_ends!(|options| options) {
        assert_eq!(failure(&end, std::slice::from_ref(&text)).await, Some(1007));
    }
    for end in both_ends!(|options| options.utf8_validate_incoming(false)) {
        let mut session = end.open(&quiet()).await;
        session.peer.send(text.clone()).await;
        settle().await;
        assert_eq!(session.log.count("unchecked of 1"), 1);
        // Close reasons are checked always.
        let close = Wire::new(Opcode::Close, b"\x03\xe8\xff");
        session.peer.send(close).await;
        assert_eq!(session.peer.frame().await.code(), 1007);
    }
}

#[tokio::test(start_paused = true)]
async fn masks_that_are_not_applied_leave_payloads_alone() {
    let ends = [
        both_ends!(|options| options.apply_mask(false)),
        [
            End::Server(
                motorway::ServerOptions::default()
                    .apply_mask(false)
                    .mask_server_frames(true),
            ),
            End::Client(
                motorway::ClientOptions::default()
                    .apply_mask(false)
                    .accept_masked_server_frames(true),
            ),
        ],
    ];
    // Which frames have a key: those of our end, and those of the peer.
    let keys = [[(false, true), (true, false)], [(true, true), (true, true)]];
    for (end, (ours, theirs)) in ends.into_iter().flatten().zip(keys.concat()) {
        let mut session = end.open(&quiet()).await;
        match theirs {
            true => session.peer.write(b"\x81\x82\x37\xfa\x21\x3dhi").await,
            false => session.peer.write(b"\x81\x02hi").await,
        }
        settle().await;
        assert_eq!(session.log.count("message hi"), 1);
        session.ws().send("hello").await.unwrap();
        match ours {
            true => {
                let octets = session.peer.octets(11).await;
                assert_eq!(
                    (&octets[..2], &octets[6..]),
                    (&b"\x81\x85"[..], &b"hello"[..])
                );
            }
            false => assert_eq!(session.peer.octets(7).await, b"\x81\x05hello"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_above_the_limit_fail_with_1009() {
    for end in both_ends!(|options| options.max_frame_payload_size(10)) {
        assert_eq!(failure(&end, &[Wire::binary([0; 10])]).await, None);
        assert_eq!(failure(&end, &[Wire::binary([0; 11])]).await, Some(1009));
        let parts = [
            part(Opcode::Binary, 10),
            Wire::new(Opcode::Continuation, [0; 11]),
        ];
        assert_eq!(failure(&end, &parts).await, Some(1009));
        // The header is enough.
        let mut session = end.open(&quiet()).await;
        session.peer.begin(11).await;
        assert_eq!(session.peer.frame().await.code(), 1009);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_above_the_limit_fail_with_1009_and_are_not_sent() {
    for end in both_ends!(|options| options.max_message_payload_size(10)) {
        let last = |length| Wire::new(Opcode::Continuation, vec![0; length]);
        let parts = [part(Opcode::Binary, 6), last(4)];
        assert_eq!(failure(&end, &parts).await, None);
        let parts = [part(Opcode::Binary, 6), last(5)];
        assert_eq!(failure(&end, &parts).await, Some(1009));
        let mut session = end.open(&quiet()).await;
        let ws = session.ws();
        let refused = ws.send([0; 11].to_vec()).await.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Send(SendError::MessageTooLarge {
                    size: 11,
                    limit: 10
                })
            ),
            "{refused}"
        );
        ws.send([0; 10].to_vec()).await.unwrap();
        assert_eq!(session.peer.frame().await.payload, [0; 10]);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_sizes_can_be_lifted() {
    for (ends, length, refused) in [
        (both_ends!(|options| options), (16 << 20) + 1, true),
        (
            both_ends!(|options| options.max_frame_payload_size(None)),
            (16 << 20) + 1,
            false,
        ),
        (
            both_ends!(|options| options.max_frame_payload_size(None)),
            (64 << 20) + 1,
            true,
        ),
        (
            both_ends!(|options| options
                .max_frame_payload_size(None)
                .max_message_payload_size(None)),
            1 << 40,
            false,
        ),
    ] {
        for end in ends {
            let mut session = end.open(&quiet()).await;
            session.peer.begin(length).await;
            assert_eq!(!session.peer.is_quiet().await, refused, "{length}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_in_too_many_fragments_fail_with_1009() {
    for end in both_ends!(|options| options.max_fragments(3)) {
        let last = Wire::new(Opcode::Continuation, "x");
        let mut parts = vec![part(Opcode::Text, 0), part(Opcode::Continuation, 0), last];
        assert_eq!(failure(&end, &parts).await, None);
        parts.insert(1, part(Opcode::Continuation, 0));
        assert_eq!(failure(&end, &parts).await, Some(1009));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_sent_in_fragments_of_the_size_asked_for() {
    for end in both_ends!(|options| options.auto_fragment_size(3)) {
        let mut session = end.open(&quiet()).await;
        session.ws().send("abcdefg").await.unwrap();
        session.ws().send("abc").await.unwrap();
        let mut frames = Vec::new();
        for _ in 0..4 {
            let frame = session.peer.frame().await;
            frames.push((
                frame.opcode,
                frame.fin,
                String::from_utf8(frame.payload).unwrap(),
            ));
        }
        let expected = [
            (Opcode::Text, false, "abc"),
            (Opcode::Continuation, false, "def"),
            (Opcode::Continuation, true, "g"),
            (Opcode::Text, true, "abc"),
        ];
        assert_eq!(
            frames,
            expected.map(|(opcode, fin, text)| (opcode, fin, text.to_owned()))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_are_cut_from_what_is_compressed() {
    for end in both_ends!(|options| options
        .auto_fragment_size(4)
        .per_message_deflate(DeflateOptions::default()))
    {
        let pipe = tokio::io::duplex(PIPE);
        let (mut session, _) = end.open_on(&quiet(), pipe, OFFER).await;
        session.ws().send("Hello").await.unwrap();
        let (first, last) = (session.peer.frame().await, session.peer.frame().await);
        assert_eq!((first.rsv1, first.fin), (true, false));
        assert_eq!((last.rsv1, last.fin), (false, true));
        // RFC 7692 §7.2.3.1.
        let payload = [first.payload, last.payload].concat();
        assert_eq!(payload, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    }
}

#[tokio::test(start_paused = true)]
async fn a_violation_drops_the_connection_without_a_word_where_asked_for() {
    for end in both_ends!(|options| options.fail_by_drop(true)) {
        let mut session = end.open(&quiet()).await;
        session.peer.send(part(Opcode::Ping, 0)).await;
        assert_eq!(session.peer.next().await, None);
        let info = session.end().await;
        assert!(matches!(info.cause, CloseCause::Protocol(_)), "{info:?}");
        assert_eq!(info.local, None);
    }
    for end in both_ends!(|options| options.fail_by_drop(false)) {
        assert_eq!(failure(&end, &[part(Opcode::Ping, 0)]).await, Some(1002));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_with_its_code_or_with_1000() {
    let without = Wire::new(Opcode::Close, "");
    for (close, echoed, plain) in [
        (
            Wire::close(4000, "why"),
            Wire::close(4000, "why"),
            Wire::close(1000, ""),
        ),
        (without.clone(), without.clone(), Wire::close(1000, "")),
    ] {
        for (ends, expected) in [
            (both_ends!(|options| options), echoed),
            (
                both_ends!(|options| options.echo_close_code_reason(false)),
                plain,
            ),
        ] {
            for end in ends {
                let mut session = end.open(&quiet()).await;
                session.peer.send(close.clone()).await;
                let mut answer = session.peer.frame().await;
                answer.masked = false;
                assert_eq!(answer, expected);
                assert!(session.end().await.was_clean);
            }
        }
    }
}

/// How long our end lets the opening handshake take, with a peer that sends an octet a second.
async fn opening_time(end: End) -> Option<u64> {
    let is_server = end.is_server();
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let task = end.start(&quiet(), ours);
    let head = match is_server {
        true => request(""),
        false => response(&Raw::server(&mut theirs).head().await, ""),
    };
    let start = Instant::now();
    let trickle = async {
        for octet in head.bytes() {
            sleep(seconds(1)).await;
            theirs.write_all(&[octet]).await.unwrap();
        }
        sleep(HOUR).await;
    };
    let ended = tokio::select! {
        biased;
        ended = task => ended.unwrap(),
        () = trickle => return None,
    };
    let error = ended.unwrap_err();
    let kind = TimeoutKind::OpeningHandshake;
    assert!(
        matches!(error, Error::Timeout(found) if found == kind),
        "{error:?}"
    );
    Some(start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn the_opening_handshake_may_take_so_long_and_no_octet_renews_it() {
    for (ends, expected) in [
        (both_ends!(|options| options), Some(5)),
        (
            both_ends!(|options| options.open_handshake_timeout(seconds(3))),
            Some(3),
        ),
        (
            both_ends!(|options| options.open_handshake_timeout(seconds(0))),
            None,
        ),
        (
            both_ends!(|options| options.open_handshake_timeout(None)),
            None,
        ),
    ] {
        for end in ends {
            assert_eq!(opening_time(end).await, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_closing_handshake_may_take_so_long() {
    for (ends, expected) in [
        (both_ends!(|options| options), Some(5)),
        (
            both_ends!(|options| options.close_handshake_timeout(seconds(3))),
            Some(3),
        ),
        (
            both_ends!(|options| options.close_handshake_timeout(seconds(0))),
            None,
        ),
    ] {
        for end in ends {
            let mut session = end.open(&quiet()).await;
            let start = Instant::now();
            session.ws().close(1000, "").await.unwrap();
            session.peer.frame().await;
            match expected {
                Some(expected) => {
                    // What comes meanwhile is still received, and renews nothing.
                    sleep(seconds(1)).await;
                    session.peer.text("late").await;
                    assert_eq!(session.peer.next().await, None);
                    assert_eq!(start.elapsed().as_secs(), expected);
                    assert_eq!(session.log.count("message late"), 1);
                    let info = session.end().await;
                    let kind = TimeoutKind::ClosingHandshake;
                    assert!(matches!(info.cause, CloseCause::Timeout(found) if found == kind));
                }
                None => {
                    sleep(HOUR).await;
                    assert!(!session.task.is_finished());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn heads_above_the_limits_are_refused() {
    let long = format!("X: {}\r\n", "x".repeat(400));
    let many = "X: 1\r\n".repeat(9);
    for (ends, headers) in [
        (both_ends!(|options| options.max_header_line(300)), &long),
        (both_ends!(|options| options.max_headers(8)), &many),
        (
            both_ends!(|options| options.max_header_size(512).max_header_line(512)),
            &long,
        ),
    ] {
        for end in ends {
            let is_server = end.is_server();
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let task = end.start(&quiet(), ours);
            let mut peer = Raw::client(theirs);
            if is_server {
                peer.write(request(headers)).await;
                assert_eq!(crate::wire::status(&peer.head().await), 431);
            } else {
                let request = peer.head().await;
                peer.write(response(&request, headers)).await;
            }
            drop(peer);
            let error = within(task).await.unwrap().unwrap_err();
            let Error::Handshake(error) = error else {
                panic!("{error}")
            };
            assert!(
                matches!(
                    *error,
                    HandshakeError::HeadTooLarge { .. }
                        | HandshakeError::LineTooLong { .. }
                        | HandshakeError::TooManyHeaders { .. }
                ),
                "{error}"
            );
        }
    }
    for (end, headers) in both_ends!(|options| options)
        .into_iter()
        .zip([&long, &many])
    {
        end.open_on(&quiet(), tokio::io::duplex(PIPE), headers)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_added_to_the_opening_handshake() {
    let map = HeaderMap::from_iter([("x-map".parse().unwrap(), "2".parse().unwrap())]);
    for end in both_ends!(|options| options.header("X-One", "1").headers(&map)) {
        let pipe = tokio::io::duplex(PIPE);
        let (_session, head) = end.open_on(&quiet(), pipe, "").await;
        assert_eq!(header(&head, "x-one").as_deref(), Some("1"));
        assert_eq!(header(&head, "x-map").as_deref(), Some("2"));
    }
}

#[tokio::test(start_paused = true)]
async fn options_of_autobahn_lift_the_limits_and_drop() {
    for end in [
        End::Server(motorway::ServerOptions::autobahn()),
        End::Client(motorway::ClientOptions::autobahn()),
    ] {
        let Session { mut peer, task, .. } = end.clone().open(&quiet()).await;
        peer.begin(1 << 40).await;
        assert!(peer.is_quiet().await);
        drop((peer, task));
        let mut session = end.clone().open(&quiet()).await;
        session.peer.send(Wire::close(4000, "why")).await;
        assert_eq!(session.peer.frame().await.payload, [3, 232]);
        let mut session = end.open(&quiet()).await;
        session.peer.send(part(Opcode::Pong, 0)).await;
        assert_eq!(session.peer.next().await, None);
        let info = session.end().await;
        assert!(
            matches!(info.cause, CloseCause::Protocol(ProtocolError::Frame(_))),
            "{info:?}"
        );
    }
}
