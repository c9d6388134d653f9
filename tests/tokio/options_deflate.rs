//! What the options of compression do, on the wire.

use crate::probe::{End, PIPE, Session, both_ends, quiet};
use crate::wire::{Raw, Wire, header, response, settle, within};
use flate2::{Compress, Compression, FlushCompress};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, DeflateOptions, DeflateStrategy, Error, MessageKind, PreparedMessage,
    ServerOptions,
};

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

/// Opens a connection with compression; the peer offers or grants `parameters`. Returns what our
/// end offers or grants, too.
async fn open(end: End, parameters: &str) -> (Session, Option<String>) {
    let headers = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n");
    let pipe = tokio::io::duplex(PIPE);
    let (session, head) = end.open_on(&quiet(), pipe, &headers).await;
    (session, header(&head, "sec-websocket-extensions"))
}

fn server(options: DeflateOptions) -> End {
    End::Server(ServerOptions::default().per_message_deflate(options))
}

fn client(options: DeflateOptions) -> End {
    End::Client(ClientOptions::default().per_message_deflate(options))
}

fn options() -> DeflateOptions {
    DeflateOptions::default()
}

fn compressed(payload: &[u8]) -> Wire {
    let mut frame = Wire::binary(payload);
    frame.rsv1 = true;
    frame
}

/// Sends messages and returns their payloads on the wire.
async fn sent(session: &mut Session, messages: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for message in messages {
        session.ws().send(message.to_vec()).await.unwrap();
        let frame = session.peer.frame().await;
        assert!(frame.rsv1);
        payloads.push(frame.payload);
    }
    payloads
}

/// How many octets a message takes on the wire, from either end.
async fn size(options: DeflateOptions, message: &[u8]) -> [usize; 2] {
    let mut sizes = [0; 2];
    for (size, end) in sizes.iter_mut().zip([server(options), client(options)]) {
        let (mut session, _) = open(end, "").await;
        *size = sent(&mut session, &[message]).await[0].len();
    }
    sizes
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}

#[tokio::test(start_paused = true)]
async fn compression_is_agreed_upon_only_where_both_ask_for_it() {
    for end in both_ends!(|options| options.per_message_deflate(None)) {
        let is_server = end.is_server();
        let offer = if is_server {
            "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        } else {
            ""
        };
        let pipe = tokio::io::duplex(PIPE);
        let (mut session, head) = end.open_on(&quiet(), pipe, offer).await;
        assert_eq!(header(&head, "sec-websocket-extensions"), None);
        session.peer.send(compressed(HELLO)).await;
        assert_eq!(session.peer.frame().await.code(), 1002);
    }
    for end in [server(options()), client(options())] {
        let pipe = tokio::io::duplex(PIPE);
        let (mut session, _) = end.open_on(&quiet(), pipe, "").await;
        session.ws().send("Hello").await.unwrap();
        assert!(!session.peer.frame().await.rsv1);
    }
    for end in [server(options()), client(options())] {
        let (mut session, _) = open(end, "").await;
        assert_eq!(
            sent(&mut session, &[b"Hello", b"Hello"]).await,
            [HELLO, HELLO_AGAIN]
        );
        session
            .peer
            .send_all(&[compressed(HELLO), compressed(HELLO_AGAIN)])
            .await;
        settle().await;
        assert_eq!(session.log.count("binary of 5"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_is_forgotten_by_the_end_that_is_asked_to() {
    let of_server = options().server_no_context_takeover(true);
    let of_client = options().client_no_context_takeover(true);
    let granted_server = "; server_no_context_takeover";
    let granted_client = "; client_no_context_takeover";
    for (end, parameters, told, forgets) in [
        (server(of_server), "", granted_server, true),
        (server(of_client), "", granted_client, false),
        (server(options()), granted_server, granted_server, true),
        (client(of_client), "", granted_client, true),
        (client(of_server), granted_server, granted_server, false),
        (client(options()), granted_client, "", true),
    ] {
        let (mut session, head) = open(end, parameters).await;
        assert!(head.as_ref().unwrap().contains(told), "{head:?}");
        let second = if forgets { HELLO } else { HELLO_AGAIN };
        assert_eq!(
            sent(&mut session, &[b"Hello", b"Hello"]).await,
            [HELLO, second]
        );
        // The other end: what refers to a window that is forgotten is corrupt.
        session
            .peer
            .send_all(&[compressed(HELLO), compressed(HELLO_AGAIN)])
            .await;
        match forgets {
            true => {
                settle().await;
                assert_eq!(session.log.count("binary of 5"), 2);
            }
            false => assert_eq!(session.peer.frame().await.code(), 1007),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn windows_are_as_large_as_agreed_upon() {
    // A repetition that a window of 9 bits does not reach.
    let mut message = noise(1000);
    message.extend_from_within(..200);
    let of_server = options().server_max_window_bits(9);
    let of_client = options().client_max_window_bits(9);
    let (in_server, in_client) = ("; server_max_window_bits=9", "; client_max_window_bits=9");
    for (end, parameters, told, small) in [
        (server(options()), "; client_max_window_bits", "", false),
        (server(of_server), "", in_server, true),
        (server(options()), in_server, in_server, true),
        (
            server(of_client),
            "; client_max_window_bits",
            in_client,
            false,
        ),
        (client(options()), "", "; client_max_window_bits", false),
        (client(of_client), in_client, in_client, true),
        (
            client(options()),
            in_client,
            "; client_max_window_bits",
            true,
        ),
        (client(of_server), in_server, in_server, false),
    ] {
        let (mut session, head) = open(end, parameters).await;
        assert!(head.as_ref().unwrap().contains(told), "{head:?}");
        let length = sent(&mut session, &[&message]).await[0].len();
        assert_eq!(length > 1150, small, "{length} {parameters} {head:?}");
    }
    // A client that does not obey is told nothing.
    let (_session, head) = open(server(of_client), "").await;
    assert!(head.is_none_or(|head| !head.contains("client_max_window_bits")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_grant_what_is_asked_for_is_refused() {
    for (options, granted) in [
        (options().server_no_context_takeover(true), ""),
        (options().server_max_window_bits(9), ""),
        (
            options().server_max_window_bits(9),
            "; server_max_window_bits=10",
        ),
        (
            options().client_max_window_bits(9),
            "; client_max_window_bits=8; unknown",
        ),
    ] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = client(options).start(&quiet(), ours);
        let mut peer = Raw::server(theirs);
        let request = peer.head().await;
        let headers = format!("Sec-WebSocket-Extensions: permessage-deflate{granted}\r\n");
        peer.write(response(&request, &headers)).await;
        let error = within(task).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn level_and_memory_trade_size() {
    let words: Vec<_> = noise(4000)
        .into_iter()
        .map(|octet| {
            ["connection ", "frame ", "close ", "message ", "ping "][usize::from(octet) % 5]
        })
        .collect();
    let text = words.concat();
    let level = |level| size(options().level(level), text.as_bytes());
    let (stored, fastest, best) = (level(0).await, level(1).await, level(9).await);
    for end in 0..2 {
        assert!(stored[end] >= text.len() && stored[end] < text.len() + 100);
        assert!(fastest[end] < text.len() / 2, "{fastest:?}");
        assert!(best[end] < fastest[end], "{best:?} {fastest:?}");
    }
    let memory = |level| size(options().mem_level(level), text.as_bytes());
    let (least, most) = (memory(1).await, memory(9).await);
    for end in 0..2 {
        assert!(most[end] < least[end], "{most:?} {least:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_below_the_threshold_are_not_compressed() {
    let options = options().threshold(5);
    for end in [server(options), client(options)] {
        let (mut session, _) = open(end, "").await;
        for (message, compressed) in [("Hell", false), ("Hello", true), ("", false)] {
            session.ws().send(message).await.unwrap();
            assert_eq!(session.peer.frame().await.rsv1, compressed, "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_measured_while_they_are_inflated() {
    let bomb = |length: usize| {
        let mut deflate = Compress::new(Compression::best(), false);
        let mut out = Vec::with_capacity(length + 100);
        deflate
            .compress_vec(&vec![0; length], &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(b"\0\0\xff\xff"));
        out.truncate(out.len() - 4);
        compressed(&out)
    };
    for end in both_ends!(|settings| settings
        .max_message_payload_size(100_000)
        .max_frame_payload_size(1000)
        .per_message_deflate(options()))
    {
        let (mut session, _) = open(end.clone(), "").await;
        session.peer.send(bomb(100_000)).await;
        settle().await;
        assert_eq!(session.log.count("binary of 100000"), 1);
        let (mut session, _) = open(end, "").await;
        // Both halves alone are within the limit.
        let Wire { payload, .. } = bomb(100_001);
        let (first, last) = payload.split_at(payload.len() / 2);
        session.peer.send(compressed(first).unfinished()).await;
        session
            .peer
            .send(Wire::new(Opcode::Continuation, last))
            .await;
        assert_eq!(session.peer.frame().await.code(), 1009);
    }
}

#[tokio::test(start_paused = true)]
async fn single_messages_stay_uncompressed_and_touch_no_window() {
    for end in [server(options()), client(options())] {
        let (mut session, _) = open(end, "").await;
        let ws = session.ws();
        assert_eq!(sent(&mut session, &[b"Hello"]).await, [HELLO]);
        ws.send("Hello").uncompressed().await.unwrap();
        ws.try_send_uncompressed("Hello").unwrap();
        let prepared = PreparedMessage::new("Hello").uncompressed();
        ws.send_prepared(&prepared).await.unwrap();
        for _ in 0..3 {
            let frame = session.peer.frame().await;
            assert!(frame.fin && !frame.rsv1);
            assert_eq!(
                (frame.opcode, &frame.payload[..]),
                (Opcode::Text, &b"Hello"[..])
            );
        }
        let mut writer = ws
            .begin_uncompressed_message(MessageKind::Binary)
            .await
            .unwrap();
        writer.write(b"Hel").await.unwrap();
        writer.write(b"lo").await.unwrap();
        writer.finish().await.unwrap();
        for payload in [&b"Hel"[..], b"lo", b""] {
            let frame = session.peer.frame().await;
            assert!(!frame.rsv1 && frame.payload == payload);
        }
        // As if nothing had been sent in between.
        assert_eq!(sent(&mut session, &[b"Hello"]).await, [HELLO_AGAIN]);
        let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
        writer.write(b"Hello").await.unwrap();
        writer.finish().await.unwrap();
        let frame = session.peer.frame().await;
        assert!(frame.rsv1 && frame.payload.len() < 5);
    }
    // Where nothing is compressed it makes no difference.
    let pipe = tokio::io::duplex(PIPE);
    let end = End::Server(ServerOptions::default());
    let (mut session, _) = end.open_on(&quiet(), pipe, "").await;
    session.ws().send("plain").uncompressed().await.unwrap();
    assert_eq!(session.peer.frame().await, Wire::text("plain"));
}

#[tokio::test(start_paused = true)]
async fn an_uncompressed_send_waits_and_fails_as_any() {
    let (session, _) = open(server(options()), "").await;
    let ws = session.ws();
    while ws.buffered() <= 256 << 10 {
        ws.send(noise(40_000)).uncompressed().await.unwrap();
    }
    let waiting = ws.send("waits").uncompressed();
    let waited = tokio::time::timeout(std::time::Duration::from_secs(1), waiting).await;
    assert!(waited.is_err());
    assert!(ws.try_send_uncompressed("full").is_err());
    ws.close(1000, "").await.unwrap();
    ws.send("late").uncompressed().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn every_strategy_can_be_inflated() {
    let message = [noise(300), vec![7; 300], b"word word word word".repeat(20)].concat();
    for strategy in [
        DeflateStrategy::Default,
        DeflateStrategy::Filtered,
        DeflateStrategy::HuffmanOnly,
        DeflateStrategy::Rle,
        DeflateStrategy::Fixed,
    ] {
        let options = options().strategy(strategy);
        let mut lengths = Vec::new();
        for end in [server(options), client(options)] {
            let (mut session, _) = open(end, "").await;
            let payload = sent(&mut session, &[&message]).await.remove(0);
            lengths.push(payload.len());
            // Sent back, it is what it was.
            session.peer.send(compressed(&payload)).await;
            settle().await;
            let line = format!("binary of {}", message.len());
            assert_eq!(session.log.count(&line), 1, "{strategy:?}");
        }
        assert_eq!(lengths[0], lengths[1]);
        // Codes alone see no words, and runs alone no words either.
        let best = size(self::options(), &message).await[0];
        let is_best = strategy == DeflateStrategy::Default;
        assert!(
            lengths[0] == best && is_best || lengths[0] >= best,
            "{strategy:?}"
        );
        if strategy == DeflateStrategy::HuffmanOnly {
            assert!(lengths[0] > best + 100, "{} {best}", lengths[0]);
        }
    }
}
