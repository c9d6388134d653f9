//! tokio-websockets.

use futures_util::{FutureExt, SinkExt, StreamExt};
use std::sync::LazyLock;
use table::serve::{self, Mode};
use table::{Result, pump};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Sender, channel};
use tokio_websockets::{Config, Limits, Message, ServerBuilder, WebSocketStream};

static EVERYONE: LazyLock<Sender<Message>> = LazyLock::new(|| channel(1024).0);

/// Takes every message that is there, feeds them all and flushes once: this crate flushes what is queued
/// when it is asked for the next message.
async fn echo(mut ws: WebSocketStream<TcpStream>) -> Option<()> {
    let mut messages: Vec<Message> = Vec::with_capacity(MESSAGES);
    loop {
        let mut octets = 0;
        let mut next = Some(ws.next().await);
        while let Some(message) = next {
            let message = message?.ok()?;
            octets += message.as_payload().len();
            if is_data(&message) {
                messages.push(message);
            }
            let has_room = messages.len() < MESSAGES && octets < 256 << 10;
            next = has_room.then(|| ws.next().now_or_never()).flatten();
        }
        for message in messages.drain(..) {
            ws.feed(message).await.ok()?;
        }
        ws.flush().await.ok()?;
    }
}

const MESSAGES: usize = 512;

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

async fn connection(stream: TcpStream, mode: Mode) {
    let builder = ServerBuilder::new().config(Config::default().frame_size(usize::MAX));
    let accepted = builder.limits(Limits::unlimited()).accept(stream).await;
    let Ok((_, ws)) = accepted else {
        return;
    };
    match mode {
        Mode::Broadcast => pump::broadcast(ws, EVERYONE.clone(), is_data).await,
        _ => drop(echo(ws).await),
    }
}

fn main() -> Result<()> {
    let (port, mode) = serve::arguments()?;
    serve::serve(port, move |stream| connection(stream, mode))
}
