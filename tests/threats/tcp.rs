//! The end of TCP, and what happens where descriptors run out.

#[cfg(target_os = "linux")]
use crate::child::Process;
use crate::world::{
    BINARY, CLOSE, FIN, Masks, PING, Raw, TEXT, World, both_ends, frame, request, status, until,
    within,
};
use motorway::{CloseCause, ServerOptions};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// EMFILE on accept: the loop neither ends nor spins, and goes on once there are descriptors again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn emfile_neither_spins_nor_ends_the_accept_loop() {
    let server = Process::server_with(48);
    let address = server.address();
    let mut held = Vec::new();
    // The kernel lets them connect; the server cannot accept them all.
    for _ in 0..80 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    until("all descriptors are taken", || server.descriptors() >= 48).await;
    let before = server.processor();
    sleep(Duration::from_millis(2500)).await;
    assert!(server.descriptors() >= 48);
    let taken = server.processor() - before;
    assert!(
        taken < Duration::from_millis(250),
        "{taken:?} of the processor"
    );
    drop(held);
    let mut raw = Raw::on(TcpStream::connect(address).await.unwrap());
    raw.write(request("")).await;
    assert_eq!(status(&raw.head().await), 101);
    until("the descriptors come back", || server.descriptors() < 20).await;
}

/// Peers that reset before they are accepted, or at once after (ECONNABORTED and kin).
#[tokio::test]
async fn resets_do_not_end_the_accept_loop() {
    let world = World::new(ServerOptions::default());
    let server = world.listen().await;
    for _ in 0..200 {
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.set_zero_linger().unwrap();
    }
    let mut raw = Raw::dial(&server).await;
    raw.write(request("")).await;
    assert_eq!(status(&raw.head().await), 101);
}

/// Unclean ends that spin (CVE-2017-2670): half a request, half a frame, half a message, half a close, and
/// then the end of the stream, by those who keep their own side open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_end_of_a_stream_does_not_spin() {
    let server = Process::server();
    let address = server.address();
    let idle = server.descriptors();
    let open = request("");
    let text = frame(TEXT, b"hello", Masks::Yes);
    let mut streams = Vec::new();
    for octets in [
        Vec::new(),
        open.as_bytes()[..30].to_vec(),
        open.clone().into_bytes(),
        [open.as_bytes(), &text[..1]].concat(),
        [open.as_bytes(), &text[..8]].concat(),
        [open.as_bytes(), &frame(TEXT & !FIN, b"hello", Masks::Yes)].concat(),
        [
            open.as_bytes(),
            &frame(BINARY, &[0; 70_000], Masks::Yes)[..60_000],
        ]
        .concat(),
        [open.as_bytes(), &frame(CLOSE, &[3, 232], Masks::Yes)[..3]].concat(),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&octets).await.unwrap();
        stream.shutdown().await.unwrap();
        streams.push(stream);
    }
    until("all are gone", || server.descriptors() <= idle).await;
    let before = server.processor();
    sleep(Duration::from_millis(500)).await;
    let taken = server.processor() - before;
    assert!(
        taken < Duration::from_millis(200),
        "{taken:?} of the processor"
    );
}

/// A peer that never answers Close, or answers and never closes TCP (CVE-2024-23672): one deadline for both,
/// five seconds, which nothing renews.
#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes_is_gone_at_the_deadline() {
    let answer = frame(CLOSE, &[3, 232], Masks::Yes);
    let trickle = frame(PING, b"still here", Masks::Yes);
    for octets in [Vec::new(), trickle, answer] {
        let mut world = World::new(ServerOptions::default());
        let (ours, theirs) = duplex(64 << 10);
        tokio::spawn(world.factory.serve_stream(ours));
        let mut raw = Raw::on(theirs);
        raw.write(request("")).await;
        assert_eq!(status(&raw.head().await), 101);
        let ws = within(world.opened.recv()).await.unwrap();
        let start = tokio::time::Instant::now();
        ws.close(1000, "").await.unwrap();
        while ws.close_info().is_none() {
            sleep(Duration::from_millis(400)).await;
            if !octets.is_empty() {
                let _ = raw.stream.write(&octets).await;
            }
        }
        let taken = start.elapsed();
        assert!(
            taken > Duration::from_millis(4500) && taken < Duration::from_millis(5900),
            "{taken:?}"
        );
    }
}

/// The same behind a full send queue: what is queued does not put the end off.
#[tokio::test(start_paused = true)]
async fn a_full_send_queue_does_not_put_off_the_end() {
    let mut world = World::new(ServerOptions::default());
    let (ours, theirs) = duplex(4 << 10);
    tokio::spawn(world.factory.serve_stream(ours));
    let mut raw = Raw::on(theirs);
    raw.write(request("")).await;
    raw.head().await;
    let ws = within(world.opened.recv()).await.unwrap();
    while ws.try_send(vec![0; 64 << 10]).is_ok() {}
    let start = tokio::time::Instant::now();
    ws.close(1000, "").await.unwrap();
    let info = ws.closed().await;
    assert!(!info.was_clean && info.unsent_octets > 64 << 10, "{info:?}");
    assert!(
        start.elapsed() < Duration::from_millis(5500),
        "{:?}",
        start.elapsed()
    );
}

/// The same over TCP, at both ends, by a peer that reads nothing: gone in real time, too.
#[tokio::test]
async fn a_peer_that_reads_nothing_is_gone_at_the_deadline() {
    let mut ending = Vec::new();
    for talk in both_ends("").await {
        while talk.ws.try_send(vec![0; 64 << 10]).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        talk.ws.close(1000, "").await.unwrap();
        ending.push((talk, start));
    }
    for (talk, start) in ending {
        let info = within(talk.ws.closed()).await;
        assert!(!info.was_clean, "{info:?}");
        assert!(
            start.elapsed() > Duration::from_secs(4),
            "{:?}",
            start.elapsed()
        );
    }
}

/// A close frame that a reset destroys, since input was left unread: the peer goes on sending, reads late, and
/// still gets it.
#[tokio::test]
async fn a_reset_does_not_destroy_the_close_frame() {
    for mut talk in both_ends("").await {
        let bad = talk.frame(FIN | 3, "");
        let more = talk.frame(BINARY, vec![0; 400_000]);
        talk.raw.write([bad, more].concat()).await;
        sleep(Duration::from_millis(200)).await;
        // Not every system throws away what came before a reset: what the peer sends is taken, too.
        assert!(talk.send(BINARY, vec![0; 100_000]).await, "{talk:?}");
        assert_eq!(talk.next().await.code(), 1002, "{talk:?}");
        let closed = talk.raw.rest().await;
        assert_eq!(closed, b"", "{talk:?}");
        assert!(talk.send(BINARY, vec![0; 100_000]).await, "{talk:?}");
    }
}

/// Dropped TCP is told as 1006, and not as clean (RFC 6455 §7.1.5).
#[tokio::test]
async fn a_dropped_stream_is_1006() {
    for mut talk in both_ends("").await {
        talk.raw = Raw::on(tokio::io::empty());
        let info = within(talk.ws.closed()).await;
        assert!(!info.was_clean && info.code.as_u16() == 1006, "{info:?}");
        assert!(
            matches!(info.cause, CloseCause::Dropped | CloseCause::Io(_)),
            "{info:?}"
        );
    }
}

/// A port that plain octets come to which are no HTTP: answered, closed, and no reset.
#[tokio::test]
async fn what_is_no_http_gets_an_answer() {
    let world = World::new(ServerOptions::default());
    let server = world.listen().await;
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"[..],
        b"SSH-2.0-x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(octets).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(
            [400, 405, 505].contains(&status(&answer)),
            "{octets:?}: {answer}"
        );
    }
}
