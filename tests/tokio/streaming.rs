//! Messages that are received and sent in pieces at once, compressed, whatever their size.

use motorway::testing::pair;
use motorway::{
    ClientOptions, DeflateOptions, HandlerResult, MessageKind, MessageWriter, Payload, Receive,
    ServerOptions, WebSocket, WebSocketClientFactory, WebSocketClientProtocol,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;

/// The most octets that either end was seen to hold.
#[derive(Default)]
struct Seen {
    piece: AtomicUsize,
    buffered: AtomicUsize,
    sum: AtomicU64,
    received: AtomicU64,
    done: Notify,
}

impl Seen {
    fn look(&self, ws: &WebSocket, piece: &[u8]) {
        self.piece.fetch_max(piece.len(), SeqCst);
        self.buffered.fetch_max(ws.buffered(), SeqCst);
    }
}

/// Sends back what comes, piece by piece.
struct Relay {
    writer: Option<MessageWriter>,
    seen: Arc<Seen>,
}

impl WebSocketServerProtocol for Relay {
    const RECEIVE: Receive = Receive::Stream;

    async fn on_message_begin(&mut self, ws: &WebSocket, kind: MessageKind) -> HandlerResult {
        self.writer = Some(ws.begin_message(kind).await?);
        Ok(())
    }

    async fn on_message_frame_data(&mut self, ws: &WebSocket, chunk: Payload<'_>) -> HandlerResult {
        self.seen.look(ws, &chunk);
        if let Some(writer) = &mut self.writer {
            writer.write(chunk).await?;
        }
        Ok(())
    }

    async fn on_message_end(&mut self, _: &WebSocket) -> HandlerResult {
        if let Some(writer) = self.writer.take() {
            writer.finish().await?;
        }
        Ok(())
    }
}

/// Adds up what comes.
struct Sum(Arc<Seen>);

impl WebSocketClientProtocol for Sum {
    const RECEIVE: Receive = Receive::Stream;

    async fn on_message_frame_data(&mut self, ws: &WebSocket, chunk: Payload<'_>) -> HandlerResult {
        self.0.look(ws, &chunk);
        self.0.received.fetch_add(chunk.len() as u64, SeqCst);
        let sum: u64 = chunk.iter().map(|octet| u64::from(*octet)).sum();
        self.0.sum.fetch_add(sum, SeqCst);
        Ok(())
    }

    async fn on_message_end(&mut self, _: &WebSocket) -> HandlerResult {
        self.0.done.notify_one();
        Ok(())
    }
}

#[tokio::test]
async fn a_large_message_goes_both_ways_in_little_memory() {
    const PARTS: u64 = 512;
    let seen = Arc::new(Seen::default());
    for deflate in [DeflateOptions::default(), DeflateOptions::no_context()] {
        let deflate = deflate.level(1);
        let (ours, theirs) = (Arc::clone(&seen), Arc::clone(&seen));
        let mut server = WebSocketServerFactory::new(move || Relay {
            writer: None,
            seen: Arc::clone(&theirs),
        });
        let options = ServerOptions::default().per_message_deflate(deflate);
        server.set_protocol_options(options).unwrap();
        let mut client =
            WebSocketClientFactory::new("ws://localhost/", move || Sum(Arc::clone(&ours))).unwrap();
        let options = ClientOptions::default().per_message_deflate(deflate);
        client.set_protocol_options(options).unwrap();
        let pair = pair(&server, &client).await.unwrap();
        let part: Vec<u8> = (0..1_u32 << 16)
            .map(|n| (n / 64).to_le_bytes()[0])
            .collect();
        let expected: u64 = part.iter().map(|octet| u64::from(*octet)).sum();
        let mut writer = pair
            .client
            .begin_message(MessageKind::Binary)
            .await
            .unwrap();
        for _ in 0..PARTS {
            writer.write(&part[..]).await.unwrap();
            seen.buffered.fetch_max(pair.client.buffered(), SeqCst);
        }
        writer.finish().await.unwrap();
        crate::wire::within(seen.done.notified()).await;
        assert_eq!(seen.received.swap(0, SeqCst), PARTS << 16);
        assert_eq!(seen.sum.swap(0, SeqCst), PARTS * expected);
        pair.client.close(1000, "").await.unwrap();
        assert!(pair.client.closed().await.is_ok());
    }
    // 32 MiB each way; what is buffered is the high-water mark and a part, and a piece is small.
    let (piece, buffered) = (seen.piece.load(SeqCst), seen.buffered.load(SeqCst));
    assert!(piece <= 128 << 10, "{piece}");
    assert!(buffered <= (256 << 10) + (128 << 10), "{buffered}");
}
