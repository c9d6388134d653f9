//! Messages that go to every connection: the first one publishes what starts with `B`.

use crate::opening::open_all;
use crate::poll::{Interest, Poll};
use crate::stream::{Connector, Stream};
use crate::{Plan, Window};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use table::Result;
use table::measurement::Measurement;
use table::payload::{Kind, Numbers, payload};
use table::wire::push_masked;

pub(crate) fn run(plan: &Plan) -> Result<Measurement> {
    let connector = Connector::new(plan)?;
    let mut audience = Audience::new(plan, open_all(&connector, plan.connections)?)?;
    audience.run(plan.warm(), Sending::GoesOn)?;
    let read = audience.read;
    let window = Window::open(plan);
    audience.run(plan.secs(), Sending::GoesOn)?;
    let messages = (audience.read - read) / audience.reply.len() as u64;
    let measured = window.close(messages as f64);
    audience.run(Duration::from_secs(5), Sending::Ends)?;
    match audience.is_complete() {
        true => Ok(measured),
        false => Err("not everyone has every message".into()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    GoesOn,
    Ends,
}

struct Audience<'a> {
    plan: &'a Plan,
    poll: Poll,
    /// Each connection, and what has been read from it.
    connections: Vec<(Stream, u64)>,
    frame: Vec<u8>,
    /// The message as everyone gets it, again and again.
    reply: Vec<u8>,
    buffer: Vec<u8>,
    sent: u64,
    read: u64,
}

impl<'a> Audience<'a> {
    fn new(plan: &'a Plan, streams: Vec<Stream>) -> Result<Self> {
        let poll = Poll::new()?;
        for (number, stream) in streams.iter().enumerate() {
            stream.set_nonblocking()?;
            poll.add(stream, number, Interest::Read)?;
        }
        let mut text = payload(Kind::Text, plan.size, &mut Numbers::default());
        *text.first_mut().ok_or("a publication is not empty")? = b'B';
        let (mut frame, mut reply) = (Vec::new(), Vec::new());
        push_masked(&mut frame, 0x81, &text, [0x12, 0xa4, 0x55, 0xe7]);
        table::wire::push_header(&mut reply, 0x81, 0, text.len());
        reply.extend_from_slice(&text);
        Ok(Self {
            plan,
            poll,
            connections: streams.into_iter().map(|stream| (stream, 0)).collect(),
            frame,
            reply,
            buffer: vec![0; 256 << 10],
            sent: 0,
            read: 0,
        })
    }

    fn run(&mut self, time: Duration, sending: Sending) -> Result<()> {
        let until = Instant::now() + time;
        let mut last = Instant::now();
        while Instant::now() < until && (sending == Sending::GoesOn || !self.is_complete()) {
            let everyone = (self.reply.len() * self.connections.len()) as u64;
            let is_room = |sent: u64, read: u64| sent < self.plan.depth as u64 + read / everyone;
            while sending == Sending::GoesOn && is_room(self.sent, self.read) {
                self.connections[0].0.write_all(&self.frame)?;
                self.sent += 1;
            }
            let ready = self.poll.wait(Duration::from_millis(100))?;
            if ready > 0 {
                last = Instant::now();
            } else if last.elapsed() > Duration::from_secs(5) {
                return Err("no message for 5 seconds".into());
            }
            for index in 0..ready {
                self.receive(self.poll.ready(index).number)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, number: usize) -> Result<()> {
        let (stream, read) = &mut self.connections[number];
        let octets = match stream.read(&mut self.buffer) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(octets) => octets,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let at = (*read % self.reply.len() as u64) as usize;
        let compared = octets.min(self.reply.len() - at);
        if self.buffer[..compared] != self.reply[at..at + compared] {
            return Err("what everyone gets is not what was sent".into());
        }
        *read += octets as u64;
        self.read += octets as u64;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let all = self.sent * self.reply.len() as u64;
        self.connections.iter().all(|(_, read)| *read == all)
    }
}
