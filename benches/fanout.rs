//! Nanoseconds to queue one message for each of 1,000 connections, without a network: prepared once,
//! and compressed by each connection for itself.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use motorway::connection::{DeflateSettings, Output, PreparedMessage, Rules, Sender};
use motorway::extension::deflate::DeflateParameters;
use motorway::{DeflateOptions, Message, ServerOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut ways = [
        Way::new("plain, prepared", None, How::Prepared),
        Way::new("no takeover, prepared", Some(true), How::Prepared),
        Way::new("takeover, prepared", Some(false), How::Prepared),
        Way::new("no takeover, each for itself", Some(true), How::Alone),
        Way::new("takeover, each for itself", Some(false), How::Alone),
    ];
    // In turn, so that whatever else the machine does disturbs all of them alike.
    for round in 0..ROUNDS {
        let text = json(1024, round);
        for way in &mut ways {
            way.run(&text)?;
        }
    }
    println!("{:>30} {:>14} {:>8}", "", "ns a delivery", "octets");
    for way in &mut ways {
        let median = way.median();
        println!("{:>30} {median:>14.1} {:>8}", way.name, way.octets);
    }
    Ok(())
}

/// How a message gets to the connections.
#[derive(Clone, Copy)]
enum How {
    Prepared,
    Alone,
}

struct Way {
    name: &'static str,
    connections: Vec<(Sender, Output)>,
    how: How,
    times: Vec<f64>,
    /// What the last round came to, for one connection.
    octets: usize,
}

impl Way {
    /// Opens connections; `forgets` tells whether they compress, and then without takeover.
    fn new(name: &'static str, forgets: Option<bool>, how: How) -> Self {
        let rules = Arc::new(Rules::server(&ServerOptions::default()));
        let deflate = forgets.map(|server_no_context_takeover| DeflateSettings {
            parameters: DeflateParameters {
                server_no_context_takeover,
                ..DeflateParameters::default()
            },
            options: DeflateOptions::default(),
        });
        let open = || {
            let keys = Box::new(|| [0; 4].into());
            let sender = Sender::new(Arc::clone(&rules), deflate.as_ref(), keys);
            (sender, Output::default())
        };
        Self {
            name,
            connections: std::iter::repeat_with(open).take(CONNECTIONS).collect(),
            how,
            times: Vec::new(),
            octets: 0,
        }
    }

    fn run(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        for (_, output) in &mut self.connections {
            output.clear();
        }
        let start = Instant::now();
        match self.how {
            How::Prepared => {
                let prepared = PreparedMessage::new(black_box(text));
                for (sender, output) in &mut self.connections {
                    sender.send_prepared(&prepared, output)?;
                }
            }
            How::Alone => {
                for (sender, output) in &mut self.connections {
                    sender.send(Message::from(black_box(text)), output)?;
                }
            }
        }
        let spent = start.elapsed().as_secs_f64();
        self.times.push(spent * 1e9 / CONNECTIONS as f64);
        let first = black_box(&self.connections).first();
        self.octets = first.map_or(0, |(_, output)| output.len());
        Ok(())
    }

    fn median(&mut self) -> f64 {
        self.times.sort_by(f64::total_cmp);
        let middle = self.times.len() / 2;
        self.times.get(middle).copied().unwrap_or_default()
    }
}

/// Makes a message as tickers send them, of so many octets, another one each round.
fn json(octets: usize, round: u64) -> String {
    let mut text = String::from("[");
    let mut price = 1_087_300 + round;
    while text.len() < octets {
        price = price * 6_364_136_223 % 1_999_993;
        let (symbol, size) = (price % 7, price % 97);
        text += &format!(r#"{{"symbol":"EUR{symbol}","price":{price},"size":{size}}},"#);
    }
    text.truncate(octets - 1);
    text + "]"
}

const CONNECTIONS: usize = 1000;
const ROUNDS: u64 = 25;
