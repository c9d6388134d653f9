//! yawc: to echo, with the larger buffers that it recommends for speed; otherwise as it comes, upgraded by hyper.
//!
//! With `BUFFERS=default` in the environment it comes as it is to echo, too.

use futures_util::StreamExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::LazyLock;
use table::serve::{self, Mode};
use table::{Result, pump};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Sender, channel};
use yawc::{Frame, HttpWebSocket, OpCode, Options, Role, UpgradeFut, WebSocket, WebSocketError};

static EVERYONE: LazyLock<Sender<Frame>> = LazyLock::new(|| channel(1024).0);

fn options(mode: Mode) -> Options {
    let options = Options::default().with_limits(1 << 30, 1 << 30).with_utf8();
    match mode {
        Mode::Deflate => options.with_balanced_compression(),
        _ => options.without_compression(),
    }
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}

async fn tuned<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Result<()> {
    serve::open(&mut stream).await?;
    let options = options(Mode::Echo).with_read_buffer_capacity(128 << 10);
    let options = options.with_backpressure_boundary(64 << 10);
    let ws = WebSocket::from_stream(stream, Role::Server, options)?;
    pump::echo(ws.map(Ok::<_, ()>), is_data).await;
    Ok(())
}

async fn upgraded(upgrade: UpgradeFut, mode: Mode) {
    let Ok(ws) = upgrade.await else {
        return;
    };
    let ws = ws.map(Ok::<_, ()>);
    match mode {
        Mode::Broadcast => pump::broadcast(ws, EVERYONE.clone(), is_data).await,
        _ => pump::echo(ws, is_data).await,
    }
}

async fn connection(stream: TcpStream, mode: Mode) {
    if mode == Mode::Echo && std::env::var("BUFFERS").as_deref() != Ok("default") {
        drop(tuned(stream).await);
        return;
    }
    let service = service_fn(async |mut request| {
        let (response, upgrade) = HttpWebSocket::upgrade_with_options(&mut request, options(mode))?;
        tokio::spawn(upgraded(upgrade, mode));
        Ok::<_, WebSocketError>(response)
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(serving.with_upgrades().await);
}

fn main() -> Result<()> {
    let (port, mode) = serve::arguments()?;
    match mode {
        Mode::Tls => serve::serve_tls(port, async |stream| drop(tuned(stream).await)),
        _ => serve::serve(port, move |stream| connection(stream, mode)),
    }
}
