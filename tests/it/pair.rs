//! Two ends of a connection with a wire between them: a simulated clock, chunks of random sizes,
//! random traffic both ways, and a random end of it.

#![cfg(test)]

use crate::engine::{Random, settings};
use bytes::BytesMut;
use motorway::connection::{
    CloseInfo, Connection, DeflateSettings, Endpoint, Event, Happening, Rules, State,
};
use motorway::extension::deflate::DeflateParameters;
use motorway::{ClientOptions, CloseFrame, DeflateOptions, Message, ServerOptions};
use std::time::{Duration, Instant};

/// One end, with what it sent and what it received, in order.
struct End {
    connection: Connection,
    sent: Vec<Event<'static>>,
    received: Vec<Event<'static>>,
    /// What is under way to this end.
    incoming: BytesMut,
    /// The other end has shut down its side.
    is_cut: bool,
    closed: Option<Box<CloseInfo>>,
}

/// Two ends; says its seed when a test fails.
struct Pair {
    seed: u64,
    random: Random,
    now: Instant,
    ends: [End; 2],
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let now = Instant::now();
        let deflate = deflate(&mut random);
        let mut client = Rules::client(&ClientOptions::default());
        let mut server = Rules::server(&ServerOptions::default());
        for rules in [&mut client, &mut server] {
            rules.fragment_size = [1, 10, 300, u64::MAX][random.below(4)];
            rules.echo_close = random.below(2) == 0;
            rules.close_timeout = Some(Duration::from_secs(1000));
            rules.drop_timeout = None;
        }
        let pings = ClientOptions::default().auto_ping_interval(Duration::from_secs(3));
        client.auto_ping = Rules::client(&pings).auto_ping;
        let end = |rules| End {
            connection: {
                let mut key = 0_u32;
                let keys = move || {
                    key = key.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                    key.to_be_bytes().into()
                };
                Connection::new(rules, deflate.as_ref(), Box::new(keys), now)
            },
            sent: Vec::new(),
            received: Vec::new(),
            incoming: BytesMut::new(),
            is_cut: false,
            closed: None,
        };
        let ends = [end(client), end(server)];
        Self {
            seed,
            random,
            now,
            ends,
        }
    }

    /// Lets something happen.
    fn step(&mut self) {
        let at = self.random.below(2);
        match self.random.below(12) {
            0..=2 => self.send(at),
            3 => self.control(at),
            4 => self.wait(),
            _ => {
                let most = [1, 3, 20, 300, 5000][self.random.below(5)];
                let size = 1 + self.random.below(most);
                self.deliver(at, size);
            }
        }
    }

    fn send(&mut self, at: usize) {
        let length = [0, 1, 20, 125, 126, 200, 3000][self.random.below(7)];
        let octets: Vec<u8> = match self.random.below(2) {
            0 => self.random.octets(length),
            _ => vec![b'a' + octet(&mut self.random, 26); length],
        };
        let message = match std::str::from_utf8(&octets) {
            Ok(text) => Message::from(text),
            Err(_) => Message::from(&octets[..]),
        };
        let end = &mut self.ends[at];
        if end.connection.send(&message).is_ok() {
            end.sent.push(Event::Message(message.into_owned()));
        }
        self.flush(at);
    }

    fn control(&mut self, at: usize) {
        let length = self.random.below(126);
        let mut payload = self.random.octets(length);
        // Those of automatic pings begin with a zero.
        payload.insert(0, USER);
        payload.truncate(125);
        let is_ping = self.random.below(2) == 0;
        let end = &mut self.ends[at];
        let (sent, event) = match is_ping {
            true => (end.connection.ping(&payload), Event::Ping(payload.into())),
            false => (end.connection.pong(&payload), Event::Pong(payload.into())),
        };
        if sent.is_ok() {
            end.sent.push(event);
        }
        self.flush(at);
    }

    fn wait(&mut self) {
        self.now += Duration::from_millis(self.random.below(1500) as u64);
        for at in [0, 1] {
            let due = self.ends[at].connection.poll_timeout();
            if due.is_some_and(|due| due <= self.now) {
                self.ends[at].connection.handle_timeout(self.now);
                self.drain(at);
            }
        }
    }

    /// Delivers some octets that are under way.
    fn deliver(&mut self, at: usize, size: usize) {
        let end = &mut self.ends[at];
        let size = size.min(end.incoming.len());
        let mut chunk = end.incoming.split_to(size);
        if !chunk.is_empty() {
            end.connection.receive(&mut chunk, self.now);
        } else if end.is_cut {
            end.connection.receive_eof(self.now);
        }
        self.drain(at);
    }

    fn drain(&mut self, at: usize) {
        loop {
            let end = &mut self.ends[at];
            let was_open = end.connection.state().is_open();
            match end.connection.poll_event() {
                Some(Happening::Event(event)) => {
                    if let (Event::Ping(payload), true) = (&event, was_open) {
                        end.sent.push(Event::Pong(payload.clone()));
                    }
                    end.received.push(event);
                }
                Some(Happening::AutoPong(_)) => {}
                Some(Happening::Closed(info)) => {
                    assert!(end.closed.replace(info).is_none(), "closed twice");
                }
                None => break,
            }
        }
        self.flush(at);
    }

    fn flush(&mut self, at: usize) {
        let output = self.ends[at].connection.poll_output().unwrap_or_default();
        let ends = self.ends[at].connection.shuts_down() || self.ends[at].closed.is_some();
        let peer = &mut self.ends[1 - at];
        if !peer.is_cut {
            peer.incoming.extend_from_slice(&output);
        }
        peer.is_cut |= ends;
    }

    fn close(&mut self, at: usize) {
        let code = [1000, 1001, 3000, 4999][self.random.below(4)];
        let frame = CloseFrame::new(code, "x".repeat(self.random.below(124)));
        self.ends[at].connection.close(frame, self.now).unwrap();
        self.flush(at);
    }

    /// Delivers everything, in chunks, until both ends have closed.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            if self.ends.iter().all(|end| end.closed.is_some()) {
                return;
            }
            let (at, size) = (self.random.below(2), 1 + self.random.below(4000));
            self.deliver(at, size);
        }
        panic!("not closed");
    }

    fn closed(&self, at: usize) -> &CloseInfo {
        self.ends[at].closed.as_ref().expect("closed")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}", self.seed);
        }
    }
}

fn octet(random: &mut Random, end: usize) -> u8 {
    u8::try_from(random.below(end)).unwrap()
}

fn deflate(random: &mut Random) -> Option<DeflateSettings> {
    let mut chosen = settings(DeflateParameters {
        server_no_context_takeover: random.below(3) == 0,
        client_no_context_takeover: random.below(3) == 0,
        server_max_window_bits: 9 + octet(random, 7),
        client_max_window_bits: 8 + octet(random, 8),
    });
    chosen.options = DeflateOptions::default()
        .threshold([0, 0, 100][random.below(3)])
        .level(octet(random, 10))
        .mem_level(1 + octet(random, 9));
    (random.below(3) > 0).then_some(chosen)
}

/// Leaves out automatic pings and the pongs that answer them, and close frames.
fn from_users<'a>(events: &'a [Event<'static>]) -> Vec<&'a Event<'static>> {
    let by_user = |event: &&Event<'static>| match event {
        Event::Ping(payload) | Event::Pong(payload) => payload.first() == Some(&USER),
        Event::Close(_) => false,
        _ => true,
    };
    events.iter().filter(by_user).collect()
}

const USER: u8 = 0xff;

#[test]
fn nothing_is_lost_and_both_ends_agree_on_the_end() {
    for seed in 0..120 {
        let mut pair = Pair::new(seed);
        for _ in 0..pair.random.below(300) {
            pair.step();
        }
        let first = pair.random.below(2);
        pair.close(first);
        for _ in 0..pair.random.below(40) {
            pair.step();
        }
        let both = pair.random.below(3) == 0;
        if both {
            pair.close(1 - first);
        }
        pair.settle();
        for at in [0, 1] {
            let sent = from_users(&pair.ends[at].sent);
            let received = from_users(&pair.ends[1 - at].received);
            assert!(
                sent == received,
                "seed {seed}: {sent:?} became {received:?}"
            );
        }
        let (ours, theirs) = (pair.closed(0), pair.closed(1));
        assert!(ours.was_clean && theirs.was_clean, "seed {seed}");
        assert_eq!(ours.local, theirs.remote, "seed {seed}");
        assert_eq!(theirs.local, ours.remote, "seed {seed}");
        assert_eq!((ours.unsent_octets, theirs.unsent_octets), (0, 0));
        let by = [ours.closed_by, theirs.closed_by];
        assert_eq!(by[first], Endpoint::Local, "seed {seed}");
        assert!(both || by[1 - first] == Endpoint::Peer, "seed {seed}");
        for end in &pair.ends {
            assert_eq!(end.connection.state(), State::Complete);
            assert_eq!(end.connection.poll_timeout(), None);
        }
    }
}

#[test]
fn what_arrived_before_tcp_was_lost_is_in_order() {
    for seed in 1000..1060 {
        let mut pair = Pair::new(seed);
        for _ in 0..pair.random.below(300) {
            pair.step();
        }
        for at in [0, 1] {
            let end = &mut pair.ends[at];
            let arrived = pair.random.below(end.incoming.len() + 1);
            end.incoming.truncate(arrived);
            end.is_cut = true;
        }
        pair.settle();
        for at in [0, 1] {
            let sent = from_users(&pair.ends[at].sent);
            let received = from_users(&pair.ends[1 - at].received);
            assert!(sent.starts_with(&received), "seed {seed}");
            let info = pair.closed(at);
            assert!(!info.was_clean && info.code.as_u16() == 1006, "seed {seed}");
        }
    }
}

#[test]
fn fault_of_one_end_is_told_to_the_other() {
    for seed in 2000..2060 {
        let mut pair = Pair::new(seed);
        for _ in 0..pair.random.below(100) {
            pair.step();
        }
        // The server gets a frame that the client did not send, behind all that it did.
        pair.ends[1]
            .incoming
            .extend_from_slice(b"\x83\x80\x00\x00\x00\x00");
        pair.settle();
        let (client, server) = (pair.closed(0), pair.closed(1));
        assert_eq!(
            server.local.as_ref().map(|frame| frame.code.as_u16()),
            Some(1002)
        );
        assert_eq!(client.remote, server.local, "seed {seed}");
        assert_eq!(client.closed_by, Endpoint::Peer);
        assert!(!server.was_clean, "seed {seed}");
        let sent = from_users(&pair.ends[0].sent).len();
        assert!(from_users(&pair.ends[1].received).len() <= sent);
        assert_eq!(pair.ends[0].connection.state(), State::Complete);
    }
}
