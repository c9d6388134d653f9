//! Connections that always have messages in flight.

use crate::Plan;
use crate::poll::{Interest, Poll, Ready};
use crate::replies::{Replies, Wanted};
use crate::ring::Ring;
use crate::stream::Stream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use table::Result;
use table::histogram::Histogram;

pub(crate) struct Engine<'a> {
    plan: &'a Plan,
    ring: &'a Ring,
    wanted: Wanted,
    poll: Poll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    clock: Instant,
    /// Latencies, while they are recorded.
    pub(crate) latencies: Option<Histogram>,
    /// Messages that have come back.
    pub(crate) done: u64,
    /// Octets that have come back.
    pub(crate) read: u64,
}

struct Connection {
    stream: Stream,
    interest: Interest,
    /// The message that is to be sent next, and the octet of the ring where that goes on.
    next: usize,
    at: usize,
    sent: u64,
    done: u64,
    /// Up to which message was sent when, in nanoseconds.
    times: VecDeque<(u64, u64)>,
    replies: Counter,
}

/// What counts replies.
pub(crate) enum Counter {
    /// Messages of RFC 6455.
    Messages(Box<Replies>),
    /// What was sent, octet for octet.
    Octets { message: usize, left: usize },
}

impl Counter {
    pub(crate) fn read(&mut self, octets: &[u8], wanted: Wanted, ring: &Ring) -> Result<u64> {
        let (message, left) = match self {
            Self::Messages(replies) => return replies.read(octets, wanted, ring),
            Self::Octets { message, left } => (message, left),
        };
        let (mut rest, mut complete) = (octets.len(), 0);
        while rest >= *left {
            rest -= *left;
            complete += 1;
            *message = ring.after(*message);
            *left = ring.size(*message);
        }
        *left -= rest;
        Ok(complete)
    }
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        (plan, ring): (&'a Plan, &'a Ring),
        wanted: Wanted,
        streams: Vec<Stream>,
        counter: impl Fn() -> Counter,
    ) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(streams.len());
        for (number, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking()?;
            poll.add(&stream, number, Interest::Read)?;
            connections.push(Connection {
                stream,
                interest: Interest::Read,
                next: 0,
                at: 0,
                sent: 0,
                done: 0,
                times: VecDeque::new(),
                replies: counter(),
            });
        }
        let mut engine = Self {
            plan,
            ring,
            wanted,
            poll,
            connections,
            buffer: vec![0; 512 << 10],
            clock: Instant::now(),
            latencies: None,
            done: 0,
            read: 0,
        };
        for number in 0..engine.connections.len() {
            engine.send(number)?;
        }
        Ok(engine)
    }

    /// Goes on for so long, or until so many messages have come back.
    pub(crate) fn run(&mut self, time: Duration, messages: u64) -> Result<()> {
        let until = Instant::now() + time;
        let mut last = Instant::now();
        while self.done < messages {
            let now = Instant::now();
            if now >= until {
                break;
            }
            let ready = self.poll.wait((until - now).min(Duration::from_secs(1)))?;
            if ready > 0 {
                last = now;
            } else if now - last > STALL {
                return Err("no reply for 10 seconds".into());
            }
            for index in 0..ready {
                let Ready { number, reads, .. } = self.poll.ready(index);
                if reads {
                    self.receive(number)?;
                }
                self.send(number)?;
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    fn receive(&mut self, number: usize) -> Result<()> {
        loop {
            let connection = &mut self.connections[number];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.read += read as u64;
            let octets = &self.buffer[..read];
            let complete = connection.replies.read(octets, self.wanted, self.ring)?;
            let is_drained = connection.stream.is_drained_by(read, self.buffer.len());
            if complete > 0 {
                self.complete(number, complete)?;
            }
            if is_drained {
                return Ok(());
            }
        }
    }

    fn complete(&mut self, number: usize, mut messages: u64) -> Result<()> {
        let now = self.now();
        self.done += messages;
        let connection = &mut self.connections[number];
        while messages > 0 {
            let Some(&(until, time)) = connection.times.front() else {
                return Err("a reply to no message".into());
            };
            let answered = messages.min(until - connection.done);
            if let Some(latencies) = &mut self.latencies {
                latencies.add(now.saturating_sub(time), answered);
            }
            connection.done += answered;
            messages -= answered;
            if connection.done == until {
                connection.times.pop_front();
            }
        }
        Ok(())
    }

    /// Sends as many messages as may be in flight, once half of them have come back.
    fn send(&mut self, number: usize) -> Result<()> {
        let now = self.now();
        let depth = self.plan.depth as u64;
        let ring = self.ring;
        let connection = &mut self.connections[number];
        let is_within = connection.at > ring.offsets[connection.next];
        let flight = connection.sent - connection.done;
        let is_full = !is_within && flight > depth / 2 && connection.sent > 0;
        if is_full && !connection.stream.holds_output() {
            return Ok(());
        }
        loop {
            let credit = depth - (connection.sent - connection.done);
            let end = (connection.next + credit as usize).min(ring.len());
            if connection.at >= ring.offsets[end] {
                break;
            }
            let octets = &ring.octets[connection.at..ring.offsets[end]];
            match connection.stream.write(octets) {
                Ok(written) => connection.wrote(written, now, ring),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let is_within = connection.at > ring.offsets[connection.next];
        let interest = match is_within || connection.stream.holds_output() {
            true => Interest::ReadAndWrite,
            false => Interest::Read,
        };
        if interest != connection.interest {
            connection.interest = interest;
            self.poll.change(&connection.stream, number, interest)?;
        }
        Ok(())
    }
}

impl Connection {
    fn wrote(&mut self, octets: usize, now: u64, ring: &Ring) {
        self.at += octets;
        let sent = self.sent;
        while self.next < ring.len() && ring.offsets[self.next + 1] <= self.at {
            self.next += 1;
            self.sent += 1;
        }
        let begun = self.sent + u64::from(self.at > ring.offsets[self.next]);
        let known = self.times.back().map_or(sent, |(until, _)| *until);
        if begun > known {
            self.times.push_back((begun, now));
        }
        if self.next == ring.len() {
            self.next = ring.start;
            self.at = ring.offsets[ring.start];
        }
    }
}

const STALL: Duration = Duration::from_secs(10);
