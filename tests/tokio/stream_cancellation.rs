//! Futures of a stream that are dropped at any of their await points, its two halves, and what the
//! traits of futures make of it.

use crate::stream::{open, open_on};
use crate::streams::Choppy;
use crate::wire::{Raw, Wire, request, settle, status, within};
use futures_core::Stream;
use futures_sink::Sink;
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseCode, Connector, Error, Message, WebSocketServerFactory, WebSocketStream,
};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

/// Polls a future so often, while the rest of the world goes on, and drops it if it is not ready.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// A client's stream that cuts everything, and its peer.
async fn choppy(seed: u64) -> (WebSocketStream, Raw<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(300);
    let ours = Choppy { inner: ours, seed };
    open_on(ours, theirs, ClientOptions::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_loses_nothing() {
    for seed in 1..20 {
        let (mut ws, mut peer) = choppy(seed).await;
        let sending = tokio::spawn(async move {
            for number in 0..40_u16 {
                let size = usize::from(number) * 37 % 1000;
                let payload = [&number.to_be_bytes()[..], &vec![0; size]].concat();
                peer.send(Wire::binary(payload)).await;
            }
            peer
        });
        let mut received = Vec::new();
        let mut times = 0;
        while received.len() < 40 {
            times = (times + 1) % 4;
            if let Some(message) = poll_times(ws.recv(), times).await {
                let message = message.unwrap().unwrap().into_bytes();
                received.push(u16::from_be_bytes([message[0], message[1]]));
            }
            tokio::task::yield_now().await;
        }
        assert!(received.iter().copied().eq(0..40), "{received:?}");
        sending.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_recv_that_times_out_may_be_tried_again() {
    let (mut ws, mut peer) = open().await;
    let late = tokio::spawn(async move {
        sleep(Duration::from_millis(2500)).await;
        peer.text("late").await;
        peer
    });
    let mut timeouts = 0;
    let message = loop {
        match timeout(Duration::from_secs(1), ws.recv()).await {
            Ok(message) => break message.unwrap().unwrap(),
            Err(_) => timeouts += 1,
        }
    };
    assert_eq!((message, timeouts), (Message::from("late"), 2));
    late.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_has_queued_nothing() {
    for seed in 1..10 {
        let (ws, mut peer) = choppy(seed).await;
        let big = vec![0; 300_000];
        ws.send(&big[..]).await.unwrap();
        // Above the high-water mark: these wait.
        let mut sent = 0;
        for times in 1..20 {
            if poll_times(ws.send("x"), times).await.is_some() {
                sent += 1;
            }
        }
        let (closed, frames) = tokio::join!(ws.handle().close(1000, ""), async {
            let mut frames = Vec::new();
            loop {
                let frame = peer.frame().await;
                if frame.opcode == Opcode::Close {
                    break frames;
                }
                frames.push(frame);
            }
        });
        closed.unwrap();
        assert_eq!(frames.len(), 1 + sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_has_begun_and_may_be_waited_for_again() {
    for times in 1..6 {
        let (mut ws, mut peer) = choppy(times as u64).await;
        let given_up = poll_times(ws.close(CloseCode::NORMAL, "bye"), times).await;
        assert!(given_up.is_none());
        let answering = async {
            let close = peer.frame().await;
            assert_eq!(close, Wire::close(1000, "bye").masked());
            peer.send(Wire::close(1000, "bye")).await;
            drop(peer);
        };
        let (info, ()) = tokio::join!(ws.close(CloseCode::NORMAL, ""), answering);
        assert!(info.unwrap().was_clean);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connect_drops_the_connection() {
    for times in 1..40 {
        let (ours, theirs) = tokio::io::duplex(300);
        let mut peer = Raw::server(theirs);
        let answering = tokio::spawn(async move {
            if let Some(request) = peer.try_head().await {
                let response = crate::wire::response(&request, "");
                let _ = peer.stream.write_all(response.as_bytes()).await;
            }
            peer.rest().await
        });
        let connector = Connector::new("ws://localhost/").unwrap();
        let ours = Choppy {
            inner: ours,
            seed: 7,
        };
        let opened = poll_times(connector.connect_stream(ours), times).await;
        drop(opened.map(Result::unwrap));
        // Whether it was open or not, its peer sees the end.
        within(answering).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_server_connection_drops_its_handler() {
    for times in 1..60 {
        let alive = std::sync::Arc::new(());
        let counter = std::sync::Arc::clone(&alive);
        let factory = WebSocketServerFactory::from_handler(move |mut ws| {
            let counter = std::sync::Arc::clone(&counter);
            async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                }
                drop(counter);
                Ok(())
            }
        });
        let (ours, theirs) = tokio::io::duplex(300);
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        let talking = tokio::spawn(async move {
            let octets = peer.encode(Wire::text("a"));
            let _ = peer.stream.write_all(&octets).await;
            peer.rest().await
        });
        let ours = Choppy {
            inner: ours,
            seed: 5,
        };
        assert!(
            poll_times(factory.serve_stream(ours), times)
                .await
                .is_none()
        );
        within(talking).await.unwrap();
        assert_eq!(factory.connection_count(), 0);
        drop(factory);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }
}

// The driver may be at work on another thread in that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_dropped_while_its_driver_is_polled() {
    for round in 0..200_u64 {
        let (ws, mut peer) = open().await;
        let handle = ws.handle().clone();
        let flooding = tokio::spawn(async move {
            let octets = Wire::text("flood").encode().repeat(100);
            // Fails where the other end is gone.
            while peer.stream.write_all(&octets).await.is_ok() {}
            peer
        });
        sleep(Duration::from_micros(round * 3)).await;
        drop(ws);
        let info = within(handle.closed()).await;
        assert!(!info.was_clean && info.local.is_some(), "{info:?}");
        within(flooding).await.unwrap();
    }
}

// Halves.

#[tokio::test(start_paused = true)]
async fn halves_work_on_two_tasks() {
    let (ws, mut peer) = open().await;
    let (mut reader, writer) = ws.into_split();
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            writer.send(vec![0; 10_000]).await.unwrap();
        }
        writer
    });
    let receiving = tokio::spawn(async move {
        let mut count = 0;
        while let Some(message) = reader.recv().await.unwrap() {
            assert_eq!(message.len(), 10_000);
            count += 1;
        }
        count
    });
    for _ in 0..100 {
        let frame = peer.frame().await;
        peer.send(Wire::binary(frame.payload)).await;
    }
    let mut writer = sending.await.unwrap();
    let answering = async {
        let close = peer.frame().await;
        peer.send(close).await;
        drop(peer);
    };
    let (info, ()) = tokio::join!(writer.close(1000, ""), answering);
    assert!(info.unwrap().was_clean);
    assert_eq!(receiving.await.unwrap(), 100);
}

#[tokio::test(start_paused = true)]
async fn the_last_half_drops_the_connection() {
    for reader_first in [true, false] {
        let (ws, mut peer) = open().await;
        let (mut reader, writer) = ws.into_split();
        if reader_first {
            drop(reader);
            // Nobody reads, and nothing is held back.
            for _ in 0..100 {
                peer.send(Wire::binary(vec![0; 10_000])).await;
            }
            writer.send("still").await.unwrap();
            assert_eq!(peer.frame().await, Wire::text("still").masked());
            drop(writer);
        } else {
            drop(writer);
            peer.text("still").await;
            assert_eq!(reader.recv().await.unwrap(), Some("still".into()));
            drop(reader);
        }
        assert_eq!(peer.frame().await.code(), 1001);
        assert_eq!(peer.next().await, None);
    }
}

// The traits of futures.

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

async fn feed(ws: &mut WebSocketStream, message: Message<'static>) -> Result<(), Error> {
    poll_fn(|context| Pin::new(&mut *ws).poll_ready(context)).await?;
    Pin::new(&mut *ws).start_send(message)
}

#[tokio::test(start_paused = true)]
async fn it_is_a_stream_and_a_sink() {
    let (mut ws, mut peer) = open().await;
    peer.text("in").await;
    assert_eq!(next(&mut ws).await.unwrap().unwrap(), Message::from("in"));
    feed(&mut ws, Message::from("out")).await.unwrap();
    poll_fn(|context| Pin::new(&mut ws).poll_flush(context))
        .await
        .unwrap();
    assert_eq!(peer.frame().await, Wire::text("out").masked());
    let closing = poll_fn(|context| Pin::new(&mut ws).poll_close(context));
    let answering = async {
        let close = peer.frame().await;
        assert_eq!(close.code(), 1000);
        peer.send(close).await;
        drop(peer);
    };
    let (closed, ()) = tokio::join!(closing, answering);
    closed.unwrap();
    assert!(next(&mut ws).await.is_none());
    assert!(next(&mut ws).await.is_none());
    assert!(feed(&mut ws, Message::from("late")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_yields_an_error_once() {
    let (mut ws, peer) = open().await;
    drop(peer);
    assert!(matches!(next(&mut ws).await, Some(Err(Error::Closed(_)))));
    assert!(next(&mut ws).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sink_waits_for_a_slow_peer() {
    let (mut ws, mut peer) = open().await;
    let mut fed = 0;
    while timeout(
        Duration::from_secs(1),
        feed(&mut ws, vec![0; 50_000].into()),
    )
    .await
    .is_ok()
    {
        fed += 1;
        assert!(fed < 20, "it takes everything");
    }
    assert!(ws.handle().buffered() < 400_000);
    let reading = tokio::spawn(async move {
        for _ in 0..fed {
            assert_eq!(peer.frame().await.payload.len(), 50_000);
        }
        peer
    });
    within(poll_fn(|context| Pin::new(&mut ws).poll_flush(context)))
        .await
        .unwrap();
    within(reading).await.unwrap();
}

// What every connection with a handler costs on the heap besides what the handler holds.
#[tokio::test(start_paused = true)]
async fn the_future_of_a_handler_is_small() {
    let factory = WebSocketServerFactory::from_handler(|mut ws| async move {
        while ws.recv().await?.is_some() {}
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(1000);
    let serving = factory.serve_stream(ours);
    assert!(size_of_val(&serving) <= 656, "{}", size_of_val(&serving));
    let _task = tokio::spawn(serving);
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 101);
    settle().await;
}
