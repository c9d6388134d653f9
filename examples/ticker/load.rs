//! Very many subscribers, and what they get.

use super::{Arguments, Dice, Market, PRICES, SYMBOLS};
use motorway::{Connector, Publication, Published, Server, WebSocketStream};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Duration, Sleep, sleep, timeout};

/// The most subscribers of a process, well below the 20,000 files that it may have open.
const OF_A_PROCESS: usize = 5000;
/// Of so many subscribers one reads slowly: so many octets at a time, and then it rests.
const SLOW_IN: usize = 10;
const MORSEL: usize = 512;
const REST: Duration = Duration::from_millis(200);
/// How long subscribers may take to open, and to get what is left at the end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the subscribers, moves prices for a while, and tells what came of it.
pub(crate) async fn run(
    market: &Market,
    server: &Server,
    arguments: &Arguments,
) -> Result<(), Box<dyn Error>> {
    let count = arguments.load.unwrap_or_default();
    let before = resident();
    let (start, children) = (Instant::now(), spawn(count, server)?);
    timeout(PATIENCE, async {
        while market.hub.member_count(PRICES) < count {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await?;
    println!(
        "{count} subscribers, {} of them slow, in {} processes, opened in {:.1} s",
        slow(count),
        children.len(),
        start.elapsed().as_secs_f64()
    );
    let open = resident();

    let (mut dice, mut published, start) = (Dice(1), Published::default(), Instant::now());
    let mut rounds = tokio::time::interval(Duration::from_secs(1) / arguments.rate);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0;
    while start.elapsed() < Duration::from_secs(arguments.seconds) {
        rounds.tick().await;
        published += market.move_all(&mut dice).await?;
        ticks += SYMBOLS.len();
    }
    let numbers: HashMap<_, _> = market
        .ticks()
        .iter()
        .map(|tick| (tick.symbol, tick.number))
        .collect();
    let close = Publication::new(json!(numbers).to_string()).key("close");
    market.hub.publish(PRICES, close).await?;
    let busy = resident();

    let (mut deliveries, mut complete) = (0, 0);
    for child in children {
        let output = timeout(PATIENCE, child.wait_with_output()).await??;
        let report: (u64, usize) = serde_json::from_slice(&output.stdout)?;
        deliveries += report.0;
        complete += report.1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{ticks} prices in {seconds:.1} s: {deliveries} deliveries, {:.0} in a second; \
        for those who are slow {} gave way to newer ones",
        precise(deliveries) / seconds,
        published.dropped
    );
    println!(
        "resident memory: {before} KiB at first, {open} KiB with all subscribers, {busy} KiB at the end"
    );
    if complete != count {
        return Err(
            format!("only {complete} subscribers have the last price of each symbol").into(),
        );
    }
    println!("every subscriber has the last price of each symbol");
    Ok(())
}

fn slow(count: usize) -> usize {
    count.div_ceil(SLOW_IN)
}

#[expect(clippy::cast_precision_loss, reason = "it is only shown")]
fn precise(number: u64) -> f64 {
    number as f64
}

/// Starts processes of this program, with some of the subscribers each.
fn spawn(count: usize, server: &Server) -> Result<Vec<Child>, Box<dyn Error>> {
    let (mut children, mut rest) = (Vec::new(), count);
    while rest > 0 {
        let some = rest.min(OF_A_PROCESS);
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            server.local_addr().to_string(),
            format!("--subscribe={some}"),
        ]);
        children.push(command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?);
        rest -= some;
    }
    Ok(children)
}

/// In KiB; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// What the subscribers of a process share.
#[derive(Default)]
struct Shared {
    deliveries: AtomicU64,
    complete: AtomicUsize,
    /// The slow need not be slow any more.
    is_closed: Arc<AtomicBool>,
}

impl Shared {
    /// Takes note of what comes, until the market closes.
    async fn follow(&self, mut ws: WebSocketStream) -> Result<(), Failure> {
        let mut numbers: HashMap<String, u64> = HashMap::new();
        while let Some(text) = ws.recv_text().await? {
            match serde_json::from_str(&text)? {
                Value::Array(ticks) => {
                    self.deliveries.fetch_add(1, Ordering::Relaxed);
                    for tick in ticks {
                        let symbol = tick.get("symbol").and_then(Value::as_str);
                        let number = tick.get("number").and_then(Value::as_u64);
                        let (Some(symbol), Some(number)) = (symbol, number) else {
                            return Err(format!("no tick: {tick}").into());
                        };
                        let known = numbers.entry(symbol.to_owned()).or_default();
                        *known = number.max(*known);
                    }
                }
                // What there is at the end.
                last => {
                    self.is_closed.store(true, Ordering::Relaxed);
                    let is_complete = serde_json::from_value::<HashMap<_, _>>(last)? == numbers;
                    self.complete
                        .fetch_add(usize::from(is_complete), Ordering::Relaxed);
                    break;
                }
            }
        }
        Ok(())
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Subscribes so often, until the market closes, and prints a report.
pub(crate) async fn subscribe(address: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let (shared, opening) = (Arc::new(Shared::default()), Arc::new(Semaphore::new(64)));
    let mut subscribers = JoinSet::new();
    for number in 0..count {
        let (shared, opening, address) =
            (Arc::clone(&shared), Arc::clone(&opening), address.parse()?);
        subscribers.spawn(async move {
            let permit = opening.acquire().await;
            let socket = TcpSocket::new_v4()?;
            let is_slow = number % SLOW_IN == 0;
            if is_slow {
                socket.set_recv_buffer_size(4096)?;
            }
            let stream = Trickle {
                stream: socket.connect(address).await?,
                rest: None,
                is_over: is_slow.then(|| Arc::clone(&shared.is_closed)),
            };
            let ws = Connector::new(format!("ws://{address}/"))?
                .connect_stream(stream)
                .await?;
            drop(permit);
            shared.follow(ws).await
        });
    }
    while let Some(ended) = subscribers.join_next().await {
        if let Err(error) = ended? {
            eprintln!("a subscriber failed: {error}");
        }
    }
    let (deliveries, complete) = (&shared.deliveries, &shared.complete);
    println!("{}", json!([deliveries, complete]));
    Ok(())
}

/// A connection that brings little at a time, as those of telephones may.
struct Trickle {
    stream: TcpStream,
    rest: Option<Pin<Box<Sleep>>>,
    /// Says when it is over; `None` if it never began.
    is_over: Option<Arc<AtomicBool>>,
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        let is_slow =
            (self.is_over.as_ref()).is_some_and(|is_over| !is_over.load(Ordering::Relaxed));
        if !is_slow {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let mut octets = vec![0; MORSEL.min(buffer.remaining())];
        let mut morsel = ReadBuf::new(&mut octets);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut morsel))?;
        buffer.put_slice(morsel.filled());
        self.rest = Some(Box::pin(sleep(REST)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
