//! What all connections of a factory may hold together.

use crate::probe::{Log, probe, quiet};
use crate::wire::{Raw, Wire, request, settle, within};
use motorway::frame::Opcode;
use motorway::{CloseCause, Error, ServerOptions, WebSocket};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

const KIB: usize = 1 << 10;

/// Opens so many connections to one factory; returns their peers.
async fn crowd(
    probe: &crate::probe::Probe<crate::probe::Messages>,
    options: ServerOptions,
    (count, room): (usize, usize),
) -> Vec<Raw<DuplexStream>> {
    let factory = probe.factory(options);
    let mut peers = Vec::new();
    for _ in 0..count {
        let (ours, theirs) = duplex(room);
        tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        peer.head().await;
        peers.push(peer);
    }
    settle().await;
    peers
}

fn closed(log: &Log) -> usize {
    log.count("close")
}

#[tokio::test(start_paused = true)]
async fn who_holds_the_most_of_half_messages_goes_first() {
    let options = ServerOptions::default().memory_budget(4 << 20);
    let quiet = quiet();
    let mut peers = crowd(&quiet, options, (20, 16 * KIB)).await;
    // Twenty halves fit, with the room that is made for what comes.
    for peer in &mut peers {
        peer.begin(80 << 10).await;
        peer.write(vec![0; 30 * KIB]).await;
    }
    settle().await;
    assert_eq!(closed(&quiet.log()), 0);
    // One holds more and more, until it is too much.
    let (large, others) = peers.split_last_mut().unwrap();
    large.write(vec![0; 50 * KIB]).await;
    settle().await;
    large.begin(8 << 20).await;
    let flood = async {
        loop {
            large.write(vec![0; 8 * KIB]).await;
            settle().await;
            if !large.is_quiet().await {
                return large.frame().await;
            }
        }
    };
    let close = within(flood).await;
    assert_eq!((close.opcode, close.code()), (Opcode::Close, 1013));
    large.send(Wire::close(1013, "")).await;
    // The others go on, and finish what they have begun.
    for peer in &mut *others {
        peer.write(vec![0; 50 * KIB]).await;
    }
    settle().await;
    assert_eq!(quiet.log().count("binary of 81920"), 20);
    assert_eq!(others.len(), 19);
    for peer in others {
        assert!(peer.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn peers_that_do_not_read_are_shed_for_what_waits_for_them() {
    let options = ServerOptions::default().memory_budget(300 << 10);
    let (sender, mut handles) = tokio::sync::mpsc::unbounded_channel::<WebSocket>();
    let opening = probe(move |what| {
        if let crate::probe::What::Open(ws) = what {
            sender.send(ws).unwrap();
        }
        async { Ok(()) }
    });
    let mut peers = crowd(&opening, options, (5, 100)).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(handles.recv().await.unwrap());
    }
    for ws in &all {
        ws.send(vec![0; 40 * KIB]).await.unwrap();
    }
    settle().await;
    assert_eq!(closed(&opening.log()), 0);
    // From without a callback, while the driver knows that the stream takes no more.
    for _ in 0..4 {
        all[3].try_send(vec![0; 40 * KIB]).unwrap();
    }
    let info = tokio::time::timeout(Duration::from_secs(1), all[3].closed())
        .await
        .expect("it is shed");
    assert!(matches!(info.cause, CloseCause::MemoryBudget), "{info:?}");
    assert_eq!(info.local.unwrap().code, 1013.into());
    let error = all[3].send("x").await.unwrap_err();
    assert!(matches!(error, Error::Send(_)), "{error:?}");
    // There is room again, and the others have what was theirs.
    for place in [0, 1, 2, 4] {
        assert!(all[place].is_open());
        assert_eq!(peers[place].frame().await.payload.len(), 40 * KIB);
    }
    settle().await;
    all[0].send(vec![0; 200 * KIB]).await.unwrap();
    assert_eq!(peers[0].frame().await.payload.len(), 200 * KIB);
    assert_eq!(closed(&opening.log()), 1);
}

#[tokio::test(start_paused = true)]
async fn who_closes_is_counted_until_it_has_closed() {
    let options = ServerOptions::default().memory_budget(300 << 10);
    let (sender, mut handles) = tokio::sync::mpsc::unbounded_channel::<WebSocket>();
    let opening = probe(move |what| {
        if let crate::probe::What::Open(ws) = what {
            sender.send(ws).unwrap();
        }
        async { Ok(()) }
    });
    let mut peers = crowd(&opening, options, (2, 16 * KIB)).await;
    let (closing, other) = (handles.recv().await.unwrap(), handles.recv().await.unwrap());
    // The peer does not answer, but sends what it likes until the closing handshake has to be done.
    closing.close(1000, "").await.unwrap();
    settle().await;
    peers[0].begin(8 << 20).await;
    let mut taken = 0;
    while taken < 1 << 20 && peers[0].stream.write_all(&[0; 8 * KIB]).await.is_ok() {
        taken += 8 * KIB;
        settle().await;
    }
    assert!(taken < 1 << 20, "the budget is for those that close, too");
    let info = tokio::time::timeout(Duration::from_secs(1), closing.closed())
        .await
        .expect("it is shed");
    assert!(matches!(info.cause, CloseCause::MemoryBudget), "{info:?}");
    // What it held is free again.
    assert!(other.is_open());
    peers[1].begin(200 << 10).await;
    peers[1].write(vec![0; 200 * KIB]).await;
    settle().await;
    assert_eq!(opening.log().count("binary of 204800"), 1);
}
