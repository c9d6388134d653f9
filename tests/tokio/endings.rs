//! Every way in which a connection ends, what is said of it, and which callbacks hear of it.

use crate::probe::{End, PIPE, What, probe};
use crate::streams::{Watch, Watched};
use crate::wire::{Wire, settle, within};
use motorway::frame::Opcode;
use motorway::{
    ClientOptions, CloseInfo, Endpoint, HandlerError, HandlerResult, MessageKind, ServerOptions,
};
use std::time::Duration;

/// How a connection ends, and what is to be seen of it.
struct Ending {
    name: &'static str,
    steps: &'static [Step],
    was_clean: bool,
    code: u16,
    closed_by: Endpoint,
    /// How the cause prints, or begins to.
    cause: &'static str,
    local: Option<(u16, &'static str)>,
    remote: Option<(u16, &'static str)>,
    unsent: usize,
    /// The callbacks after `on_open`.
    calls: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Step {
    /// The peer sends a frame.
    Send(Opcode, &'static [u8]),
    /// Our end closes.
    Close(u16, &'static str),
    /// Our end sends a message.
    Message(&'static str),
    /// The peer reads a close frame with this payload.
    Read(&'static [u8]),
    /// The stream fails from here on.
    FailReads,
    FailWrites,
    Abort,
    /// The peer stays, and the connection ends without it.
    Stay,
}

use Step::{Abort, Close, FailReads, FailWrites, Message, Read, Send, Stay};

/// The frames of these endings: 1000, 4000 and so on with a reason.
const C1011: &[u8] = b"\x03\xf3";
const C4000: &[u8] = b"\x0f\xa0theirs";
const C4001: &[u8] = b"\x0f\xa1ours";

const CLEAN: Ending = Ending {
    name: "",
    steps: &[],
    was_clean: true,
    code: 4000,
    closed_by: Endpoint::Peer,
    cause: "Peer",
    local: Some((4000, "theirs")),
    remote: Some((4000, "theirs")),
    unsent: 0,
    calls: &["close"],
};

const UNCLEAN: Ending = Ending {
    was_clean: false,
    code: 1006,
    closed_by: Endpoint::Local,
    local: None,
    remote: None,
    ..CLEAN
};

const IN_ORDER: &[Ending] = &[
    Ending {
        name: "the peer closes",
        steps: &[Send(Opcode::Close, C4000), Read(C4000)],
        ..CLEAN
    },
    Ending {
        name: "the peer closes without a code",
        steps: &[Send(Opcode::Close, b""), Read(b"")],
        code: 1005,
        local: None,
        remote: None,
        ..CLEAN
    },
    Ending {
        name: "this end closes",
        steps: &[Close(4001, "ours"), Read(C4001), Send(Opcode::Close, C4000)],
        closed_by: Endpoint::Local,
        cause: "Local",
        local: Some((4001, "ours")),
        ..CLEAN
    },
    Ending {
        name: "this end closes and the answer has no code",
        steps: &[Close(4001, "ours"), Read(C4001), Send(Opcode::Close, b"")],
        code: 1005,
        closed_by: Endpoint::Local,
        cause: "Local",
        local: Some((4001, "ours")),
        remote: None,
        ..CLEAN
    },
    Ending {
        name: "both close at once",
        steps: &[Send(Opcode::Close, C4000), Close(4001, "ours"), Read(C4001)],
        closed_by: Endpoint::Local,
        cause: "Local",
        local: Some((4001, "ours")),
        ..CLEAN
    },
    Ending {
        name: "a callback fails",
        steps: &[
            Send(Opcode::Text, b"fail"),
            Read(C1011),
            Send(Opcode::Close, C4000),
        ],
        closed_by: Endpoint::Local,
        cause: "Handler",
        local: Some((1011, "")),
        calls: &["message fail", "close"],
        ..CLEAN
    },
    Ending {
        name: "a callback chooses a code",
        steps: &[
            Send(Opcode::Text, b"choose"),
            Read(C4001),
            Send(Opcode::Close, C4000),
        ],
        closed_by: Endpoint::Local,
        cause: "Handler",
        local: Some((4001, "ours")),
        calls: &["message choose", "close"],
        ..CLEAN
    },
    Ending {
        name: "a callback panics",
        steps: &[
            Send(Opcode::Text, b"panic"),
            Read(C1011),
            Send(Opcode::Close, C4000),
        ],
        closed_by: Endpoint::Local,
        cause: "Panic",
        local: Some((1011, "")),
        calls: &["message panic", "close"],
        ..CLEAN
    },
    Ending {
        name: "messages come after our close frame",
        steps: &[
            Close(4001, "ours"),
            Send(Opcode::Text, b"late"),
            Read(C4001),
            Send(Opcode::Close, C4000),
            Send(Opcode::Text, b"never"),
        ],
        closed_by: Endpoint::Local,
        cause: "Local",
        local: Some((4001, "ours")),
        calls: &["message late", "close"],
        ..CLEAN
    },
];

const BROKEN: &[Ending] = &[
    Ending {
        name: "a close frame of one octet",
        steps: &[Send(Opcode::Close, b"\x03"), Stay],
        cause: "Protocol(TruncatedCloseCode)",
        local: Some((1002, "close frame has a payload of one octet")),
        calls: &["error Protocol", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "a close code that must not be sent",
        steps: &[Send(Opcode::Close, b"\x03\xed"), Stay],
        cause: "Protocol(InvalidCloseCode { code: 1005 })",
        local: Some((1002, "invalid close code 1005")),
        calls: &["error Protocol", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "a close reason that is not UTF-8",
        steps: &[Send(Opcode::Close, b"\x03\xe8\xff"), Stay],
        cause: "Protocol(InvalidCloseReason)",
        local: Some((1007, "close reason is not UTF-8")),
        calls: &["error Protocol", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "a violation",
        steps: &[
            Send(Opcode::Text, b"before"),
            Send(Opcode::Continuation, b""),
            Stay,
        ],
        cause: "Protocol(UnexpectedContinuation)",
        local: Some((1002, "continuation frame outside of a message")),
        calls: &["message before", "error Protocol", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "a violation after our close frame",
        steps: &[Close(4001, "ours"), Send(Opcode::Continuation, b""), Stay],
        cause: "Protocol(UnexpectedContinuation)",
        local: Some((4001, "ours")),
        calls: &["error Protocol", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "a writer is dropped unfinished",
        steps: &[Send(Opcode::Text, b"unfinished"), Stay],
        cause: "UnfinishedMessage",
        local: Some((1011, "")),
        calls: &["message unfinished", "close"],
        ..UNCLEAN
    },
];

const LOST: &[Ending] = &[
    Ending {
        name: "the peer drops TCP",
        closed_by: Endpoint::Peer,
        cause: "Dropped",
        ..UNCLEAN
    },
    Ending {
        name: "the peer drops TCP after our close frame",
        steps: &[Close(4001, "ours"), Read(C4001)],
        cause: "Dropped",
        local: Some((4001, "ours")),
        ..UNCLEAN
    },
    Ending {
        name: "the peer drops TCP after a callback has failed",
        steps: &[Send(Opcode::Text, b"fail"), Read(C1011)],
        cause: "Handler",
        local: Some((1011, "")),
        calls: &["message fail", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "the stream fails to read",
        steps: &[FailReads, Send(Opcode::Text, b"never"), Stay],
        closed_by: Endpoint::Peer,
        cause: "Io(Kind(ConnectionReset))",
        calls: &["error Io", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "the stream fails to write",
        steps: &[FailWrites, Message("hello"), Stay],
        closed_by: Endpoint::Peer,
        cause: "Io(Kind(ConnectionReset))",
        unsent: 7,
        calls: &["error Io", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "the stream fails to write our close frame",
        steps: &[FailWrites, Close(4001, "ours"), Stay],
        cause: "Io(Kind(ConnectionReset))",
        local: Some((4001, "ours")),
        unsent: 8,
        calls: &["error Io", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "this end aborts",
        steps: &[Abort, Stay],
        cause: "Aborted",
        ..UNCLEAN
    },
    Ending {
        name: "this end aborts after its close frame",
        steps: &[Close(4001, "ours"), Read(C4001), Abort, Stay],
        cause: "Aborted",
        local: Some((4001, "ours")),
        ..UNCLEAN
    },
    Ending {
        name: "the peer does not answer our close frame",
        steps: &[Close(4001, "ours"), Stay],
        cause: "Timeout(ClosingHandshake)",
        local: Some((4001, "ours")),
        calls: &["timeout ClosingHandshake", "error Timeout", "close"],
        ..UNCLEAN
    },
    Ending {
        name: "the peer does not answer a ping",
        steps: &[Stay],
        cause: "Timeout(AutoPing)",
        calls: &["timeout AutoPing", "error Timeout", "close"],
        ..UNCLEAN
    },
];

impl Ending {
    async fn check(&self, end: End) {
        let name = format!(
            "{} ({})",
            self.name,
            if end.is_server() { "server" } else { "client" }
        );
        let opening = if end.is_server() { 2 } else { 3 };
        let masks = !end.is_server();
        let (info, calls, received) = self.run(end).await;
        assert!(!received.contains("secret"), "{name}: {received}");
        assert_eq!(calls[opening..], *self.calls, "{name}");
        let cause = format!("{:?}", info.cause);
        assert_eq!(cause, self.cause, "{name}: {info:?}");
        assert_eq!(
            (
                info.opened,
                info.was_clean,
                info.code.as_u16(),
                info.closed_by
            ),
            (true, self.was_clean, self.code, self.closed_by),
            "{name}: {info:?}"
        );
        let frame = |frame: &Option<motorway::CloseFrame>| {
            frame
                .as_ref()
                .map(|frame| (frame.code.as_u16(), frame.reason.to_string()))
        };
        let expected =
            |frame: Option<(u16, &str)>| frame.map(|(code, text)| (code, text.to_owned()));
        assert_eq!(frame(&info.local), expected(self.local), "{name}");
        assert_eq!(frame(&info.remote), expected(self.remote), "{name}");
        let reason = match (self.code, self.remote) {
            (1006, _) => format!("connection was closed uncleanly ({})", info.cause),
            (_, remote) => remote.map_or("", |(_, reason)| reason).to_owned(),
        };
        assert_eq!(info.reason, reason, "{name}");
        let key = if masks && self.unsent > 0 { 4 } else { 0 };
        assert_eq!(info.unsent_octets, self.unsent + key, "{name}");
        assert_eq!(info.is_ok(), self.was_clean && self.code < 4000, "{name}");
    }

    /// Goes through the steps; returns how it ended, the callbacks, and what the peer received.
    async fn run(&self, end: End) -> (CloseInfo, Vec<String>, String) {
        let probe = probe(obey);
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let watch = Watch::default();
        let ours = Watched {
            inner: ours,
            watch: watch.clone(),
        };
        let (session, _) = end.open_on(&probe, (ours, theirs), "").await;
        let (mut peer, ws, task) = (session.peer, probe.log().ws(), session.task);
        let mut stays = false;
        for step in self.steps {
            match *step {
                Send(opcode, payload) => peer.send(Wire::new(opcode, payload)).await,
                Close(code, reason) => ws.close(code, reason).await.unwrap(),
                Message(text) => ws.send(text).await.unwrap(),
                Read(payload) => {
                    let frame = peer.frame().await;
                    assert_eq!((frame.opcode, &frame.payload[..]), (Opcode::Close, payload));
                }
                FailReads => watch.fail_reads(),
                FailWrites => watch.fail_writes(),
                Abort => ws.abort(),
                Stay => stays = true,
            }
        }
        settle().await;
        let mut received = String::new();
        if stays {
            while let Some(frame) = peer.next().await {
                received += &String::from_utf8_lossy(&frame.payload);
            }
        }
        drop(peer);
        let info = within(task).await.expect("no panic").expect("it opened");
        let seen = ws.close_info().expect("handles know, too");
        assert_eq!(format!("{seen:?}"), format!("{info:?}"));
        assert_eq!(format!("{:?}", probe.log().info()), format!("{info:?}"));
        assert!(watch.is_dropped() && ws.buffered() == 0 && !ws.is_open());
        (info, probe.log().lines(), received)
    }
}

/// Does what a message says.
async fn obey(what: What) -> HandlerResult {
    let What::Message(ws, message) = what else {
        return Ok(());
    };
    match message.as_text() {
        Some("fail") => Err(std::io::Error::other("a secret").into()),
        Some("choose") => Err(HandlerError::close(4001, "ours")),
        Some("panic") => panic!("a secret"),
        Some("unfinished") => {
            let mut writer = ws.begin_message(MessageKind::Text).await?;
            Ok(writer.write("half").await?)
        }
        _ => Ok(()),
    }
}

async fn check_all(endings: &[Ending]) {
    for ending in endings {
        let pings = ending.cause == "Timeout(AutoPing)";
        let interval = pings.then(|| Duration::from_secs(10));
        let timeout = Duration::from_secs(5);
        for end in [
            End::Server(
                ServerOptions::default()
                    .auto_ping_interval(interval)
                    .auto_ping_timeout(timeout),
            ),
            End::Client(
                ClientOptions::default()
                    .auto_ping_interval(interval)
                    .auto_ping_timeout(timeout),
            ),
        ] {
            ending.check(end).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_close_in_order_are_clean() {
    check_all(IN_ORDER).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_fail_say_why_once() {
    check_all(BROKEN).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_lost_are_not_clean() {
    check_all(LOST).await;
}
