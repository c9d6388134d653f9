//! What a publication costs the server for each subscriber: a hub, beside the loop that one would write by hand and
//! beside the usual broadcast with `tokio-tungstenite`.
//!
//! ```sh
//! cargo bench --bench broadcast -- [--rounds 5] [--subscribers 1000,10000] [--octets 64,1024]
//! ```
//!
//! Server and subscribers are processes of their own; the server has one thread. A burst of messages is published, and
//! the next one once the last was written, so that nobody is too slow. Every subscriber counts what it gets. Each
//! figure is the median of the rounds, in which all take turns.

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use motorway::{
    DeflateOptions, HandlerResult, Hub, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::read_to_string;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message as Theirs;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Who publishes: the name, whether with compression, and whether messages keep their context.
const KINDS: [&str; 7] = [
    "hub",
    "loop",
    "tungstenite",
    "hub, deflate",
    "loop, deflate",
    "hub, deflate without takeover",
    "loop, deflate without takeover",
];

#[derive(Parser)]
struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Numbers of subscribers; half of the descriptors of a process at most
    #[arg(long, default_value = "1000,10000", value_delimiter = ',')]
    subscribers: Vec<usize>,
    /// Sizes of messages
    #[arg(long, default_value = "64,1024", value_delimiter = ',')]
    octets: Vec<usize>,
    /// How many messages are published at once
    #[arg(long, default_value = "1,16", value_delimiter = ',')]
    bursts: Vec<usize>,
    /// About how many deliveries each figure is made of
    #[arg(long, default_value_t = 200_000)]
    deliveries: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Serves, as one of the kinds
    #[arg(long, hide = true)]
    serve: Option<String>,
    /// Subscribes so often to this port
    #[arg(long, hide = true)]
    subscribe: Option<u16>,
}

fn main() -> Fallible<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match (&arguments.serve, arguments.subscribe) {
        (Some(kind), _) => runtime.block_on(serve(kind)),
        (None, Some(port)) => runtime.block_on(subscribe(port, &arguments)),
        (None, None) => compare(&arguments),
    }
}

/// Text that looks like what services send.
fn text(octets: usize) -> String {
    let mut text = String::new();
    let mut number = 0_u32;
    while text.len() < octets {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!(
            "{{\"id\":{number},\"kind\":\"trade\",\"price\":{}.{}}},",
            number % 997,
            number % 89
        );
    }
    text.truncate(octets);
    text
}

// The server.

struct Subscriber(Option<Hub>, Arc<Mutex<Vec<WebSocket>>>);

impl WebSocketServerProtocol for Subscriber {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        if let Some(hub) = &self.0 {
            hub.join(ws, "all")?;
        }
        // Also kept with a hub, to see when all was written.
        self.1
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .push(ws.clone());
        Ok(())
    }
}

/// Serves until the input ends; publishes what it is told to there: a size, a burst, a number of bursts.
async fn serve(kind: &str) -> Fallible<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut orders = tokio::io::BufReader::new(tokio::io::stdin());
    let mut publisher = Publisher::start(kind, listener)?;
    loop {
        let mut order = String::new();
        if tokio::io::AsyncBufReadExt::read_line(&mut orders, &mut order).await? == 0 {
            return Ok(());
        }
        let numbers: Vec<usize> = order
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [octets, burst, bursts] = numbers[..] else {
            return Err("an order has three numbers".into());
        };
        let text = text(octets);
        // The first is for warming up.
        publisher.publish(&text, burst).await?;
        let (start, before) = (Instant::now(), thread_time()?);
        for _ in 0..bursts {
            publisher.publish(&text, burst).await?;
        }
        let spent = thread_time()? - before;
        println!("{} {}", spent.as_nanos(), start.elapsed().as_nanos());
    }
}

/// How long this thread has run.
fn thread_time() -> Fallible<Duration> {
    let stat = read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat
        .split_whitespace()
        .next()
        .ok_or("no time of the thread")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

enum Publisher {
    Hub(Hub, Arc<Mutex<Vec<WebSocket>>>),
    Loop(Arc<Mutex<Vec<WebSocket>>>),
    Theirs(broadcast::Sender<Theirs>, Arc<AtomicUsize>),
}

impl Publisher {
    fn start(kind: &str, listener: TcpListener) -> Fallible<Self> {
        if kind == "tungstenite" {
            let (sender, _) = broadcast::channel(1024);
            let written = Arc::new(AtomicUsize::new(0));
            tokio::spawn(accept(listener, sender.clone(), Arc::clone(&written)));
            return Ok(Self::Theirs(sender, written));
        }
        let hub = kind.starts_with("hub").then(Hub::in_memory);
        let open = Arc::default();
        let (joined, shared) = (hub.clone(), Arc::clone(&open));
        let mut factory =
            WebSocketServerFactory::new(move || Subscriber(joined.clone(), Arc::clone(&shared)));
        let deflate = match kind {
            kind if kind.ends_with("without takeover") => Some(DeflateOptions::no_context()),
            kind if kind.ends_with("deflate") => Some(DeflateOptions::default()),
            _ => None,
        };
        factory.set_protocol_options(ServerOptions::default().per_message_deflate(deflate))?;
        factory.listen_on(listener)?.detach();
        Ok(match hub {
            Some(hub) => Self::Hub(hub, open),
            None => Self::Loop(open),
        })
    }

    /// Publishes so many messages, and waits until they are written.
    async fn publish(&mut self, text: &str, burst: usize) -> Fallible<()> {
        match self {
            Self::Hub(hub, open) => {
                for _ in 0..burst {
                    hub.publish("all", text).await?;
                }
                written(open).await;
            }
            Self::Loop(open) => {
                let all = open.lock().unwrap_or_else(|lock| lock.into_inner()).clone();
                for _ in 0..burst {
                    for ws in &all {
                        ws.send(text).await?;
                    }
                }
                written(open).await;
            }
            Self::Theirs(sender, written) => {
                let wanted = written.load(Ordering::Relaxed) + burst * sender.receiver_count();
                for _ in 0..burst {
                    sender.send(Theirs::text(text))?;
                }
                while written.load(Ordering::Relaxed) < wanted {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }
}

/// Waits until nothing is buffered any more.
async fn written(open: &Mutex<Vec<WebSocket>>) {
    let all = open.lock().unwrap_or_else(|lock| lock.into_inner()).clone();
    for ws in all {
        while ws.buffered() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// The usual broadcast with tokio-tungstenite: a task for each connection that receives from a channel.
async fn accept(
    listener: TcpListener,
    sender: broadcast::Sender<Theirs>,
    written: Arc<AtomicUsize>,
) -> Fallible<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (mut messages, written) = (sender.subscribe(), Arc::clone(&written));
        tokio::spawn(async move {
            let mut ws = tokio_tungstenite::accept_async(stream).await?;
            loop {
                tokio::select! {
                    message = messages.recv() => ws.send(message?).await?,
                    received = ws.next() => drop(received.ok_or("closed")??),
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
            #[expect(unreachable_code, reason = "says what the task may fail with")]
            Fallible::Ok(())
        });
    }
}

// The subscribers.

/// Opens as many connections as the input says, and then says how many messages all have got, whenever it is asked.
async fn subscribe(port: u16, arguments: &Arguments) -> Fallible<()> {
    let count = arguments
        .subscribers
        .first()
        .copied()
        .ok_or("no subscribers")?;
    let counted = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(REQUEST).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let counted = Arc::clone(&counted);
        tokio::spawn(async move { count_frames(stream, &counted).await });
    }
    println!("open");
    let mut orders = tokio::io::BufReader::new(tokio::io::stdin());
    let mut order = String::new();
    while tokio::io::AsyncBufReadExt::read_line(&mut orders, &mut order).await? > 0 {
        let wanted = order.trim().parse()?;
        while counted.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("{}", counted.load(Ordering::Relaxed));
        order.clear();
    }
    Ok(())
}

/// Counts frames without looking into them (RFC 6455 §5.2).
async fn count_frames(mut stream: TcpStream, counted: &AtomicUsize) -> std::io::Result<()> {
    let mut octets = Vec::with_capacity(4096);
    loop {
        let mut at = 0;
        while let Some(length) = frame_length(octets.get(at..).unwrap_or_default()) {
            if octets.len() < at + length {
                break;
            }
            at += length;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        octets.drain(..at);
        if stream.read_buf(&mut octets).await? == 0 {
            return Ok(());
        }
    }
}

/// The length of a whole frame that is not masked, if so much of it is here.
fn frame_length(octets: &[u8]) -> Option<usize> {
    match *octets.get(1)? {
        126 => {
            let length = octets.get(2..4)?.try_into().ok()?;
            Some(4 + usize::from(u16::from_be_bytes(length)))
        }
        127 => None,
        length => Some(2 + usize::from(length)),
    }
}

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

// The comparison.

/// A process of this program that is told what to do, and answers line by line.
struct Process(Child, BufReader<std::process::ChildStdout>);

impl Process {
    fn start(arguments: &[&str]) -> Fallible<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        Ok(Self(child, BufReader::new(output)))
    }

    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        match self.1.read_line(&mut line)? {
            0 => Err("a process has ended".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    fn ask(&mut self, order: &str) -> Fallible<String> {
        let input = self.0.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{order}")?;
        self.line()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is measured: subscribers, octets, burst, kind.
type Case = (usize, usize, usize, usize);

fn compare(arguments: &Arguments) -> Fallible<()> {
    let mut figures: BTreeMap<Case, Vec<(f64, f64)>> = BTreeMap::new();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for &subscribers in &arguments.subscribers {
            for kind in KINDS.iter().enumerate() {
                measure(arguments, (subscribers, kind), &mut figures)?;
            }
        }
    }
    println!(
        "{:<32} {:>11} {:>6} {:>5} {:>16} {:>14}",
        "", "subscribers", "octets", "burst", "us a delivery", "deliveries/s"
    );
    for ((subscribers, octets, burst, kind), mut rounds) in figures {
        rounds.sort_by(|left, right| left.0.total_cmp(&right.0));
        let (cpu, rate) = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
        println!(
            "{:<32} {subscribers:>11} {octets:>6} {burst:>5} {cpu:>16.3} {rate:>14.0}",
            KINDS.get(kind).unwrap_or(&"")
        );
    }
    Ok(())
}

fn measure(
    arguments: &Arguments,
    (subscribers, (kind, name)): (usize, (usize, &&str)),
    figures: &mut BTreeMap<Case, Vec<(f64, f64)>>,
) -> Fallible<()> {
    let mut server = Process::start(&["--serve", name])?;
    let port = server.line()?;
    let mut clients = Process::start(&[
        "--subscribe",
        &port,
        "--subscribers",
        &subscribers.to_string(),
    ])?;
    clients.line()?;
    let mut published = 0;
    for &octets in &arguments.octets {
        for &burst in &arguments.bursts {
            let bursts = (arguments.deliveries / subscribers / burst).max(2);
            let answer = server.ask(&format!("{octets} {burst} {bursts}"))?;
            published += (bursts + 1) * burst * subscribers;
            let got: usize = clients.ask(&published.to_string())?.parse()?;
            if got != published {
                return Err(format!("{got} messages arrived instead of {published}").into());
            }
            let (cpu, wall) = answer.split_once(' ').ok_or("no times")?;
            let deliveries = (bursts * burst * subscribers) as f64;
            let figure = (
                cpu.parse::<f64>()? / 1000.0 / deliveries,
                deliveries / wall.parse::<f64>()? * 1e9,
            );
            let case = (subscribers, octets, burst, kind);
            figures.entry(case).or_default().push(figure);
        }
    }
    Ok(())
}
