//! One connection from its opening to its end, and what is to come back on it.

use crate::pace::Pace;
use crate::traffic::{Letter, Numbers};
use motorway::{CloseCode, Message, MessageKind, WebSocketStream};
use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;
use table::Result;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// What clients have done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lives: u64,
    pub(crate) echoed: u64,
    pub(crate) news: u64,
    pub(crate) pings: u64,
    pub(crate) aborted: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.echoed += other.echoed;
        self.news += other.news;
        self.pings += other.pings;
        self.aborted += other.aborted;
    }
}

/// An echo that is to come.
struct Awaited {
    letter: Letter,
    sent: Instant,
    /// Given back when the echo has come, or cannot come any more.
    _room: Option<OwnedSemaphorePermit>,
}

/// One connection, and what is to come back on it.
pub(crate) struct Life<'a> {
    ws: WebSocketStream,
    pace: &'a Pace,
    awaited: VecDeque<Awaited>,
    does: &'static str,
    last_news: Option<u64>,
    numbers: &'a mut Numbers,
    tally: &'a mut Tally,
}

impl<'a> Life<'a> {
    pub(crate) fn new(
        ws: WebSocketStream,
        pace: &'a Pace,
        numbers: &'a mut Numbers,
        tally: &'a mut Tally,
    ) -> Self {
        Self {
            ws,
            pace,
            awaited: VecDeque::new(),
            does: "begins",
            last_news: None,
            numbers,
            tally,
        }
    }

    /// Talks and goes.
    ///
    /// # Errors
    /// Fails if anything comes that should not.
    pub(crate) async fn lead(&mut self, end: Instant) -> Result<()> {
        for _ in 0..1 + self.numbers.below(20) {
            if Instant::now() >= end {
                break;
            }
            self.send_some().await?;
            if self.numbers.one_in(300) {
                self.does = "publishes";
                self.ws.send("publish").await?;
            }
            if self.numbers.one_in(20) {
                self.does = "pings";
                self.ws.handle().ping("are you there").await?;
                self.tally.pings += 1;
            }
            if self.numbers.one_in(60) {
                // In the midst of everything; TCP is reset.
                self.ws.handle().abort();
                self.tally.aborted += 1;
                return Ok(());
            }
            let pause = Instant::now() + Duration::from_millis(self.numbers.below(3_000));
            self.receive_until(pause.min(end)).await?;
        }
        self.does = "waits for the last echoes";
        while !self.awaited.is_empty() {
            self.receive().await?;
        }
        if self.numbers.one_in(4) {
            // Dropped as it is.
            return Ok(());
        }
        self.does = "closes";
        let info = self.ws.close(CloseCode::NORMAL, "enough").await?;
        match info.was_clean {
            true => Ok(()),
            false => Err(format!("a close that is not clean: {info}").into()),
        }
    }

    /// Sends up to five messages, once there is room for their echoes.
    async fn send_some(&mut self) -> Result<()> {
        let many = self.numbers.below(6);
        let letters: Vec<_> = (0..many).map(|_| Letter::draw(self.numbers)).collect();
        if letters.is_empty() {
            return Ok(());
        }
        let mut room = self
            .room_for(letters.iter().map(Letter::room).sum())
            .await?;
        for letter in letters {
            self.send(&letter).await?;
            self.awaited.push_back(Awaited {
                letter,
                sent: Instant::now(),
                _room: room.split(letter.room()),
            });
            // Neither end waits for the other to read.
            while self
                .awaited
                .iter()
                .map(|one| one.letter.size())
                .sum::<usize>()
                > 100_000
            {
                self.receive().await?;
            }
        }
        Ok(())
    }

    /// Waits for room, and receives meanwhile: what others wait for is perhaps here.
    async fn room_for(&mut self, octets: usize) -> Result<OwnedSemaphorePermit> {
        self.does = "waits for room";
        let mut room = pin!(self.pace.room_for(octets));
        loop {
            tokio::select! {
                room = &mut room => return room,
                received = self.ws.recv() => self.take(received?)?,
            }
        }
    }

    async fn send(&mut self, letter: &Letter) -> Result<()> {
        self.does = "sends";
        let message = letter.message();
        if self.numbers.one_in(10) {
            let kind = match message.is_text() {
                true => MessageKind::Text,
                false => MessageKind::Binary,
            };
            let octets = message.as_bytes();
            let mut writer = self.ws.handle().begin_message(kind).await?;
            for part in octets.chunks(1 + octets.len() / 3) {
                writer.write(part).await?;
            }
            writer.finish().await?;
        } else {
            self.ws.send(message).await?;
        }
        Ok(())
    }

    /// Receives what comes until then, and looks whether more comes than should.
    async fn receive_until(&mut self, time: Instant) -> Result<()> {
        self.does = "listens";
        loop {
            match timeout_at(time, self.ws.recv()).await {
                Ok(received) => self.take(received?)?,
                Err(_) => return Ok(()),
            }
        }
    }

    async fn receive(&mut self) -> Result<()> {
        let received = self.ws.recv().await?;
        self.take(received)
    }

    /// What there is to say of a connection from which nothing comes any more.
    pub(crate) fn silence(&self) -> String {
        let ws = self.ws.handle();
        format!(
            "nothing moves any more, and this one {}: {} echoes awaited, the first for {:.0?} of {:?}, \
             {} octets to be written, {:?}, {:?} of {:?}",
            self.does,
            self.awaited.len(),
            self.awaited.front().map(|one| one.sent.elapsed()),
            self.awaited.front().map(|one| one.letter),
            ws.buffered(),
            ws.stats(),
            self.ws.response(),
            ws.path(),
        )
    }

    fn take(&mut self, received: Option<Message<'static>>) -> Result<()> {
        self.pace.moved();
        let Some(message) = received else {
            return Err(format!("closed by the server: {:?}", self.ws.close_info()).into());
        };
        if let Some(number) = message
            .as_text()
            .and_then(|text| text.strip_prefix("news "))
        {
            let number = number.parse()?;
            if self.last_news.is_some_and(|last| last >= number) {
                return Err(format!("news {number} behind {:?}", self.last_news).into());
            }
            self.last_news = Some(number);
            self.tally.news += 1;
            return Ok(());
        }
        let first = self.awaited.pop_front().ok_or("an echo of nothing")?;
        let letter = first.letter;
        if letter.message() != message {
            return Err(format!("{} octets that are not {letter:?}", message.len()).into());
        }
        self.pace.echoed(first.sent);
        self.tally.echoed += 1;
        Ok(())
    }
}
