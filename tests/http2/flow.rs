//! Who does not read makes the other end of this one WebSocket wait, and nobody else.

use crate::server::{Channel, builder, open, pair};
use crate::wire::{Wire, within};
use bytes::Bytes;
use motorway::{SendError, WebSocketStream};
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::timeout;

const KIB: usize = 1 << 10;

/// Sends there and back.
async fn assert_alive(ws: &mut WebSocketStream, channel: &mut Channel) {
    ws.send("ping").await.unwrap();
    let frame = channel.frame().await;
    channel.send(frame).await;
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "ping");
}

// RFC 9113 §5.2. The window of the stream is 64 KiB less one octet.
#[tokio::test]
async fn a_server_that_does_not_read_makes_send_wait() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (slow, mut unread) = open(&connector, &http2, &mut server).await;
    let (mut other, mut channel) = open(&connector, &http2, &mut server).await;
    let message = vec![1; 10_000];
    let mut sent = 0;
    let moment = Duration::from_millis(200);
    // Not a single send must be lost: one that is given up has sent nothing.
    while timeout(moment, slow.send(&message[..])).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "send does not wait");
    }
    // The window, and what a WebSocket buffers: 256 KiB, and the message that crosses the line.
    let octets = sent * message.len();
    assert!((64 * KIB..=384 * KIB).contains(&octets), "{octets}");
    let full = slow.handle().try_send(&message[..]);
    assert!(matches!(full, Err(SendError::Full { .. })), "{full:?}");
    for _ in 0..3 {
        assert_alive(&mut other, &mut channel).await;
    }
    // Once it reads all goes on.
    for _ in 0..sent {
        assert!(unread.frame().await.payload == message);
    }
    slow.send("and on").await.unwrap();
    assert_eq!(unread.frame().await, Wire::text("and on"));
}

// A client that writes as fast as it can takes no more of the connection's window than it has octets for.
#[tokio::test]
async fn the_window_of_the_connection_is_shared() {
    let mut narrow = builder();
    narrow
        .initial_connection_window_size(100_000)
        .initial_window_size(60_000);
    let (connector, http2, mut server) = pair(narrow).await;
    let (slow, mut unread) = open(&connector, &http2, &mut server).await;
    let (mut other, mut channel) = open(&connector, &http2, &mut server).await;
    let message = vec![1; 100_000];
    slow.send(&message[..]).await.unwrap();
    // Its own window is used up: 40,000 are left for the others.
    for _ in 0..3 {
        assert_alive(&mut other, &mut channel).await;
    }
    assert!(unread.frame().await.payload == message);
}

/// Writes until the client takes no more for a moment; returns how many octets.
async fn fill(channel: &mut Channel, frame: &Wire) -> usize {
    let octets = Bytes::from(frame.encode());
    let mut written = 0;
    loop {
        channel.outflow.reserve_capacity(octets.len());
        let room = poll_fn(|context| match channel.outflow.capacity() >= octets.len() {
            true => std::task::Poll::Ready(()),
            false => channel.outflow.poll_capacity(context).map(|_| ()),
        });
        if timeout(Duration::from_millis(300), room).await.is_err() {
            channel.outflow.reserve_capacity(0);
            return written;
        }
        if channel.outflow.capacity() >= octets.len() {
            channel.outflow.send_data(octets.clone(), false).unwrap();
            written += octets.len();
        }
        assert!(written < 64 << 20, "the server does not wait");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_server_wait() {
    let (connector, http2, mut server) = pair(builder()).await;
    let (mut unread, mut slow) = open(&connector, &http2, &mut server).await;
    let (mut other, mut channel) = open(&connector, &http2, &mut server).await;
    let frame = Wire::binary(vec![3; 4 * KIB]);
    let written = fill(&mut slow, &frame).await;
    // The window, and what a stream reads ahead.
    assert!((256 * KIB..=2048 * KIB).contains(&written), "{written}");
    for _ in 0..3 {
        assert_alive(&mut other, &mut channel).await;
    }
    let mut read = 0;
    while read < written {
        let message = within(unread.recv_bytes()).await.unwrap().unwrap();
        assert!(message == frame.payload);
        read += frame.encode().len();
    }
    assert_eq!(read, written);
    assert_alive(&mut unread, &mut slow).await;
}

// Each in a DATA frame of its own, which costs much more than its octets if it is kept as one.
#[tokio::test]
async fn small_messages_that_nobody_reads_do_not_end_the_connection() {
    let (connector, http2, mut server) = pair(builder()).await;
    let mut unread = Vec::new();
    let (mut other, mut channel) = open(&connector, &http2, &mut server).await;
    for _ in 0..3 {
        let (ws, mut slow) = open(&connector, &http2, &mut server).await;
        let written = fill(&mut slow, &Wire::text("tick")).await;
        assert!(written >= 256 * KIB, "{written}");
        unread.push((ws, slow, written));
        assert_alive(&mut other, &mut channel).await;
    }
    for (mut ws, _slow, written) in unread {
        for _ in 0..written / 6 {
            assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "tick");
        }
    }
    assert_alive(&mut other, &mut channel).await;
}
