//! Anchor: the barest echo of WebSocket on tokio; see `anchor`.
//!
//! A task for each connection, one buffer to read and one to write for the whole thread, a write for each read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind::WouldBlock;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use table::anchor::{Echo, reply_in_place};
use table::{Result, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; 256 << 10], Vec::new()));
}

/// Reads once and answers: what the socket does not take is returned.
///
/// `poll_read`, unlike `readable` and `try_read`, knows that a short read has drained the socket.
fn poll_turn(
    stream: &mut TcpStream,
    echo: &mut Echo,
    cx: &mut Context<'_>,
) -> Poll<Result<Vec<u8>>> {
    BUFFERS.with_borrow_mut(|(read, out)| {
        let mut read = ReadBuf::new(read);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Err("the end".into()));
        }
        out.clear();
        if echo.step(read.filled_mut(), out).is_err() {
            return Poll::Ready(Err("a rule is broken".into()));
        }
        if out.is_empty() {
            return Poll::Ready(Ok(Vec::new()));
        }
        match stream.try_write(out) {
            Ok(written) => Poll::Ready(Ok(out.split_off(written))),
            Err(error) if error.kind() == WouldBlock => Poll::Ready(Ok(out.clone())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    })
}

/// Reads the rest of a large frame where its begin lies, and writes the reply from there.
async fn large(stream: &mut TcpStream, echo: &mut Echo) -> Result<()> {
    let mut frame = std::mem::take(&mut echo.part);
    let missing = echo.need - frame.len();
    echo.need = 0;
    frame.reserve_exact(missing);
    let mut rest = (&mut *stream).take(missing as u64);
    while rest.limit() > 0 {
        if rest.read_buf(&mut frame).await? == 0 {
            return Err("the end".into());
        }
    }
    let start = reply_in_place(&mut frame).map_err(|_| "a rule is broken")?;
    Ok(stream.write_all(&frame[start..]).await?)
}

async fn connection(mut stream: TcpStream) -> Result<()> {
    serve::open(&mut stream).await?;
    let mut echo = Echo::default();
    loop {
        if echo.wants_large() {
            large(&mut stream, &mut echo).await?;
        }
        let unsent = poll_fn(|cx| poll_turn(&mut stream, &mut echo, cx)).await?;
        if !unsent.is_empty() {
            stream.write_all(&unsent).await?;
        }
    }
}

fn main() -> Result<()> {
    let (port, _) = serve::arguments()?;
    // A connection that ends is no matter of the others.
    serve::serve(port, async |stream| drop(connection(stream).await))
}
