//! tokio-tungstenite; with `WINDOW=OCTETS` in the environment it reads that much at once, instead of 128 KiB.

use std::sync::LazyLock;
use table::serve::{self, Mode};
use table::{Result, pump};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::{Sender, channel};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

static EVERYONE: LazyLock<Sender<Message>> = LazyLock::new(|| channel(1024).0);

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mode: Mode) {
    let window = std::env::var("WINDOW").ok();
    let window = window
        .and_then(|octets| octets.parse().ok())
        .unwrap_or(128 << 10);
    let config = WebSocketConfig::default().read_buffer_size(window);
    let config = config.max_message_size(None).max_frame_size(None);
    let Ok(ws) = accept_async_with_config(stream, Some(config)).await else {
        return;
    };
    let is_data = |message: &Message| message.is_text() || message.is_binary();
    match mode {
        Mode::Broadcast => pump::broadcast(ws, EVERYONE.clone(), is_data).await,
        _ => pump::echo(ws, is_data).await,
    }
}

fn main() -> Result<()> {
    let (port, mode) = serve::arguments()?;
    match mode {
        Mode::Tls => serve::serve_tls(port, move |stream| connection(stream, mode)),
        _ => serve::serve(port, move |stream| connection(stream, mode)),
    }
}
