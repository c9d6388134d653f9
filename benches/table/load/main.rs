//! A load on one server from one thread: `load PORT --mode …` prints one measurement as JSON.
//!
//! Frames are made before the clock starts, and replies are counted, not kept; before that a first pass compares
//! every octet that comes back. Apart from what it measures: none of the crates is used here.

mod broadcast;
mod echo;
mod engine;
mod handshake;
mod idle;
mod opening;
mod paced;
mod poll;
mod replies;
mod ring;
mod stream;

use clap::{Parser, ValueEnum};
use std::time::{Duration, Instant};
use table::measurement::Measurement;
use table::payload::Kind;
use table::{Result, system};

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Load {
    /// Messages that come back, so many in flight on each connection.
    Echo,
    /// Messages that come back, so many a second over all connections.
    Paced,
    /// Connections that are opened and closed.
    Handshake,
    /// Messages that go to every connection.
    Broadcast,
    /// Connections that are open, and their memory.
    Idle,
}

/// Which permessage-deflate is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Offer {
    /// None.
    None,
    /// With context takeover.
    Takeover,
    /// Without, in both directions.
    NoTakeover,
}

/// Puts a load on a server at 127.0.0.1 and prints what it has measured, as JSON.
#[derive(Debug, Parser)]
struct Plan {
    /// The server's port.
    port: u16,
    /// The server's process, whose CPU time and memory are measured.
    #[arg(long)]
    process: u32,
    #[arg(long, value_enum, default_value = "echo")]
    load: Load,
    #[arg(long, value_enum, default_value = "text")]
    kind: Kind,
    /// Octets of a message.
    #[arg(long, default_value_t = 64)]
    size: usize,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages in flight on each connection (handshake: connections at once).
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Frames of a message.
    #[arg(long, default_value_t = 1)]
    fragments: usize,
    #[arg(long, value_enum, default_value = "none")]
    deflate: Offer,
    /// Messages a second over all connections (paced).
    #[arg(long, default_value_t = 20_000.0)]
    rate: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 1.0)]
    secs: f64,
    /// Seconds before them.
    #[arg(long, default_value_t = 0.3)]
    warm: f64,
    /// The server speaks no WebSocket: it sends the octets back.
    #[arg(long)]
    raw: bool,
    /// The server speaks TLS.
    #[arg(long)]
    tls: bool,
    /// Keep idle connections open until the standard input ends.
    #[arg(long)]
    hold: bool,
}

impl Plan {
    fn warm(&self) -> Duration {
        Duration::from_secs_f64(self.warm)
    }

    fn secs(&self) -> Duration {
        Duration::from_secs_f64(self.secs)
    }

    /// Whether replies have the length of the messages.
    fn is_plain(&self) -> bool {
        self.deflate == Offer::None
    }
}

/// The clocks at the begin of the timed window.
struct Window {
    process: u32,
    server: u64,
    load: u64,
    begin: Instant,
}

impl Window {
    fn open(plan: &Plan) -> Self {
        Self {
            process: plan.process,
            server: system::cpu_ns(plan.process),
            load: system::cpu_ns(std::process::id()),
            begin: Instant::now(),
        }
    }

    /// What has been used since, for so many messages.
    fn close(&self, messages: f64) -> Measurement {
        let wall = self.begin.elapsed().as_secs_f64();
        let server = (system::cpu_ns(self.process) - self.server) as f64 / 1e9;
        let load = (system::cpu_ns(std::process::id()) - self.load) as f64 / 1e9;
        Measurement {
            messages,
            rate: Some(messages / wall),
            cpu_us: (messages > 0.0).then(|| server * 1e6 / messages),
            busy: Some(server / wall),
            load_busy: Some(load / wall),
            ..Measurement::default()
        }
    }
}

fn main() -> Result<()> {
    let plan = Plan::parse();
    let measured = match plan.load {
        Load::Echo => echo::run(&plan),
        Load::Paced => paced::run(&plan),
        Load::Handshake => handshake::run(&plan),
        Load::Broadcast => broadcast::run(&plan),
        Load::Idle => idle::run(&plan),
    };
    let measured = measured.unwrap_or_else(Measurement::failed);
    println!("{}", serde_json::to_string(&measured)?);
    if plan.hold {
        std::io::read_to_string(std::io::stdin())?;
    }
    Ok(())
}
