//! Those who send in every way that there is, and drop what they wait for.

use motorway::{Message, MessageKind, PreparedMessage, Result, SendError, WebSocket};
use std::ops::Range;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Numbers that look random, the same on every run.
#[derive(Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    /// Each of these starts somewhere else.
    pub(crate) fn new(seed: u64, parts: [usize; 2]) -> Self {
        let mut numbers = Self(seed);
        for part in parts {
            numbers.below(2);
            numbers.0 ^= part as u64;
        }
        numbers.below(2);
        numbers
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) async fn dawdle(&mut self) {
        match self.below(10) {
            0 => sleep(Duration::from_millis(self.below(30) as u64)).await,
            1 | 2 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// The message of this number of an author, who is at the end with this seed.
pub(crate) fn letter(seed: u64, author: usize, number: usize) -> Message<'static> {
    let mut numbers = Numbers::new(seed, [author, number]);
    let length = match numbers.below(40) {
        0 => 20_000 + numbers.below(60_000),
        1 | 2 => 16_300 + numbers.below(200),
        3..=6 => 110 + numbers.below(30),
        7..=9 => numbers.below(1000),
        _ => numbers.below(50),
    };
    let mut text = format!("{author} {number} ");
    while text.len() < length {
        text.push_str(["a", "motorway ", "é", "😀"][numbers.below(4)]);
    }
    match numbers.one_in(2) {
        true => Message::from(text),
        false => Message::from(text.into_bytes()),
    }
}

/// Polls a future to its end, or a few times only.
async fn hurried<F: Future>(mut patience: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if patience == 0 => Poll::Ready(None),
        Poll::Pending => {
            patience -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Takes what would wait for an attempt that was given up.
fn at_once(sent: std::result::Result<(), SendError>) -> Option<Result<()>> {
    match sent {
        Err(SendError::Full { .. } | SendError::Busy) => None,
        other => Some(other.map_err(Into::into)),
    }
}

/// One who sends messages in a row.
pub(crate) struct Author {
    ws: WebSocket,
    numbers: Numbers,
    seed: u64,
    id: usize,
    pub(crate) left: Range<usize>,
}

impl Author {
    pub(crate) fn new(ws: &WebSocket, seed: u64, id: usize, letters: usize) -> Self {
        Self {
            ws: ws.clone(),
            numbers: Numbers::new(seed, [id, 1 << 20]),
            seed,
            id,
            left: 0..letters,
        }
    }

    fn patience(&mut self) -> usize {
        match self.numbers.one_in(3) {
            true => self.numbers.below(4),
            false => usize::MAX,
        }
    }

    fn message(&self) -> Message<'static> {
        letter(self.seed, self.id, self.left.start)
    }

    /// Sends the next message, without waiting; tells whether it did.
    pub(crate) fn try_say(&mut self) -> Result<bool> {
        let message = self.message();
        let ws = &self.ws;
        let sent = match self.numbers.below(5) {
            0 => ws.try_send_uncompressed(message),
            1 => ws.try_send_prepared(&PreparedMessage::new(message)),
            2 => std::thread::scope(|scope| {
                let sending = scope.spawn(|| ws.try_send(message));
                sending.join().unwrap()
            }),
            _ => ws.try_send(message),
        };
        let sent = at_once(sent).transpose()?.is_some();
        self.left.start += usize::from(sent);
        Ok(sent)
    }

    /// Sends the next message, however often it takes.
    pub(crate) async fn say(&mut self) -> Result<()> {
        loop {
            if self.numbers.one_in(3) {
                if self.try_say()? {
                    return Ok(());
                }
            } else if let Some(sent) = self.attempt().await {
                self.left.start += 1;
                return sent;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends the next message; `None` if it was given up before it was.
    async fn attempt(&mut self) -> Option<Result<()>> {
        let (message, patience) = (self.message(), self.patience());
        let ws = self.ws.clone();
        match self.numbers.below(7) {
            0 => hurried(patience, ws.send(message).uncompressed()).await,
            1 => {
                let prepared = PreparedMessage::new(message);
                hurried(patience, ws.send_prepared(&prepared)).await
            }
            2 => {
                let sending = tokio::spawn(async move { ws.send(message).await });
                Some(sending.await.unwrap())
            }
            3 | 4 => self.say_in_parts(&message).await,
            // Shared octets cannot be masked where they are.
            5 => hurried(patience, ws.send(message.clone())).await,
            _ => hurried(patience, ws.send(message)).await,
        }
    }

    async fn say_in_parts(&mut self, message: &Message<'static>) -> Option<Result<()>> {
        let kind = match message.is_text() {
            true => MessageKind::Text,
            false => MessageKind::Binary,
        };
        let (ws, patience) = (self.ws.clone(), self.patience());
        let begun = match self.numbers.one_in(2) {
            true => hurried(patience, ws.begin_message(kind)).await?,
            false => hurried(patience, ws.begin_uncompressed_message(kind)).await?,
        };
        let mut writer = match begun {
            Ok(writer) => writer,
            Err(error) => return Some(Err(error)),
        };
        let mut rest = message.as_bytes();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(1 + self.numbers.below(rest.len()));
            match hurried(self.patience(), writer.write(part)).await {
                Some(Ok(())) => rest = after,
                Some(failed) => return Some(failed),
                None => sleep(Duration::from_millis(1)).await,
            }
            self.numbers.dawdle().await;
        }
        Some(writer.finish().await)
    }

    /// Sends all that is left, with some pings between.
    pub(crate) async fn run(mut self) -> Result<()> {
        while !self.left.is_empty() {
            self.say().await?;
            self.numbers.dawdle().await;
            let patience = self.patience();
            match self.numbers.below(8) {
                0 => {
                    let payload = format!("{} {}", self.id, self.left.start);
                    if let Some(answer) = hurried(patience, self.ws.ping(payload)).await {
                        answer?;
                    }
                }
                1 => self.ws.pong("unasked")?,
                _ => {}
            }
        }
        Ok(())
    }
}
