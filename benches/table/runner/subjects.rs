//! Who is measured, and at what.

/// A kind of load, and of what is under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Echo of messages.
    Echo,
    /// Echo, compressed.
    Deflate,
    /// A message to everyone.
    Broadcast,
    /// Opening and closing.
    Handshake,
    /// Open connections and their memory.
    Idle,
    /// Echo on two threads.
    Multi,
    /// Echo over TLS.
    Tls,
    /// Echo on so many threads with a socket each.
    Workers,
    /// The subject is the client, and `limit_tokio` its server.
    Client,
}

impl Family {
    /// Whether the subject is not held to one core.
    pub(crate) fn has_several_threads(self) -> bool {
        matches!(self, Self::Multi | Self::Workers)
    }
}

/// How what is measured for a subject counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// motorway.
    Own,
    /// Another crate.
    Peer,
    /// Not a crate: what the same costs at least.
    Anchor,
    /// An anchor that knows nothing of WebSocket: it sends octets back.
    Raw,
}

/// A program that is measured.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) program: &'static str,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    families: &'static [Family],
}

impl Subject {
    const fn new(
        name: &'static str,
        kind: Kind,
        program: &'static str,
        families: &'static [Family],
    ) -> Self {
        Self {
            name,
            kind,
            program,
            environment: &[],
            families,
        }
    }

    const fn environment(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            environment,
            ..self
        }
    }

    pub(crate) fn does(&self, family: Family) -> bool {
        self.families.contains(&family)
    }
}

/// How the subject of this name counts.
pub(crate) fn kind(name: &str) -> Kind {
    let subject = SUBJECTS.iter().find(|subject| subject.name == name);
    subject.map_or(Kind::Peer, |subject| subject.kind)
}

use Family::{Broadcast, Client, Deflate, Echo, Handshake, Idle, Multi, Tls, Workers};
use Kind::{Anchor, Own, Peer, Raw};

const ALL: &[Family] = &[Echo, Deflate, Broadcast, Handshake, Idle, Multi];
const PLAIN: &[Family] = &[Echo, Broadcast, Handshake, Idle, Multi];
const SINGLE: &[Family] = &[Echo, Handshake, Idle, Multi];

/// Everyone, in the order of the tables. The same name with another program is the same crate at something else.
pub(crate) const SUBJECTS: &[Subject] = &[
    Subject::new("motorway", Own, "motorway", ALL),
    Subject::new("motorway", Own, "motorway_more", &[Tls, Workers]),
    Subject::new("motorway", Own, "client", &[Client]),
    Subject::new("fastwebsockets", Peer, "fastwebsockets", SINGLE),
    Subject::new("sockudo-ws", Peer, "sockudo", ALL),
    Subject::new("tokio-tungstenite", Peer, "tungstenite", PLAIN),
    Subject::new("tokio-tungstenite", Peer, "tungstenite", &[Tls]),
    Subject::new("tokio-tungstenite", Peer, "client", &[Client]),
    // Its window is 128 KiB for each connection, unless it is told otherwise.
    Subject::new("tokio-tungstenite-16k", Peer, "tungstenite", PLAIN)
        .environment(&[("WINDOW", "16384")]),
    Subject::new("tokio-websockets", Peer, "tokio_websockets", PLAIN),
    Subject::new(
        "yawc",
        Peer,
        "yawc",
        &[Echo, Deflate, Broadcast, Multi, Tls],
    ),
    // Its larger buffers are for speed; connections that come, go and wait have those it comes with.
    Subject::new("yawc", Peer, "yawc", &[Handshake, Idle]).environment(&[("BUFFERS", "default")]),
    Subject::new("yawc", Peer, "client", &[Client]),
    Subject::new("limit_tokio", Anchor, "limit_tokio", SINGLE),
    Subject::new("raw_tokio", Raw, "raw_tokio", &[Echo, Multi, Tls]),
];
