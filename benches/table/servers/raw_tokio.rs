//! Anchor: an echo of octets on tokio, without any protocol, or over TLS without any other.

use table::Result;
use table::serve::{self, Mode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn main() -> Result<()> {
    match serve::arguments()? {
        (port, Mode::Tls) => serve::serve_tls(port, connection),
        (port, _) => serve::serve(port, connection),
    }
}
