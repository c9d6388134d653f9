//! Echo and broadcast for the crates whose connection is a `Stream` and a `Sink`, as fast as these allow.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::broadcast::Sender;

/// Sends each message back, and flushes when none is left to be read.
///
/// With `FLUSH=each` in the environment, each is flushed by itself: the loop that most people write.
pub async fn echo<W, M, E, F>(mut ws: W, is_data: impl Fn(&M) -> bool)
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
{
    if std::env::var("FLUSH").as_deref() != Ok("each") {
        let mut held = None;
        poll_fn(|cx| poll_echo(&mut ws, &mut held, &is_data, cx)).await;
        return;
    }
    while let Some(Ok(message)) = ws.next().await {
        if is_data(&message) && ws.send(message).await.is_err() {
            return;
        }
    }
}

fn poll_echo<W, M, E, F>(
    ws: &mut W,
    held: &mut Option<M>,
    is_data: impl Fn(&M) -> bool,
    cx: &mut Context<'_>,
) -> Poll<()>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
{
    let mut ws = Pin::new(ws);
    loop {
        if held.is_some() {
            if ready!(ws.as_mut().poll_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            if let Some(message) = held.take()
                && ws.as_mut().start_send(message).is_err()
            {
                return Poll::Ready(());
            }
        }
        match ws.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => *held = Some(message).filter(&is_data),
            Poll::Ready(_) => return ws.poll_flush(cx).map(drop),
            Poll::Pending => {
                return match ws.poll_flush(cx) {
                    Poll::Ready(Err(_)) => Poll::Ready(()),
                    _ => Poll::Pending,
                };
            }
        }
    }
}

/// Publishes each message and sends what is published, over a `broadcast` channel of tokio.
pub async fn broadcast<W, M, E, F>(mut ws: W, everyone: Sender<M>, is_data: impl Fn(&M) -> bool)
where
    M: Clone,
    W: Stream<Item = Result<M, E>> + Sink<M, Error = F> + Unpin,
{
    let mut published = everyone.subscribe();
    loop {
        tokio::select! {
            message = ws.next() => match message {
                // Without receivers there would be an error; there is this one.
                Some(Ok(message)) if is_data(&message) => drop(everyone.send(message)),
                Some(Ok(_)) => {}
                _ => return,
            },
            message = published.recv() => {
                let mut next = message.ok();
                if next.is_none() {
                    return;
                }
                while let Some(message) = next {
                    if ws.feed(message).await.is_err() {
                        return;
                    }
                    next = published.try_recv().ok();
                }
                if ws.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}
