//! What becomes of messages while more waits to be written than may, by the policy of the connection;
//! that which keeps what is newest is in `overflow_oldest`.

use crate::probe::{
    End, HIGH_WATER, OFFER, PIPE, Session, What, both_ends, is_closed, open, open_with, probe,
    quiet,
};
use crate::wire::{Raw, Wire, request, settle, within};
use futures_util::SinkExt;
use motorway::frame::Opcode;
use motorway::{
    CloseCause, CloseCode, CloseInfo, Error, Message, MessageKind, Observed, Observer,
    OverflowPolicy, PreparedMessage, SendError, ServerOptions, Stats, WebSocket,
    WebSocketServerFactory,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const CLOSE: OverflowPolicy = OverflowPolicy::Close(CloseCode::TRY_AGAIN_LATER);
const ALL: [OverflowPolicy; 5] = [
    OverflowPolicy::Wait,
    OverflowPolicy::Error,
    OverflowPolicy::DropNewest,
    OverflowPolicy::DropOldest,
    CLOSE,
];

pub(crate) fn options(policy: OverflowPolicy) -> ServerOptions {
    ServerOptions::default().overflow_policy(policy)
}

/// A message that can be told from others, of this length.
pub(crate) fn numbered(number: u32, length: usize) -> Vec<u8> {
    let octet = number.to_le_bytes()[0];
    let mut payload = vec![octet; length];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// The number of such a message, which is checked to be whole.
pub(crate) fn number_of(payload: &[u8], length: usize) -> u32 {
    let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
    assert!(
        payload == numbered(number, length),
        "message {number} is not whole"
    );
    number
}

/// Fills the buffer to its mark with messages of 16 KiB; nobody reads. Returns how many there are.
async fn fill(ws: &WebSocket) -> u32 {
    for number in 0.. {
        if ws.try_send(numbered(number, 16 << 10)).is_err() {
            return number;
        }
        settle().await;
    }
    0
}

/// Reads so many messages of `fill`, and checks that they are all there is.
async fn expect_filled(session: &mut Session, count: u32) {
    for number in 0..count {
        let frame = session.peer.frame().await;
        assert_eq!(number_of(&frame.payload, 16 << 10), number);
    }
}

/// Each way to send a message without waiting for another one.
async fn send_each_way(ws: &WebSocket) -> Vec<Result<(), Error>> {
    let prepared = PreparedMessage::new("prepared");
    let results = vec![
        within(ws.send("message")).await,
        within(ws.send(vec![1; 100 << 10])).await,
        within(ws.send("message").uncompressed()).await,
        within(ws.send_text("text")).await,
        within(ws.send_binary(b"binary")).await,
        within(ws.send_prepared(&prepared)).await,
    ];
    #[cfg(feature = "json")]
    let results = [results, vec![within(ws.send_json(&[1, 2])).await]];
    #[cfg(feature = "json")]
    let results = results.into_iter().flatten().collect();
    results
}

fn with_policy(policy: OverflowPolicy) -> [End; 2] {
    both_ends!(|options| options.overflow_policy(policy))
}

#[tokio::test(start_paused = true)]
async fn with_error_send_fails_as_try_send_does_and_queues_nothing() {
    for end in with_policy(OverflowPolicy::Error) {
        let mut session = end.open(&quiet()).await;
        let ws = session.ws();
        let filled = fill(&ws).await;
        let before = (ws.buffered(), ws.stats());
        assert!(before.0 > HIGH_WATER);
        for result in send_each_way(&ws).await {
            let Err(Error::Send(error)) = result else {
                panic!("{result:?}")
            };
            assert_eq!(error, SendError::Full { buffered: before.0 });
            assert_eq!(ws.try_send("x"), Err(error));
        }
        assert_eq!((ws.buffered(), ws.stats()), before);
        expect_filled(&mut session, filled).await;
        settle().await;
        assert_eq!(session.log.count("drain"), 1);
        within(ws.send("again")).await.unwrap();
        assert_eq!(session.peer.frame().await.payload, b"again");
    }
}

/// Counts what it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) dropped: Arc<AtomicU64>,
}

impl Observer for Told {
    fn sent(&self, _: &Observed<'_>, _: MessageKind, _: u64) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }
    fn dropped(&self, _: &Observed<'_>, messages: u64) {
        self.dropped.fetch_add(messages, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn with_drop_newest_what_was_queued_arrives_and_the_rest_is_counted() {
    for end in with_policy(OverflowPolicy::DropNewest) {
        let mut session = end.open(&quiet()).await;
        let ws = session.ws();
        let filled = fill(&ws).await;
        let buffered = ws.buffered();
        let results = send_each_way(&ws).await;
        let dropped = results.len() as u64;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(ws.buffered(), buffered);
        let stats = ws.stats();
        assert_eq!(stats.messages_dropped, dropped);
        assert_eq!(stats.messages_sent, u64::from(filled));
        let text = stats.to_string();
        assert!(
            text.contains(&format!("messages_dropped={dropped}")),
            "{text}"
        );
        expect_filled(&mut session, filled).await;
        settle().await;
        within(ws.send("again")).await.unwrap();
        assert_eq!(session.peer.frame().await.payload, b"again");
        assert_eq!(ws.stats().messages_dropped, dropped);
        assert_eq!(session.log.count("drain"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_what_is_dropped() {
    for (policy, sent) in [
        (OverflowPolicy::DropNewest, 0),
        (OverflowPolicy::DropOldest, 100),
    ] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let (probe, told) = (quiet(), Told::default());
        let mut factory = probe.factory(options(policy));
        factory.set_observer(told.clone());
        tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        peer.head().await;
        settle().await;
        let ws = probe.log().ws();
        let filled = u64::from(fill(&ws).await);
        for number in 0..100 {
            within(ws.send(numbered(number, 16 << 10))).await.unwrap();
        }
        let dropped = ws.stats().messages_dropped;
        assert!(dropped >= 80, "{dropped}");
        assert_eq!(told.dropped.load(Ordering::SeqCst), dropped);
        assert_eq!(told.sent.load(Ordering::SeqCst), filled + sent);
        assert_eq!(factory.stats().messages_dropped, dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn close_goes_out_behind_what_was_queued() {
    for end in with_policy(CLOSE) {
        let is_client = !end.is_server();
        let mut session = end.open(&quiet()).await;
        let ws = session.ws();
        let filled = fill(&ws).await;
        for result in send_each_way(&ws).await {
            is_closed(result);
        }
        assert!(!ws.is_open());
        expect_filled(&mut session, filled).await;
        let close = session.peer.frame().await;
        assert_eq!(close.payload, Wire::close(1013, "reads too slowly").payload);
        session.peer.send(Wire::close(1013, "")).await;
        let info = session.end().await;
        assert!(matches!(info.cause, CloseCause::Overflow), "{info:?}");
        assert!(info.was_clean || is_client, "{info:?}");
        assert_eq!(info.local.unwrap().code, CloseCode::TRY_AGAIN_LATER);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_even_take_the_close_is_dropped_at_the_deadline() {
    let session = open(&quiet(), options(CLOSE)).await;
    let ws = session.ws();
    fill(&ws).await;
    let start = Instant::now();
    is_closed(within(ws.send("one more")).await);
    let info = within(ws.closed()).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6));
    assert!(matches!(info.cause, CloseCause::Overflow), "{info:?}");
    assert!(!info.was_clean && info.unsent_octets > 0, "{info:?}");
    assert_eq!(ws.buffered(), 0);
}

// Whoever reads all there is keeps up, however much one callback sends before anything is written.
#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_up_loses_nothing_whatever_the_policy() {
    for policy in ALL {
        for headers in ["", OFFER] {
            let deflate = motorway::DeflateOptions::default().threshold(1 << 20);
            let options = options(policy).per_message_deflate(deflate);
            let probe = probe(|what| async move {
                if let What::Message(ws, _) = what {
                    for number in 0..2000 {
                        ws.send(numbered(number, 1 << 10)).await?;
                    }
                }
                Ok(())
            });
            // A stream that takes everything at once.
            let (mut session, _) = open_with(&probe, options, (headers, 8 << 20)).await;
            session.peer.text("go").await;
            for number in 0..2000 {
                let frame = session.peer.frame().await;
                assert_eq!(number_of(&frame.payload, 1 << 10), number, "{policy:?}");
            }
            let ws = session.ws();
            // From without callbacks as well.
            for number in 0..2000 {
                within(ws.send(numbered(number, 1 << 10))).await.unwrap();
            }
            for number in 0..2000 {
                let frame = session.peer.frame().await;
                assert_eq!(number_of(&frame.payload, 1 << 10), number, "{policy:?}");
            }
            assert_eq!(ws.stats().messages_dropped, 0, "{policy:?}");
            assert!(ws.is_open());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_are_never_dropped() {
    for policy in ALL {
        let mut session = open(&quiet(), options(policy)).await;
        let ws = session.ws();
        fill(&ws).await;
        let policy = (policy == CLOSE).then_some(OverflowPolicy::DropNewest);
        policy
            .map_or(Ok(()), |it| ws.set_overflow_policy(it))
            .unwrap();
        let pinging = {
            let ws = ws.clone();
            tokio::spawn(async move { ws.ping("ping").await })
        };
        settle().await;
        ws.pong("pong").unwrap();
        let more = timeout(Duration::from_secs(1), ws.send("more")).await;
        drop(more);
        ws.close(1000, "").await.unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&Opcode::Close) {
            let frame = session.peer.frame().await;
            if frame.opcode == Opcode::Ping {
                session.peer.send(Wire::pong("ping")).await;
            }
            if frame.opcode.is_control() {
                seen.push(frame.opcode);
            }
        }
        assert_eq!(seen, [Opcode::Ping, Opcode::Pong, Opcode::Close]);
        within(pinging).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_message_wait_whatever_the_policy() {
    for policy in ALL {
        let mut session = open(&quiet(), options(policy)).await;
        let ws = session.ws();
        let writing = {
            let ws = ws.clone();
            tokio::spawn(async move {
                let mut writer = ws.begin_message(MessageKind::Binary).await?;
                for number in 0..100 {
                    writer.write(numbered(number, 8 << 10)).await?;
                }
                writer.finish().await
            })
        };
        settle().await;
        assert!(ws.buffered() > HIGH_WATER - 2 * PIPE && !writing.is_finished());
        for number in 0..100 {
            let frame = session.peer.frame().await;
            assert_eq!(number_of(&frame.payload, 8 << 10), number, "{policy:?}");
        }
        assert!(session.peer.frame().await.fin);
        within(writing).await.unwrap().unwrap();
        assert_eq!(ws.stats().messages_dropped, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_above_the_limit_is_refused_rather_than_dropped() {
    for policy in [
        OverflowPolicy::DropNewest,
        OverflowPolicy::DropOldest,
        CLOSE,
    ] {
        let options = options(policy).max_message_payload_size(20 << 10);
        let session = open(&quiet(), options).await;
        let ws = session.ws();
        fill(&ws).await;
        for result in [
            within(ws.send(vec![0; 30 << 10])).await,
            within(ws.send_prepared(&PreparedMessage::new(vec![0; 30 << 10]))).await,
        ] {
            let too_large = matches!(result, Err(Error::Send(SendError::MessageTooLarge { .. })));
            assert!(too_large, "{result:?}");
        }
        assert!(ws.is_open());
        assert_eq!(ws.stats().messages_dropped, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_given_a_policy_of_its_own() {
    let session = open(&quiet(), ServerOptions::default()).await;
    let ws = session.ws();
    let filled = fill(&ws).await;
    let waiting = {
        let ws = ws.clone();
        tokio::spawn(async move { ws.send("waits").await })
    };
    settle().await;
    assert!(!waiting.is_finished());
    let never = OverflowPolicy::Close(CloseCode::NO_STATUS);
    let refused = ws.set_overflow_policy(never);
    assert_eq!(refused, Err(SendError::InvalidCloseCode { code: 1005 }));
    settle().await;
    assert!(!waiting.is_finished());
    // Those that wait are dealt with, too.
    ws.set_overflow_policy(OverflowPolicy::DropNewest).unwrap();
    within(waiting).await.unwrap().unwrap();
    assert_eq!(ws.stats().messages_dropped, 1);
    ws.set_overflow_policy(OverflowPolicy::Error).unwrap();
    within(ws.send("fails")).await.unwrap_err();
    ws.set_overflow_policy(OverflowPolicy::Wait).unwrap();
    assert!(
        timeout(Duration::from_secs(1), ws.send("waits"))
            .await
            .is_err()
    );
    let stats = ws.stats();
    assert_eq!(
        (stats.messages_dropped, stats.messages_sent),
        (1, u64::from(filled))
    );
    // A code of the connection's own.
    ws.set_overflow_policy(OverflowPolicy::Close(4008.into()))
        .unwrap();
    is_closed(within(ws.send("closes")).await);
    let info: CloseInfo = session.end().await;
    assert_eq!(info.local.unwrap().code, CloseCode::from(4008));
}

#[tokio::test(start_paused = true)]
async fn dropped_before_it_resolves_send_has_queued_and_dropped_nothing() {
    for policy in ALL {
        let mut session = open(&quiet(), options(policy)).await;
        let ws = session.ws();
        let filled = fill(&ws).await;
        let before = (ws.buffered(), ws.stats());
        let prepared = PreparedMessage::new("given up");
        for _ in 0..10 {
            // Polled once, and dropped.
            tokio::select! {
                biased;
                _ = ws.send("given up") => panic!("{policy:?} did not let the driver run"),
                _ = ws.send_prepared(&prepared) => panic!("{policy:?} did not let the driver run"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!((ws.buffered(), ws.stats()), before, "{policy:?}");
        assert!(ws.is_open());
        expect_filled(&mut session, filled).await;
        within(ws.send("last")).await.unwrap();
        assert_eq!(session.peer.frame().await.payload, b"last");
    }
}

/// What a sender without end gets, on a thread that it has for itself otherwise.
#[tokio::test(start_paused = true)]
async fn a_sender_that_never_waits_lets_others_run() {
    for policy in [OverflowPolicy::DropNewest, OverflowPolicy::DropOldest] {
        let mut session = open(&quiet(), options(policy)).await;
        let ws = session.ws();
        let sending =
            tokio::spawn(async move { while ws.send(numbered(1, 8 << 10)).await.is_ok() {} });
        for _ in 0..1000 {
            session.peer.frame().await;
        }
        assert!(session.ws().stats().messages_dropped > 0);
        sending.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_and_their_sinks_obey_the_policy() {
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    let mut factory =
        WebSocketServerFactory::from_handler(move |mut ws: motorway::WebSocketStream| {
            let done = done.clone();
            async move {
                let mut sent = 0;
                let error: Error = loop {
                    let message = Message::from(numbered(sent, 16 << 10));
                    if let Err(error) = ws.feed(message).await {
                        break error;
                    }
                    sent += 1;
                };
                let stats: Stats = ws.handle().stats();
                done.send((sent, error, stats)).unwrap();
                Ok(())
            }
        });
    for (policy, closes) in [(OverflowPolicy::Error, false), (CLOSE, true)] {
        factory.set_protocol_options(options(policy)).unwrap();
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        peer.head().await;
        let (sent, error, stats) = within(results.recv()).await.unwrap();
        let closed = matches!(error, Error::Send(SendError::Closed));
        let full = matches!(error, Error::Send(SendError::Full { .. }));
        assert!(if closes { closed } else { full }, "{error:?}");
        // The sink has taken one more, which it could not queue.
        assert_eq!(stats.messages_sent, u64::from(sent) - 1);
        for number in 0..sent - 1 {
            let frame = peer.frame().await;
            assert_eq!(number_of(&frame.payload, 16 << 10), number);
        }
        let code = if closes { 1013 } else { 1000 };
        let close = peer.frame().await;
        assert!(close.code() == code || !closes, "{close:?}");
    }
}
