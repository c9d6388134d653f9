//! Every public future, dropped after its first poll, its second, and so on until it resolves; then
//! the connection goes on as the future's "Cancel safety" says.

use crate::trickle::Trickle;
use crate::wire::{Raw, Wire, response, within};
use motorway::frame::Opcode;
use motorway::{
    CloseCode, Connector, Error, Message, MessageKind, PreparedMessage, SendError, WebSocket,
    WebSocketStream,
};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

/// Polls a future so often, while the rest of the world goes on, and drops it if it is not ready.
pub(crate) async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        step().await;
    }
    None
}

/// Lets one other task be polled; that of the runtime lets all of them run until nothing moves.
pub(crate) async fn step() {
    let mut is_first = true;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::take(&mut is_first) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
}

/// Runs a test on a paused clock, with as little as may be between two polls of it.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .event_interval(1)
        .build();
    runtime.unwrap().block_on(test);
}

/// Does this for 0, 1, 2 and so on polls until it says that the future resolved; returns how many
/// polls that took.
pub(crate) async fn each(attempt: impl AsyncFn(usize) -> bool) -> usize {
    let mut times = 0;
    while !attempt(times).await {
        times += 1;
        assert!(times < 5_000, "it does not resolve");
    }
    times
}

/// A client's stream and what its peer receives up to the close frame, which it answers.
pub(crate) struct World {
    pub(crate) ws: WebSocketStream,
    pub(crate) peer: JoinHandle<Vec<Wire>>,
}

pub(crate) const WORDS: [&str; 3] = ["one", "two", "three"];

/// Opens a connection that lets so many octets through at a time, to a peer that sends three words
/// and answers every message that begins with `?`.
pub(crate) async fn open(step: usize) -> World {
    let (ours, theirs) = tokio::io::duplex(9_000);
    let peer = tokio::spawn(answer(Raw::server(theirs)));
    let connector = Connector::new("ws://localhost/").unwrap();
    let ws = within(connector.connect_stream(Trickle::new(ours, step))).await;
    World {
        ws: ws.unwrap(),
        peer,
    }
}

async fn answer(mut peer: Raw<DuplexStream>) -> Vec<Wire> {
    let request = peer.head().await;
    peer.write(response(&request, "")).await;
    peer.send_all(&WORDS.map(Wire::text)).await;
    let mut frames = Vec::new();
    // Half a frame at the end would be one panic.
    while let Some(mut frame) = peer.next().await {
        frame.masked = false;
        match frame.opcode {
            Opcode::Ping => peer.send(Wire::pong(&frame.payload)).await,
            Opcode::Text if frame.payload.starts_with(b"?") => peer.send(frame.clone()).await,
            Opcode::Close => {
                peer.send(frame.clone()).await;
                frames.push(frame);
                break;
            }
            _ => {}
        }
        frames.push(frame);
    }
    frames
}

impl World {
    pub(crate) fn handle(&self) -> WebSocket {
        self.ws.handle().clone()
    }

    /// Fills what waits to be written, so that senders wait; returns how many messages that took.
    pub(crate) fn fill(&self) -> usize {
        let mut sent = 0;
        while self.handle().try_send(vec![7; 70_000]).is_ok() {
            sent += 1;
        }
        sent
    }

    /// Looks whether the connection works in both directions, with these words still to come, and
    /// closes it; returns what its peer received before, without what this sends.
    pub(crate) async fn finish(mut self, words: &[&str]) -> Vec<Wire> {
        within(self.ws.send("?")).await.unwrap();
        for word in words.iter().chain(&["?"]) {
            let message = within(self.ws.recv()).await.unwrap();
            assert_eq!(message, Some(Message::from(*word)));
        }
        let info = within(self.ws.close(CloseCode::NORMAL, "")).await.unwrap();
        assert!(info.was_clean, "{info:?}");
        let mut frames = within(self.peer).await.unwrap();
        assert_eq!(frames.pop().unwrap().code(), 1000);
        assert_eq!(frames.pop().unwrap(), Wire::text("?"));
        frames
    }
}

fn text(message: Option<Message<'static>>) -> String {
    message.unwrap().into_text().unwrap().to_string()
}

#[test]
fn receiving() {
    run(async {
        for kind in 0..3 {
            let polls = each(async |times| {
                let mut world = open(1).await;
                let ws = &mut world.ws;
                let word = match kind {
                    0 => {
                        let received = poll_times(ws.recv(), times).await;
                        received.map(|message| text(message.unwrap()))
                    }
                    1 => {
                        let received = poll_times(ws.recv_text(), times).await;
                        received.map(|text| text.unwrap().unwrap().to_string())
                    }
                    _ => {
                        let received = poll_times(ws.recv_bytes(), times).await;
                        received.map(|octets| {
                            String::from_utf8(octets.unwrap().unwrap().into()).unwrap()
                        })
                    }
                };
                let left = match &word {
                    Some(word) => {
                        assert_eq!(word, WORDS[0]);
                        &WORDS[1..]
                    }
                    None => &WORDS,
                };
                assert!(world.finish(left).await.is_empty());
                word.is_some()
            })
            .await;
            assert!(polls > 4, "{polls}: it did not wait");
        }
    });
}

#[test]
fn receiving_by_half_a_stream() {
    run(async {
        let polls = each(async |times| {
            let World { ws, peer } = open(1).await;
            let (mut reader, mut writer) = ws.into_split();
            let first = poll_times(reader.recv(), times).await;
            let done = first.is_some();
            let mut words: Vec<_> = first.into_iter().map(|word| text(word.unwrap())).collect();
            while words.len() < 3 {
                words.push(text(within(reader.recv()).await.unwrap()));
            }
            assert_eq!(words, WORDS);
            assert!(within(writer.close(1000, "")).await.unwrap().was_clean);
            assert_eq!(within(peer).await.unwrap().len(), 1);
            done
        })
        .await;
        assert!(polls > 4, "{polls}");
    });
}

/// A way to send the text `x`.
async fn send(ws: &WebSocket, way: usize, times: usize) -> bool {
    let sent = match way {
        0 => poll_times(ws.send("x"), times).await,
        1 => poll_times(ws.send_text("x"), times).await,
        2 => poll_times(ws.send_binary("x"), times).await,
        3 => poll_times(ws.send("x").uncompressed(), times).await,
        _ => {
            let prepared = PreparedMessage::new("x");
            poll_times(ws.send_prepared(&prepared), times).await
        }
    };
    sent.map(Result::unwrap).is_some()
}

#[test]
fn sending() {
    run(async {
        for way in 0..5 {
            let polls = each(async |times| {
                let world = open(9_000).await;
                let filled = world.fill();
                let sent = send(world.ws.handle(), way, times).await;
                let frames = world.finish(&WORDS).await;
                assert_eq!(frames.len(), filled + usize::from(sent));
                assert!(
                    frames[..filled]
                        .iter()
                        .all(|frame| frame.payload == [7; 70_000])
                );
                assert!(frames[filled..].iter().all(|frame| frame.payload == b"x"));
                sent
            })
            .await;
            assert!(polls > 4, "{polls}: it did not wait");
        }
    });
}

#[test]
fn beginning_a_message() {
    run(async {
        for compressed in [true, false] {
            let polls = each(async |times| {
                let world = open(9_000).await;
                // Only one message at a time is sent in parts.
                let ws = world.handle();
                let mut before = ws.begin_message(MessageKind::Text).await.unwrap();
                before.write("a").await.unwrap();
                let ending = tokio::spawn(async move {
                    for _ in 0..5 {
                        tokio::task::yield_now().await;
                    }
                    before.finish().await
                });
                let begun = match compressed {
                    true => poll_times(ws.begin_message(MessageKind::Binary), times).await,
                    false => {
                        poll_times(ws.begin_uncompressed_message(MessageKind::Binary), times).await
                    }
                };
                let done = begun.is_some();
                if let Some(writer) = begun {
                    writer.unwrap().finish().await.unwrap();
                }
                within(ending).await.unwrap().unwrap();
                let frames = world.finish(&WORDS).await;
                // The part, the end, and a message of nothing.
                assert_eq!(frames.len(), 2 + usize::from(done), "{frames:?}");
                done
            })
            .await;
            assert!(polls > 4, "{polls}: it did not wait");
        }
    });
}

#[test]
fn writing_a_part() {
    run(async {
        let polls = each(async |times| {
            let world = open(9_000).await;
            let ws = world.handle();
            let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
            writer.write(vec![1; 300_000]).await.unwrap();
            let written = poll_times(writer.write("x"), times).await;
            within(writer.finish()).await.unwrap();
            let frames = world.finish(&WORDS).await;
            let message: Vec<u8> = frames
                .iter()
                .flat_map(|frame| frame.payload.clone())
                .collect();
            assert_eq!(message.len(), 300_000 + usize::from(written.is_some()));
            assert_eq!(frames.iter().filter(|frame| frame.fin).count(), 1);
            written.is_some()
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}

#[test]
fn finishing_a_message() {
    run(async {
        let polls = each(async |times| {
            let mut world = open(9_000).await;
            let ws = world.handle();
            let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
            writer.write(vec![1; 300_000]).await.unwrap();
            if poll_times(writer.finish(), times).await.is_some() {
                let frames = world.finish(&WORDS).await;
                assert_eq!(frames.iter().filter(|frame| frame.fin).count(), 1);
                return true;
            }
            while within(world.ws.recv())
                .await
                .is_ok_and(|message| message.is_some())
            {}
            let mut frames = within(world.peer).await.unwrap();
            assert_eq!(frames.pop().unwrap().code(), 1011);
            assert!(frames.iter().all(|frame| !frame.fin));
            false
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}

#[test]
fn pinging() {
    run(async {
        let polls = each(async |times| {
            let world = open(1).await;
            let answered = poll_times(world.ws.handle().ping("p"), times).await;
            let frames = world.finish(&WORDS).await;
            assert_eq!(frames, vec![Wire::ping("p"); times.min(1)]);
            answered.map(Result::unwrap).is_some()
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}

#[test]
fn closing() {
    run(async {
        for split in [false, true] {
            let polls = each(async |times| {
                let World { ws, peer } = open(1).await;
                let handle = ws.handle().clone();
                let (closed, info) = if split {
                    let (reader, mut writer) = ws.into_split();
                    // What is not read keeps nobody from closing.
                    drop(reader);
                    let closed = poll_times(writer.close(4000, ""), times).await;
                    (closed, within(writer.close(4001, "")).await.unwrap())
                } else {
                    let mut ws = ws;
                    let closed = poll_times(ws.close(4000, ""), times).await;
                    (closed, within(ws.close(4001, "")).await.unwrap())
                };
                assert!(info.was_clean, "{info:?}");
                let code = if times == 0 { 4001 } else { 4000 };
                assert_eq!(info.local.unwrap().code.as_u16(), code);
                let frames = within(peer).await.unwrap();
                assert_eq!(frames.iter().map(Wire::code).collect::<Vec<_>>(), [code]);
                assert!(matches!(handle.try_send("x"), Err(SendError::Closed)));
                closed.is_some()
            })
            .await;
            assert!(polls > 4, "{polls}: it did not wait");
        }
    });
}

#[test]
fn closing_by_the_handle_and_waiting_for_the_end() {
    run(async {
        let polls = each(async |times| {
            let mut world = open(1).await;
            let ws = world.handle();
            let begun = poll_times(ws.close(1000, ""), times.min(1)).await;
            assert_eq!(begun.is_some(), times > 0, "it does not wait");
            let ended = poll_times(ws.closed(), times).await;
            if times == 0 {
                assert!(world.finish(&WORDS).await.is_empty());
                return false;
            }
            while within(world.ws.recv()).await.unwrap().is_some() {}
            assert!(within(ws.closed()).await.was_clean);
            ended.is_some()
        })
        .await;
        assert!(polls > 4, "{polls}: it did not wait");
    });
}

#[test]
fn what_is_lost_is_said() {
    run(async {
        // The peer is gone: whatever waits, at whichever poll, learns of it, and nothing is pretended.
        for times in 0..40 {
            let world = open(1).await;
            let handle = world.handle();
            world.fill();
            let waiting = tokio::spawn(async move { handle.send("x").await });
            poll_times(std::future::pending::<()>(), times).await;
            world.peer.abort();
            let sent = within(waiting).await.unwrap();
            assert!(
                matches!(sent, Err(Error::Send(SendError::Closed))),
                "{sent:?}"
            );
            let mut ws = world.ws;
            while within(ws.recv())
                .await
                .is_ok_and(|message| message.is_some())
            {}
            assert!(!ws.close_info().unwrap().was_clean);
        }
    });
}
