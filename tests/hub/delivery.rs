//! What is published arrives, once, in order, at whom it is for.

use crate::world::{World, soon};
use motorway::{
    Bytes, Hub, Message, MessageKind, Observed, Observer, PreparedMessage, Publication, Published,
};
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Only the counts that matter.
fn counts(published: Published) -> (usize, usize, usize) {
    (published.sent, published.skipped, published.dropped)
}

#[tokio::test]
async fn every_member_gets_it_once() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut clients = Vec::new();
    for place in 0..10 {
        let (ws, client) = world.open().await;
        hub.join(&ws, if place < 7 { "a" } else { "b" }).unwrap();
        clients.push((ws, client));
    }
    let published = hub.publish("a", "to seven").await.unwrap();
    assert_eq!(counts(published), (7, 0, 0));
    assert_eq!(counts(hub.publish("nobody", "x").await.unwrap()), (0, 0, 0));
    let sender = clients[3].0.clone();
    let published = hub.publish_except(&sender, "a", "to six").await.unwrap();
    assert_eq!(counts(published), (6, 1, 0));
    let published = hub.broadcast("to all").await.unwrap();
    assert_eq!(counts(published), (10, 0, 0));
    assert_eq!(counts(hub.totals()), (23, 1, 0));
    for (place, (_, client)) in clients.iter_mut().enumerate() {
        if place < 7 {
            assert_eq!(client.text().await, "to seven");
        }
        if place < 7 && place != 3 {
            assert_eq!(client.text().await, "to six");
        }
        assert_eq!(client.text().await, "to all");
        assert!(client.is_quiet().await);
    }
}

#[tokio::test]
async fn anything_that_makes_a_message_is_published() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    hub.publish("a", "text").await.unwrap();
    hub.publish("a", String::from("owned")).await.unwrap();
    hub.publish("a", Message::from("message")).await.unwrap();
    hub.publish("a", PreparedMessage::new("prepared"))
        .await
        .unwrap();
    hub.publish("a", Publication::new("keyed").key("k").uncompressed())
        .await
        .unwrap();
    for text in ["text", "owned", "message", "prepared", "keyed"] {
        assert_eq!(client.text().await, text);
    }
    hub.publish("a", &[1_u8, 2][..]).await.unwrap();
    hub.publish("a", vec![3]).await.unwrap();
    hub.publish("a", Bytes::from_static(&[4])).await.unwrap();
    for payload in [&[1, 2][..], &[3], &[4]] {
        assert_eq!(client.frame().await, (0x82, payload.to_vec()));
    }
}

#[tokio::test]
async fn publications_between_messages_keep_their_order() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(100).await;
    hub.join(&ws, "a").unwrap();
    for number in 0..100 {
        hub.publish("a", format!("p{number}")).await.unwrap();
        ws.send(format!("s{number}")).await.unwrap();
    }
    for number in 0..100 {
        assert_eq!(client.text().await, format!("p{number}"));
        assert_eq!(client.text().await, format!("s{number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_members_get_what_many_publish_in_the_same_order() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut clients = Vec::new();
    for _ in 0..20 {
        let (ws, client) = world.open().await;
        hub.join(&ws, "a").unwrap();
        clients.push((ws, client));
    }
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let hub = hub.clone();
            tokio::spawn(async move {
                for number in 0..500 {
                    hub.publish("a", format!("{task} {number}")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    let mut first = None;
    for (_, client) in &mut clients {
        let mut got = Vec::new();
        while got.len() < 2000 {
            got.push(client.text().await);
        }
        assert!(*first.get_or_insert_with(|| got.clone()) == got);
    }
    assert_eq!(counts(hub.totals()), (40_000, 0, 0));
}

#[tokio::test]
async fn a_closing_connection_is_skipped() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    ws.close(1000, "").await.unwrap();
    assert_eq!(counts(hub.publish("a", "late").await.unwrap()), (0, 1, 0));
    assert_eq!(client.frame().await.0, 0x88);
}

#[tokio::test]
async fn what_is_sent_in_parts_is_not_torn() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    let mut writer = ws.begin_message(motorway::MessageKind::Text).await.unwrap();
    writer.write(b"one ").await.unwrap();
    let published = hub.publish("a", "between").await.unwrap();
    assert_eq!(counts(published), (1, 0, 0));
    writer.write(b"message").await.unwrap();
    writer.finish().await.unwrap();
    hub.publish("a", "behind").await.unwrap();
    let mut frames = Vec::new();
    loop {
        let (first, payload) = client.frame().await;
        frames.push((first, String::from_utf8(payload).unwrap()));
        if frames.last().unwrap().1 == "behind" {
            break;
        }
    }
    let whole: String = frames
        .iter()
        .take(frames.len() - 2)
        .map(|(_, text)| &**text)
        .collect();
    assert_eq!(whole, "one message");
    assert_eq!(frames[frames.len() - 2], (0x81, "between".to_owned()));
}

/// Counts the writes on a stream.
struct Counting<S>(S, Arc<AtomicUsize>);

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn many_publications_leave_in_one_write() {
    let (hub, writes) = (Hub::in_memory(), Arc::new(AtomicUsize::new(0)));
    let joined = hub.clone();
    let factory = motorway::WebSocketServerFactory::from_handler(move |mut ws| {
        let joined = joined.clone();
        async move {
            joined.join(ws.handle(), "a")?;
            while ws.recv().await?.is_some() {}
            Ok(())
        }
    });
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let counting = Counting(ours, Arc::clone(&writes));
    tokio::spawn(factory.serve_stream(counting));
    let connector = motorway::Connector::new("ws://localhost/").unwrap();
    let mut client = soon(connector.connect_stream(theirs)).await.unwrap();
    crate::world::until(|| hub.member_count("a") == 1).await;
    let before = writes.load(Ordering::SeqCst);
    for number in 0..1000 {
        hub.publish("a", number.to_string()).await.unwrap();
    }
    for number in 0..1000 {
        let text = soon(client.recv_text()).await.unwrap().unwrap();
        assert_eq!(text, number.to_string());
    }
    assert_eq!(writes.load(Ordering::SeqCst) - before, 1);
}

// Masked, and compressed where that was agreed on (RFC 6455 §5.3, RFC 7692 §7.1).
#[tokio::test]
async fn clients_publish_to_their_servers() {
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    let mut factory = motorway::WebSocketServerFactory::from_handler(move |mut ws| {
        let heard = heard.clone();
        async move {
            while let Some(text) = ws.recv_text().await? {
                heard.send(text)?;
            }
            Ok(())
        }
    });
    let deflate = motorway::DeflateOptions::default();
    let options = motorway::ServerOptions::default().per_message_deflate(deflate);
    factory.set_protocol_options(options).unwrap();
    let hub = Hub::in_memory();
    let mut open = Vec::new();
    for place in 0..4 {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(factory.serve_stream(ours));
        let mut connector = motorway::Connector::new("ws://localhost/").unwrap();
        let options = motorway::ClientOptions::default();
        let options = match place {
            0 => options,
            1 => options.per_message_deflate(deflate),
            2 => options.per_message_deflate(deflate.client_no_context_takeover(true)),
            _ => options.per_message_deflate(deflate.client_max_window_bits(9)),
        };
        connector.set_protocol_options(options).unwrap();
        let ws = soon(connector.connect_stream(theirs)).await.unwrap();
        hub.join(ws.handle(), "a").unwrap();
        open.push(ws);
    }
    for number in 0..50 {
        let text = format!("{number}, ").repeat(1 + number * 20);
        assert_eq!(hub.publish("a", &*text).await.unwrap().sent, 4);
        for ws in &open {
            ws.handle().send(format!("own {number}")).await.unwrap();
        }
        let mut got = Vec::new();
        while got.len() < 8 {
            got.push(soon(hearing.recv()).await.unwrap());
        }
        assert_eq!(got.iter().filter(|heard| **heard == text).count(), 4);
        let own = format!("own {number}");
        assert_eq!(got.iter().filter(|heard| **heard == own).count(), 4);
    }
}

/// Wakes a task; holds up who does that once it is armed.
struct Holds {
    task: Waker,
    barrier: Arc<Barrier>,
    is_armed: Arc<AtomicBool>,
}

impl Wake for Holds {
    fn wake(self: Arc<Self>) {
        if self.is_armed.swap(false, Ordering::SeqCst) {
            self.barrier.wait();
            self.barrier.wait();
        }
        self.task.wake_by_ref();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_to_one_topic_does_not_lock_another() {
    let (hub, barrier) = (Hub::in_memory(), Arc::new(Barrier::new(2)));
    let is_armed = Arc::new(AtomicBool::new(false));
    let (sender, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let factory = motorway::WebSocketServerFactory::from_handler(move |mut ws| {
        sender.send(ws.handle().clone()).unwrap();
        async move {
            while ws.recv().await?.is_some() {}
            Ok(())
        }
    });
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut serving = Box::pin(factory.serve_stream(ours));
    let (holds, arms) = (Arc::clone(&barrier), Arc::clone(&is_armed));
    tokio::spawn(poll_fn(move |context| {
        let (barrier, is_armed) = (Arc::clone(&holds), Arc::clone(&arms));
        let task = context.waker().clone();
        let waker = Waker::from(Arc::new(Holds {
            task,
            barrier,
            is_armed,
        }));
        let mut context = Context::from_waker(&waker);
        serving.as_mut().poll(&mut context).map(drop)
    }));
    let connector = motorway::Connector::new("ws://localhost/").unwrap();
    let _peer = soon(connector.connect_stream(theirs)).await.unwrap();
    let ws = soon(opened.recv()).await.unwrap();
    for topic in 0..200 {
        hub.join(&ws, topic.to_string()).unwrap();
    }
    let held = hub.clone();
    let (runtime, other) = (tokio::runtime::Handle::current(), barrier.clone());
    is_armed.store(true, Ordering::SeqCst);
    let holding = std::thread::spawn(move || {
        runtime.block_on(held.publish("0", "is held")).unwrap();
    });
    // In the middle of the first from here on.
    tokio::task::block_in_place(|| other.wait());
    let (done, is_done) = std::sync::mpsc::channel();
    let others = hub.clone();
    std::thread::spawn(move || {
        for topic in 1..200 {
            others.publish_here(topic.to_string(), "x").unwrap();
            assert_eq!(others.member_count(topic.to_string()), 1);
        }
        assert_eq!(others.broadcast_here("x").sent, 1);
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(std::time::Duration::from_secs(30));
    other.wait();
    waited.expect("a topic waits for another");
    holding.join().unwrap();
}

/// Asks the hub, and publishes a few times, from where it is told.
#[derive(Debug)]
struct Asks(Hub, AtomicUsize);

impl Observer for Asks {
    fn sent(&self, _: &Observed<'_>, _: MessageKind, _: u64) {
        if self.1.fetch_add(1, Ordering::SeqCst) < 3 {
            self.0.publish_here("a", "again").unwrap();
        }
    }

    fn full(&self, _: &Observed<'_>, _: u64) {
        assert_eq!(self.0.member_count("a"), 1);
        self.1.fetch_add(100, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_observer_may_come_back_to_the_hub() {
    let hub = Hub::in_memory();
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let factory = motorway::WebSocketServerFactory::from_handler(async |ws| {
        // Reads nothing: some of it does not fit any more.
        ws.handle().closed().await;
        Ok(())
    });
    tokio::spawn(factory.serve_stream(ours));
    let mut connector = motorway::Connector::new("ws://localhost/").unwrap();
    let asks = Arc::new(Asks(hub.clone(), AtomicUsize::new(0)));
    connector.set_observer(Shares(Arc::clone(&asks)));
    let ws = soon(connector.connect_stream(theirs)).await.unwrap();
    hub.join(ws.handle(), "a").unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let publishes = hub.clone();
    std::thread::spawn(move || {
        publishes.publish_here("a", "first").unwrap();
        for _ in 0..10 {
            publishes.publish_here("a", vec![0; 100_000]).unwrap();
        }
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(std::time::Duration::from_secs(30));
    waited.expect("the observer waits for the hub, and the hub for the observer");
    assert!(asks.1.load(Ordering::SeqCst) > 100);
    assert!(hub.totals().sent >= 4);
}

/// Shares an observer with the test.
#[derive(Debug)]
struct Shares(Arc<Asks>);

impl Observer for Shares {
    fn sent(&self, connection: &Observed<'_>, kind: MessageKind, octets: u64) {
        self.0.sent(connection, kind, octets);
    }
    fn full(&self, connection: &Observed<'_>, buffered: u64) {
        self.0.full(connection, buffered);
    }
}
