//! Connections as streams of octets, against a peer by hand.

use crate::stream::{open, open_on};
use crate::streams::{Watch, Watched};
use crate::wire::{Raw, Wire, settle, within};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCode, Error, ProtocolError, SendError, WebSocketIo, WrappingError,
};
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

async fn wrap(options: ClientOptions) -> (WebSocketIo, Raw<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (ws, peer) = open_on(ours, theirs, options).await;
    (ws.into_io(), peer)
}

async fn base64() -> (WebSocketIo, Raw<DuplexStream>) {
    let (io, peer) = wrap(ClientOptions::default().protocols(["base64"])).await;
    assert_eq!(io.stream().subprotocol(), Some("base64"));
    (io, peer)
}

/// The error of this crate inside of one of a stream.
fn inside(error: &std::io::Error) -> &Error {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

fn fault(error: &std::io::Error) -> WrappingError {
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    *error.get_ref().unwrap().downcast_ref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_written_goes_in_binary_messages_of_at_most_16_kib() {
    let (mut io, mut peer) = wrap(ClientOptions::default().protocols(["binary"])).await;
    assert_eq!(io.write(b"").await.unwrap(), 0);
    io.write_all(b"HELO\r\n").await.unwrap();
    assert_eq!(peer.frame().await, Wire::binary("HELO\r\n").masked());
    let octets: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    io.write_all(&octets).await.unwrap();
    for piece in octets.chunks(16 << 10) {
        assert_eq!(peer.frame().await, Wire::binary(piece).masked());
    }
    // Slices are joined, up to the same size.
    let slices = [&b""[..], b"one", b"", b"two"].map(IoSlice::new);
    assert_eq!(io.write_vectored(&slices).await.unwrap(), 6);
    assert_eq!(peer.frame().await, Wire::binary("onetwo").masked());
    let slices = [&b"head"[..], &octets].map(IoSlice::new);
    assert_eq!(io.write_vectored(&slices).await.unwrap(), 16 << 10);
    let joined = [b"head", &octets[..(16 << 10) - 4]].concat();
    assert_eq!(peer.frame().await, Wire::binary(joined).masked());
    assert!(peer.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn messages_are_no_larger_than_they_may_be() {
    let options = ClientOptions::default().max_message_payload_size(10);
    let (mut io, mut peer) = wrap(options).await;
    io.write_all(&[7; 25]).await.unwrap();
    for length in [10, 10, 5] {
        assert_eq!(peer.frame().await.payload.len(), length);
    }
    let options = ClientOptions::default().protocols(["base64"]);
    let (mut io, mut peer) = wrap(options.clone().max_message_payload_size(10)).await;
    io.write_all(b"abcdefgh").await.unwrap();
    for text in ["YWJjZGVm", "Z2g="] {
        assert_eq!(peer.frame().await, Wire::text(text).masked());
    }
    // Three characters hold no octet of base64 with its padding.
    let (mut io, _peer) = wrap(options.max_message_payload_size(3)).await;
    let error = io.write(b"abc").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn the_bounds_of_messages_mean_nothing_and_empty_ones_are_no_end() {
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    let rest = Wire::new(Opcode::Continuation, "o\nthree");
    peer.send_all(&[
        Wire::binary(""),
        Wire::binary("one"),
        Wire::binary("").unfinished(),
        Wire::new(Opcode::Continuation, "\ntw").unfinished(),
        Wire::ping("p"),
        rest,
        Wire::binary(""),
        Wire::close(1000, ""),
    ])
    .await;
    let mut two = [0; 2];
    assert_eq!(io.read(&mut []).await.unwrap(), 0);
    assert_eq!(io.read(&mut two).await.unwrap(), 2);
    assert_eq!(&two, b"on");
    let mut line = String::new();
    assert_eq!(io.read_line(&mut line).await.unwrap(), 2);
    io.read_line(&mut line).await.unwrap();
    assert_eq!(line, "e\ntwo\n");
    assert_eq!(peer.frame().await, Wire::pong("p").masked());
    let ending = async {
        assert_eq!(peer.frame().await.code(), 1000);
        drop(peer);
    };
    let (read, ()) = tokio::join!(io.read_line(&mut line), ending);
    assert_eq!(read.unwrap(), 5);
    for _ in 0..2 {
        assert_eq!(io.read(&mut two).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_in_order_is_the_end_and_any_other_an_error() {
    for (close, is_end) in [
        (Wire::close(1000, "done"), true),
        (Wire::close(1001, ""), true),
        (Wire::new(Opcode::Close, ""), true),
        (Wire::close(1003, ""), false),
        (Wire::close(1011, "broken"), false),
        (Wire::close(4000, ""), false),
    ] {
        let (mut io, mut peer) = wrap(ClientOptions::default()).await;
        peer.send_all(&[Wire::binary("all"), close.clone()]).await;
        let closing = async {
            peer.frame().await;
            drop(peer);
        };
        let mut octets = Vec::new();
        let (read, ()) = tokio::join!(io.read_to_end(&mut octets), closing);
        assert_eq!(octets, b"all");
        assert_eq!(read.is_ok(), is_end, "{close:?}");
        if let Err(error) = read {
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
            let Error::Closed(info) = inside(&error) else {
                panic!("{error:?}")
            };
            assert_eq!(info.code.as_u16(), close.code());
            // It stays so, and writing says the same.
            io.read(&mut [0]).await.unwrap_err();
            let error = io.write(b"x").await.unwrap_err();
            assert!(matches!(inside(&error), Error::Closed(_)));
        } else {
            let error = io.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let send = error.get_ref().unwrap().downcast_ref();
            assert!(matches!(send, Some(SendError::Closed)));
            io.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_an_error_with_its_cause() {
    // Without a close frame.
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    peer.send(Wire::binary("before")).await;
    drop(peer);
    let mut octets = Vec::new();
    let error = within(io.read_to_end(&mut octets)).await.unwrap_err();
    assert_eq!(
        (&octets[..], error.kind()),
        (&b"before"[..], ErrorKind::UnexpectedEof)
    );
    assert_eq!(
        io.write(b"x").await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(
        io.flush().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(
        io.shutdown().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    // Against the protocol.
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    peer.write(Wire::text("x").masked().encode()).await;
    assert_eq!(peer.frame().await.code(), 1002);
    drop(peer);
    let error = within(io.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref();
    assert!(matches!(source, Some(ProtocolError::MaskedFrame)));
    // A network that fails.
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let watch = Watch::default();
    let inner = ours;
    let ours = Watched {
        inner,
        watch: watch.clone(),
    };
    let (ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    let mut io = ws.into_io();
    watch.fail_reads();
    peer.text("never").await;
    let error = within(io.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // A peer that is silent.
    let options = ClientOptions::default()
        .auto_ping_interval(Duration::from_secs(10))
        .auto_ping_timeout(Duration::from_secs(5));
    let (mut io, _peer) = wrap(options).await;
    let error = within(io.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(matches!(inside(&error), Error::Timeout(_)));
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_wrong_type_close_with_1003() {
    for protocols in [&[][..], &["binary"], &["base64"]] {
        let options = ClientOptions::default().protocols(protocols.iter().copied());
        let (mut io, mut peer) = wrap(options).await;
        let (good, bad, expected) = match protocols {
            ["base64"] => (
                Wire::text("YQ=="),
                Wire::binary("YQ=="),
                WrappingError::BinaryMessage,
            ),
            _ => (
                Wire::binary("a"),
                Wire::text("a"),
                WrappingError::TextMessage,
            ),
        };
        peer.send_all(&[good.clone(), bad, good]).await;
        let mut octets = Vec::new();
        let error = within(io.read_to_end(&mut octets)).await.unwrap_err();
        assert_eq!((&octets[..], fault(&error)), (&b"a"[..], expected));
        assert_eq!(peer.frame().await.code(), 1003);
        assert_eq!(fault(&io.read(&mut [0]).await.unwrap_err()), expected);
        let error = io.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_base64_closes_with_1007() {
    for (text, position) in [
        ("YQ", 2),
        ("YQ=", 3),
        ("YQ==YQ==", 2),
        ("Y Q==", 1),
        ("YWJj\n", 4),
        ("YW_j", 2),
        ("YR==", 1),
        ("=", 0),
        ("é", 0),
    ] {
        let (mut io, mut peer) = base64().await;
        peer.send_all(&[Wire::text("YWI="), Wire::text(text)]).await;
        let mut octets = Vec::new();
        let error = within(io.read_to_end(&mut octets)).await.unwrap_err();
        assert_eq!(octets, b"ab");
        let WrappingError::Base64 { position: at, .. } = fault(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(at, position, "{text}");
        assert_eq!(peer.frame().await.code(), 1007);
    }
}

#[tokio::test(start_paused = true)]
async fn base64_goes_in_text_messages_each_by_itself() {
    let (mut io, mut peer) = base64().await;
    io.write_all(b"\0\xff\xfe").await.unwrap();
    assert_eq!(peer.frame().await, Wire::text("AP/+").masked());
    io.write_all(&[0; 13_000]).await.unwrap();
    let first = peer.frame().await;
    assert_eq!(
        (first.opcode, first.payload.len()),
        (Opcode::Text, 16 << 10)
    );
    assert_eq!(
        peer.frame().await.payload.len(),
        (13_000_usize - 12_288).div_ceil(3) * 4
    );
    peer.send_all(&[
        Wire::text("AP/+"),
        Wire::text(""),
        Wire::text("Y").unfinished(),
        Wire::new(Opcode::Continuation, "Q=="),
    ])
    .await;
    let mut octets = [0; 4];
    io.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"\0\xff\xfea");
}

#[tokio::test(start_paused = true)]
async fn writing_waits_at_the_high_water_mark_and_dropped_it_has_written_nothing() {
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    let mut written = 0_usize;
    // Numbered, so that a piece that was lost or came twice would be seen.
    loop {
        let piece = written.to_le_bytes().repeat(125);
        match timeout(Duration::from_secs(1), io.write(&piece)).await {
            Ok(length) => assert_eq!(length.unwrap(), 1000),
            Err(_) => break,
        }
        written += 1;
        assert!(written < 1000, "nothing holds the writer back");
    }
    assert!(written * 1000 > (256 << 10), "{written}");
    assert!(
        written * 1000 < (256 << 10) + (64 << 10) + 20_000,
        "{written}"
    );
    // Neither does flushing come through, and giving it up does nothing.
    timeout(Duration::from_secs(1), io.flush())
        .await
        .unwrap_err();
    let piece = written.to_le_bytes().repeat(125);
    let (result, ()) = tokio::join!(io.write_all(&piece), async {
        for number in 0..=written {
            let payload = peer.frame().await.payload;
            assert_eq!(payload, number.to_le_bytes().repeat(125));
        }
    });
    result.unwrap();
    within(io.flush()).await.unwrap();
    assert!(peer.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn flushing_waits_until_the_socket_has_taken_everything() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let (ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    let mut io = ws.into_io();
    io.flush().await.unwrap();
    io.write_all(&[1; 10_000]).await.unwrap();
    let ((), ()) = tokio::join!(
        async {
            io.flush().await.unwrap();
            // The pipe and what the peer has read, and no more, may be ahead of us.
            assert_eq!(io.stream().handle().buffered(), 0);
        },
        async {
            settle().await;
            assert_eq!(peer.octets(10_008).await.len(), 10_008);
        }
    );
    // A dropped stream then loses nothing.
    io.write_all(b"last").await.unwrap();
    io.flush().await.unwrap();
    drop(io);
    assert_eq!(peer.frame().await, Wire::binary("last").masked());
    assert_eq!(peer.frame().await.code(), 1001);
    // What the socket does not take until the connection is dropped is an error.
    let (ours, theirs) = tokio::io::duplex(1000);
    let (ws, peer) = open_on(ours, theirs, ClientOptions::default()).await;
    let mut io = ws.into_io();
    io.write_all(&[1; 10_000]).await.unwrap();
    let (flushed, ()) = tokio::join!(io.flush(), async {
        settle().await;
        drop(peer);
    });
    flushed.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn flushing_waits_also_behind_the_peers_close() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let (ws, mut peer) = open_on(ours, theirs, ClientOptions::default()).await;
    let mut io = ws.into_io();
    io.write_all(&[1; 10_000]).await.unwrap();
    peer.send(Wire::close(1000, "")).await;
    settle().await;
    let (flushed, ()) = tokio::join!(io.flush(), async {
        settle().await;
        assert_eq!(peer.frame().await.payload.len(), 10_000);
        assert_eq!(peer.frame().await.code(), 1000);
        drop(peer);
    });
    flushed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutting_down_is_the_closing_handshake() {
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    io.write_all(b"bye").await.unwrap();
    let closing = async {
        assert_eq!(peer.frame().await, Wire::binary("bye").masked());
        assert_eq!(peer.frame().await, Wire::close(1000, "").masked());
        settle().await;
        peer.send_all(&[Wire::binary("left"), Wire::close(1000, "")])
            .await;
        drop(peer);
    };
    let (shut, ()) = tokio::join!(io.shutdown(), closing);
    shut.unwrap();
    let error = io.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    // What came before the peer's close frame is there.
    let mut octets = Vec::new();
    io.read_to_end(&mut octets).await.unwrap();
    assert_eq!(octets, b"left");
    io.shutdown().await.unwrap();
    assert_eq!(io.stream().close_info().unwrap().code, CloseCode::NORMAL);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_does_not_wait_for_ever() {
    let options = ClientOptions::default().close_handshake_timeout(Duration::from_secs(3));
    let (mut io, mut peer) = wrap(options).await;
    let error = within(io.shutdown()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(peer.frame().await.code(), 1000);
    let error = io.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_is_dropping_the_stream() {
    let (ws, mut peer) = open().await;
    let mut io = ws.into_io();
    io.write_all(b"x").await.unwrap();
    drop(io);
    assert_eq!(peer.frame().await.payload, b"x");
    assert_eq!(peer.frame().await.code(), 1001);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn reads_that_are_given_up_lose_nothing() {
    let (mut io, mut peer) = wrap(ClientOptions::default()).await;
    let sending = tokio::spawn(async move {
        for number in 0..100_u8 {
            tokio::time::sleep(Duration::from_millis(7)).await;
            peer.send(Wire::binary([number; 3])).await;
        }
        peer
    });
    let mut octets = Vec::new();
    while octets.len() < 300 {
        let mut two = [0; 2];
        if let Ok(read) = timeout(Duration::from_millis(5), io.read(&mut two)).await {
            octets.extend_from_slice(&two[..read.unwrap()]);
        }
    }
    let expected: Vec<u8> = (0..100_u8).flat_map(|number| [number; 3]).collect();
    assert_eq!(octets, expected);
    drop(sending.await.unwrap());
}
