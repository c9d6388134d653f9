//! Messages of the time, first over a bare TCP socket with headers of one's own, then over WebSocket:
//! what the protocol saves one.
//!
//! ```sh
//! cargo run --example raw_stream
//! ```

use std::error::Error;
use std::time::SystemTime;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

/// What both send.
fn time() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("The time is {:.6}", now.unwrap_or_default().as_secs_f64())
}

/// TCP knows octets only: each message has its length before it, in ten characters, and whoever reads
/// puts together what came in pieces. Nothing says how long a message may be, or why the end came.
mod raw {
    use super::{Done, time};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const HEADER: usize = 10;

    pub(crate) async fn serve(listener: TcpListener) -> Done {
        let (mut client, address) = listener.accept().await?;
        println!("Connect from {address} established");
        for _ in 0..20 {
            let message = time();
            let message = format!("{:<HEADER$}{message}", message.len());
            client.write_all(message.as_bytes()).await?;
        }
        Ok(())
    }

    pub(crate) async fn receive(address: std::net::SocketAddr) -> Done {
        let mut server = TcpStream::connect(address).await?;
        let mut buffer = Vec::new();
        while server.read_buf(&mut buffer).await? > 0 {
            while let Some(header) = buffer.get(..HEADER) {
                let end = HEADER + str::from_utf8(header)?.trim_end().parse::<usize>()?;
                let Some(message) = buffer.get(HEADER..end) else {
                    break;
                };
                println!("M: {}", str::from_utf8(message)?);
                buffer.drain(..end);
            }
        }
        Ok(())
    }
}

/// WebSocket knows messages, so there is nothing left to do.
mod websocket {
    use super::{Done, time};
    use motorway::{HandlerResult, WebSocketStream};

    pub(crate) async fn serve(client: WebSocketStream) -> HandlerResult {
        println!("Connect from {} established", client.peer());
        for _ in 0..20 {
            client.send(time()).await?;
        }
        Ok(())
    }

    pub(crate) async fn receive(url: &str) -> Done {
        let mut server = motorway::connect(url).await?;
        while let Some(message) = server.recv().await? {
            println!("M: {}", message.into_text()?);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Done {
    println!("-- TCP --");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::try_join!(raw::serve(listener), raw::receive(address))?;

    println!("-- WebSocket --");
    let server = motorway::serve("127.0.0.1:0", websocket::serve).await?;
    websocket::receive(&format!("ws://{}", server.local_addr())).await?;
    Ok(server.run_until(async {}).await?)
}
