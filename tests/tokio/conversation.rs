//! One conversation over many streams: it goes the same however they cut it.

use crate::probe::{End, OFFER, both_ends, echo};
use crate::streams::Choppy;
use crate::wire::{Raw, Wire};
use motorway::frame::Opcode;
use tokio::io::AsyncWriteExt;

/// What the peer receives of data and of the close, and the callbacks.
async fn conversation(end: &End, seed: u64) -> (Vec<Wire>, Vec<String>) {
    let probe = echo();
    let (ours, theirs) = tokio::io::duplex(300);
    let ours = Choppy { inner: ours, seed };
    let (session, _) = end.clone().open_on(&probe, (ours, theirs), OFFER).await;
    let (reader, mut writer) = tokio::io::split(session.peer.stream);
    let sender = match end.is_server() {
        true => Raw::client(tokio::io::empty()),
        false => Raw::server(tokio::io::empty()),
    };
    let mut octets = Vec::new();
    for size in [0, 1, 125, 126, 3000, 70_000, 7] {
        octets.extend(sender.encode(Wire::binary(vec![b'x'; size])));
        octets.extend(sender.encode(Wire::ping(format!("{size}"))));
    }
    octets.extend(sender.encode(Wire::text("ä€").unfinished()));
    octets.extend(sender.encode(Wire::new(Opcode::Continuation, "😀")));
    octets.extend(sender.encode(Wire::close(4000, "bye")));
    tokio::spawn(async move {
        writer.write_all(&octets).await.unwrap();
        // Dropped when the other end is gone, not before.
        std::future::pending::<()>().await
    });
    let mut reader = Raw::server(tokio::io::join(reader, tokio::io::sink()));
    let mut frames = Vec::new();
    loop {
        let mut frame = reader.frame().await;
        frame.masked = false;
        let last = frame.opcode == Opcode::Close;
        // A pong may answer several pings.
        if frame.opcode != Opcode::Pong {
            frames.push(frame);
        }
        if last {
            break;
        }
    }
    (frames, probe.log().lines())
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_the_same_however_the_stream_cuts_it() {
    for end in
        both_ends!(|options| options.per_message_deflate(motorway::DeflateOptions::default()))
    {
        let expected = conversation(&end, 1).await;
        assert_eq!(expected.0.len(), 9);
        for seed in 2..=50 {
            let found = conversation(&end, seed).await;
            assert!(found == expected, "{seed}: {found:?}");
        }
    }
}
