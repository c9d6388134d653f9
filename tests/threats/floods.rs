//! Floods: what a peer sends or does not read costs memory that is bounded, and nobody else's time.

use crate::child::Process;
use crate::world::{
    BINARY, FIN, Masks, PING, PONG, Raw, TEXT, World, both_ends, frame, request, response, status,
    until, within,
};
use motorway::ServerOptions;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::coop::poll_proceed;
use tokio::time::timeout;

async fn open(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // So that the kernel takes little of what is not read.
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = within(socket.connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(request("").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    assert_eq!(status(&String::from_utf8_lossy(&head)), 101);
    stream
}

/// Sends these octets time and again, `total` of them, and reads nothing.
async fn flood(stream: &mut TcpStream, octets: &[u8], total: usize) {
    for _ in 0..total / octets.len() {
        let written = timeout(Duration::from_secs(60), stream.write_all(octets)).await;
        written.expect("pings are read").unwrap();
    }
}

/// Pings with these payloads, enough to fill a write.
fn pings(payload: &[u8], masks: Masks) -> Vec<u8> {
    frame(PING, payload, masks).repeat((256 << 10) / (payload.len() + 6))
}

/// Reads to a pong with this payload; returns how many there were.
async fn pongs_until(mut raw: Raw, payload: &[u8]) -> usize {
    for count in 1.. {
        let came = raw.frame().await.expect("a pong to the last ping");
        assert_eq!(came.first, PONG);
        if came.payload == payload {
            return count;
        }
    }
    0
}

const FLOOD: usize = 64 << 20;

/// Unread pings (RFC 6455 §5.5.3: only the latest need be answered): other servers grow by 56 MiB
/// and more.
#[tokio::test]
async fn an_unread_ping_flood_costs_a_server_one_pending_pong() {
    let server = Process::server();
    let mut stream = open(server.address()).await;
    let octets = pings(&[b'x'; 125], Masks::Yes);
    flood(&mut stream, &octets, 1 << 20).await;
    let before = server.memory();
    flood(&mut stream, &octets, FLOOD).await;
    let last = frame(PING, b"the last", Masks::Yes);
    stream.write_all(&last).await.unwrap();
    let pongs = pongs_until(Raw::on(stream), b"the last").await;
    // What the kernel held, and no more: 600,000 pings were sent.
    assert!(pongs < 200_000, "{pongs} pongs");
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

/// The same by a server that reads nothing: other clients grow, too.
#[tokio::test]
async fn an_unread_ping_flood_costs_a_client_one_pending_pong() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Process::client(&format!("ws://{}", listener.local_addr().unwrap()));
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut raw = Raw::on(stream);
    let head = raw.head().await;
    raw.write(response(&head, "")).await;
    client.find("open");
    let octets = pings(&[b'x'; 125], Masks::No);
    for _ in 0..4 {
        assert!(raw.write(&octets).await);
    }
    let before = client.memory();
    for _ in 0..FLOOD / octets.len() {
        assert!(raw.write(&octets).await);
    }
    raw.write(frame(PING, b"the last", Masks::No)).await;
    let pongs = pongs_until(raw, b"the last").await;
    assert!(pongs < 200_000, "{pongs} pongs");
    let grown = client.peak().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

/// Far more than the kernel, the queue and what is read ahead can hold for one connection.
const MOST_TAKEN: usize = 32 << 20;

/// Octets that a slow reader asks for, and is not given at once (RUSTSEC-2020-0043): the queue counts
/// octets, whatever the size of the messages.
#[tokio::test]
async fn fifty_slow_readers_are_bounded_in_octets() {
    for (size, readers) in [(1 << 20, 50), (64 << 10, 50), (100, 5)] {
        let server = Process::server();
        let address = server.address();
        let mut streams = Vec::new();
        for _ in 0..readers {
            streams.push(open(address).await);
        }
        let before = server.memory();
        let message = frame(BINARY, &vec![b'x'; size], Masks::Yes);
        let octets = message.repeat((64 << 10) / size + 1);
        let writing = streams.iter_mut().map(|stream| async {
            let mut taken = 0;
            // Nothing is taken any more once the echoes stand still.
            while taken < MOST_TAKEN {
                let written = timeout(Duration::from_millis(500), stream.write_all(&octets));
                match written.await {
                    Ok(written) => written.unwrap(),
                    Err(_) => return,
                }
                taken += octets.len();
            }
            panic!("{taken} octets of {size} were taken");
        });
        futures_util::future::join_all(writing).await;
        // The queue, what is read and what was read ahead take 256 KiB each; the message that waits is there
        // twice, as it came in and as it goes out. Buffers that the thread lends take some besides.
        let (each, lent) = (768 + 2 * size / 1024, 4 << 10);
        let grown = server.peak().saturating_sub(before);
        assert!(
            grown < lent + readers * each,
            "{size} octets: {grown} KiB more"
        );
        // They slow down nobody else.
        let mut raw = Raw::on(open(address).await);
        raw.write(frame(TEXT, b"quick", Masks::Yes)).await;
        assert_eq!(raw.frame().await.unwrap().payload, b"quick");
    }
}

/// Buffers that were needed once: not kept by those who idle.
#[tokio::test]
async fn capacity_is_given_back_after_a_large_message() {
    let server = Process::server();
    let address = server.address();
    let large = frame(BINARY, &vec![b'x'; 1 << 20], Masks::Yes);
    let mut streams = Vec::new();
    for count in 0..70 {
        let mut raw = Raw::on(open(address).await);
        if count % 21 == 0 {
            raw.write(&large).await;
            assert_eq!(raw.frame().await.unwrap().payload.len(), 1 << 20);
        }
        streams.push(raw);
    }
    let before = server.memory();
    for raw in &mut streams {
        raw.write(&large).await;
        assert_eq!(raw.frame().await.unwrap().payload.len(), 1 << 20);
    }
    let kept = || server.memory().saturating_sub(before);
    until("4 KiB and less are kept by each idle connection", || {
        kept() < 70 * 4
    })
    .await;
}

/// A message without end in small fragments (CVE-2014-0193, CVE-2026-12151): limits for its octets
/// and for its frames, and no object for each of them.
#[tokio::test]
async fn continuations_without_end_are_cut_off() {
    for (payload, most) in [
        (&b""[..], 131_072),
        (b"x", 131_072),
        (&[b'x'; 64 << 10], 1024),
    ] {
        let server = Process::server();
        let mut raw = Raw::on(open(server.address()).await);
        let before = server.memory();
        raw.write(frame(BINARY & !FIN, payload, Masks::Yes)).await;
        let block = frame(0, payload, Masks::Yes).repeat(64);
        let mut sent = 1;
        while sent < most + 64 && raw.write(&block).await {
            sent += 64;
        }
        let close = raw.frame().await.expect("a close frame");
        assert_eq!(
            close.code(),
            1009,
            "after {sent} frames of {}",
            payload.len()
        );
        assert!(sent >= most, "{sent} frames of {}", payload.len());
        let (kept, grown) = (
            payload.len() * most / 1024,
            server.peak().saturating_sub(before),
        );
        // The message, and once more while it grew; and buffers of its thread, and code that is met for
        // the first time. An object for each frame would take 4 MiB and more.
        assert!(grown < 2 * kept + 3072, "{grown} KiB for {kept}");
    }
}

/// Pongs that nobody asked for (CVE-2021-3690): nothing is kept of them, and nothing answered.
#[tokio::test]
async fn pongs_leave_nothing_behind() {
    let server = Process::server();
    let mut raw = Raw::on(open(server.address()).await);
    let block = frame(PONG, &[b'x'; 125], Masks::Yes).repeat(2048);
    raw.write(&block).await;
    let before = server.memory();
    for _ in 0..100 {
        assert!(raw.write(&block).await);
    }
    raw.write(frame(TEXT, b"hello", Masks::Yes)).await;
    assert_eq!(raw.frame().await.unwrap().payload, b"hello");
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

/// A stream that always has more to be read, and takes all that is written. As with those of tokio, 128 reads
/// are a turn.
struct Torrent {
    opening: Vec<u8>,
    block: Vec<u8>,
    /// How many octets of both were read, and how many there are.
    read: Arc<AtomicUsize>,
    total: usize,
}

impl AsyncRead for Torrent {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(poll_proceed(context)).made_progress();
        let at = self.read.load(Relaxed);
        let rest = match at.checked_sub(self.opening.len()) {
            None => &self.opening[at..],
            Some(at) => &self.block[at % self.block.len()..],
        };
        let count = rest.len().min(buffer.remaining()).min(self.total - at);
        buffer.put_slice(&rest[..count]);
        self.read.store(at + count, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A connection whose input never ends, on the one thread of a server: others get their turn.
#[tokio::test]
async fn one_connection_does_not_starve_the_rest() {
    // Messages, pings, fragments, pongs: each has a loop of its own somewhere.
    let fragments = [
        frame(1, b"", Masks::Yes),
        frame(0, b"", Masks::Yes).repeat(99_000),
    ]
    .concat();
    let fragments = [fragments, frame(FIN, b"", Masks::Yes)].concat();
    // A turn is worth 128 times 32 frames of 7 octets, and what is read at once. What leads to nothing yet
    // is worth as many reads.
    let (few, many) = (128 << 10, 128 * (128 << 10));
    for (kind, block, bound) in [
        (
            "messages",
            frame(TEXT, b"x", Masks::Yes).repeat(10_000),
            few,
        ),
        ("pings", frame(PING, b"x", Masks::Yes).repeat(10_000), few),
        ("pongs", frame(PONG, b"x", Masks::Yes).repeat(10_000), few),
        ("fragments", fragments, many),
    ] {
        let (read, total) = (Arc::<AtomicUsize>::default(), bound + bound / 2);
        let world = World::new(ServerOptions::default());
        let opening = request("").into_bytes();
        let serving = tokio::spawn(world.factory.serve_stream(Torrent {
            opening,
            block,
            read: Arc::clone(&read),
            total,
        }));
        let (mut before, mut most) = (0, 0);
        while !serving.is_finished() {
            tokio::task::yield_now().await;
            let now = read.load(Relaxed);
            (before, most) = (now, most.max(now - before));
        }
        assert_eq!(before, total, "{kind}");
        assert!(most <= bound, "{kind}: {most} octets in one turn");
    }
}

/// Tiny frames: a hundred thousand messages of nothing come back, in order, from both ends.
#[tokio::test]
async fn empty_messages_cost_no_more_than_their_octets() {
    for mut talk in both_ends("").await {
        let block = talk.frame(TEXT, "").repeat(1000);
        for _ in 0..20 {
            talk.raw.write(&block).await;
            for _ in 0..1000 {
                assert_eq!(talk.next().await.payload, b"");
            }
        }
        talk.assert_echoes().await;
    }
}
