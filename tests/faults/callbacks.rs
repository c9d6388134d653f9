//! Every callback fails in every way: by an error, by a panic, by never returning.

use crate::probe::{End, Frames, Log, Messages, Mode, PIPE, Pieces, Probe, What, both_ends, probe};
use crate::wire::{Raw, Wire, request, response, within};
use motorway::frame::Opcode;
use motorway::{CloseCause, CloseInfo, HandlerError, HandlerResult, Receive, Result};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Error,
    Code,
    Panic,
    Endless,
}

const FAULTS: [Fault; 4] = [Fault::Error, Fault::Code, Fault::Panic, Fault::Endless];

impl Fault {
    async fn happen(self) -> HandlerResult {
        // Not at the first poll only.
        tokio::task::yield_now().await;
        match self {
            Self::Error => Err(std::fmt::Error.into()),
            Self::Code => Err(HandlerError::close(4321, "on purpose")),
            Self::Panic => panic!("on purpose"),
            Self::Endless => std::future::pending().await,
        }
    }

    /// The code that the peer gets.
    fn code(self) -> u16 {
        match self {
            Self::Code => 4321,
            _ => 1011,
        }
    }
}

/// A probe for which this happens in the callback whose line in the log begins so.
fn faulty<M: Mode>(place: &'static str, fault: Fault) -> Probe<M> {
    let written = Arc::new(OnceLock::<Log>::new());
    let log = Arc::clone(&written);
    let probe = probe(move |what| {
        let line = log.get().unwrap().lines().pop().unwrap();
        async move {
            if let What::Open(ws) = what {
                // More than the peer takes, so that there is something to drain.
                while ws.try_send(vec![0; 64 << 10]).is_ok() {}
            }
            match line.starts_with(place) {
                true => fault.happen().await,
                false => Ok(()),
            }
        }
    });
    assert!(written.set(probe.log()).is_ok());
    probe.mode()
}

/// A peer that says something of everything, answers two pings, and then nothing any more; returns
/// the codes of the close frames that it gets, and which of its pings were answered.
async fn talk(theirs: DuplexStream, is_server: bool) -> (Vec<u16>, Vec<Vec<u8>>) {
    let mut peer = match is_server {
        true => Raw::client(theirs),
        false => Raw::server(theirs),
    };
    match is_server {
        true => {
            peer.write(request("")).await;
            peer.head().await;
        }
        false => {
            let request = peer.head().await;
            peer.write(response(&request, "")).await;
        }
    }
    let frames = [
        Wire::ping("theirs"),
        Wire::pong("unasked"),
        Wire::text("hello"),
        Wire::ping("behind"),
    ];
    peer.send_all(&frames).await;
    let (mut codes, mut pongs, mut answered) = (Vec::new(), Vec::new(), 0);
    while let Some(frame) = peer.next().await {
        match frame.opcode {
            Opcode::Close => codes.push(frame.code()),
            Opcode::Pong => pongs.push(frame.payload),
            Opcode::Ping if answered < 2 => {
                answered += 1;
                let answer = peer.encode(Wire::pong(frame.payload));
                // Fails where the other end is gone.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &answer).await;
            }
            _ => {}
        }
    }
    (codes, pongs)
}

/// A connection with a faulty protocol.
struct Run {
    log: Log,
    task: JoinHandle<Result<CloseInfo>>,
    codes: Vec<u16>,
    pongs: Vec<Vec<u8>>,
}

async fn run<M: Mode>(end: &End, place: &'static str, fault: Fault) -> Run {
    let probe = faulty::<M>(place, fault);
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let talking = tokio::spawn(talk(theirs, end.is_server()));
    let task = end.clone().start(&probe, ours);
    let (codes, pongs) = within(talking).await.unwrap();
    Run {
        log: probe.log(),
        task,
        codes,
        pongs,
    }
}

/// The callbacks of each mode of receiving, in the order in which they come.
fn places(receive: Receive) -> Vec<&'static str> {
    let message: &[&str] = match receive {
        Receive::Frames => &["begin", "frame hello", "end"],
        Receive::Stream => &["begin", "frame begin", "data", "frame end", "end"],
        _ => &["message hello"],
    };
    let before = ["open", "ping theirs", "pong", "drain", "auto pong"];
    let after = ["timeout", "error", "close"];
    [&before[..], message, &after[..]].concat()
}

async fn every_callback_fails<M: Mode>() {
    for end in both_ends!(|options| {
        options
            .auto_ping_interval(Duration::from_secs(1))
            .auto_ping_timeout(Duration::from_secs(1))
    }) {
        for place in places(M::RECEIVE) {
            for fault in FAULTS {
                let name = format!("{fault:?} in {place}, server: {}", end.is_server());
                check(run::<M>(&end, place, fault).await, (place, fault), &name).await;
            }
        }
    }
}

async fn check(run: Run, (place, fault): (&str, Fault), name: &str) {
    let Run {
        log,
        task,
        codes,
        pongs,
    } = run;
    let is_late = matches!(place, "timeout" | "error" | "close");
    let lines = log.lines();
    let reached = lines.iter().filter(|line| line.starts_with(place)).count();
    assert!(reached >= 1, "{name}: {lines:?}");
    let ends = || lines.iter().filter(|line| *line == "close").count();
    let info = within(log.ws().closed()).await;
    if fault == Fault::Endless {
        // What waits is not cancelled, and all else goes on: pings are answered to the end.
        assert_eq!(ends(), usize::from(place == "close"), "{name}: {lines:?}");
        assert!(pongs.contains(&b"behind".to_vec()), "{name}: {pongs:?}");
        assert!(!task.is_finished(), "{name}");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        return;
    }
    let ended = within(task).await.expect("no panic comes out").unwrap();
    assert_eq!(ended.cause.to_string(), info.cause.to_string(), "{name}");
    assert_eq!(ends(), 1, "{name}: {lines:?}");
    assert_eq!(lines.last().unwrap(), "close", "{name}: {lines:?}");
    if is_late {
        assert!(
            matches!(info.cause, CloseCause::Timeout(_)),
            "{name}: {info:?}"
        );
        return;
    }
    // Nothing but the end is told behind it.
    let behind = lines.iter().skip_while(|line| !line.starts_with(place));
    let behind: Vec<_> = behind.skip(1).map(String::as_str).collect();
    assert!(
        behind.iter().all(|line| ["timeout", "error", "close"]
            .iter()
            .any(|end| line.starts_with(end))),
        "{name}: {lines:?}"
    );
    assert_eq!(codes, [fault.code()], "{name}");
    match fault {
        Fault::Panic => assert!(matches!(info.cause, CloseCause::Panic), "{name}: {info:?}"),
        _ => assert!(
            matches!(info.cause, CloseCause::Handler),
            "{name}: {info:?}"
        ),
    }
}

#[tokio::test(start_paused = true)]
async fn every_callback_of_messages_fails() {
    every_callback_fails::<Messages>().await;
}

#[tokio::test(start_paused = true)]
async fn every_callback_of_frames_fails() {
    every_callback_fails::<Frames>().await;
}

#[tokio::test(start_paused = true)]
async fn every_callback_of_pieces_fails() {
    every_callback_fails::<Pieces>().await;
}
