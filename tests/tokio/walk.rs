//! Random walks: both ends send in every way that there is, from callbacks, tasks and threads, drop
//! what they wait for, and read as slowly as they like, over streams that cut anywhere. Everything
//! arrives once, whole and in order, and the counters of both ends agree.

use crate::authors::{Author, Numbers, letter};
use crate::probe::{Frames, Messages, Mode, Pieces};
use crate::streams::Choppy;
use crate::wire::within;
use motorway::{
    ClientOptions, CloseInfo, DeflateOptions, DeflateStrategy, HandlerResult, Message, MessageKind,
    Payload, Receive, Result, ServerOptions, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{BufWriter, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// What has arrived at one end, and who still sends there.
struct Post {
    seed: u64,
    state: Mutex<State>,
    done: Notify,
}

#[derive(Default)]
struct State {
    ws: Option<WebSocket>,
    /// The next number of each author.
    next: Vec<usize>,
    sending: usize,
    fault: Option<String>,
}

impl Post {
    fn new(seed: u64) -> Arc<Self> {
        let state = State {
            next: vec![0; AUTHORS],
            sending: AUTHORS,
            ..State::default()
        };
        Arc::new(Self {
            seed,
            state: Mutex::new(state),
            done: Notify::new(),
        })
    }

    /// Changes the state; tells who waits if that was all, or went wrong.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        change(&mut state);
        let all = state.next.iter().all(|next| *next == LETTERS) && state.sending == 0;
        if all || state.fault.is_some() {
            self.done.notify_one();
        }
    }

    fn fault(&self, fault: String) {
        self.change(|state| state.fault = state.fault.take().or(Some(fault)));
    }

    fn receive(&self, message: &Message<'_>) {
        let octets = message.as_bytes();
        let start = String::from_utf8_lossy(&octets[..octets.len().min(20)]).into_owned();
        let mut words = start.split(' ').map_while(|word| word.parse().ok());
        let (Some(author), Some(number)) = (words.next(), words.next()) else {
            return self.fault(format!("no letter: {start:?}"));
        };
        self.change(|state| {
            if state.next.get(author) != Some(&number) {
                state.fault = Some(format!("{start:?} among {:?}", state.next));
            } else if letter(self.seed ^ 1, author, number) != *message {
                state.fault = Some(format!("{start:?} is not as it was"));
            } else {
                state.next[author] += 1;
            }
        });
    }

    /// Runs an author in a task.
    fn employ(self: &Arc<Self>, author: Author) {
        let post = Arc::clone(self);
        tokio::spawn(async move {
            let sent = author.run().await;
            post.sent(sent);
        });
    }

    fn sent(&self, sent: Result<()>) {
        match sent {
            Ok(()) => self.change(|state| state.sending -= 1),
            Err(error) => self.fault(format!("cannot send: {error}")),
        }
    }

    fn ws(&self) -> WebSocket {
        self.state.lock().unwrap().ws.clone().unwrap()
    }
}

/// A protocol instance whose callbacks are one of the authors.
struct Walker<M> {
    post: Arc<Post>,
    numbers: Numbers,
    /// Whether callbacks wait for room. At both ends they might wait for each other.
    waits: bool,
    author: Option<Author>,
    received: usize,
    pieces: (Option<MessageKind>, Vec<u8>),
    mode: PhantomData<fn() -> M>,
}

impl<M> Walker<M> {
    fn new(post: &Arc<Post>, waits: bool) -> Self {
        Self {
            post: Arc::clone(post),
            numbers: Numbers::new(post.seed, [1 << 21, 0]),
            waits,
            author: None,
            received: 0,
            pieces: (None, Vec::new()),
            mode: PhantomData,
        }
    }

    fn open(&mut self, ws: &WebSocket) {
        self.post.change(|state| state.ws = Some(ws.clone()));
        for id in 1..AUTHORS {
            let author = Author::new(ws, self.post.seed, id, LETTERS);
            self.post.employ(author);
        }
        self.author = Some(Author::new(ws, self.post.seed, 0, LETTERS));
    }

    async fn receive(&mut self, message: &Message<'_>) {
        self.post.receive(message);
        let Some(author) = &mut self.author else {
            return;
        };
        for _ in 0..self.numbers.below(4) {
            if author.left.is_empty() {
                break;
            }
            let said = match self.waits {
                true => author.say().await.map(|()| true),
                false => author.try_say(),
            };
            match said {
                Ok(true) => {}
                // A task goes on in its place.
                Ok(false) => break,
                Err(error) => self.post.fault(format!("cannot answer: {error}")),
            }
        }
        self.received += 1;
        // Nothing may come any more from which on the other end waits for these, too.
        if (author.left.start > LETTERS / 2 || self.received == (AUTHORS - 1) * LETTERS)
            && let Some(author) = self.author.take()
        {
            self.post.employ(author);
        }
        self.numbers.dawdle().await;
    }

    async fn receive_end(&mut self) {
        let (kind, pieces) = std::mem::take(&mut self.pieces);
        let message = match (kind, String::from_utf8(pieces)) {
            (Some(MessageKind::Text), Ok(text)) => Message::from(text),
            (Some(MessageKind::Binary), Ok(text)) => Message::from(text.into_bytes()),
            (kind, _) => return self.post.fault(format!("pieces of {kind:?}")),
        };
        self.receive(&message).await;
    }
}

macro_rules! callbacks {
    () => {
        const RECEIVE: Receive = M::RECEIVE;

        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            self.open(ws);
            Ok(())
        }
        async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
            self.receive(&message).await;
            Ok(())
        }
        async fn on_message_begin(&mut self, _: &WebSocket, kind: MessageKind) -> HandlerResult {
            self.pieces.0 = Some(kind);
            Ok(())
        }
        async fn on_message_frame_data(
            &mut self,
            _: &WebSocket,
            data: Payload<'_>,
        ) -> HandlerResult {
            self.pieces.1.extend_from_slice(&data);
            Ok(())
        }
        async fn on_message_frame(&mut self, _: &WebSocket, frame: Payload<'_>) -> HandlerResult {
            self.pieces.1.extend_from_slice(&frame);
            Ok(())
        }
        async fn on_message_end(&mut self, _: &WebSocket) -> HandlerResult {
            self.receive_end().await;
            Ok(())
        }
        async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
            if !info.was_clean {
                self.post.fault(format!("{info}"));
            }
            Ok(())
        }
    };
}

impl<M: Mode> WebSocketServerProtocol for Walker<M> {
    callbacks!();
}

impl<M: Mode> WebSocketClientProtocol for Walker<M> {
    callbacks!();
}

fn deflate(numbers: &mut Numbers) -> Option<DeflateOptions> {
    let options = match numbers.below(4) {
        0 | 1 => return None,
        2 => DeflateOptions::no_context(),
        _ => DeflateOptions::default(),
    };
    let strategies = [DeflateStrategy::Default, DeflateStrategy::Rle];
    let options = options.level([1, 6][numbers.below(2)]);
    let options = options.strategy(strategies[numbers.below(2)]);
    Some(options.threshold([0, 100][numbers.below(2)]))
}

macro_rules! options {
    ($options:ty, $numbers:expr, $deflate:expr) => {{
        let fragment = [None, None, Some(1000), Some(17)][$numbers.below(4)];
        let ping = [None, Some(Duration::from_millis(20))][$numbers.below(2)];
        <$options>::default()
            .auto_fragment_size(fragment)
            .auto_ping_interval(ping)
            .auto_ping_timeout(ping.map(|_| PATIENCE))
            .open_handshake_timeout(PATIENCE)
            .close_handshake_timeout(PATIENCE)
            .write_stall_timeout(PATIENCE)
            .track_timings($numbers.one_in(4))
            .per_message_deflate($deflate)
    }};
}

fn choppy(stream: DuplexStream, numbers: &mut Numbers) -> Choppy<BufWriter<DuplexStream>> {
    let room = [0, 100, 10_000][numbers.below(3)];
    Choppy {
        inner: BufWriter::with_capacity(room, stream),
        seed: 1 + numbers.below(1 << 30) as u64,
    }
}

async fn walk<S: Mode, C: Mode>(seed: u64) {
    let mut numbers = Numbers::new(seed, [0, 0]);
    let deflate = deflate(&mut numbers);
    let server_waits = numbers.one_in(2);
    let (server, client) = (Post::new(seed << 1), Post::new(seed << 1 | 1));
    let post = Arc::clone(&server);
    let mut servers = WebSocketServerFactory::new(move || Walker::<S>::new(&post, server_waits));
    let options = options!(ServerOptions, numbers, deflate);
    servers.set_protocol_options(options).unwrap();
    let post = Arc::clone(&client);
    let new = move || Walker::<C>::new(&post, !server_waits);
    let mut clients = WebSocketClientFactory::new("ws://localhost/", new).unwrap();
    let options = options!(ClientOptions, numbers, deflate);
    clients.set_protocol_options(options).unwrap();

    let (ours, theirs) = duplex(1 + numbers.below(20_000));
    let (ours, theirs) = (choppy(ours, &mut numbers), choppy(theirs, &mut numbers));
    let serving = tokio::spawn(servers.serve_stream(ours));
    let ws = within(clients.connect_stream(theirs)).await.unwrap();
    for post in [&server, &client] {
        within(post.done.notified()).await;
        let fault = post.state.lock().unwrap().fault.take();
        assert_eq!(fault, None, "seed {seed}");
    }
    let closing = if numbers.one_in(2) { &ws } else { &server.ws() };
    closing.close(1000, "").await.unwrap();
    let (ours, theirs) =
        within(async { (serving.await.unwrap().unwrap(), ws.closed().await) }).await;
    assert!(
        ours.was_clean && theirs.was_clean,
        "seed {seed}: {ours}, {theirs}"
    );
    let (ours, theirs) = (server.ws().stats(), ws.stats());
    for (sent, received) in [(ours, theirs), (theirs, ours)] {
        let sent = [
            sent.octets_sent,
            sent.frames_sent,
            sent.payload_octets_sent,
            sent.message_octets_sent,
            sent.messages_sent,
        ];
        let received = [
            received.octets_received,
            received.frames_received,
            received.payload_octets_received,
            received.message_octets_received,
            received.messages_received,
        ];
        assert_eq!(sent, received, "seed {seed}");
        assert_eq!(sent[4], (AUTHORS * LETTERS) as u64, "seed {seed}");
    }
}

async fn walk_in_any_mode(seed: u64) {
    // Shown if the test fails.
    println!("seed {seed}");
    match seed % 4 {
        0 => walk::<Frames, Messages>(seed).await,
        1 => walk::<Messages, Pieces>(seed).await,
        2 => walk::<Pieces, Frames>(seed).await,
        _ => walk::<Messages, Messages>(seed).await,
    }
}

#[test]
fn everything_arrives_once_and_in_order() {
    for seed in 0..200 {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(walk_in_any_mode(seed));
    }
}

#[test]
fn everything_arrives_once_and_in_order_across_threads() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    for seed in 1000..1020 {
        runtime.block_on(walk_in_any_mode(seed));
    }
}

/// How many send at each end: its callbacks, and tasks.
const AUTHORS: usize = 4;
/// How many messages each of them sends.
const LETTERS: usize = 8;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(300);
