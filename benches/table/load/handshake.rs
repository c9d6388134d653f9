//! Connections that are opened and closed, so many at once.

use crate::opening::request;
use crate::poll::{Interest, Poll, Ready};
use crate::stream::{Connector, Stream};
use crate::{Plan, Window};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use table::Result;
use table::histogram::Histogram;
use table::measurement::Measurement;

pub(crate) fn run(plan: &Plan) -> Result<Measurement> {
    let connector = Connector::new(plan)?;
    let mut openings = Openings::new(&connector)?;
    openings.run(plan.warm())?;
    openings.latencies = Histogram::default();
    let done = openings.done;
    let window = Window::open(plan);
    openings.run(plan.secs())?;
    let measured = window.close((openings.done - done) as f64);
    Ok(Measurement {
        p50_us: openings.latencies.quantile(0.5),
        p99_us: openings.latencies.quantile(0.99),
        ..measured
    })
}

struct Openings<'a> {
    connector: &'a Connector<'a>,
    poll: Poll,
    request: String,
    slots: Vec<Slot>,
    begun: usize,
    latencies: Histogram,
    done: u64,
}

struct Slot {
    stream: Stream,
    state: State,
    head: Vec<u8>,
    begin: Instant,
}

enum State {
    Connecting,
    Opening,
    Closing,
}

impl<'a> Openings<'a> {
    fn new(connector: &'a Connector<'a>) -> Result<Self> {
        let mut openings = Self {
            connector,
            poll: Poll::new()?,
            request: request(connector.plan, 1).0,
            slots: Vec::new(),
            begun: 0,
            latencies: Histogram::default(),
            done: 0,
        };
        for number in 0..connector.plan.depth {
            let slot = openings.begin(number)?;
            openings.slots.push(slot);
        }
        Ok(openings)
    }

    fn begin(&mut self, number: usize) -> Result<Slot> {
        self.begun += 1;
        let slot = Slot {
            begin: Instant::now(),
            stream: self.connector.begin(self.begun)?,
            state: State::Connecting,
            head: Vec::with_capacity(512),
        };
        self.poll
            .add(&slot.stream, number, Interest::ReadAndWrite)?;
        Ok(slot)
    }

    fn run(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for index in 0..self.poll.wait(Duration::from_millis(100))? {
                let ready = self.poll.ready(index);
                if self.turn(ready)? {
                    self.done += 1;
                    let time = self.slots[ready.number].begin.elapsed();
                    self.latencies.add(time.as_nanos() as u64, 1);
                    self.slots[ready.number] = self.begin(ready.number)?;
                }
            }
        }
        Ok(())
    }

    /// Takes one connection further; whether it has ended.
    fn turn(&mut self, ready: Ready) -> Result<bool> {
        let slot = &mut self.slots[ready.number];
        if let State::Connecting = slot.state {
            if ready.writes {
                slot.stream.write_all(self.request.as_bytes())?;
                slot.state = State::Opening;
                self.poll
                    .change(&slot.stream, ready.number, Interest::Read)?;
            }
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        let read = match slot.stream.read(&mut buffer) {
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            // Closed by a reset is closed.
            Err(_) if matches!(slot.state, State::Closing) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        if let State::Closing = slot.state {
            return match read.first() {
                None | Some(0x88) => Ok(true),
                Some(_) => Err("no close frame".into()),
            };
        }
        if read.is_empty() {
            return Err("the opening handshake has no end".into());
        }
        slot.head.extend_from_slice(read);
        if slot.head.ends_with(b"\r\n\r\n") {
            if !slot.head.starts_with(b"HTTP/1.1 101") {
                return Err("the opening handshake was refused".into());
            }
            slot.stream.write_all(&CLOSE)?;
            slot.state = State::Closing;
        }
        Ok(false)
    }
}

/// A close frame with code 1000, masked with zeroes.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
