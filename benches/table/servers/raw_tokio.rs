//! Anchor: an echo of octets on tokio, without any protocol.

use table::{Result, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connection(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn main() -> Result<()> {
    let (port, _) = serve::arguments()?;
    serve::serve(port, connection)
}
