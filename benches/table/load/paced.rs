//! The same number of messages a second, over however many connections: what connections cost, apart from load.
//!
//! Never sleeps: each message leaves when it is due, on the connection whose turn it is.

use crate::echo::{counter, wanted};
use crate::opening::{Agreed, open_all};
use crate::poll::{Interest, Poll};
use crate::ring::Ring;
use crate::stream::{Connector, Stream};
use crate::{Plan, Window};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use table::Result;
use table::histogram::Histogram;
use table::measurement::Measurement;

pub(crate) fn run(plan: &Plan) -> Result<Measurement> {
    let connector = Connector::new(plan)?;
    let ring = Ring::new(plan, Agreed::default())?;
    let mut pace = Pace::new(plan, &ring, open_all(&connector, plan.connections)?)?;
    pace.run(plan.warm())?;
    pace.latencies = Histogram::default();
    let done = pace.done;
    let window = Window::open(plan);
    pace.run(plan.secs())?;
    let measured = window.close((pace.done - done) as f64);
    Ok(Measurement {
        p50_us: pace.latencies.quantile(0.5),
        p99_us: pace.latencies.quantile(0.99),
        ..measured
    })
}

struct Pace<'a> {
    plan: &'a Plan,
    ring: &'a Ring,
    poll: Poll,
    connections: Vec<(Stream, crate::engine::Counter, VecDeque<Instant>)>,
    buffer: Vec<u8>,
    turn: usize,
    latencies: Histogram,
    done: u64,
}

impl<'a> Pace<'a> {
    fn new(plan: &'a Plan, ring: &'a Ring, streams: Vec<Stream>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking()?;
            poll.add(&stream, number, Interest::Read)?;
            connections.push((stream, counter(plan, ring), VecDeque::new()));
        }
        Ok(Self {
            plan,
            ring,
            poll,
            connections,
            buffer: vec![0; 64 << 10],
            turn: 0,
            latencies: Histogram::default(),
            done: 0,
        })
    }

    fn run(&mut self, time: Duration) -> Result<()> {
        let begin = Instant::now();
        let mut sent = 0.0;
        while begin.elapsed() < time {
            if begin.elapsed().as_secs_f64() * self.plan.rate > sent {
                sent += 1.0;
                self.send()?;
            }
            for index in 0..self.poll.wait(Duration::ZERO)? {
                self.receive(self.poll.ready(index).number)?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let octets = &self.ring.octets[..self.ring.size(0)];
        let (stream, _, times) = &mut self.connections[self.turn];
        self.turn = (self.turn + 1) % self.plan.connections;
        times.push_back(Instant::now());
        match stream.write(octets) {
            Ok(written) if written == octets.len() => Ok(()),
            Ok(_) => Err("the server does not keep up".into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err("the server does not keep up".into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self, number: usize) -> Result<()> {
        let (stream, counter, times) = &mut self.connections[number];
        let read = match stream.read(&mut self.buffer) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let wanted = wanted(self.plan, Agreed::default());
        let complete = counter.read(&self.buffer[..read], wanted, self.ring)?;
        for time in times.drain(..times.len().min(complete as usize)) {
            self.latencies.add(time.elapsed().as_nanos() as u64, 1);
        }
        self.done += complete;
        Ok(())
    }
}
