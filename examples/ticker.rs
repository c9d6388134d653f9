//! Prices for as many as want to see them: who reads slowly misses some, but has the last of each.
//!
//! ```sh
//! cargo run --example ticker
//! cargo run --release --example ticker -- --load 10000
//! ```
//!
//! The first serves a page, whose address it prints. The second opens so many subscribers from
//! processes of their own, one in ten of which reads slowly, and counts what they get.

use clap::Parser;
use motorway::{
    HandlerResult, HttpResponse, Hub, Overflow, Publication, Published, Server, ServerOptions,
    StatusCode, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::{MissedTickBehavior, interval};

#[path = "ticker/load.rs"]
mod load;

const PRICES: &str = "prices";
const SYMBOLS: [&str; 20] = [
    "AUDUSD", "BRENT", "BTCUSD", "CHFJPY", "COCOA", "COFFEE", "COPPER", "CORN", "COTTON", "ETHUSD",
    "EURCHF", "EURGBP", "EURUSD", "GBPUSD", "GOLD", "SILVER", "SUGAR", "USDJPY", "WHEAT", "WTI",
];
/// How much may wait for a subscriber in the system. What waits there is out of our hands: only in
/// the hub does a new price take the place of an older one.
const SYSTEM_BUFFER: u32 = 16 << 10;
/// How much may wait to be written before the hub keeps the last prices only.
const BUFFER: usize = 16 << 10;

/// A price, and how many there have been of its symbol.
#[derive(Clone, Copy)]
struct Tick {
    symbol: &'static str,
    price: f64,
    number: u64,
}

impl Tick {
    fn to_json(self) -> Value {
        // Numbers tell what is newer, where a tick and all prices meet on their way.
        json!({"symbol": self.symbol, "price": self.price, "number": self.number})
    }
}

/// Everybody's prices.
struct Market {
    hub: Hub,
    ticks: Mutex<[Tick; SYMBOLS.len()]>,
}

impl Market {
    fn new() -> Arc<Self> {
        let hub = Hub::in_memory();
        hub.set_default_overflow(Overflow::conflate().above(BUFFER));
        let ticks = SYMBOLS.map(|symbol| Tick {
            symbol,
            price: 100.0,
            number: 0,
        });
        Arc::new(Self {
            hub,
            ticks: Mutex::new(ticks),
        })
    }

    fn ticks(&self) -> MutexGuard<'_, [Tick; SYMBOLS.len()]> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last price of each symbol.
    fn all(&self) -> String {
        let ticks = *self.ticks();
        Value::from_iter(ticks.map(Tick::to_json)).to_string()
    }

    /// Publishes a new price for each symbol, one after the other.
    async fn move_all(&self, dice: &mut Dice) -> motorway::Result<Published> {
        let moved = {
            let mut ticks = self.ticks();
            for tick in ticks.iter_mut() {
                tick.price = (tick.price * (1.0 + dice.roll() / 500.0) * 1e4).round() / 1e4;
                tick.number += 1;
            }
            *ticks
        };
        let mut published = Published::default();
        for tick in moved {
            let message = json!([tick.to_json()]).to_string();
            let publication = Publication::new(message).key(tick.symbol);
            published += self.hub.publish(PRICES, publication).await?;
        }
        Ok(published)
    }

    /// Moves all prices so often in a second.
    async fn run(&self, per_second: u32) -> motorway::Result<()> {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut rounds = interval(Duration::from_secs(1) / per_second);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.move_all(&mut dice).await?;
        }
    }
}

/// Chance, as far as prices need it.
struct Dice(u64);

impl Dice {
    /// Between -1 and 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [.., high] = self.0.to_le_bytes();
        f64::from(high) / 127.5 - 1.0
    }
}

struct Subscriber(Arc<Market>);

impl WebSocketServerProtocol for Subscriber {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        self.0.hub.join(ws, PRICES)?;
        ws.send(self.0.all()).await?;
        Ok(())
    }
}

fn serve(market: &Arc<Market>, address: &str) -> Result<Server, Box<dyn std::error::Error>> {
    let market = Arc::clone(market);
    let mut factory = WebSocketServerFactory::new(move || Subscriber(Arc::clone(&market)));
    factory.set_protocol_options(
        ServerOptions::default()
            .max_message_payload_size(4096)
            .auto_ping_interval(Duration::from_secs(20))
            .auto_ping_timeout(Duration::from_secs(20)),
    )?;
    factory.on_http(|request| async move {
        Some(match request.path() {
            "/" => HttpResponse::html(include_str!("pages/ticker.html")),
            _ => StatusCode::NOT_FOUND.into(),
        })
    });
    // Accepted sockets have the buffer of the one that listens.
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SYSTEM_BUFFER)?;
    socket.bind(address.parse()?)?;
    Ok(factory.listen_on(socket.listen(4096)?)?)
}

/// Prices for everybody.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(default_value = "127.0.0.1:4000")]
    address: String,
    /// How often all prices move, in a second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Opens so many subscribers, and counts what they get
    #[arg(long)]
    load: Option<usize>,
    /// For how long, in seconds, with --load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What --load starts: so many subscribers at the address
    #[arg(long, hide = true)]
    subscribe: Option<usize>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    if let Some(count) = arguments.subscribe {
        return load::subscribe(&arguments.address, count).await;
    }
    let market = Market::new();
    if arguments.load.is_some() {
        let server = serve(&market, "127.0.0.1:0")?;
        return load::run(&market, &server, &arguments).await;
    }
    let server = serve(&market, &arguments.address)?;
    println!("open http://{}/", server.local_addr());
    tokio::select! {
        failed = market.run(arguments.rate) => Ok(failed?),
        ended = server.run_until(tokio::signal::ctrl_c()) => Ok(ended?),
    }
}
