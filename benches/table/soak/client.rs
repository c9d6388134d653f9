//! The clients of one process: each connects, talks for a while, and goes in one way or another.

use crate::Plan;
use crate::traffic::{Letter, Numbers};
use motorway::{
    ClientOptions, CloseCode, Connector, DeflateOptions, Message, MessageKind, WebSocketStream,
};
use std::collections::VecDeque;
use std::time::Duration;
use table::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// What one client has done.
#[derive(Debug, Default)]
struct Tally {
    lives: u64,
    echoed: u64,
    news: u64,
    pings: u64,
    aborted: u64,
}

/// Runs the clients until the time is over.
pub(crate) fn run(plan: &Plan, port: u16) -> Result<()> {
    let runtime = table::serve::runtime_of(1)?;
    let (end, secs) = (Duration::from_secs(plan.secs), plan.secs);
    let tally = runtime.block_on(async {
        let end = Instant::now() + end;
        let mut clients = JoinSet::new();
        for number in 0..plan.connections {
            let seed = plan.seed * 1_000_003 + (plan.place * plan.connections + number) as u64;
            // Another address for each process, so that there are ports enough.
            let address = format!("127.0.0.{}:{port}", 1 + plan.place);
            clients.spawn(async move {
                let lived = live(&address, Numbers::new(seed), end).await;
                lived.map_err(|fault| format!("client {number}, seed {seed}: {fault}"))
            });
        }
        let mut sum = Tally::default();
        while let Some(ended) = clients.join_next().await {
            let tally = ended??;
            sum.lives += tally.lives;
            sum.echoed += tally.echoed;
            sum.news += tally.news;
            sum.pings += tally.pings;
            sum.aborted += tally.aborted;
        }
        Ok::<_, table::Fault>(sum)
    })?;
    println!("clients {}: {tally:?} in {secs} s", plan.place);
    match tally.echoed > 0 && tally.pings > 0 && tally.aborted > 0 {
        true => Ok(()),
        false => Err("not all was tried".into()),
    }
}

async fn live(address: &str, mut numbers: Numbers, end: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    // Not all at once: the first second is for coming.
    sleep(Duration::from_millis(numbers.below(1_500))).await;
    while Instant::now() < end {
        let ws = connect(address, &mut numbers).await?;
        tally.lives += 1;
        Life {
            ws,
            awaited: VecDeque::new(),
            last_news: None,
            numbers: &mut numbers,
            tally: &mut tally,
        }
        .lead(end)
        .await?;
    }
    Ok(tally)
}

async fn connect(address: &str, numbers: &mut Numbers) -> Result<WebSocketStream> {
    let path = ["", "news"][usize::from(numbers.one_in(4))];
    let mut connector = Connector::new(format!("ws://{address}/{path}"))?;
    let deflate = [
        None,
        Some(DeflateOptions::default()),
        Some(DeflateOptions::no_context()),
    ];
    let deflate = deflate.get(numbers.index(5)).copied().flatten();
    let fragments = numbers.one_in(4).then_some(1_000);
    let minute = Duration::from_secs(60);
    connector.set_protocol_options(
        ClientOptions::default()
            .connect_timeout(minute)
            .open_handshake_timeout(minute)
            .close_handshake_timeout(minute)
            .server_connection_drop_timeout(minute)
            .auto_fragment_size(fragments)
            .per_message_deflate(deflate),
    )?;
    Ok(connector.connect().await?)
}

/// One connection, and what is to come back on it.
struct Life<'a> {
    ws: WebSocketStream,
    awaited: VecDeque<Letter>,
    last_news: Option<u64>,
    numbers: &'a mut Numbers,
    tally: &'a mut Tally,
}

impl Life<'_> {
    async fn lead(mut self, end: Instant) -> Result<()> {
        for _ in 0..1 + self.numbers.below(20) {
            if Instant::now() >= end {
                break;
            }
            for _ in 0..self.numbers.below(6) {
                self.send().await?;
            }
            if self.numbers.one_in(300) {
                self.ws.send("publish").await?;
            }
            if self.numbers.one_in(20) {
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
        while !self.awaited.is_empty() {
            self.receive().await?;
        }
        if self.numbers.one_in(4) {
            // Dropped as it is.
            return Ok(());
        }
        let info = self.ws.close(CloseCode::NORMAL, "enough").await?;
        match info.was_clean {
            true => Ok(()),
            false => Err(format!("a close that is not clean: {info}").into()),
        }
    }

    async fn send(&mut self) -> Result<()> {
        let letter = Letter::draw(self.numbers);
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
        self.awaited.push_back(letter);
        // Neither end waits for the other to read.
        while self.awaited.iter().map(Letter::size).sum::<usize>() > 100_000 {
            self.receive().await?;
        }
        Ok(())
    }

    /// Receives what comes until then, and looks whether more comes than should.
    async fn receive_until(&mut self, time: Instant) -> Result<()> {
        loop {
            match timeout_at(time, self.ws.recv()).await {
                Ok(received) => self.take(received?)?,
                Err(_) => return Ok(()),
            }
        }
    }

    async fn receive(&mut self) -> Result<()> {
        let within = Instant::now() + Duration::from_secs(60);
        let received = timeout_at(within, self.ws.recv()).await;
        let received = received.map_err(|_| self.silence())??;
        self.take(received)
    }

    /// What there is to say of a connection from which nothing comes any more.
    fn silence(&self) -> String {
        let ws = self.ws.handle();
        format!(
            "no echo in a minute of {:?}, {} to be written, {:?}, {:?}",
            self.awaited,
            ws.buffered(),
            ws.stats(),
            self.ws.response(),
        )
    }

    fn take(&mut self, received: Option<Message<'static>>) -> Result<()> {
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
        let letter = self.awaited.pop_front().ok_or("an echo of nothing")?;
        if letter.message() != message {
            return Err(format!("{} octets that are not {letter:?}", message.len()).into());
        }
        self.tally.echoed += 1;
        Ok(())
    }
}
